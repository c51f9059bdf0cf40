"""Planted faults, one module a kind."""
