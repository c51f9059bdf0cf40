"""`goldgate dispatch` on real releases, and what is published of it; `tox -e upstream` runs this.

`dispatch.json` is the table of docs/kernels.md: release, platform, environment, and the kernel that
MiniMax-M2.5 reaches. Each line is found again from the release's own wheel.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goldgate.kernels.dispatch.find import dispatch, engine
from goldgate.kernels.dispatch.scenario import Scenario
from tests.fixtures.upstream import source

LINES = json.loads(Path(__file__).with_name("dispatch.json").read_text("utf-8"))

pytestmark = pytest.mark.upstream


def _title(line: dict[str, Any]) -> str:
    flags = [f"{key}={value}" for key, value in line["environment"].items()]
    words = [line["engine"], line["release"], line["platform"], f"bias-{line['bias']}", *flags]
    return "-".join(map(str, words))


@pytest.mark.parametrize("line", LINES, ids=_title)
def test_a_release_reaches_the_kernel_of_the_table(
    line: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release's own functions lead to that kernel, through its router's files."""
    for name in ("SGLANG_USE_AITER", "SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK", "VLLM_ROCM_USE_AITER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in line["environment"].items():
        monkeypatch.setenv(name, value)
    held = engine(line["engine"], source(line["engine"], line["release"]))

    found = dispatch(held, Scenario(line["engine"], line["platform"], bias=line["bias"]))

    assert held.version == line["release"]
    assert found.kernel == line["kernel"]
    assert found.path
    assert set(line["environment"]) <= set(found.flags) | {"SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK"}
