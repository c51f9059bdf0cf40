"""Conforming kernels, which no check may fail, and the rows they are tried on."""
