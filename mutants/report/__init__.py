"""docs/kill-matrix.md and its two pages of details, rendered from what was found."""
