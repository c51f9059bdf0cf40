"""The catalogue: what it imports, that its names are distinct, what it loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from goldgate.kernels import call_sites, find, load, registry
from goldgate.reference import MODELS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "module", ["goldgate.kernels", "goldgate.fixtures", "goldgate.fixtures.recorder.sglang"]
)
def test_a_recorder_needs_numpy_alone_of_what_the_judge_needs(module: str) -> None:
    """Every family imports without torch, flint, numba and rich, as a recorder's host may be."""
    program = (
        "import importlib, sys\n"
        "sys.modules.update(dict.fromkeys(('flint', 'numba', 'rich', 'torch')))\n"
        f"importlib.import_module({module!r})\n"
        "from goldgate.kernels import registry\n"
        "print(len(registry()))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert int(done.stdout) == len(registry())


def test_every_name_means_one_kernel() -> None:
    """No name or alias is another kernel's, and each finds its kernel."""
    kernels = registry().values()
    names = [name for kernel in kernels for name in (kernel.name, *kernel.aliases)]

    assert len(set(names)) == len(names)
    assert [find(name) for kernel in kernels for name in (kernel.name, *kernel.aliases)] == [
        kernel for kernel in kernels for _ in (kernel.name, *kernel.aliases)
    ]
    assert find("nonsense") is None


def test_a_kernel_of_ones_own_is_found_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """package.module:function is imported from the folder that the command runs in."""
    (tmp_path / "of_my_own.py").write_text("def kernel(*_):\n    pass\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])

    loaded = load("of_my_own:kernel", device="cpu")

    assert (loaded.name, loaded.arithmetic) == ("of_my_own:kernel", "conservative")


def test_each_server_has_its_own_kernels_and_aiters() -> None:
    """The recorder's hooks get the call sites of their server's family, then aiter's."""
    shared = call_sites("aiter")

    for server, *families in (("sglang", "sglang", "sglang_torch"), ("vllm", "vllm")):
        sites = call_sites(*families, "aiter")
        assert sites[-len(shared) :] == shared
        own = {site.package.partition("-")[0] for site in sites[: -len(shared)]}
        assert own == {server}


def test_vllm_s_topk_sigmoid_takes_a_float32_bias_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls with another type of bias are beyond it, by name, and so no failure of it."""
    monkeypatch.setattr("goldgate.kernels.vllm.operators", object)
    refusal = registry()["vllm-topk-sigmoid"].load().adapter.refusal

    assert refusal(MODELS["MiniMax-M2.5"].spec, 4, "BF16", "F32") is None
    assert (
        refusal(MODELS["MiniMax-M2.5"].spec, 4, "BF16", "BF16") == "takes a float32 bias, not BF16"
    )
