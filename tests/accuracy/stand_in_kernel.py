"""A stand-in for the emulator: it answers at once, with metadata as `goldgate emulate` writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from goldgate.accuracy.emulation import Emulated, Launch
from goldgate.fixtures import KernelInfo, Output, Recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels.aiter_emulated.variants import Variant
from goldgate.reference import U, route

Emulate = Callable[..., Emulated]


def golden_kernel(
    wrong: Sequence[str] = (),
    *,
    arithmetic: str = "ieee",
    means: Mapping[str, float] | None = None,
) -> Emulate:
    """Return a stand-in that answers with the golden router.

    Args:
        wrong: variants that answer the first row wrongly.
        arithmetic: what the outputs state.
        means: by rounding model, what every weight is moved by, in u.

    """

    def emulate(
        variant: Variant,
        held: Recording,
        _run: object = map,
        *,
        launches: Sequence[Launch],
        advance: Callable[[int], object],
    ) -> Emulated:
        chosen = [one.start + row for one in launches for row in one.rows]
        found = route(held.logits()[chosen], held.bias(), held.spec)
        ids = found.ids.astype(np.int32)
        if variant.name in wrong:
            ids[0] = ids[0, 0]
        moved = (means or {}).get(variant.rounding.name, 0.0)
        weights = (found.weights * (1.0 + moved * U)).astype(np.float32)
        note = f"emulated: z; rounding of exp and rcp: {variant.rounding}"
        info = KernelInfo(
            *("a kernel", "1; x", variant.architecture, "emulated", arithmetic, note),
            architecture=variant.architecture,
            rounding=str(variant.rounding),
        )
        advance(len(chosen))
        return Emulated(Output(info, tensor(weights), tensor(ids)), ())

    return emulate
