"""Alpha over the looks at one candidate: what each may spend, so that all together stay below it.

Every look spends SHARE of what earlier looks left: 0.04, 0.008, 0.0016, ... of 0.05. The sum never
exceeds alpha, and by Bonferroni's inequality neither does the probability that any look errs,
however many follow and however their data overlap. A plan of a single look spends everything.
"""

from __future__ import annotations

from collections.abc import Sequence

SHARE = 0.8


def level(alpha: float, spent: Sequence[float], *, single: bool = False) -> float:
    """Return what the next look may spend after looks that spent `spent`; 0 where nothing is left.

    Raises ValueError for a negative level.
    """
    if any(one < 0 for one in spent):
        raise ValueError(f"levels {list(spent)}; expected none below 0")
    left = alpha - sum(spent)
    if left <= 1e-9:
        return 0.0
    return left if single else SHARE * left
