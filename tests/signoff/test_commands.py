"""What is still to be run: each command is one that the program takes."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from goldgate.cli import COMMANDS, Parser
from goldgate.signoff.checklist import ToDo
from goldgate.signoff.gathered import Gathered
from goldgate.signoff.policy import POLICIES, read_policy, shipped_policies
from goldgate.signoff.strict_table import PolicyError
from tests.signoff.facts import decided


def _steps() -> list[ToDo]:
    """Return every command that is told with nothing at hand, under each policy that ships."""
    found = (
        step
        for name in shipped_policies()
        for one in decided(Gathered(), read_policy(POLICIES / f"{name}.toml")).items
        for step in one.to_do
    )
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("step", [s for s in _steps() if "goldgate" in s.command], ids=str)
def test_command_is_taken_by_the_program(step: ToDo) -> None:
    """The words parse as the command's own options, with a machine named beside them."""
    words = [word for word in shlex.split(step.command) if not re.match(r"[A-Z_]+=", word)]
    words = words[: words.index("--")] if "--" in words else words
    parser = Parser(prog=words[1])

    importlib.import_module(COMMANDS[words[1]][0]).add_arguments(parser)

    assert words[0] == "goldgate"
    parser.parse_args(words[2:])
    assert step.where


def test_the_engine_is_recorded_with_the_variables_that_reach_the_kernel() -> None:
    """The release policy's record command sets what sglang needs to call aiter; others set none."""
    records = [step.command for step in _steps() if "goldgate record" in step.command]
    prefix = "SGLANG_USE_AITER=1 SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK=0 goldgate record sglang "

    assert [one for one in records if "gfx" in one]
    assert all(one.startswith(prefix) for one in records if "gfx" in one)
    assert all(one.startswith("goldgate record ") for one in records if "gfx" not in one)


@pytest.mark.parametrize("text", ["SGLANG_USE_AITER", "A=1; rm x", "A=$(x)", "=1", "A=1  B=2"])
def test_variables_of_another_form_are_refused(text: str, tmp_path: Path) -> None:
    """What is no NAME=VALUE, or has a shell's signs, is one line that names the key."""
    policy = (POLICIES / "aiter-minimax-m2.5.toml").read_text("utf-8")
    path = tmp_path / "signoff.toml"
    path.write_text(re.sub(r'(?m)^environment = ".*"$', f'environment = "{text}"', policy), "utf-8")

    with pytest.raises(PolicyError, match=r"engine: environment: .*: expected NAME=VALUE"):
        read_policy(path)


def test_everything_but_the_emulation_is_a_command_of_goldgate() -> None:
    """Of other programs tox is needed, for the emulator's compiler alone."""
    others = {
        step.command.partition("  #")[0] for step in _steps() if "goldgate" not in step.command
    }

    assert others == {"tox -e aiter-emulated -- --json evidence/emulated.json"}
