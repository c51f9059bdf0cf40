"""The verdict on what a kernel answers where its tensors are strided.

Another code path may round otherwise, so its answers are judged, not compared with the plain ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.known_failures import KnownFailure
from goldgate.accuracy.selection import Reason
from goldgate.fixtures import Output, Recording
from goldgate.reference import Profile


def strided_faults(
    recording: Recording,
    strided: Output | None,
    profile: Profile,
    *,
    ordered: bool = False,
    known_failures: Sequence[KnownFailure] = (),
) -> tuple[str, ...]:
    """Return what is wrong with answers on strided tensors, a line at most.

    Args:
        recording: what was routed.
        strided: `goldgate.accuracy.calls.KernelRun.strided`.
        profile: the kernel's arithmetic.
        ordered: whether ids must be in descending order.
        known_failures: rows that may fail there as well; here nothing is stale.

    """
    if strided is None:
        return ()
    found = judge(recording, strided, profile, ordered=ordered, known_failures=known_failures)
    if not len(found.failing):
        return ()
    row, reason = int(found.failing[0]), Reason(int(found.reasons[0]))
    text = (
        f"answers wrongly in {len(found.failing)} rows on strided tensors, where rows of logits, "
        f"of weights and of ids are longer than their contents (row {row}: {reason.text}); a "
        "kernel that is given contiguous tensors alone: CONTIGUOUS = True in its module"
    )
    return (text,)
