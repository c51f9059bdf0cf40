"""Weights of a type narrower than float32: judged within its rounding, refused if undeclared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.evidence import Judged, complaints, result_json
from goldgate.accuracy.narrow import narrowed
from goldgate.cli import main
from goldgate.fixtures import KernelInfo, Output, open_recording, write_output, write_recording
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import PROFILES, route


def _narrow(*, wrong: bool) -> Output:
    """Return golden answers in bfloat16, twice too heavy where wrong."""
    held = construct("tokens_64")
    found = route(held.logits(), held.bias(), held.spec)
    ids = found.ids.astype(np.int32)
    weights = narrowed(found.weights.astype(np.float32), "bfloat16") * np.float32(1 + wrong)
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")
    return Output(info, tensor(weights, "BF16"), tensor(ids))


@pytest.mark.parametrize(
    ("declared", "wrong", "status", "verdict"),
    [
        ((), False, 2, "REFUSED"),
        (("--weights-dtype", "float16"), False, 2, "REFUSED"),
        (("--weights-dtype", "bfloat16"), False, 0, "PASS"),
        ((), True, 1, "FAIL"),
        (("--weights-dtype", "bfloat16"), True, 1, "FAIL"),
    ],
)
def test_bfloat16_weights_pass_only_where_declared(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    declared: tuple[str, ...],
    wrong: bool,
    status: int,
    verdict: str,
) -> None:
    """Undeclared they are refused with how to declare them; a wrong row fails in any case."""
    path = tmp_path / "r" / "a.safetensors"
    write_recording(path, construct("tokens_64"))
    output = _narrow(wrong=wrong)
    write_output(tmp_path / "o" / "k" / "a.safetensors", output, open_recording(path))
    folders = ("--recordings", str(tmp_path / "r"), "--outputs", str(tmp_path / "o"), "--partial")

    found = main(["judge", *folders, *declared])

    said = capsys.readouterr().out
    assert found == status
    assert verdict in said
    assert "weights in bfloat16, judged within its rounding" in said
    assert ('has WEIGHTS = "bfloat16"' in said) == (declared[-1:] != ("bfloat16",))


def test_the_evidence_of_undeclared_weights_is_a_refusal() -> None:
    """The verdict, its reason in print and its reason in JSON agree."""
    output = _narrow(wrong=False)
    one = Judged("k", "r", judge(construct("tokens_64"), output, PROFILES["ieee"]), "ieee", output)

    (line,) = complaints(one)

    held = result_json(one)
    assert (one.verdict, held["verdict"]) == ("REFUSED", "REFUSED")
    assert held["refusal"] == line == one.why_refused
    assert "--weights-dtype bfloat16" in line
