"""Compare two runs: whether they are comparable, the verdict, its report."""
