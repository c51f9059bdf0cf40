"""`goldgate dispatch` on a small engine: what is executed, what stands in, what is told."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from goldgate.cli import main
from goldgate.kernels import registry
from goldgate.kernels.dispatch.find import catalogued, dispatch, engine
from goldgate.kernels.dispatch.scenario import Scenario
from goldgate.kernels.kernel import KernelError

ROOT = Path(__file__).parents[2]
LINES = json.loads(Path(__file__).with_name("dispatch.json").read_text("utf-8"))

#: A router's module with the parts of sglang's that dispatch relies on: a layer, the platform's
#: flags, packages that are not there, a flag of the environment, a function that torch compiles.
ROUTER = """
import torch
import triton
from flashinfer import nothing
from sglang.srt.environ import envs
from sglang.srt.eplb import expert_location_dispatch
from sglang.srt.layers.utils import MultiPlatformOp
from sglang.srt.server import options
from sglang.srt.utils import get_bool_env_var, get_compiler_backend, is_cuda, is_hip

_is_cuda = is_cuda()
_use_aiter = get_bool_env_var("SGLANG_USE_AITER") and is_hip()


@triton.jit
def _fill(x):
    pass


class TopK(MultiPlatformOp):
    def __init__(self, top_k, *, correction_bias=None, quant=None):
        super().__init__()
        self.top_k, self.bias = top_k, correction_bias

    def forward_cuda(self, hidden, logits):
        with options.guard():
            logits, bias = expert_location_dispatch.transform_select_experts_inputs(
                router_logits=logits, correction_bias=self.bias, info=None
            )
        if options.bypass():
            return None
        return select(logits, bias, self.top_k)

    forward_cpu = forward_cuda


@torch.compile(dynamic=True, backend=get_compiler_backend())
def eager(logits, k):
    return torch.topk(logits, k)


def select(logits, bias, k):
    if _use_aiter and bias is not None:
        from aiter import biased_grouped_topk

        biased_grouped_topk(logits, bias, groups=1)
    elif _is_cuda and envs.SGLANG_FAST:
        from sgl_kernel import topk_sigmoid

        topk_sigmoid(logits)
    elif logits.dtype == torch.float16:
        return logits
    else:
        eager(logits, k)
"""

MODEL = """
class MoE:
    def __init__(self, config):
        self.topk = TopK(
            top_k=config.num_experts_per_tok,
            correction_bias=self.e_score_correction_bias,
            quant=quant_config,
        )
"""

ENVIRON = """
import os


class Envs:
    SGLANG_FAST = property(lambda _: os.getenv("SGLANG_FAST") == "1")


declared = os.getenv("SGLANG_NOT_ASKED")
envs = Envs()
"""

UTILS = """
import not_there


def get_bool_env_var(name, default="false"):
    return os.getenv(name, default) == "1"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the small engine; return the folder that it lies in."""
    for name in ("SGLANG_USE_AITER", "SGLANG_FAST"):
        monkeypatch.delenv(name, raising=False)
    files = {
        "srt/layers/moe/topk.py": ROUTER,
        "srt/models/minimax_m2.py": MODEL,
        "srt/environ.py": ENVIRON,
        "srt/utils/common.py": UTILS,
        "_version.py": "__version__ = version = '9.9.9'\n",
        "__init__.py": "raise RuntimeError('the engine itself is not imported')\n",
    }
    for name, text in files.items():
        path = tmp_path / "sglang" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def test_a_kernel_is_reached_with_its_way_there(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernel, arguments, calls, branches with their values and the flags that were read."""
    monkeypatch.setenv("SGLANG_USE_AITER", "1")

    found = dispatch(engine("sglang", root), Scenario("sglang", "hip", "BF16", "F32", tokens=3))

    assert found.kernel == "aiter:biased_grouped_topk"
    assert found.arguments == {"0": "bfloat16[3, 256]", "1": "float32[256]", "groups": "1"}
    assert [step.function for step in found.path] == ["forward_cuda", "select"]
    assert {step.file for step in found.path} == {"srt/layers/moe/topk.py"}
    (branch,) = found.path[1].conditions
    assert (branch.test, branch.held) == ("_use_aiter and bias is not None", True)
    assert branch.values == {"_use_aiter": "True", "bias": "float32[256]"}
    assert found.flags == {"SGLANG_USE_AITER": "1"}
    assert "sglang.srt.server.options.bypass()" in found.taken_as_off


@pytest.mark.parametrize(
    ("platform", "bias", "environment", "kernel"),
    [
        ("hip", "F32", {"SGLANG_USE_AITER": "1"}, "aiter:biased_grouped_topk"),
        ("hip", "none", {"SGLANG_USE_AITER": "1"}, "torch:topk"),
        ("cuda", "F32", {"SGLANG_USE_AITER": "1", "SGLANG_FAST": "1"}, "sgl_kernel:topk_sigmoid"),
        ("cuda", "F32", {}, "torch:topk"),
        ("cpu", "F32", {"SGLANG_FAST": "1"}, "torch:topk"),
    ],
)
def test_platform_bias_and_environment_decide(
    platform: str,
    bias: str,
    environment: dict[str, str],
    kernel: str,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine's own conditions choose among kernels and torch's operations."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    found = dispatch(engine("sglang", root), Scenario("sglang", platform, bias=bias))

    assert found.kernel == kernel
    assert found.compiled == (("eager",) if kernel == "torch:topk" else ())


def test_what_cannot_be_followed_is_one_line(root: Path) -> None:
    """A package that is not there, and a call that reaches nothing, are named."""
    held = engine("sglang", root)

    with pytest.raises(KernelError, match=r"9.9.9 on cuda: .*ModuleNotFoundError.*flashinfer"):
        dispatch(held, Scenario("sglang", "cuda", absent=("flashinfer",)))
    with pytest.raises(KernelError, match="returned without reaching a kernel"):
        dispatch(held, Scenario("sglang", "cpu", "F16"))
    (root / "sglang" / "srt" / "models" / "minimax_m2.py").unlink()
    with pytest.raises(KernelError, match=r"minimax_m2.py: no such file"):
        dispatch(held, Scenario("sglang", "cuda"))


def test_the_command_prints_and_writes_what_was_found(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A platform that is not this machine's is called simulated; the JSON names the sources."""
    path = root / "found.json"

    status = main(
        ["dispatch", "sglang", "--source", str(root), "--platform", "hip", "--json", str(path)]
    )

    told = capsys.readouterr().out
    document = json.loads(path.read_text("utf-8"))
    assert status == 0
    assert told.startswith("sglang 9.9.9 on hip, simulated: F32 logits, F32 bias, 4 tokens\n")
    assert "MiniMax-M2.5 reaches torch:topk" in told
    assert "    not: _use_aiter and bias is not None (" in told
    assert "environment read: SGLANG_USE_AITER=(unset)" in told
    assert (document["simulated"], document["version"]) == (True, "9.9.9")
    assert set(document["sources"]) == {"srt/layers/moe/topk.py"}


@pytest.mark.parametrize(
    ("name", "folder", "message"),
    [("sglang", "", "expected an unpacked wheel of sglang"), ("vllm", None, "no vllm here")],
)
def test_an_engine_that_is_not_there_is_refused(
    name: str, folder: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 and one line."""
    if folder is None and find_spec(name):
        pytest.skip(f"{name} is installed here")
    source = [] if folder is None else ["--source", str(tmp_path / folder)]

    assert main(["dispatch", name, *source]) == 2
    assert message in capsys.readouterr().err


def test_what_real_releases_reach_is_in_the_catalogue() -> None:
    """Every kernel of the table is one that the catalogue knows, torch's operations apart."""
    names = {
        (line["kernel"], line["platform"]): catalogued(line["kernel"], line["platform"])
        for line in LINES
    }

    assert {key for key, name in names.items() if name is None} == {("torch:topk", "cpu")}
    assert set(names.values()) - {None} <= set(registry())
    assert names["sgl_kernel:topk_sigmoid", "hip"] == "sglang-topk-sigmoid-hip"
    assert names["sgl_kernel:topk_sigmoid", "cuda"] == "sglang-topk-sigmoid"


def test_the_page_has_the_table_of_real_releases() -> None:
    """docs/kernels.md has a line for each line of dispatch.json, and no others."""
    page = (ROOT / "docs" / "kernels.md").read_text("utf-8")
    rows = re.findall(r"^\| (sglang|vllm) ([\d.]+) \| (.*) \| `(.*)` \|$", page, re.MULTILINE)

    told = []
    for line in LINES:
        flags = [f"`{key}={value}`" for key, value in line["environment"].items()]
        words = [line["platform"], *(["no bias"] if line["bias"] == "none" else []), *flags]
        told.append((line["engine"], line["release"], ", ".join(words), line["kernel"]))
    assert rows == told
