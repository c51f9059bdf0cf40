"""A call of a routing kernel as one value, for entries that pass its parts on by other names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from goldgate.kernels.kernel import RoutingKernel


class Call(NamedTuple):
    """The arguments of a `RoutingKernel`, and what a kernel that is told more is told.

    Attributes:
        logits: [T, E] float32, bfloat16 or float16 (torch).
        bias: [E] likewise.
        weights: [T, k] float32, to be written.
        ids: [T, k] int32, to be written.
        groups, kept, renormalize, scale: of the router.
        scoring, group_score: of the router, where the kernel's adapter asks for them.

    """

    logits: Any
    bias: Any
    weights: Any
    ids: Any
    groups: int
    kept: int
    renormalize: bool
    scale: float = 1.0
    scoring: str = "sigmoid"
    group_score: str = "sum of two largest"

    @property
    def top_k(self) -> int:
        """The width of the outputs."""
        return int(self.ids.shape[1])

    def write(self, weights: Any, ids: Any) -> None:  # noqa: ANN401 - torch.Tensor
        """Copy outputs that a kernel returned to the caller's buffers."""
        self.weights.copy_(weights)
        self.ids.copy_(ids)

    def biased(self) -> bool:
        """Say whether a bias is not 0; False while a CUDA graph is captured, which cannot wait."""
        import torch  # noqa: PLC0415 - imported only where a kernel runs

        if self.bias.is_cuda and torch.cuda.is_current_stream_capturing():
            return False
        return bool(self.bias.any())


def taking(function: Callable[[Call], object]) -> RoutingKernel:
    """Return a kernel with aiter's signature that hands its call to a function as one value."""

    def route(*arguments: Any, **told: Any) -> None:  # noqa: ANN401 - as in RoutingKernel
        function(Call(*arguments, **told))

    return route
