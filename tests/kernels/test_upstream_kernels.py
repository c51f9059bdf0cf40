"""What goldgate knows of published kernels, against the wheels; `tox -e upstream` runs this.

The stubs of test_packages.py have the parameters of the real functions, and the finding that
docs/findings.md describes first is there under Triton's interpreter.
"""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from goldgate.kernels.flashinfer_routing import _FILE
from tests.fixtures.upstream import source
from tests.kernels import test_packages as stubs
from tests.kernels import test_published_routing as routing

pytestmark = pytest.mark.upstream

SGLANG = "sglang/jit_kernel"
FLASHINFER = "flashinfer/fused_moe"
PUBLISHED = [
    ("sglang", "0.5.15", f"{SGLANG}/moe_fused_gate.py", stubs._moe_fused_gate),
    ("sglang", "0.5.15", "sglang/srt/layers/moe/topk.py", stubs._biased_grouped_topk_impl),
    ("sglang", "0.5.15", "sglang/srt/layers/moe/topk.py", stubs._fused_topk_torch_native),
    ("vllm", "0.25.1", "vllm/_custom_ops.py", stubs._Operators.topk_sigmoid),
    ("vllm", "0.25.1", "vllm/_custom_ops.py", stubs._Operators.topk_softmax),
    ("vllm", "0.25.1", "vllm/_custom_ops.py", stubs._Operators.grouped_topk),
    (
        "vllm",
        "0.25.1",
        "vllm/model_executor/layers/fused_moe/router/grouped_topk_router.py",
        stubs._grouped_topk,
    ),
    (
        "flashinfer-python",
        "0.6.12",
        f"{FLASHINFER}/fused_routing_dsv3.py",
        stubs._fused_topk_deepseek,
    ),
    (
        "flashinfer-python",
        "0.7.2.post1",
        f"{FLASHINFER}/trtllm_gen_routing.py",
        routing._trtllm_gen_routing,
    ),
]

#: A row whose best group has two equal largest scores, and what the kernel makes of it.
ROW = """
import sys, types
package = types.ModuleType("sglang")
package.__path__ = [sys.argv[1]]
sys.modules["sglang"] = package
utils = types.ModuleType("sglang.utils")
utils.is_in_ci = lambda: False
sys.modules["sglang.utils"] = utils
from goldgate.kernels import registry
import torch
x = torch.full((1, 256), -8.0)
x[0, 0::32] = 1.0
x[0, 1::32] = 0.5
x[0, 0] = x[0, 1] = 2.0
weights, ids = torch.empty(1, 8), torch.empty(1, 8, dtype=torch.int32)
kernel = registry()["sglang-moe-fused-gate"]
kernel.load().route(x, torch.zeros(256), weights, ids, 8, 4, True)
print(sorted(ids[0].tolist()))
"""


@pytest.mark.parametrize(("package", "release", "file", "stub"), PUBLISHED)
def test_the_stubs_have_the_published_parameters(
    package: str, release: str, file: str, stub: Callable[..., object]
) -> None:
    """As many parameters in the same order; operators' bias has a name of vLLM's."""
    tree = ast.parse((source(package, release) / file).read_text("utf-8"))
    name = stub.__name__.removeprefix("_")
    (real,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    names = [argument.arg for argument in (*real.args.args, *real.args.kwonlyargs)]
    ours = list(inspect.signature(stub).parameters)
    same = {"e_score_correction_bias": "bias", "num_expert_group": "n_group"}
    renamed = {"topk_ids": "topk_indices"}

    if file.endswith("_custom_ops.py"):
        names = [(same | renamed).get(one, one) for one in names]
    assert ours == names


def test_flashinfer_has_the_published_routing_methods() -> None:
    """Members and values of RoutingMethodType; the architectures that it is compiled for."""
    folder = source("flashinfer-python", "0.7.2.post1") / "flashinfer"
    tree = ast.parse((folder / "tllm_enums.py").read_text("utf-8"))
    (real,) = (n for n in tree.body if getattr(n, "name", "") == "RoutingMethodType")
    assert isinstance(real, ast.ClassDef)
    members = {}
    for node in real.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = ast.literal_eval(node.value)
            members[node.targets[0].id] = value[0] if isinstance(value, tuple) else value

    assert members == {member.name: member.value for member in routing.RoutingMethodType}
    text = (folder / "fused_moe" / "trtllm_gen_routing.py").read_text("utf-8")
    assert "_SUPPORTED_CC = [100, 103, 120, 121]" in text
    assert not (source("flashinfer-python", "0.6.18") / "flashinfer" / _FILE).exists()


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not here")
def test_moe_fused_gate_drops_both_of_two_equal_scores() -> None:
    """The first finding: experts 0 and 1, the best two, are not selected."""
    folder = source("sglang", "0.5.15") / "sglang"
    for name in ("csrc", "include"):  # of which only Python files were unpacked; it asks for them
        (folder / "jit_kernel" / name).mkdir(exist_ok=True)
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    root = Path(__file__).parents[2]

    done = subprocess.run(
        [sys.executable, "-c", ROW, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=root,
    )

    assert done.stderr == ""
    assert done.stdout.strip() == str([32, 33, 64, 65, 96, 97, 128, 129])
