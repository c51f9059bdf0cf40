"""mlx-lm's routers of MiniMax-M2 and DeepSeek-V3, as its models call them; on a CPU `mlx[cpu]`.

MiniMax's router has no function of its own: its MoE block is called with the gate's product
replaced by the recorded logits and its experts by what takes the weights. Read in mlx-lm 0.32.2
(mlx_lm/models/minimax.py and deepseek_v3.py).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from goldgate.kernels.call import Call, taking
from goldgate.kernels.hosts import distribution_version
from goldgate.kernels.kernel import FOREIGN, Kernel, KernelError, Loaded, one_line, sigmoid_only
from goldgate.kernels.origin import Arithmetic, Origin
from goldgate.kernels.transformers import minimax_only
from goldgate.reference import RoutingSpec

_HOST = "any host with mlx-lm and torch, such as pip install 'mlx[cpu]' mlx-lm"
_ARITHMETIC = Arithmetic(
    ".*", "conservative", "mlx's exponential is not documented; its error has not been swept"
)


def _origin(imports: str) -> Origin:
    module = imports.partition(":")[0].replace(".", "/")
    return Origin(imports, ("mlx-lm",), _HOST, (_ARITHMETIC,), (f"{module}.py",), ("MLX_",))


MINIMAX = _origin("mlx_lm.models.minimax:MiniMaxSparseMoeBlock")
DEEPSEEK = _origin("mlx_lm.models.deepseek_v3:group_expert_select")


def _missing() -> str | None:
    for needed in ("mlx_lm", "torch"):
        if not find_spec(needed):
            return f"no {needed} here; {_HOST} runs it"
    return None


def _to_mlx(values: Any) -> Any:  # noqa: ANN401 - torch.Tensor to mlx.core.array
    import mlx.core as mx  # noqa: PLC0415 - an optional dependency

    # Models hold the bias in float32; float32 logits come from float32 gates.
    return mx.array(values.float().numpy())


def _to_torch(values: Any) -> Any:  # noqa: ANN401 - mlx.core.array to torch.Tensor
    import numpy as np  # noqa: PLC0415 - a recorder imports this module
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    return torch.from_numpy(np.array(values))


class _Experts:
    """Takes the place of the experts and of their product with the weights."""

    def __call__(self, _: Any, ids: Any) -> _Experts:  # noqa: ANN401 - mlx.core.array
        """Keep the ids [T, k]."""
        self.ids = ids
        return self

    def __mul__(self, weights: Any) -> _Experts:  # noqa: ANN401 - mlx.core.array
        """Keep the weights [T, k, 1]."""
        self.weights = weights[..., 0]
        return self

    def sum(self, axis: int) -> _Experts:
        """Return what would be the layer's result."""
        del axis
        return self


def _minimax() -> Callable[[Call], None]:
    from mlx.nn import Module  # noqa: PLC0415 - an optional dependency
    from mlx_lm.models import minimax as model  # noqa: PLC0415 - as above

    def call(a: Call) -> None:
        # The block is made without its experts' weights, which would take gigabytes.
        made = model.MiniMaxSparseMoeBlock.__new__(model.MiniMaxSparseMoeBlock)
        Module.__init__(made)
        made.num_experts_per_tok, made.sharding_group = a.top_k, None
        made.gate, made.switch_mlp = (lambda logits: logits), _Experts()
        made.e_score_correction_bias = _to_mlx(a.bias)
        kept = made(_to_mlx(a.logits))
        a.write(_to_torch(kept.weights), _to_torch(kept.ids))

    return call


def _deepseek() -> Callable[[Call], None]:
    from mlx_lm.models.deepseek_v3 import (  # noqa: PLC0415 - an optional dependency
        group_expert_select,
    )

    def call(a: Call) -> None:
        logits, bias = _to_mlx(a.logits), _to_mlx(a.bias)
        ids, weights = group_expert_select(
            logits, bias, a.top_k, a.groups, a.kept, a.scale, a.renormalize
        )
        a.write(_to_torch(weights), _to_torch(ids))

    return call


def _loader(make: Callable[[], Callable[[Call], None]], name: str) -> Callable[[], Loaded]:
    def load() -> Loaded:
        try:
            call = make()
        except FOREIGN as error:
            raise KernelError(f"mlx-lm cannot be imported ({one_line(error)})") from None
        release = distribution_version("mlx-lm")
        return Loaded(taking(call), name, release, "cpu", _ARITHMETIC.profile)

    return load


def _grouped(spec: RoutingSpec) -> str | None:
    if spec.top_k == 1 and spec.renormalize:
        return "does not renormalise the only weight"
    return sigmoid_only(spec)


KERNELS = (
    Kernel(
        name="mlx-minimax",
        summary="mlx-lm's MiniMax router, without its gate's product",
        missing=_missing,
        load=_loader(_minimax, "mlx-lm MiniMaxSparseMoeBlock"),
        supports=minimax_only,
        origin=MINIMAX,
        by_default=False,  # model code, as transformers'
    ),
    Kernel(
        name="mlx-deepseek-v3",
        summary="mlx-lm's group_expert_select of DeepSeek-V3",
        missing=_missing,
        load=_loader(_deepseek, "mlx-lm group_expert_select"),
        supports=_grouped,
        origin=DEEPSEEK,
        by_default=False,
    ),
)
