"""End-to-end evaluations against a running server."""

import os

# Read when tqdm is first imported: lm-eval's bars would break the one that we draw.
os.environ.setdefault("TQDM_DISABLE", "1")
