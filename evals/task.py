"""The questions, their prompts and their scoring: tasks of lm-eval, from its files or a protocol.

For lm-eval's own tasks prompts, few-shot examples, stop sequences, filters and scoring are those of
the YAML files that it installs; only where the questions are read from can be chosen.
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
from goldgate.evals.hashes import doc_sha256, prompt_sha256, text_sha256
from goldgate.evals.protocols import PROTOCOLS, Protocol
from goldgate.evals.questions import from_hub, in_memory, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TASK_FILES = {
    "gsm8k": "gsm8k.yaml",
    "gsm8k_cot": "gsm8k-cot.yaml",
    "gsm8k_cot_zeroshot": "gsm8k-cot-zeroshot.yaml",
}

# The task hash (lm-eval's, loggers/evaluation_tracker.py: every sample's document, prompt and
# target, for each filter) of the 1319 test questions in the default few-shot setting. The first
# three are lm-eval 0.4.13's own tasks, the others this suite's protocols.
TASK_HASHES = {
    "gsm8k": "2330f4ebfcccaf66a892922df2819cdb1f118e448d076d3f42bdde4177678ac7",
    "gsm8k_cot": "fc360963b39ee52c26a82795124f9ad7da4d6a8fecf1b77e2502823b1669b3d0",
    "gsm8k_cot_zeroshot": "8ffc56473996eb4e5f5bcf6f1cbcf0cf46f28c853306d70fa2cb8fc890c795c4",
    "gsm8k-sglang": "5d77ab16d0a6ec2c65f94f759dd0bcf273757fb4d09e3a3c74cfd88603d6f843",
    "gsm8k-chat-zero-shot": "4a10620cb1cdeb21a846dd55ca334cc9a10386375e23ff80406da13ff5579305",
}
FILTERS = ("strict-match", "flexible-extract")  # of lm-eval's gsm8k tasks
INVALID = "[invalid]"  # what lm-eval's regex filter returns where nothing matched
#: Metrics of lm-eval that are 1 or 0 for a question.
_METRICS = ("exact_match", "acc")


@dataclass(frozen=True)
class LoadedTask:
    """A task that is ready to ask, with the hashes that identify it.

    `task_hash` is lm-eval's, of all questions in the default few-shot setting; `prompts_hash` is
    the same over the prompts of this run; `extractor_hash` covers filters and metrics. `filters`
    are the ways to read an answer, the task's own first.
    """

    task: Any
    name: str
    protocol: str
    questions: int
    task_hash: str
    prompts_hash: str
    extractor_hash: str
    generation: Mapping[str, Any]
    num_fewshot: int
    filters: tuple[str, ...]
    metric: str

    @property
    def instances(self) -> Sequence[Any]:
        """lm-eval's request of each question, in the order of the data set."""
        instances: Sequence[Any] = self.task.instances
        return instances


@dataclass(frozen=True)
class Mark:
    """What one filter read from an answer, and whether it is right."""

    extracted: str
    right: bool


def load_task(
    name: str,
    *,
    data: Path | None,
    own_data: bool,
    num_fewshot: int | None,
    limit: int | None,
    protocol: str = "lm-eval",
    chat_template: Callable[..., Any] | None = None,
) -> LoadedTask:
    """Load a task and assert that it is the task that published scores are about.

    `name` is one of TASK_FILES or the path of a task file (.yaml) of lm-eval; it belongs to the
    protocol lm-eval, the others have their own. `data` is a folder with train.jsonl and test.jsonl,
    or None for the hub. Raises EvalError for unreadable data, for a task whose answers are not
    right or wrong, and for a task hash other than the published one unless `own_data` says that
    the questions are not GSM8K's.
    """
    _quieten()
    known = PROTOCOLS[protocol]
    config, label = _config(known, name, data, num_fewshot)
    try:
        task = ConfigurableTask(config=config)
    except (OSError, ValueError, KeyError) as error:
        if data is not None:
            raise EvalError(f"{data}: lm-eval refused the questions ({_line(error)})") from error
        raise EvalError(
            f"the questions of {label} could not be downloaded ({type(error).__name__}); "
            "pass --data DIR with train.jsonl and test.jsonl"
        ) from error
    metric = _metric(task, label)
    own_shots = known.config is not None  # the examples are part of the configuration
    task_hash = _build(task, None)
    expected = TASK_HASHES.get(label)
    default_shots = not own_shots or num_fewshot in (None, known.num_fewshot)
    if task_hash != expected and not own_data and default_shots:
        raise EvalError(_another_task(data, label, task_hash, expected))
    if num_fewshot is not None and not own_shots:
        task.set_config(key="num_fewshot", value=num_fewshot)
    try:
        prompts_hash = _build(task, limit, chat_template)
    except ValueError as error:
        raise EvalError(
            f"--num-fewshot {num_fewshot}: lm-eval cannot draw that many examples "
            f"({_line(error)}); ask for fewer"
        ) from error
    config_now = task.dump_config()
    extractor = {
        key: config_now.get(key) for key in ("filter_list", "metric_list", "doc_to_target")
    }
    shots = num_fewshot if num_fewshot is not None else known.num_fewshot
    return LoadedTask(
        task=task,
        name=label,
        protocol=protocol,
        questions=len(task.instances),
        task_hash=task_hash,
        prompts_hash=prompts_hash,
        extractor_hash=hashlib.sha256(
            json.dumps(extractor, sort_keys=True, default=str).encode()
        ).hexdigest(),
        generation={"until": [], **(config_now.get("generation_kwargs") or {})},
        num_fewshot=int(shots if own_shots and shots is not None else task.config.num_fewshot or 0),
        filters=_filters(task),
        metric=metric,
    )


def _config(
    protocol: Protocol, name: str, data: Path | None, num_fewshot: int | None
) -> tuple[dict[str, Any], str]:
    """Return a task's configuration and its name."""
    splits: dict[str, list[dict[str, Any]]] | None = None
    if protocol.config is not None:
        splits = {"test": read_rows(data / "test.jsonl") if data else from_hub()}
        shots = protocol.num_fewshot if num_fewshot is None else num_fewshot
        config = {
            "output_type": "generate_until",
            "test_split": "test",
            "num_fewshot": 0,
            "repeats": 1,
            **protocol.config(splits["test"], shots or 0),
        }
    else:
        config = _task_file(name)
        if data is not None:
            # A task file may name fewer splits, and other fields than GSM8K's.
            check = name in TASK_FILES
            wanted = {
                str(config[key])
                for key in ("training_split", "fewshot_split", "test_split", "validation_split")
                if config.get(key)
            }
            splits = {
                split: read_rows(data / f"{split}.jsonl", gsm8k=check) for split in sorted(wanted)
            }
    if splits is not None:
        config["custom_dataset"] = functools.partial(in_memory, splits)
    return config, str(config["task"])


def _task_file(name: str) -> dict[str, Any]:
    if name in TASK_FILES:
        path = Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / TASK_FILES[name]
    else:
        path = Path(name)
        if path.suffix not in (".yaml", ".yml") or not path.is_file():
            raise EvalError(
                f"--task {name}: expected one of {', '.join(TASK_FILES)} or a task file (.yaml)"
            )
    try:
        config: dict[str, Any] = load_yaml(path)
        config.pop("tag", None)
        output, label = config.get("output_type", "generate_until"), config["task"]
    except Exception as error:  # lm-eval's loader raises its parser's errors
        raise EvalError(f"{path}: no task file of lm-eval ({_line(error)})") from error
    if output != "generate_until":
        raise EvalError(
            f"{path}: output_type {output}; expected generate_until, whose answers are texts"
        )
    return {**config, "task": label}


def _another_task(data: Path | None, label: str, found: str, expected: str | None) -> str:
    if expected is None:
        return (
            f"{label} is no task of this suite, whose questions a hash identifies; "
            "pass --own-data to record the hash that it has"
        )
    return (
        f"{data or 'openai/gsm8k'}: task hash {found}, but {label} on GSM8K has {expected}; "
        "mend the files, or pass --own-data if these are not GSM8K's questions"
    )


def _filters(task: Any) -> tuple[str, ...]:  # noqa: ANN401 - lm-eval is untyped
    return tuple(one.name for one in task._filters)  # noqa: SLF001 - lm-eval names no public way


def _metric(task: Any, label: str) -> str:  # noqa: ANN401 - lm-eval is untyped
    listed = [str(one["metric"]) for one in task.config.metric_list or [] if "metric" in one]
    for metric in _METRICS:
        if metric in listed:
            return metric
    raise EvalError(
        f"{label}: metrics {', '.join(listed) or 'are missing'}; expected one that is right or "
        f"wrong for each question: {' or '.join(_METRICS)}"
    )


def score(task: LoadedTask, doc_id: int, text: str) -> dict[str, Mark]:
    """Read and mark one answer with each filter and the task's own metric, as lm-eval does."""
    doc = task.instances[doc_id].doc
    instance = Instance("generate_until", doc, ("", {}), 0, metadata=(task.name, doc_id, 1))
    instance.resps = [text]
    marks: dict[str, Mark] = {}
    for answer_filter in task.task._filters:  # noqa: SLF001 - lm-eval names no public way
        answer_filter.apply([instance])
        filtered = instance.filtered_resps[answer_filter.name]
        right = bool(task.task.process_results(doc, [filtered])[task.metric])
        marks[answer_filter.name] = Mark(str(filtered), right)
    return marks


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
        + text_sha256(str(task.doc_to_target(instance.doc)))
        for instance in task.instances
    ]
    # lm-eval lists every sample once a filter.
    return text_sha256("".join(hashes * len(_filters(task))))


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
