"""lm-eval's own gsm8k and gsm8k_cot tasks, unmodified, with the data from the hub or a folder.

Prompts, few-shot examples, stop sequences, filters and scoring are those of the YAML files that
lm-eval installs; only where the questions are read from can be chosen.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import lm_eval
import lm_eval.utils
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.defaults import DEFAULT_OTHER_SEED
from lm_eval.tasks._yaml_loader import load_yaml

from goldgate.evals.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TASK_FILES = {"gsm8k": "gsm8k.yaml", "gsm8k_cot": "gsm8k-cot.yaml"}

# lm-eval 0.4.13's task hash (loggers/evaluation_tracker.py: every sample's document, prompt and
# target, for both filters) of the 1319 test questions in the task's default few-shot setting.
TASK_HASHES = {
    "gsm8k": "2330f4ebfcccaf66a892922df2819cdb1f118e448d076d3f42bdde4177678ac7",
    "gsm8k_cot": "fc360963b39ee52c26a82795124f9ad7da4d6a8fecf1b77e2502823b1669b3d0",
}
FILTERS = ("strict-match", "flexible-extract")
INVALID = "[invalid]"  # what lm-eval's regex filter returns where nothing matched


@dataclass(frozen=True)
class LoadedTask:
    """A task that is ready to ask, with the hashes that identify it.

    `task_hash` is lm-eval's, of all questions in the default few-shot setting; `prompts_hash` is
    the same over the prompts of this run; `extractor_hash` covers filters and metrics.
    """

    task: Any
    name: str
    questions: int
    task_hash: str
    prompts_hash: str
    extractor_hash: str
    generation: Mapping[str, Any]


def load_task(
    name: str,
    *,
    data: Path | None,
    own_data: bool,
    num_fewshot: int | None,
    limit: int | None,
    chat_template: Callable[..., Any] | None = None,
) -> LoadedTask:
    """Load one of TASK_FILES and assert that it is the task that published scores are about.

    `data` is a folder with train.jsonl and test.jsonl, or None for the hub. Raises EvalError for
    unreadable data, and for a task hash other than the published one unless `own_data` says that
    the questions are not GSM8K's.
    """
    _quieten()
    config = load_yaml(Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / TASK_FILES[name])
    config.pop("tag", None)
    if data is not None:
        splits = {split: _rows(data / f"{split}.jsonl") for split in ("train", "test")}
        config["custom_dataset"] = functools.partial(_in_memory, splits)
    try:
        task = ConfigurableTask(config=config)
    except (OSError, ValueError) as error:
        if data is not None:
            raise EvalError(f"{data}: lm-eval refused the questions ({_line(error)})") from error
        raise EvalError(
            f"openai/gsm8k could not be had from the hub ({type(error).__name__}); "
            "pass --data DIR with train.jsonl and test.jsonl"
        ) from error
    task_hash = _build(task, None)
    if task_hash != TASK_HASHES[name] and not own_data:
        raise EvalError(
            f"{data or 'openai/gsm8k'}: task hash {task_hash}, but {name} of lm-eval 0.4.13 on "
            f"GSM8K has {TASK_HASHES[name]}; mend the files, or pass --own-data if these are "
            "not GSM8K's questions"
        )
    if num_fewshot is not None:
        task.set_config(key="num_fewshot", value=num_fewshot)
    try:
        prompts_hash = _build(task, limit, chat_template)
    except ValueError as error:
        raise EvalError(
            f"--num-fewshot {num_fewshot}: lm-eval cannot draw that many examples "
            f"({_line(error)}); ask for fewer"
        ) from error
    config_now = task.dump_config()
    extractor = {key: config_now[key] for key in ("filter_list", "metric_list", "doc_to_target")}
    return LoadedTask(
        task=task,
        name=name,
        questions=len(task.instances),
        task_hash=task_hash,
        prompts_hash=prompts_hash,
        extractor_hash=hashlib.sha256(
            json.dumps(extractor, sort_keys=True, default=str).encode()
        ).hexdigest(),
        generation=dict(config_now["generation_kwargs"]),
    )


def reseed(task: LoadedTask) -> None:
    """Set the few-shot generator back: lm-eval draws examples question by question from it."""
    task.task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)


def is_right(task: LoadedTask, doc_id: int, text: str) -> bool:
    """Score one answer with the first of FILTERS and the task's own metric."""
    doc = task.task.instances[doc_id].doc
    instance = Instance("generate_until", doc, ("", {}), 0, metadata=(task.name, doc_id, 1))
    instance.resps = [text]
    for answer_filter in task.task._filters:  # noqa: SLF001 - lm-eval names no public way
        if answer_filter.name == FILTERS[0]:
            answer_filter.apply([instance])
    filtered = instance.filtered_resps[FILTERS[0]]
    return bool(task.task.process_results(doc, [filtered])["exact_match"])


def prompt_sha256(prompt: Any) -> str:  # noqa: ANN401 - a string, or lm-eval's JsonChatStr
    """Hash a prompt as lm-eval's `prompt_hash` does."""
    return str(lm_eval.utils.hash_string(prompt))


def doc_sha256(doc: Mapping[str, Any]) -> str:
    """Hash a document as lm-eval's `doc_hash` does."""
    dumped = json.dumps(
        doc, indent=2, default=lm_eval.utils.handle_non_serializable, ensure_ascii=False
    )
    return str(lm_eval.utils.hash_string(dumped))


def _build(
    task: Any,  # noqa: ANN401 - lm-eval is untyped
    limit: int | None,
    chat_template: Callable[..., Any] | None = None,
) -> str:
    task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
    task.build_all_requests(
        limit=limit,
        apply_chat_template=chat_template is not None,
        fewshot_as_multiturn=chat_template is not None,
        chat_template=chat_template,
    )
    hashes = [
        doc_sha256(instance.doc)
        + prompt_sha256(instance.arguments[0])
        + str(lm_eval.utils.hash_string(str(task.doc_to_target(instance.doc))))
        for instance in task.instances
    ]
    # lm-eval lists every sample once a filter.
    return str(lm_eval.utils.hash_string("".join(hashes * len(FILTERS))))


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        # Not splitlines: a question may hold U+2028, which ends no line of JSON.
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except OSError as error:
        raise EvalError(
            f"{path}: cannot be read ({error.strerror}); --data needs train.jsonl and test.jsonl"
        ) from error
    except UnicodeDecodeError as error:
        raise EvalError(f"{path}: not UTF-8 text; expected one JSON object a line") from error
    rows = [_row(line, f"{path}: line {number}") for number, line in enumerate(lines, 1) if line]
    if not rows:
        raise EvalError(f"{path}: holds no question; expected one JSON object a line")
    return rows


def _row(line: str, where: str) -> dict[str, str]:
    try:
        row = json.loads(line)
        return {"question": str(row["question"]), "answer": str(row["answer"])}
    except (ValueError, KeyError, TypeError) as error:
        raise EvalError(
            f'{where} is not a GSM8K question; expected {{"question": ..., "answer": ...}}'
        ) from error


def _in_memory(splits: Mapping[str, list[dict[str, str]]], **_: object) -> Mapping[str, Any]:
    # In memory rather than through `data_files`: no copy is left in the hub's cache folder.
    return {name: datasets.Dataset.from_list(rows) for name, rows in splits.items()}


def _quieten() -> None:
    # lm-eval and datasets log settings that run.json records in full.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    environment = lm_eval.utils.env
    if not hasattr(environment.from_string, "cache_info"):
        # lm-eval compiles the same few templates anew for every few-shot example: with the
        # compiled ones kept, 1319 prompts took 0.3 s instead of 5.4 s, byte for byte the same
        # (the task hash holds that).
        environment.from_string = functools.lru_cache(environment.from_string)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
