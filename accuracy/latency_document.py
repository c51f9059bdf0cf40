"""The JSON of `goldgate latency`: written and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from goldgate.accuracy.latency import Latency, floor_us
from goldgate.accuracy.origin import origin
from goldgate.kernels import Loaded
from goldgate.provenance import environment, goldgate_itself
from goldgate.reference import RoutingSpec
from goldgate.sealed import DocumentError, checked, read_json

KIND = "kernel latency"

#: The version of the layout. Schema 1 had no kind, digest, environment and time.
SCHEMA = 2

_PARTS = {
    "goldgate": dict,
    "environment": dict,
    "time": dict,
    "device": str,
    "copy_bandwidth_bytes_per_s": float,
    "baseline": str,
    "rounds": int,
    "spec": dict,
    "kernels": dict,
    "latencies": list,
    "floor_us": dict,
    "not_run": list,
}
_LATENCY = {"kernel": str, "tokens": int, "rotated": bool, "us": dict}


def document(
    found: Sequence[Latency],
    loaded: Mapping[str, Loaded],
    *,
    device: str,
    bandwidth: float,
    baseline: str,
    rounds: int,
    spec: RoutingSpec,
    tokens: Sequence[int],
    notes: Sequence[str],
    claim: str,
    started: datetime,
) -> dict[str, Any]:
    """Return what was measured as JSON has it, to be sealed.

    Args:
        found: the latencies.
        loaded: the kernels by the names that `found` has.
        device: the GPU's name.
        bandwidth: bytes a second of a device-to-device copy.
        baseline: the kernel that ratios are to.
        rounds: how often each kernel was timed.
        spec: the router.
        tokens: the sizes that were asked for.
        notes: what did not run, and why.
        claim: what a reader compares with.
        started: when the measurement began.

    """
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "goldgate": goldgate_itself(),
        "environment": environment(),
        "device": device,
        "copy_bandwidth_bytes_per_s": bandwidth,
        "baseline": baseline,
        "rounds": rounds,
        "spec": asdict(spec),
        "kernels": {
            key: {"name": one.name, "version": one.version, **origin(one)}
            for key, one in loaded.items()
        },
        "latencies": [asdict(one) for one in found],
        "floor_us": {str(count): floor_us(count, spec, bandwidth) for count in tokens},
        "not_run": list(notes),
        "claim": claim,
        "time": {
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    }


def is_latency(document: Mapping[str, Any]) -> bool:
    """Say whether a JSON object is meant to be this document, of whichever schema."""
    return document.get("kind") == KIND or {"latencies", "floor_us", "baseline"} <= set(document)


def read_latency(path: Path, document: object | None = None) -> dict[str, Any]:
    """Read what `goldgate latency --json` wrote.

    Args:
        path: the file.
        document: its JSON, where it was read already.

    Raises:
        DocumentError: it is no whole document of this schema, or was edited.

    """
    held = read_json(path) if document is None else document
    if isinstance(held, dict) and "kind" not in held and is_latency(held):
        raise DocumentError(
            f"{path}: {KIND} of schema 1, which has no digest: measure again with this version"
        )
    found = checked(path, held, kind=KIND, schema=SCHEMA, parts=_PARTS)
    for number, one in enumerate(found["latencies"]):
        if not isinstance(one, dict) or any(
            not isinstance(one.get(key), kind) for key, kind in _LATENCY.items()
        ):
            raise DocumentError(f"{path}: latency {number} lacks one of {', '.join(_LATENCY)}")
        if one["kernel"] not in found["kernels"]:
            raise DocumentError(
                f"{path}: latency {number} is of {one['kernel']!r}, no kernel of it"
            )
    return found
