"""What is still to be run: each command is one that the program takes."""

from __future__ import annotations

import importlib
import shlex

import pytest

from goldgate.cli import COMMANDS, Parser
from goldgate.signoff.checklist import ToDo
from goldgate.signoff.gathered import Gathered
from goldgate.signoff.policy import POLICIES, read_policy, shipped_policies
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
    words = [word for word in shlex.split(step.command) if "URL=" not in word]
    words = words[: words.index("--")] if "--" in words else words
    parser = Parser(prog=words[1])

    importlib.import_module(COMMANDS[words[1]][0]).add_arguments(parser)

    assert words[0] == "goldgate"
    parser.parse_args(words[2:])
    assert step.where


def test_everything_but_the_emulation_is_a_command_of_goldgate() -> None:
    """Of other programs tox is needed, for the emulator's compiler alone."""
    others = {
        step.command.partition("  #")[0] for step in _steps() if "goldgate" not in step.command
    }

    assert others == {"tox -e aiter-emulated -- --json evidence/emulated.json"}
