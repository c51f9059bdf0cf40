"""What other commands write for the sign-off: the judge's hash, the kill matrix."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goldgate.cli import main
from goldgate.mutants import matrix
from goldgate.mutants.conforming import volume
from goldgate.mutants.evidence import read_matrix
from goldgate.mutants.matrix import Line
from goldgate.mutants.report import page
from goldgate.provenance import goldgate_itself, judge_modules, judge_sha256
from goldgate.sealed import DocumentError

#: The checkout.
ROOT = Path(__file__).parents[2]


def test_judge_is_what_judges() -> None:
    """The judge's hash is over its rows, weights, bounds and inputs, not over what runs kernels."""
    names = set(judge_modules())

    assert names >= {
        "goldgate.accuracy.evaluate",
        "goldgate.accuracy.selection",
        "goldgate.accuracy.weights",
        "goldgate.accuracy.inputs",
        "goldgate.accuracy.judged",
        "goldgate.accuracy.known_failures",
        "goldgate.reference.bounds",
        "goldgate.reference.router",
    }
    others = {
        *("commands", "report", "recorder", "mutants", "evals", "signoff", "cli"),
        *("kernels", "calls", "one_call", "states", "isolation", "live", "constructed"),
    }
    assert not [name for name in names if others & {*name.split(".")}]
    assert goldgate_itself()["judge"] == judge_sha256()


_JUDGE_ONE = """
import sys
from goldgate.accuracy import device, evaluate, inputs, judged, rounding_models, strided
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS, open_output, open_recording

recording = open_recording(SHIPPED_RECORDINGS / "edge.safetensors")
output = open_output(SHIPPED_OUTPUTS / "torch-2.11-eager-h100" / "edge.safetensors", recording)
profile = rounding_models.profile_for(output.kernel.arithmetic, output.kernel, recording.spec)
inputs.inputs(recording, evaluate.judge(recording, output, profile))
print(*(name for name in sys.modules if name.startswith("goldgate.")))
"""


def test_judge_modules_are_those_that_judging_loads() -> None:
    """A process that judges shipped outputs loads the hashed modules, and those of paths alone."""
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE_ONE], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert set(done.stdout.split()) - {"goldgate.places"} == set(judge_modules())


def test_another_judge_has_another_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One changed line of a module that the judge imports changes the hash."""
    from goldgate import provenance  # noqa: PLC0415 - of this test alone

    before = judge_sha256()
    changed = tmp_path / "bounds.py"
    held = provenance._sources()
    text = held["goldgate.reference.bounds"].read_text(encoding="utf-8")
    changed.write_text(text + "# looser\n", encoding="utf-8")
    monkeypatch.setattr(
        provenance, "_sources", lambda: {**held, "goldgate.reference.bounds": changed}
    )

    assert provenance._digest_of(provenance.judge_modules()) != before


def test_mutants_write_the_matrix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`goldgate mutants --json` writes each fault, what was unexpected, and which judge it was."""
    lines = [
        Line("a fault", "selection", "normal", "a case", True, "seen", (True, True)),
        Line("another", "selection", "normal", "a case", False, "", (False, False)),
        Line("conforming", "honest", "normal", "ieee", True, "", (False, False)),
        Line("nearly", "inside rounding", "normal", "ieee", True, "", (False, False)),
        Line("listed", "known", "edge", "ieee", True, "", (False, None)),
    ]

    def all_lines(advance: Callable[[Line], object], _jobs: int) -> list[Line]:
        for line in lines:
            advance(line)
        return lines

    monkeypatch.setattr(matrix, "all_lines", all_lines)
    monkeypatch.setattr(volume, "volume", lambda _rows, **_jobs: iter(()))
    monkeypatch.setattr(page, "stale", lambda _lines: [])
    path = tmp_path / "matrix.json"

    status = main(["mutants", "--end-to-end", "none", "--rows", "1", "--json", str(path)])

    held: dict[str, Any] = dict(read_matrix(path))
    assert status == 1
    assert [(one["name"], one["caught"]) for one in held["faults"]] == [
        ("a fault", True),
        ("another", False),
    ]
    assert held["unexpected"] == ["another on normal: "]
    assert held["conforming"]["kernels"] == 2
    assert held["goldgate"]["judge"] == judge_sha256()
    edited = json.loads(path.read_text(encoding="utf-8"))
    edited["faults"][1]["caught"] = True
    path.write_text(json.dumps(edited), encoding="utf-8")
    with pytest.raises(DocumentError, match="not what its digest was taken of"):
        read_matrix(path)


def test_matrix_alone_is_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """--json with served kernels alone writes no matrix: it is refused."""
    path = tmp_path / "matrix.json"

    assert main(["mutants", "--end-to-end", "default", "--json", str(path)]) == 2

    assert "add --end-to-end none" in capsys.readouterr().err
    assert not path.exists()
