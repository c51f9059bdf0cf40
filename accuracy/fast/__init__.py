"""Rows settled by comparisons, compiled: float64 for the chosen experts, a table for the others."""
