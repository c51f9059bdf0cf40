"""What a run amounts to: right answers, answers that are none, tokens and times."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from goldgate.evals.records.truncation import came_to_its_end
from goldgate.evals.task import INVALID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from goldgate.evals.asking.journal_lines import Answer, Failure


def count(
    samples: Sequence[Mapping[str, Any]],
    answers: Sequence[Answer],
    failures: Sequence[Failure],
    *,
    model: str,
) -> dict[str, Any]:
    """Count what is in the answers; every number is of all passes together unless it says so."""
    filters = list(samples[0]["right"]) if samples else []
    passes = sorted({sample["repeat"] for sample in samples})
    errors = Counter(name for answer in answers for name in answer.errors)
    errors.update(name for failure in failures for name in failure.errors)
    return {
        "answers": len(answers),
        "right": {
            name: [
                sum(s["right"][name] for s in samples if s["repeat"] == repeat) for repeat in passes
            ]
            for name in filters
        },
        "not_extracted": {
            name: sum(s["extracted"][name] == INVALID for s in samples) for name in filters
        },
        "void_truncated": sum(
            a.text is None and s["truncated"] is True for s, a in zip(samples, answers, strict=True)
        ),
        "null": sum(a.text is None and not a.text_missing for a in answers),
        "missing": {
            "text": sum(a.text_missing for a in answers),
            "finish_reason": sum(not a.finish_reason for a in answers),
            "usage": sum("completion_tokens" not in a.usage for a in answers),
            "model": sum(a.model is None for a in answers),
        },
        "empty": sum(s["text"] == "" for s in samples),
        "truncated": sum(s["truncated"] is True for s in samples),
        "truncation_unknown": sum(s["truncated"] is None for s in samples),
        "finish_reasons": dict(
            sorted(Counter(a.finish_reason for a in answers if a.finish_reason).items())
        ),
        "broken_off": sum(not came_to_its_end(a.finish_reason) for a in answers),
        "cut_by_stop": dict(
            sorted(Counter(a.stop_reason for a in answers if a.stop_reason).items())
        ),
        "stop_left_in_text": sum(s["stop_left_in_text"] for s in samples),
        "served_models": dict(sorted(Counter(str(a.model) for a in answers if a.model).items())),
        "fingerprints": dict(
            sorted(Counter(a.fingerprint for a in answers if a.fingerprint).items())
        ),
        "builds": dict(sorted(Counter(a.build for a in answers if a.build).items())),
        "nameless": {
            "served_models": sum(a.model is None for a in answers),
            "fingerprints": sum(a.fingerprint is None for a in answers),
            "builds": sum(a.build is None for a in answers),
        },
        "usage_refused": sum(bool(a.usage_refused) for a in answers),
        "thoughts": dict(sorted(Counter(s["thought"] for s in samples).items())),
        "served_another_model": sum(a.model not in (None, model) for a in answers),
        "asked_again": len(
            {a.key for a in answers if a.errors} | {(f.repeat, f.doc_id) for f in failures}
        ),
        "errors": dict(sorted(errors.items())),
        "unanswered_then_resumed": len(failures),
    }


def speed(answers: Sequence[Answer]) -> dict[str, float | int | None]:
    """Tokens per second over the time in which a request was under way, latency percentiles.

    Times are in seconds. Gaps in which nothing was asked (a killed run before it was resumed)
    are not counted. None where the server reports no usage.
    """
    latency = np.array([answer.latency_s for answer in answers])
    ended = np.array([answer.ended for answer in answers])
    known = all("completion_tokens" in answer.usage for answer in answers)
    tokens = sum(answer.usage.get("completion_tokens", 0) for answer in answers)
    sessions = np.array([answer.session for answer in answers])
    # A clock may have been set between sessions: each is timed by itself.
    active_s = sum(
        _union((ended - latency)[sessions == one], ended[sessions == one])
        for one in np.unique(sessions)
    )
    p50, p90, p99 = np.percentile(latency, [50, 90, 99])
    return {
        "active_s": round(active_s, 3),
        "answers_per_s": round(len(answers) / active_s, 3) if active_s else None,
        "completion_tokens": tokens if known else None,
        "tokens_per_s": round(tokens / active_s, 3) if known and active_s else None,
        "latency_p50_s": round(float(p50), 4),
        "latency_p90_s": round(float(p90), 4),
        "latency_p99_s": round(float(p99), 4),
    }


def _union(starts: np.ndarray[Any, Any], ends: np.ndarray[Any, Any]) -> float:
    order = np.argsort(starts)
    starts, ends = starts[order], ends[order]
    reach = np.maximum.accumulate(ends)
    gaps = np.maximum(starts[1:] - reach[:-1], 0).sum()
    return float(reach[-1] - starts[0] - gaps)
