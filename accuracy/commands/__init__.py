"""The commands that run and judge kernels: arguments in, files and an exit status out."""
