"""aiter's kernel."""
