"""A kernel tried in a process of its own before it is timed beside others.

Kernels are timed in turn, and so in one process, where a kernel that faults would leave a GPU
context in which every later call fails.
"""

from __future__ import annotations

from collections.abc import Sequence

from goldgate.accuracy.latency import measure
from goldgate.children import each
from goldgate.kernels import FOREIGN, load, one_line
from goldgate.reference import MODELS


def trial(name: str, model: str, tokens: Sequence[int]) -> str:
    """Return why a kernel cannot be timed on a model's router, or "".

    It is captured and replayed once at each number of tokens.
    """
    for count in tokens:
        try:
            _, failed = measure([load(name)], MODELS[model].spec, count, rotated=True, rounds=1)
        except FOREIGN as error:  # what a call left on the device shows later
            failed = {0: one_line(error)}
        if failed:
            return f"{count} tokens: {failed[0]}"
    return ""


def tried(name: str, model: str, tokens: Sequence[int], limit_s: float) -> str:
    """Return what `trial` returns, or that it crashed or did not end in `limit_s` seconds."""
    (why,) = each(trial, [name], model, tuple(tokens), limit_s=limit_s, failed=lambda _, why: why)
    return why
