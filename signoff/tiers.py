"""The constructed recordings that a tier holds, by the names that `goldgate parity` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from goldgate.fixtures.constructed import entries
from goldgate.reference.models import MODELS


@cache
def recordings_of(router: str) -> Mapping[str, tuple[str, ...]]:
    """Return what `goldgate parity --coverage full --model ROUTER` judges: names by tier.

    Args:
        router: a name of `MODELS`; another has no tiers.

    """
    found: dict[str, list[str]] = {}
    for one in entries(MODELS[router]) if router in MODELS else ():
        title = one.name if one.name.startswith(one.tier) else f"{one.tier}/{one.name}"
        found.setdefault(one.tier, []).append(title)
    return {tier: tuple(names) for tier, names in found.items()}
