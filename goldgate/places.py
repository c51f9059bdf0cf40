"""Where the package and, in a checkout, its documents are."""

from __future__ import annotations

from pathlib import Path

import goldgate

#: The folder of this package; the packages of the same distribution are in it.
PACKAGE = Path(goldgate.__file__).parent

#: The folder to put on a Python's path so that it imports this goldgate: a checkout's root or
#: site-packages.
IMPORTED_FROM = Path(goldgate.__file__).resolve().parents[1]

#: The checkout's root; None for an installed copy, which has no documents to compare with.
CHECKOUT = IMPORTED_FROM if (IMPORTED_FROM / "pyproject.toml").is_file() else None
