"""Operands of random bits: NaN and infinities are expected, not warned of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def silent_arithmetic() -> Iterator[None]:
    """Let numpy compute with NaN and infinities in silence, in tests as in the emulator."""
    with np.errstate(all="ignore"):
        yield
