"""The README's first screen shows what the program prints."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from goldgate.cli import main
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS, open_output, open_recording
from goldgate.fixtures.output import output, write_output

README = Path(__file__).parents[1] / "README.md"
KERNEL = "sglang-0.5.23-topk_sigmoid-h100"


def printed(folder: Path, capsys: pytest.CaptureFixture[str], *, changed: bool) -> tuple[int, str]:
    """Judge the shipped outputs of one kernel, with one id of row 17 changed or not."""
    for path in (SHIPPED_OUTPUTS / KERNEL).glob("*.safetensors"):
        held = open_recording(SHIPPED_RECORDINGS / path.name)
        shipped = open_output(path, held)
        ids = np.array(shipped.ids())
        if changed and path.stem == "normal":
            ids[17, 3] = 7
        made = output(shipped.kernel, np.array(shipped.weights()), ids)
        write_output(folder / KERNEL / path.name, made, held)
    status = main(["judge", "--partial", "--outputs", str(folder)])
    return status, capsys.readouterr().out


@pytest.mark.parametrize("changed", [True, False])
def test_the_readme_shows_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, changed: bool
) -> None:
    """The failure block and the passing line are the program's own, to the character."""
    readme = README.read_text(encoding="utf-8")
    blocks = re.findall(r"```text\n(.*?)```", readme, flags=re.DOTALL)
    expected = blocks[0 if changed else 1].strip().splitlines()

    status, text = printed(tmp_path, capsys, changed=changed)

    shown = [line.rstrip() for line in text.splitlines()]
    assert status == int(changed)
    assert expected
    assert [line for line in expected if line.rstrip() not in shown] == []
