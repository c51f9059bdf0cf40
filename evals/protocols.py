"""How GSM8K is asked and read: each protocol by name, as a task of lm-eval.

A score belongs to the protocol it was measured with: the examples, the stop strings, the token
limit and the way a number is read move it by points. A protocol here is lm-eval's own task, or a
task configuration that states another suite's prompt, stops and extraction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Protocol:
    """A protocol and where it comes from.

    `task` is lm-eval's name of its task, `config` builds a task's configuration from the test
    questions where the protocol is another suite's. `max_tokens`, `api` and `generation` are what
    it is asked with unless the user asks otherwise.
    """

    name: str
    source: str
    task: str | None = None
    config: Callable[[Sequence[Mapping[str, str]], int], dict[str, Any]] | None = None
    num_fewshot: int | None = None
    max_tokens: int = 256
    api: str = "completions"
    generation: Mapping[str, Any] = field(default_factory=dict)


#: An integer with commas between its digits, as sglang's script reads it once commas are gone.
_INTEGER = r"(\d[\d,]*)"
_NUMBER = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"
_IGNORED = [",", r"\$", r"\.$"]
_EXACT: dict[str, Any] = {
    "metric": "exact_match",
    "aggregation": "mean",
    "higher_is_better": True,
    "ignore_case": True,
    "ignore_punctuation": False,
    "regexes_to_ignore": _IGNORED,
}


def _filter(name: str, pattern: str, group: int = -1) -> dict[str, Any]:
    return {
        "name": name,
        "filter": [
            {"function": "regex", "group_select": group, "regex_pattern": pattern},
            {"function": "take_first"},
        ],
    }


def _final(doc: Mapping[str, str]) -> str:
    """Return the number behind `####`, which GSM8K's answers end with."""
    return doc["answer"].rpartition("####")[2].strip().replace(",", "")


def _last_integer(doc: Mapping[str, str]) -> str:
    """Return the last run of digits of an answer without its commas, sglang's label."""
    found = re.findall(r"\d+", doc["answer"].replace(",", ""))
    return found[-1] if found else ""


def _sglang(rows: Sequence[Mapping[str, str]], num_fewshot: int) -> dict[str, Any]:
    examples = "".join(
        f"Question: {row['question']}\nAnswer: {row['answer']}\n\n" for row in rows[:num_fewshot]
    )

    def ask(doc: Mapping[str, str]) -> str:
        return f"{examples}Question: {doc['question']}\nAnswer:"

    return {
        "task": "gsm8k-sglang",
        "doc_to_text": ask,
        "doc_to_target": _last_integer,
        "generation_kwargs": {
            "until": ["Question", "Assistant:", "<|separator|>"],
            "do_sample": False,
            "temperature": 0.0,
        },
        "filter_list": [_filter("last-integer", _INTEGER)],
        "metric_list": [{**_EXACT, "regexes_to_ignore": [*_IGNORED, r"\.0+$"]}],
    }


_STEP_BY_STEP = "\nPlease reason step by step, and put your final answer within \\boxed{}."


def _chat_zero_shot(_rows: Sequence[Mapping[str, str]], _num_fewshot: int) -> dict[str, Any]:
    return {
        "task": "gsm8k-chat-zero-shot",
        "doc_to_text": lambda doc: doc["question"] + _STEP_BY_STEP,
        "doc_to_target": _final,
        "generation_kwargs": {"until": [], "do_sample": True},
        "filter_list": [
            _filter("boxed", r"\\boxed\{\s*\\?\$?\s*(-?[0-9.,]*[0-9])"),
            _filter("last-number", _NUMBER),
        ],
        "metric_list": [{**_EXACT, "regexes_to_ignore": [*_IGNORED, r"\.0+$"]}],
    }


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "lm-eval",
            "lm-eval 0.4.13, tasks/gsm8k/gsm8k.yaml: 5 examples from the training set drawn for "
            "each question, 256 tokens, `#### N` and the last number",
            task="gsm8k",
        ),
        Protocol(
            "sglang",
            "sglang, benchmark/gsm8k/bench_sglang.py: the first 5 test questions as examples, "
            "512 tokens, its stop strings, the last integer; asks 200 questions by default",
            config=_sglang,
            num_fewshot=5,
            max_tokens=512,
        ),
        Protocol(
            "chat-zero-shot",
            "the question and one sentence of instruction through the chat template, with the "
            "sampling of MiniMaxAI/MiniMax-M2.5's model card on huggingface.co (Inference "
            "Parameters: temperature 1.0, top_p 0.95, top_k 40); no system prompt is sent; "
            "thinking is kept apart, the number in \\boxed{} counts",
            config=_chat_zero_shot,
            num_fewshot=0,
            max_tokens=16384,
            api="chat",
            generation={"temperature": 1.0, "top_p": 0.95, "top_k": 40},
        ),
    )
}
