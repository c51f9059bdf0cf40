"""What holds for every test: a silent `evals`, and the longest files first."""

from __future__ import annotations

from pathlib import Path

import pytest

import goldgate.evals  # noqa: F401 - tqdm reads the environment once, whoever imports it first

#: Files of more than about 15 s of a core, the longest first. A worker takes a whole file: one that
#: begins last would keep the other worker waiting for its end.
LONGEST = (
    "accuracy/test_commands.py",
    "test_types.py",
    "accuracy/test_conforming.py",
    "accuracy/test_kill_matrix.py",
    "accuracy/test_logits.py",
    "accuracy/test_kinds.py",
    "accuracy/test_random_error.py",
    "test_installation.py",
    "fixtures/standin/test_serve.py",
    "evals/test_damage.py",
    "evals/test_power.py",
    "accuracy/test_adapter.py",
    "fixtures/standin/test_engine_files.py",
    "accuracy/test_time_limits.py",
    "evals/test_demonstration.py",
    "fixtures/standin/test_train.py",
    "accuracy/test_mutants.py",
    "accuracy/test_fastpath.py",
    "accuracy/test_scheduler.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of `LONGEST` first; each file's keep their order."""
    tests = Path(__file__).parent
    ranks = {tests / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
