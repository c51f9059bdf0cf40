"""Facts of the documents that `latency`, `swap`, `compare`, `mutants` and `dispatch` write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from goldgate.signoff.checklist import EvidenceFile
from goldgate.signoff.gathered import Dispatched, Gathered, Interval, Kernel, Killed, Scored, Timed
from goldgate.signoff.parity_facts import kernel_of

#: The counts of a paired verdict that the checklist shows.
_PAIRED = ("questions", "losses", "gains", "difference", "lower", "discordance")


def latency_facts(document: Mapping[str, Any], file: EvidenceFile) -> Gathered:
    """Return the facts of latencies of schema 2."""
    device = document["device"]
    kernels: dict[str, Kernel] = {
        key: kernel_of({**info, "device": device}) for key, info in document["kernels"].items()
    }
    baseline = kernels[document["baseline"]]
    return Gathered(
        timed=tuple(
            Timed(
                kernels[one["kernel"]],
                baseline,
                one["tokens"],
                one["rotated"],
                _interval(one["us"]),
                _interval(one["ratio"]) if one["ratio"] else None,
                document["floor_us"].get(str(one["tokens"])),
                file,
                document["spec"],
            )
            for one in document["latencies"]
        ),
        files=(file,),
    )


def score_facts(document: Mapping[str, Any], file: EvidenceFile) -> Gathered:
    """Return the facts of a paired verdict of schema 3."""
    note = str(document.get("note") or "")
    scored = Scored(
        document["verdict"],
        document,
        document.get("plan") or {},
        note.startswith("DEMONSTRATION"),
        file,
    )
    if scored.paired or scored.verdict == "PRESERVED":
        _numbers(scored.paired, _PAIRED)
    if noise := document.get("noise_floor"):
        _numbers(noise, ("discordance",))
    if throughput := document.get("throughput"):
        _numbers(throughput, ("ratio", "low", "high"))
    return Gathered(scored=(scored,), files=(file,))


def _interval(held: Mapping[str, Any]) -> Interval:
    return Interval(*_numbers(held, ("median", "low", "high")))


def _numbers(held: Mapping[str, Any], names: tuple[str, ...]) -> list[float]:
    """Return the numbers of these names; TypeError or KeyError for what is none."""
    for name in names:
        if isinstance(held[name], bool) or not isinstance(held[name], (int, float)):
            raise TypeError(f"{name} {held[name]!r}, expected a number")
    return [held[name] for name in names]


def asked_first(document: Mapping[str, Any]) -> str:
    """Return when the first of a verdict's runs was finished, ISO 8601; "" where one does not say.

    A verdict is as old as the oldest answer that it rests on.
    """
    times = [str(run.get("finished") or "") for run in document["runs"].values()]
    return min(times) if all(times) else ""


def matrix_facts(document: Mapping[str, Any], file: EvidenceFile) -> Gathered:
    """Return the facts of a kill matrix of schema 1."""
    faults, conforming = document["faults"], document["conforming"]
    killed = Killed(
        str(document["goldgate"].get("judge") or ""),
        len(faults),
        sum(bool(one["caught"]) for one in faults),
        (*(one["name"] for one in faults if not one["caught"]), *document["unexpected"]),
        int(conforming["rows"]),
        tuple(map(str, conforming["alarms"])),
        file,
    )
    return Gathered(killed=(killed,), files=(file,))


def dispatch_facts(document: Mapping[str, Any], file: EvidenceFile) -> Gathered:
    """Return the facts of an engine's dispatch of schema 1."""
    scenario = document["scenario"]
    found = Dispatched(
        f"{scenario['engine']} {document['version']}",
        str(scenario["platform"]),
        document["model"],
        str(scenario["gate"]),
        document["kernel"],
        str(document.get("catalogue") or ""),
        document["simulated"],
        file,
        _bias(document["arguments"]),
    )
    return Gathered(dispatched=(found,), files=(file,))


def _bias(arguments: Mapping[str, Any]) -> str:
    """Return the type of a call's only vector, which is the bias: "float32[256]"."""
    vectors = [re.fullmatch(r"(\w+)\[\d+\]", str(one)) for one in arguments.values()]
    types = {found[1] for found in vectors if found}
    return types.pop() if len(types) == 1 else ""
