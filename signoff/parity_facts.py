"""Facts of the documents that `parity`, `judge`, `emulate` and `compare-kernels` write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from goldgate.accuracy.selection import Verdict
from goldgate.fixtures.constructed import DEFAULT_MODEL
from goldgate.signoff.checklist import EvidenceFile
from goldgate.signoff.devices import architecture_of
from goldgate.signoff.gathered import Compared, Covered, Gathered, Kernel, Parity, Recorded

#: What of a comparison's result counts rows by explanation.
_EXPLANATIONS = (*("same", "order", "tie", "rounding", "undefined", "known", "padding"),)


#: The verdicts on one recording: of a kernel, and of two that are compared.
_VERDICTS = ("PASS", "FAIL", "REFUSED", "NOT COVERED")
_COMPARED = ("EXPLAINED", "UNEXPLAINED", "REFUSED", "NOT COVERED")


def parity_facts(document: Mapping[str, Any], file: EvidenceFile) -> Gathered:
    """Return the facts of parity evidence of schema 2."""
    options, judge = document["options"], str(document["goldgate"].get("judge") or "")
    verdicts = tuple(
        parity_of(
            result,
            _kernel_of(document["kernels"], result),
            file,
            partial=bool(options.get("partial")),
            repeats=int(options.get("repeats") or 0),
            judge_sha256=judge,
        )
        for result in document["results"]
    )
    covered = tuple(_covered(document, file))
    recorded = {
        sha256: recorded_of(result["recording"], sha256, held, file)
        for result in document["results"]
        if (sha256 := result["sha256"]["recording"]) and (held := result.get("recorded"))
    }
    return Gathered(
        recordings=tuple(recorded.values()), parity=verdicts, covered=covered, files=(file,)
    )


def recorded_of(
    name: str, sha256: str, held: Mapping[str, Any], file: EvidenceFile, *, at_hand: bool = False
) -> Recorded:
    """Return a recording from what the evidence has of it (`goldgate.accuracy.evidence`)."""
    return Recorded(
        name,
        sha256,
        int(held["rows"]),
        held["source"],
        held["spec"],
        str(held["bias"]),
        str(held["logits"]),
        file,
        at_hand,
    )


def parity_of(
    result: Mapping[str, Any],
    kernel: Kernel,
    file: EvidenceFile,
    *,
    partial: bool = False,
    repeats: int = 0,
    judge_sha256: str = "",
    judged_again: bool = False,
) -> Parity:
    """Return one verdict from its JSON (`goldgate.accuracy.evidence.result_json`).

    Raises:
        ValueError: its verdict is none that a judge gives.

    """
    tier = result.get("tier")
    return Parity(
        kernel=kernel,
        recording=result["recording"],
        recording_sha256=result["sha256"].get("recording") or "",
        output_sha256=result["sha256"].get("output") or "",
        verdict=_known(result["verdict"], _VERDICTS),
        why=_why(result),
        rows=int(result.get("rows", 0)),
        counts={v.name.lower(): int(result.get(v.name.lower(), 0)) for v in Verdict},
        failing=int(result.get("failing", 0)),
        known=tuple(result.get("known_failures", ())),
        over_bound=float(result.get("weight_error_over_bound") or 0.0),
        weights=int(result.get("weights_judged", 0)),
        weight_format=str(result.get("weight_format") or ""),
        drift=bool((result.get("drift") or {}).get("found")),
        input=result.get("input") or {},
        call_faults=tuple(result.get("call_faults", ())),
        call_notes=tuple(result.get("call_notes", ())),
        live=tier is not None,
        tier=tier or "",
        judged_again=judged_again,
        file=file,
        partial=partial,
        repeats=repeats,
        judge_sha256=judge_sha256,
        spec=(result.get("recorded") or {}).get("spec", {}),
    )


def comparison_facts(document: Mapping[str, Any], file: EvidenceFile) -> Gathered:
    """Return the facts of a comparison of two kernels."""
    return Gathered(
        compared=tuple(_compared(result, file, document) for result in document["results"]),
        files=(file,),
    )


def kernel_of(info: Mapping[str, Any], arithmetic: str = "") -> Kernel:
    """Return a kernel from what evidence or an output's file has of it."""
    device = str(info.get("device") or "")
    return Kernel(
        name=str(info.get("name") or ""),
        version=str(info.get("version") or ""),
        device=device,
        execution=str(info.get("execution") or "hardware"),
        arithmetic=arithmetic or str(info.get("arithmetic") or ""),
        package=str(info.get("package") or ""),
        source_sha256=str(info.get("source_sha256") or ""),
        architecture=str(info.get("architecture") or "") or architecture_of(device),
        note=str(info.get("note") or ""),
        rounding=str(info.get("rounding") or ""),
    )


def _kernel_of(kernels: list[Mapping[str, Any]], result: Mapping[str, Any]) -> Kernel:
    ran = result.get("ran") or {}
    for info in kernels:
        same = info.get("kernel") == result["kernel"]
        if same and all(info.get(key) == ran[key] for key in ("name", "version", "device") if ran):
            return kernel_of(info, str(result.get("profile") or ""))
    return Kernel(str(ran.get("name") or result["kernel"]), str(ran.get("version") or ""))


def _covered(document: Mapping[str, Any], file: EvidenceFile) -> Iterator[Covered]:
    described = {info.get("kernel"): kernel_of(info) for info in document["kernels"]}
    options = document["options"]
    router = "" if options.get("spec") else str(options.get("model") or DEFAULT_MODEL.name)
    for one in (document.get("coverage") or {}).get("kernels", ()):
        pairs = one.get("pairs") or {}
        yield Covered(
            described.get(one["kernel"], Kernel(str(one["kernel"]))),
            one.get("tiers") or {},
            int(one.get("rows") or 0),
            tuple((int(first), int(last)) for first, last in one.get("token_counts") or ()),
            {name: tuple(levels) for name, levels in (one.get("factors") or {}).items()},
            int(pairs.get("met") or 0),
            int(pairs.get("possible") or 0),
            tuple(
                f"{left.get('recording')}: {left.get('why')}"
                for left in one.get("not_covered") or ()
            ),
            file,
            router,
            tuple(
                str(left.get("recording"))
                for left in one.get("not_covered") or ()
                if not left.get("tokens")
            ),
        )


def _known(verdict: str, verdicts: tuple[str, ...]) -> str:
    if verdict not in verdicts:
        raise ValueError(f"verdict {verdict!r}, expected one of {', '.join(verdicts)}")
    return verdict


def _why(result: Mapping[str, Any]) -> str:
    if result["verdict"] == "PASS":
        return ""
    faults = result.get("call_faults") or [""]
    reasons = [
        *([str(result["refusal"])] if result.get("refusal") else []),
        *([str(result["not_covered"])] if result.get("not_covered") else []),
        *([f"{result['failing']} of {result['rows']} rows fail"] if result.get("failing") else []),
        *(["weights have a systematic error"] if (result.get("drift") or {}).get("found") else []),
        *([faults[0]] if faults[0] else []),
    ]
    return reasons[0] if reasons else "the judge fails it"


def _compared(
    result: Mapping[str, Any], file: EvidenceFile, document: Mapping[str, Any]
) -> Compared:
    sides = result.get("kernels") or {}
    named = document["options"]
    old, new = (
        kernel_of(sides[side], str(sides[side].get("profile") or ""))
        if sides.get(side)
        else Kernel(str(named.get(side, "")))
        for side in ("old", "new")
    )
    faults = result.get("call_faults") or [""]
    unexplained = sum(int(result.get(name, 0)) for name in ("old_wrong", "new_wrong", "both_wrong"))
    return Compared(
        old,
        new,
        result["recording"],
        (result.get("sha256") or {}).get("recording") or "",
        _known(result["verdict"], _COMPARED),
        str(result.get("refusal") or result.get("not_covered") or faults[0] or ""),
        int(result.get("rows", 0)),
        int(result.get("rerouted", 0)),
        unexplained,
        {name: int(result[name]) for name in _EXPLANATIONS if name in result},
        file,
        str(document["goldgate"].get("judge") or ""),
    )
