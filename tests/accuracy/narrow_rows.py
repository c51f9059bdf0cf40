"""Float32 rows of which some lie on a narrower type's grid, with a kernel's right answers."""

from __future__ import annotations

import numpy as np

from goldgate.accuracy.blocks import Device, judge_block
from goldgate.accuracy.rows import Contract, Rows
from goldgate.reference import PROFILES, RoutingSpec, route


def assert_narrow_rows_are_marked(device: Device | None = None) -> None:
    """Assert that rows that bfloat16 or float16 holds are marked, and few others.

    Among the settled and among the rest; one infinity that is left does not hide a row.
    """
    rng = np.random.default_rng(3)
    x = rng.normal(0.0, 2.0, (600, 32)).astype(np.float32)
    x[::6] = (x[::6].view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    x[1::6] = x[1::6].astype(np.float16)
    x[np.arange(0, 600, 12), np.argmin(x[::12], axis=1)] = -np.inf
    bias, spec = np.zeros(32), RoutingSpec(32, 4)
    golden = route(x, bias, spec)
    ids, weights = golden.ids.astype(np.int32), golden.weights.astype(np.float32)
    ids[::30, 0] = ids[::30, 1]
    rows = Rows(x, bias, ids, weights, np.zeros(600, bool))

    found = judge_block(rows, Contract(spec, PROFILES["ieee"]), device=device).narrow

    assert found[::6].all()
    assert found[1::6].all()
    assert found.mean() < 0.35
