"""Where questions come from: files of one JSON object a line, or GSM8K on the hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import datasets

from goldgate.evals.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_rows(path: Path, *, gsm8k: bool = True) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line; of GSM8K's form unless `gsm8k` is False.

    Raises EvalError for a file that cannot be read, holds no question or another form.
    """
    try:
        # Not splitlines: a question may hold U+2028, which ends no line of JSON.
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except OSError as error:
        raise EvalError(
            f"{path}: cannot be read ({error.strerror}); --data needs {path.name} here"
        ) from error
    except UnicodeDecodeError as error:
        raise EvalError(f"{path}: not UTF-8 text; expected one JSON object a line") from error
    read = _row if gsm8k else _object
    rows = [read(line, f"{path}: line {number}") for number, line in enumerate(lines, 1) if line]
    if not rows:
        raise EvalError(f"{path}: holds no question; expected one JSON object a line")
    return rows


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        return {"question": str(row["question"]), "answer": str(row["answer"])}
    except (ValueError, KeyError, TypeError) as error:
        raise EvalError(
            f'{where} is not a GSM8K question; expected {{"question": ..., "answer": ...}}'
        ) from error


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise EvalError(f"{where} is no JSON; expected one object a line") from error
    if not isinstance(row, dict):
        raise EvalError(f"{where} is no JSON object; expected one a line")
    return row


def in_memory(splits: Mapping[str, list[dict[str, Any]]], **_: object) -> Mapping[str, Any]:
    """Return a data set of rows by split, as lm-eval's `custom_dataset` gives one."""
    # In memory rather than through `data_files`: no copy is left in the hub's cache folder.
    return {name: datasets.Dataset.from_list(rows) for name, rows in splits.items()}


def from_hub() -> list[dict[str, Any]]:
    """Download GSM8K's test questions.

    Raises EvalError where that fails.
    """
    try:
        return [dict(row) for row in datasets.load_dataset("openai/gsm8k", "main", split="test")]
    except Exception as error:  # the hub's client raises its own and its libraries' errors
        raise EvalError(
            f"openai/gsm8k could not be downloaded ({type(error).__name__}); "
            "pass --data DIR with test.jsonl"
        ) from error
