"""`goldgate signoff init`: a policy for another kernel or model, from flags or a few questions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from goldgate.options import positive
from goldgate.reference.models import MODELS, Model
from goldgate.sealed import write_text
from goldgate.signoff.policy import POLICIES, RELEASE, read_policy
from goldgate.signoff.strict_table import PolicyError

#: The answers that there is no default for: the flag and the question.
_ASKED = {
    "kernel": "the kernel to release, as evidence names it (for example mykernel.route)",
    "command": "how goldgate calls it: a name of `goldgate kernels`, or package.module:function",
    "replaces": "the kernel that it replaces, as evidence names it",
    "replaces_command": "how goldgate calls that one",
    "model": "the model's name or path, as the server is started with",
    "architecture": "the GPUs' architecture (gfx942, gfx950, sm_90, ...; several with blanks)",
    "layers": "how many of its layers route",
}


@dataclass(frozen=True)
class Answers:
    """What a policy is made of; the rest is the release policy's."""

    name: str
    kernel: str
    command: str
    replaces: str
    replaces_command: str
    model: str
    router: str
    layers: int
    first_layer: int
    architectures: tuple[str, ...]
    engine: str
    gate: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `init`."""
    parser.add_argument("--write", type=Path, default=Path("signoff.toml"), metavar="FILE",
                        help="where the policy is written (default: %(default)s)")  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    for name in ("kernel", "command", "replaces", "replaces_command", "model"):
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, metavar="NAME", help=_ASKED[name])
    parser.add_argument("--layers", type=positive, metavar="N", help=_ASKED["layers"])
    parser.add_argument("--first-layer", type=int, default=0, metavar="N",
                        help="the number of the first of them (default: 0)")  # fmt: skip
    parser.add_argument("--router", choices=list(MODELS), default="MiniMax-M2.5",
                        help="a model with its router (default: %(default)s)")  # fmt: skip
    parser.add_argument("--architecture", nargs="+", metavar="ARCH", help=_ASKED["architecture"])
    parser.add_argument("--engine", choices=("sglang", "vllm"), default="sglang",
                        help="what serves it (default: %(default)s)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Ask what the flags do not answer, and write the policy."""
    path: Path = options.write
    if path.exists() and not options.force:
        raise PolicyError(f"{path}: exists already: name another with --write, or add --force")
    given = {name: getattr(options, name) for name in _ASKED}
    absent = [name for name, value in given.items() if value is None]
    if absent and not sys.stdin.isatty():
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in absent)
        raise PolicyError(f"no terminal to ask in: give {flags}")
    given |= {name: _ask(name) for name in absent}
    model = MODELS[options.router]
    text = policy_text(
        Answers(
            name=path.stem
            if path.stem != "signoff"
            else _slug(f"{given['kernel']}-{given['model']}"),
            kernel=given["kernel"],
            command=given["command"],
            replaces=given["replaces"],
            replaces_command=given["replaces_command"],
            model=given["model"],
            router=model.name,
            layers=int(given["layers"]),
            first_layer=options.first_layer,
            architectures=_words(given["architecture"]),
            engine=options.engine,
            gate=_gate(model),
        )
    )
    write_text(path, text)
    read_policy(path)
    print(f"{path}: read it, set versions, margins and ages, and run: goldgate signoff")
    return 0


def policy_text(answers: Answers) -> str:
    """Return a policy as commented TOML: the release policy with these answers in it."""
    text = (POLICIES / f"{RELEASE}.toml").read_text(encoding="utf-8")
    head, known, _ = text.partition("# Known failures that were reviewed")
    assert known  # noqa: S101 - the policy that ships has them
    body = head.partition("schema = 1")[2]
    short = answers.model.rstrip("/").rpartition("/")[2]
    lines = {
        "name": answers.name,
        "architectures": list(answers.architectures),
        "kernel.names": [answers.kernel],
        "kernel.command": answers.command,
        "kernel.arithmetic": [],
        "replaces.names": [answers.replaces],
        "replaces.command": answers.replaces_command,
        "model.names": list(dict.fromkeys([answers.model, short, f"*/{short}"])),
        "model.title": short,
        "model.layers": answers.layers,
        "model.router": answers.router,
        "engine.server": f"{answers.engine} *",
        "inputs.bias": answers.gate,
        "inputs.logits": answers.gate,
    }
    written = _filled(body, lines)
    written = written.replace("router = ", f"first_layer = {answers.first_layer}\nrouter = ", 1)
    return (
        f"# The release policy for {answers.kernel} in place of {answers.replaces} on {short}.\n"
        "# Checked strictly: an unknown key or a value of another type is an error. Names,\n"
        "# versions and models are patterns as file names have them: * any text, ? a character.\n\n"
        f"schema = 1{written.rstrip()}\n\n"
        "# A known failure that was reviewed; none is allowed without such a table.\n"
        "# [[allowed_failure]]\n"
        '# recording = "*few_selectable"\n'
        '# reason = "duplicate id"\n'
        "# most_rows = 2\n"
        '# why = "with fewer than k logits that are not NaN the selection repeats experts"\n'
    )


def _filled(body: str, values: Mapping[str, object]) -> str:
    """Return TOML text whose keys have other values; comments behind a value are left out."""
    left, table, lines = dict(values), "", []
    for line in body.split("\n"):
        if line.startswith("[") and line.rstrip().endswith("]") and "=" not in line:
            table = line.strip("[] ") + "."
        key = table + line.partition(" = ")[0]
        lines.append(
            f"{line.partition(' = ')[0]} = {json.dumps(left.pop(key), ensure_ascii=False)}"
            if " = " in line and key in left
            else line
        )
    if left:
        raise KeyError(f"the policy that ships has no {', '.join(left)}")
    return "\n".join(lines)


def _ask(name: str) -> object:
    while True:
        answer = input(f"{_ASKED[name]}: ").strip()
        if answer and (name != "layers" or (answer.isdigit() and int(answer) > 0)):
            return answer.split() if name == "architecture" else answer


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _gate(model: Model) -> str:
    return {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[model.gate_dtype]


def _slug(text: str) -> str:
    return "".join(
        letter if letter.isalnum() or letter in ".-_" else "-" for letter in text
    ).lower()
