"""Which routing kernel an engine's own code reaches for MiniMax-M2.5, found by calling that code.

The engine's functions run in a child process on tensors of the model's shape. Everything that they
import but a few modules of their own is a stand-in, and a kernel's stand-in raises when it is
called: no GPU, no compiled library and no other part of the engine is needed.
"""
