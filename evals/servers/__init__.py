"""Servers on this machine: the stand-in, recorded completions, llama-cpp-python."""
