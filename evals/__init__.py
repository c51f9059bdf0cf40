"""End-to-end evaluations against a running server."""
