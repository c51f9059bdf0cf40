"""Protocols by name and tasks from a file: prompts, stops, limits, extraction; options on top."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lm_eval.api.model import LM
from lm_eval.evaluator import evaluate

from goldgate.cli import main
from goldgate.evals.task import load_task, score
from tests.evals.support import QUESTIONS, Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., int]


@pytest.fixture
def right(problems: list[dict[str, str]]) -> dict[str, str]:
    """Hold the right answer of every question."""
    return {row["question"]: row["answer"] for row in problems}


class Recorded(LM):  # type: ignore[misc] # lm-eval is untyped
    """A model of lm-eval that answers what a server answered."""

    def __init__(self, answers: dict[str, str]) -> None:
        """Answer by question."""
        super().__init__()
        self.answers = answers

    def generate_until(self, requests: list[Any], **_: object) -> list[str]:
        """Return the recorded answer of each request."""
        return [self.answers[request.doc["question"]] for request in requests]

    loglikelihood = loglikelihood_rolling = None


@pytest.mark.parametrize("task", ["gsm8k", "gsm8k_cot", "gsm8k_cot_zeroshot"])
def test_samples_are_those_of_lm_eval(
    right: dict[str, str], data: Path, ask: Ask, tmp_path: Path, task: str
) -> None:
    """Prompts, hashes, extracted answers and marks are lm-eval's own, question by question."""
    ends = ["", "9", " The answer is 7.", " apples", "\n\n$1,234.50"]
    answers = {q: text + ends[n % 5] for n, (q, text) in enumerate(right.items())}
    with Server(answers) as server:
        ask(server.url, tmp_path, "--task", task)
    loaded = load_task(task, data=data, own_data=True, num_fewshot=None, limit=None)
    loaded.task.set_fewshot_seed(seed=1234)

    results = evaluate(
        Recorded(answers), {"tasks": {task: loaded.task}, "groups": {}}, bootstrap_iters=0
    )

    lines = (tmp_path / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    ours = {sample["doc_id"]: sample for sample in map(json.loads, lines)}
    theirs = results["samples"][task]
    assert len(theirs) == 2 * QUESTIONS
    for sample in theirs:
        mine = ours[sample["doc_id"]]
        for name in ("doc_hash", "prompt_hash", "target_hash", "target"):
            assert mine[name] == sample[name]
        assert mine["extracted"][sample["filter"]] == sample["filtered_resps"][0]
        assert mine["right"][sample["filter"]] == bool(sample["exact_match"])


def test_sglang_protocol_asks_as_its_script(
    right: dict[str, str], problems: list[dict[str, str]], ask: Ask, tmp_path: Path
) -> None:
    """The first five test questions are the examples; its stops, 512 tokens, temperature 0."""
    with Server(right) as server:
        status = ask(server.url, tmp_path, "--protocol", "sglang", "--concurrency", "1")

        payload = server.payloads[7]
    examples = "".join(
        f"Question: {row['question']}\nAnswer: {row['answer']}\n\n" for row in problems[:5]
    )
    facts = facts_of(tmp_path)
    assert status == 0
    assert payload["prompt"] == f"{examples}Question: {problems[7]['question']}\nAnswer:"
    assert payload["stop"] == ["Question", "Assistant:", "<|separator|>"]
    assert (payload["max_tokens"], payload["temperature"]) == (512, 0.0)
    assert facts["settings"]["protocol"] == "sglang"
    assert facts["totals"]["right"] == {"last-integer": [QUESTIONS]}


@pytest.mark.parametrize(
    ("text", "extracted", "right"),
    [
        ("18", "18", True),
        ("so 3 and 1,8 apples", "1,8", True),  # the script drops commas first
        ("18 apples, 3 left", "3", False),
        ("#### 18.0", "0", False),  # the script's integers
        ("none", "[invalid]", False),
    ],
)
def test_sglang_protocol_reads_the_last_integer(
    tmp_path: Path, text: str, extracted: str, *, right: bool
) -> None:
    """What its script finds is found: the last run of digits once commas are gone."""
    row = {"question": "q", "answer": "x\n#### 18"}
    (tmp_path / "test.jsonl").write_text(json.dumps(row) + "\n")
    task = load_task(
        "gsm8k", protocol="sglang", data=tmp_path, own_data=True, num_fewshot=0, limit=None
    )

    mark = score(task, 0, text)["last-integer"]

    assert (mark.extracted, mark.right) == (extracted, right)


def test_chat_zero_shot_asks_through_the_template(
    right: dict[str, str], problems: list[dict[str, str]], ask: Ask, tmp_path: Path
) -> None:
    """One user turn, MiniMax's sampling, no stop; the thought apart and the boxed number counts."""

    def think(_: int, body: dict[str, Any]) -> None:
        message = body["choices"][0]["message"]
        number = message["content"].rpartition("#### ")[2]
        message |= {"content": f"So \\boxed{{{number}.00}}.", "reasoning_content": "Is it 7?"}

    with Server({q + INSTRUCTION: text for q, text in right.items()}) as server:
        server.change = think
        status = ask(server.url, tmp_path, "--protocol", "chat-zero-shot", "--concurrency", "1")

        payload = server.payloads[0]
    facts = facts_of(tmp_path)
    assert status == 0
    assert payload["messages"] == [
        {"role": "user", "content": problems[0]["question"] + INSTRUCTION}
    ]
    assert "stop" not in payload
    assert (payload["temperature"], payload["top_p"], payload["top_k"]) == (1.0, 0.95, 40)
    assert payload["max_tokens"] == 16384
    assert facts["totals"]["right"]["boxed"] == [QUESTIONS]
    assert facts["totals"]["thoughts"] == {"apart": QUESTIONS}
    assert "Is it 7?" in (tmp_path / "journal.jsonl").read_text(encoding="utf-8")


INSTRUCTION = "\nPlease reason step by step, and put your final answer within \\boxed{}."


def test_generation_options_are_asked_and_recorded(
    right: dict[str, str], ask: Ask, tmp_path: Path
) -> None:
    """Every option reaches the server and the settings; each repeat has the next seed."""
    with Server(right) as server:
        ask(
            server.url, tmp_path, "--temperature", "0.7", "--top-p", "0.9", "--seed", "5",
            "--stop", "END", "--stop", "STOP", "--max-tokens", "99", "--runs", "2",
            "--extra-body", '{"chat_template_kwargs": {"thinking": true}}', "--limit", "3",
        )  # fmt: skip

        payloads = server.payloads
    generation = facts_of(tmp_path)["settings"]["generation"]
    first = payloads[0]
    assert (first["temperature"], first["top_p"], first["max_tokens"]) == (0.7, 0.9, 99)
    assert first["stop"] == ["END", "STOP"]
    assert first["chat_template_kwargs"] == {"thinking": True}
    assert [payload["seed"] for payload in payloads] == [5, 5, 5, 6, 6, 6]
    assert generation == {
        "do_sample": False,
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 99,
        "seed": 5,
        "until": ["END", "STOP"],
        "chat_template_kwargs": {"thinking": True},
    }


@pytest.mark.parametrize(
    "option",
    [
        ("--temperature", "0.5"),
        ("--top-p", "0.5"),
        ("--seed", "7"),
        ("--stop", "END"),
        ("--max-tokens", "99"),
        ("--extra-body", '{"min_p": 0.1}'),
        ("--protocol", "sglang"),
    ],
)
def test_arms_must_agree_in_every_option(
    right: dict[str, str], ask: Ask, tmp_path: Path, option: tuple[str, str]
) -> None:
    """A candidate that was asked with another option is no swap of a kernel."""
    with Server(right) as server:
        ask(server.url, tmp_path / "one")
        ask(server.url, tmp_path / "other", *option)

    status = main(["compare", str(tmp_path / "one"), str(tmp_path / "other"), "--margin", "20"])

    assert status == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--extra-body", '{"max_tokens": 3}'), "max_tokens cannot be set there"),
        (("--protocol", "chat-zero-shot", "--api", "completions"), "asks through the chat API"),
        (("--protocol", "sglang", "--task", "gsm8k_cot"), "has a task of its own"),
        (("--task", "nothing.yaml"), "expected one of gsm8k"),
    ],
)
def test_options_that_contradict_are_named(
    server: Server,
    ask: Ask,
    tmp_path: Path,
    options: tuple[str, ...],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is asked where two options exclude each other."""
    assert ask(server.url, tmp_path, *options) == 2
    assert named in capsys.readouterr().err
    assert server.asked == []


@pytest.mark.parametrize("words", ["[1]", "{", "7"])
def test_extra_body_is_an_object(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no JSON object is refused as an option."""
    with pytest.raises(SystemExit):
        main(["gsm8k", "--base-url", "http://x", "--out", "o", "--extra-body", words])

    assert "no JSON" in capsys.readouterr().err


TASK = """
task: colours
output_type: generate_until
test_split: test
doc_to_text: "Name the colour of {{thing}}.\\nColour:"
doc_to_target: "{{colour}}"
generation_kwargs:
  until: ["\\n"]
  max_gen_toks: 12
metric_list:
  - metric: METRIC
    aggregation: mean
    higher_is_better: true
"""


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Hold a task file of lm-eval with data of its own and no filter."""
    rows = [{"thing": f"thing {n}", "colour": ("red", "blue")[n % 2]} for n in range(30)]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "colours.yaml").write_text(TASK.replace("METRIC", "exact_match"))
    return tmp_path


def test_task_file_with_local_data_is_asked_and_compared(colours: Path) -> None:
    """Any exact answer of lm-eval can be compared: other fields, splits, filters and limits."""
    prompts = {f"Name the colour of thing {n}.\nColour:": ("red", "blue")[n % 2] for n in range(30)}
    worse = dict.fromkeys(prompts, "green")
    options = ("--task", str(colours / "colours.yaml"), "--data", str(colours), "--own-data")
    for name, answers in (("one", prompts), ("same", prompts), ("worse", worse)):
        with Server(answers) as server:
            assert (
                main(["gsm8k", "--base-url", server.url, "--out", str(colours / name), *options])
                == 0
            )
            assert server.payloads[0]["max_tokens"] == 12

    facts = facts_of(colours / "one")
    same = main(["compare", str(colours / "one"), str(colours / "same"), "--margin", "20"])
    lost = main(["compare", str(colours / "one"), str(colours / "worse"), "--margin", "20"])

    assert facts["totals"]["right"] == {"none": [30]}
    assert facts["settings"]["task"] == "colours"
    assert (same, lost) == (0, 1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("exact_match", "bleu"), "expected one that is right or wrong"),
        (("generate_until", "loglikelihood"), "expected generate_until"),
        (("task: colours", "task: ["), "no task file of lm-eval"),
    ],
)
def test_task_without_right_or_wrong_is_refused(
    server: Server,
    colours: Path,
    change: tuple[str, str],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A metric that is a degree, or answers that are no texts, cannot be paired."""
    file = colours / "colours.yaml"
    file.write_text(file.read_text().replace(*change))
    options = ("--task", str(file), "--data", str(colours), "--own-data")

    status = main(["gsm8k", "--base-url", server.url, "--out", str(colours / "run"), *options])

    assert status == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize("protocol", ["lm-eval", "sglang", "chat-zero-shot"])
def test_protocols_on_gsm8k_have_the_hash_that_is_stated(gsm8k: Path, protocol: str) -> None:
    """On GSM8K's own questions every protocol is the one that the suite states."""
    task = load_task(
        "gsm8k", protocol=protocol, data=gsm8k, own_data=False, num_fewshot=None, limit=2
    )

    assert task.questions == 2


def test_run_can_be_asked_on_without_its_limit(
    right: dict[str, str], ask: Ask, tmp_path: Path
) -> None:
    """What an undecided part proposes: the same folder, more questions, none asked again."""
    with Server(right) as server:
        ask(server.url, tmp_path, "--limit", "10")
        status = ask(server.url, tmp_path, "--resume")

        assert status == 0
        assert len(server.asked) == len(set(server.asked)) == QUESTIONS
    assert facts_of(tmp_path)["settings"]["limit"] is None
