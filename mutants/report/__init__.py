"""docs/kill-matrix.md, rendered from what was found."""
