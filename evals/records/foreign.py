"""Per-question results that other programs wrote, read as far as they can be paired.

- lm-eval's `samples_TASK_DATE.jsonl` (loggers/evaluation_tracker.py, --log_samples): a line a
  question and filter, with the document, the prompt's and the target's hash, and the mark.
- sglang's raw result file (test/test_utils.py, dump_bench_raw_result, written by
  benchmark/gsm8k/bench_sglang.py): prompt_id, prompt, output and correct.
- evalscope's reviews (api/evaluator/cache.py, ReviewResult): index, input, target and sample_score.

None of them has what makes a run evidence: who answered, how an answer ended, what failed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import Run
from goldgate.evals.records.schema import recount
from goldgate.evals.swapping.order import AS_LISTED
from goldgate.evals.task import INVALID

#: What a file of each kind cannot show, for people.
CANNOT_SHOW = {
    "lm-eval samples": (
        "which model and server answered, how many requests there were at a time, answers cut off "
        "at the token limit, and requests that failed or came back null, which lm-eval scores as "
        "wrong"
    ),
    "sglang results": (
        "which model and server answered, the settings of the generation, answers cut off at the "
        "token limit, failed requests, and the labels the answers were compared with"
    ),
    "evalscope reviews": (
        "which server answered, answers cut off at the token limit, failed requests, and the "
        "settings of the generation"
    ),
}
_METRICS = ("exact_match", "acc")
_Record = Mapping[str, Any]


def read_foreign(path: Path) -> Run:
    """Read a file of per-question results as a run of one repeat.

    Raises EvalError for a file of no known kind, whose questions are not numbered
    from 0 without a gap, or whose marks are not right or wrong.
    """
    data = _bytes(path)
    records = _records(path, data)
    for kind, (belongs, read) in _KINDS.items():
        if belongs(records[0]):
            try:
                samples = read(records)
            except KeyError as error:
                raise EvalError(
                    f"{path}: looks like {kind}, but a line has no {error}; is it whole?"
                ) from error
            except (TypeError, AttributeError, StopIteration) as error:
                raise EvalError(
                    f"{path}: looks like {kind}, but a field is of another kind ({error})"
                ) from error
            except ValueError as error:
                raise EvalError(f"{path}: {error}") from error
            return _run(path, data, kind, samples)
    raise EvalError(
        f"{path}: expected a run folder, or per-question results of lm-eval (samples_*.jsonl), "
        "sglang or evalscope"
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EvalError(f"{path}: cannot be read ({error.strerror}); name another") from error


def _records(path: Path, data: bytes) -> list[dict[str, Any]]:
    try:
        records = [json.loads(line) for line in data.decode("utf-8").split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise EvalError(f"{path}: no JSON lines; expected one JSON object a line") from error
    if not records or not all(isinstance(record, dict) for record in records):
        raise EvalError(f"{path}: holds no results; expected one JSON object a line")
    return records


def _sample(doc_id: object, prompt_hash: str, target_hash: str, **more: object) -> dict[str, Any]:
    if isinstance(doc_id, bool) or not isinstance(doc_id, int):
        raise ValueError(f"question {doc_id!r} has no whole number")  # noqa: TRY004 - one kind of fault
    return {
        "repeat": 0,
        "doc_id": doc_id,
        "prompt_hash": prompt_hash,
        "target_hash": target_hash,
        "finish_reason": None,
        "truncated": None,
        "stop_left_in_text": False,
        "thought": "none",
        "extracted": {},
        "right": {},
        **more,
    }


def _of_lm_eval(records: Sequence[_Record]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for record in records:
        metric = next(one for one in (*_METRICS, None) if one is None or one in record)
        if metric is None:
            raise ValueError(f"has metrics {record['metrics']}; expected {' or '.join(_METRICS)}")
        line = _sample(
            record["doc_id"],
            str(record["prompt_hash"]),
            str(record["target_hash"]),
            question=str(record["doc"].get("question", "")),
            target=str(record["target"]),
            text=_first(record["resps"]),
            generation=_generation(record),
        )
        sample = found.setdefault(record["doc_id"], line)
        # A file that was put together from two runs: one answer has a line a filter.
        if any(sample[name] != line[name] for name in ("prompt_hash", "target_hash", "text")):
            raise ValueError(
                f"question {record['doc_id']} is there with two prompts, targets or answers"
            )
        name = str(record.get("filter", "none"))
        if name in sample["right"]:
            raise ValueError(f"question {record['doc_id']} is there twice under {name}")
        sample["extracted"][name] = _first(record["filtered_resps"])
        sample["right"][name] = _mark(record[metric])
    return list(found.values())


def _generation(record: _Record) -> str | None:
    """Return the generation settings that lm-eval logged with a question, None where it did not."""
    logged = record.get("arguments", {}).get("gen_args_0", {}).get("arg_1")
    return json.dumps(logged, sort_keys=True) if isinstance(logged, dict) else None


def _of_sglang(records: Sequence[_Record]) -> list[dict[str, Any]]:
    listed = []
    for record in records:
        text = str(record["output"])
        numbers = re.findall(r"\d+", text.replace(",", ""))
        listed.append(
            _sample(
                record["prompt_id"],
                _sha256(str(record["prompt"])),
                "",
                question=str(record["prompt"]).rpartition("Question: ")[2],
                target="",
                text=text,
                extracted={"last-integer": numbers[-1] if numbers else INVALID},
                right={"last-integer": _mark(record["correct"])},
            )
        )
    return listed


def _of_evalscope(records: Sequence[_Record]) -> list[dict[str, Any]]:
    listed = []
    for record in records:
        score = record["sample_score"]["score"]
        values = score["value"]
        name = score.get("main_score_name") or next(iter(values))
        asked = record["input"]
        prompt = asked if isinstance(asked, str) else json.dumps(asked, sort_keys=True)
        listed.append(
            _sample(
                record["index"],
                _sha256(prompt),
                _sha256(str(record["target"])),
                question=prompt,
                target=str(record["target"]),
                text=str(score.get("prediction") or ""),
                extracted={name: str(score.get("extracted_prediction") or INVALID)},
                right={name: _mark(values[name])},
            )
        )
    return listed


_KINDS: Mapping[
    str,
    tuple[Callable[[_Record], bool], Callable[[Sequence[_Record]], list[dict[str, Any]]]],
] = {
    "lm-eval samples": (lambda one: {"doc_id", "filtered_resps"} <= one.keys(), _of_lm_eval),
    "sglang results": (lambda one: {"prompt_id", "correct"} <= one.keys(), _of_sglang),
    "evalscope reviews": (lambda one: {"index", "sample_score"} <= one.keys(), _of_evalscope),
}


def _run(path: Path, data: bytes, kind: str, samples: list[dict[str, Any]]) -> Run:
    ordered = sorted(samples, key=lambda sample: int(sample["doc_id"]))
    filters = tuple(ordered[0]["right"])
    if [sample["doc_id"] for sample in ordered] != list(range(len(ordered))):
        raise EvalError(
            f"{path}: questions are missing or there twice; expected 0 to {len(ordered) - 1}"
        )
    if any(tuple(sample["right"]) != filters for sample in ordered):
        raise EvalError(f"{path}: not every question has a mark by {', '.join(filters)}")
    digest = hashlib.sha256(data).hexdigest()
    counted = recount(ordered, 1, filters)
    number = len(ordered)
    return Run(
        path,
        {
            "foreign": kind,
            "data": "GSM8K",
            "status": "complete",
            "reasons": [],
            "settings": {
                "base_url": "an unknown address",
                "model": kind,
                "protocol": kind,
                "task": kind,
                "filters": list(filters),
                "questions": number,
                "population": number,
                "limit": None,
                "order": AS_LISTED,
                "runs": 1,
                "generation": {"until": [], "max_tokens": None},
            },
            "server": {"at_start": {}, "at_end": {}},
            "totals": {
                "answers": number,
                "right": {name: counted[f"right.{name}"] for name in filters},
                "not_extracted": {name: counted[f"not_extracted.{name}"] for name in filters},
                "truncated": 0,
                "truncation_unknown": number,
                "empty": counted["empty"],
                "stop_left_in_text": 0,
                "served_models": {},
                "served_another_model": 0,
                "fingerprints": {},
                "builds": {},
                "cut_by_stop": {},
                "usage_refused": 0,
                "thoughts": {},
            },
            "speed": {"tokens_per_s": None},
            "hashes": {"samples": digest, "journal": digest},
        },
        tuple(ordered),
    )


def _mark(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    raise ValueError(f"has a mark {value!r}; expected right or wrong, 1 or 0")


def _first(value: object) -> str:
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else str(value)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
