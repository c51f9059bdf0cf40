"""Differences between nested JSON values, leaf by leaf."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MISSING = "nothing"


def leaves(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every leaf of nested JSON with its dotted name."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Name every setting in which two nested mappings differ, as `name: theirs, not ours`."""
    left, right = dict(leaves(dict(ours))), dict(leaves(dict(theirs)))
    return [
        f"{name}: {_short(right.get(name, _MISSING))}, not {_short(left.get(name, _MISSING))}"
        for name in sorted(left.keys() | right.keys())
        if left.get(name, _MISSING) != right.get(name, _MISSING)
    ]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
