"""What is still to be run, as exact commands and on which machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from goldgate.signoff.checklist import ToDo
from goldgate.signoff.devices import host_of
from goldgate.signoff.rules import Policy

#: The folder that is told for what commands write; `goldgate signoff` reads it where it is there.
EVIDENCE = "evidence"


def record(policy: Policy, architecture: str) -> list[ToDo]:
    """Record every layer in the engine as it answers, and judge what the served kernel returned."""
    engine = policy.engine.server.split()[0]
    if engine not in ("sglang", "vllm"):
        engine = "sglang"
    model = shlex.quote(policy.model.names[0])
    arguments = f"--model-path {model}" if engine == "sglang" else model
    where = f"{host_of(architecture)}, {engine} and the model"
    port = {"sglang": 30000, "vllm": 8000}[engine]
    return [
        ToDo(
            f"{_environment(policy)}goldgate record {engine} --out recorded-{architecture} -- "
            f"{arguments}",
            where,
        ),
        ToDo(
            f"goldgate gsm8k --base-url http://127.0.0.1:{port}{_own_data(policy)} --limit 60 "
            f"--out recorded-{architecture}-answers",
            f"the same host ({architecture}), once that server is up; stop it with Ctrl-C then",
        ),
        ToDo(
            f"goldgate judge --recordings recorded-{architecture}/recordings --outputs "
            f"recorded-{architecture}/outputs{_bias(policy)} --json "
            f"{EVIDENCE}/parity-{architecture}.json",
            "any machine that has the recordings",
        ),
    ]


def cover(policy: Policy, architecture: str) -> ToDo:
    """Call the kernel in every shape of the model's router."""
    return ToDo(
        f"goldgate parity --kernel {shlex.quote(policy.kernel.command)} --coverage full --model "
        f"{policy.model.router} --json {EVIDENCE}/coverage-{architecture}.json",
        host_of(architecture),
    )


def compare(policy: Policy, architecture: str) -> ToDo:
    """Run the old kernel and the new one on the recordings."""
    return ToDo(
        f"goldgate compare-kernels {shlex.quote(policy.replaces.command)} "
        f"{shlex.quote(policy.kernel.command)} --recordings recorded-{architecture}/recordings "
        f"--json {EVIDENCE}/old-new-{architecture}.json",
        host_of(architecture),
    )


def time_calls(policy: Policy, architecture: str) -> ToDo:
    """Time both kernels."""
    tokens = " ".join(map(str, policy.latency.tokens))
    old, new = shlex.quote(policy.replaces.command), shlex.quote(policy.kernel.command)
    return ToDo(
        f"goldgate latency --kernel {old} --kernel {new} --baseline {old} --tokens {tokens} --json "
        f"{EVIDENCE}/latency-{architecture}.json",
        host_of(architecture),
    )


def swap(policy: Policy) -> ToDo:
    """Ask both servers."""
    rule = policy.gsm8k
    options = [f"--margin {rule.margin:g}", f"--alpha {rule.alpha:g}"]
    options += ["--sequential"] if rule.plan == "sequential" else []
    options += ["--control"] if rule.control else []
    return ToDo(
        "BASELINE_URL=http://OLD:8000 BASE_URL=http://NEW:8000 goldgate swap "
        f"{' '.join(options)}{_own_data(policy)} --out {EVIDENCE}/gsm8k",
        f"any machine that reaches two servers of {policy.model.title}, one with each kernel",
    )


def plant_faults(policy: Policy) -> ToDo:
    """Plant faults before this judge."""
    rows = policy.evidence.conforming_rows or 1
    return ToDo(
        f"goldgate mutants --end-to-end none --rows {rows} --json {EVIDENCE}/kill-matrix.json",
        "any machine with torch; minutes on two cores",
    )


def emulate(architectures: Iterable[str]) -> ToDo:
    """Execute the kernel's assembly."""
    return ToDo(
        f"tox -e aiter-emulated -- --json {EVIDENCE}/emulated.json  # {', '.join(architectures)}",
        "any machine",
    )


def _environment(policy: Policy) -> str:
    """Return the engine's variables as what stands in front of a command."""
    return f"{policy.engine.environment} " if policy.engine.environment else ""


def _own_data(policy: Policy) -> str:
    if policy.gsm8k.data != "own":
        return ""
    # The stand-in's score is stated without examples, its tokens are letters.
    own = "fixtures/standin/data --num-fewshot 0 --max-tokens 512"
    return f" --own-data --data {own if policy.demonstration else 'QUESTIONS'}"


def _bias(policy: Policy) -> str:
    return "" if policy.inputs.bias == "float32" else f" --bias-dtype {policy.inputs.bias}"
