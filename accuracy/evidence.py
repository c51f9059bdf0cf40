"""What is reported of a verdict: the first offending rows, what is wrong, and its JSON."""

from __future__ import annotations

import numpy as np

from goldgate.accuracy.chosen import choose
from goldgate.accuracy.document import Evidence, EvidenceError, read_evidence
from goldgate.accuracy.evaluate import Result
from goldgate.accuracy.judged import Judged, undeclared_weights
from goldgate.accuracy.rows import Contract, Rows, rows_of, weight_format
from goldgate.accuracy.selection import Reason, Verdict, judge_rows
from goldgate.accuracy.systematic_error import SIZE_LIMIT, SystematicError, slope_allowance
from goldgate.accuracy.weights import ULP_EDGES, judge_weights, sum_bound
from goldgate.fixtures import Output, Recording
from goldgate.reference import PROFILES, Profile

__all__ = [
    "Evidence",
    "EvidenceError",
    "Judged",
    "complaints",
    "described",
    "offences",
    "read_evidence",
    "result_json",
]

#: Offending rows that are shown.
SHOWN = 5


def offences(
    recording: Recording, output: Output, profile: Profile, result: Result, *, ordered: bool
) -> tuple[str, ...]:
    """Return a text on each of the first offending rows: ids, scores, gaps and bounds."""
    contract = Contract(recording.spec, profile, ordered, weight_format(output))
    return tuple(
        _offence(rows_of(recording, output, row, row + 1), row, Reason(reason), contract)
        for row, reason in zip(
            result.failing[:SHOWN].tolist(), result.reasons[:SHOWN].tolist(), strict=True
        )
    )


def _offence(rows: Rows, row: int, reason: Reason, contract: Contract) -> str:
    """Return a text on one row, whose number in the recording is `row`."""
    ids, weights = rows.ids, rows.weights
    found = judge_rows(rows, contract)
    golden, c, errors = found.routing, found.routing.biased[0], found.errors[0]
    lines = [f"row {row}: {reason.text}", f"  kernel ids {ids[0].tolist()}"]
    if golden.defined[0]:
        lines.append(f"  golden ids {golden.ids[0].tolist()}")
    else:
        lines.append("  the contract does not define this row; ids must be distinct and in range,")
        lines.append("  weights finite")
    if reason in (Reason.OTHER_EXPERTS, Reason.ORDER):
        lines += _gap_lines(ids[0], golden.ids[0], c, errors, in_order=reason == Reason.ORDER)
    if reason == Reason.WEIGHT_SUM and weights is not None:
        lines.append(
            f"  weights sum to {float(weights.astype(np.float64).sum()):.9g}, expected "
            f"{contract.spec.routed_scaling_factor:g}, bound "
            f"{sum_bound(contract):.3g}; nothing bounds one alone here"
        )
        lines.append(f"  weights {[float(f'{w:.6g}') for w in weights[0]]}")
    if reason in (Reason.WEIGHT, Reason.NONFINITE_WEIGHT) and weights is not None:
        chosen = choose(rows, ids, contract)
        judged = judge_weights(weights, chosen, contract)
        worst = int(np.argmax(np.nan_to_num(judged.over_bound[0], nan=np.inf)))
        expert = int(ids[0, worst])
        lines.append(
            f"  expert {expert} (slot {worst}): weight {weights[0, worst]:.9g}, expected "
            f"{judged.expected[0, worst]:.9g}, bound {judged.bound[0, worst]:.3g}, "
            f"logit {chosen.x[0, worst]:.9g}, score {chosen.s[0, worst]:.9g}"
        )
    return "\n".join(lines)


def _gap_lines(
    ids: np.ndarray[tuple[int], np.dtype[np.int32]],
    golden: np.ndarray[tuple[int], np.dtype[np.int64]],
    c: np.ndarray[tuple[int], np.dtype[np.float64]],
    errors: np.ndarray[tuple[int], np.dtype[np.float64]],
    *,
    in_order: bool,
) -> list[str]:
    if in_order:
        fall = int(np.argmin(-np.diff(c[ids])))
        missed, taken = int(ids[fall + 1]), int(ids[fall])
    else:
        missed = int(next(i for i in golden if i not in ids))
        taken = int(next((i for i in ids if i not in golden), ids[-1]))
    gap, bound = c[missed] - c[taken], errors[missed] + errors[taken]
    first, second = ("should precede", "it follows") if in_order else ("missed", "taken instead")
    return [
        f"  {first}: expert {missed}, biased score {c[missed]:.9g} +- {errors[missed]:.2g}",
        f"  {second}: expert {taken}, biased score {c[taken]:.9g} +- {errors[taken]:.2g}",
        f"  gap {gap:.3g}, of which rounding explains at most {bound:.3g}",
    ]


def described(recording: Recording) -> dict[str, object]:
    """Return what a recording says of itself, as the evidence has it.

    How a constructed one was made is left out: its name says so.
    """
    source = recording.source
    if source.get("kind") != "model":
        source = {key: source[key] for key in ("kind", "name") if key in source}
    return {
        "rows": recording.rows,
        "logits": recording.gating_output.dtype,
        "bias": recording.correction_bias.dtype,
        "spec": recording.spec.to_dict(),
        "source": dict(source),
    }


def result_json(one: Judged) -> dict[str, object]:
    """Return a verdict as the evidence has it (`evidence.schema.json`)."""
    about: dict[str, object] = {
        "kernel": one.kernel,
        "recording": one.recording,
        "verdict": one.verdict,
        "sha256": {
            "recording": one.recording_sha256,
            "output": one.output.sha256 if one.output else None,
        },
        "tier": one.looked.tier if one.looked else None,
        "recorded": one.recorded,
    }
    if one.result is None or one.output is None:
        return about | {"refusal": one.refusal, "call_faults": list(one.faults)}
    if one.verdict == "NOT COVERED":
        about |= {"not_covered": one.unweighed}
    elif one.verdict == "REFUSED":
        about |= {"refusal": one.why_refused}
    result, info = one.result, one.output.kernel
    about |= {"rows": result.rows}
    about |= {verdict.name.lower(): result.counts[verdict] for verdict in Verdict}
    edges = [f"<={edge:g}" for edge in ULP_EDGES[:-1]] + [f">{ULP_EDGES[-2]:g}"]
    drift = result.systematic_error
    return about | {
        "tie_rows": list(result.ties),
        "admissible_rows": list(result.admissible),
        "known": result.known,
        "failing": len(result.failing),
        "weight_format": result.weight_format.name if result.weight_format else None,
        "declared_weights": result.declared_weights,
        "weights_judged": result.weights,
        "weights_not_bounded": result.weights_unbounded,
        "rows_not_bounded": result.rows_unbounded,
        "weight_error_over_bound": result.weight_error_over_bound,
        "ulp_histogram": dict(zip(edges, result.histogram.tolist(), strict=True)),
        "drift": {
            "found": bool(drift.found),
            "size_u": drift.size,
            "slope_u": drift.slope,
            "slope_error_u": drift.slope_error,
            "mean_u": drift.mean,
            "mean_error_u": drift.mean_error,
            "expected_mean_u": list(drift.expected_mean),
            "mean_limit_u": drift.mean_limit,
            "rows": drift.rows,
            "units": drift.units,
        },
        "random_error": result.random_error.as_json(),
        "input": one.inputs.as_json() if one.inputs else None,
        "profile": one.profile,
        "execution": info.execution,
        "rounding": info.rounding or None,
        "ran": {"name": info.name, "version": info.version, "device": info.device}
        | ({"note": info.note} if info.note else {}),
        "call_faults": list(one.faults),
        "call_notes": list(one.notes),
        "unsaved": one.unsaved or None,
        "known_failures": [
            {
                "reason": d.reason,
                "rows": list(d.rows),
                "ceiling": d.ceiling,
                "why": d.why,
                "link": d.link,
            }
            for d in result.known_failures
        ],
        "stale_known_failures": [
            {"reason": d.reason, "rows": list(rows)} for d, rows in result.stale
        ],
        "beyond_ceiling": [{"reason": d.reason, "rows": list(rows)} for d, rows in result.beyond],
        "first_failures": list(one.offences),
    }


def _about(drift: SystematicError) -> str:
    low, high = drift.expected_mean
    return f" beyond {low:+.2f} to {high:+.2f}" if low or high else ""


def complaints(one: Judged) -> list[str]:
    """Return what is wrong, one line each; empty for a pass."""
    if one.result is None:
        return list(one.faults) or [one.why_refused]
    result, drift = one.result, one.result.systematic_error
    lines = []
    if len(result.failing):
        kinds, numbers = np.unique(result.reasons, return_counts=True)
        parts = [f"{Reason(kind).text} {n}" for kind, n in zip(kinds, numbers, strict=True)]
        lines.append(f"{len(result.failing)} of {result.rows} rows fail ({', '.join(parts)})")
    if drift.found:
        lines.append(
            f"weights drift: systematic part {drift.size:.2f} u (limit {SIZE_LIMIT}), slope "
            f"{drift.slope:+.2f} +- {drift.slope_error:.2f} u (the profile's own "
            f"{slope_allowance(PROFILES[one.profile]):g}), mean {drift.mean:+.2f} u "
            f"(limit {drift.mean_limit}{_about(drift)})"
        )
    lines += result.random_error.findings
    if result.undeclared:
        lines.append(undeclared_weights(result.undeclared))
    lines += [f"the call is at fault: {fault}" for fault in one.faults]
    for known_failure, rows in result.beyond:
        lines.append(
            f"known failure {known_failure.reason!r} is worse than its ceiling "
            f"({known_failure.ceiling}) in rows {list(rows)}"
        )
    for known_failure, rows in result.stale:
        lines.append(
            f"known failure {known_failure.reason!r} no longer happens in rows {list(rows)}: "
            "remove them from the file of known failures"
        )
    if not lines and one.why_refused:
        lines.append(one.unweighed or one.why_refused)
    return lines
