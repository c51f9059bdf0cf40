"""What MiniMax-M2.5 asks of an engine's router: the arguments in the engine's own model file."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from goldgate.kernels.kernel import KernelError
from goldgate.reference import MINIMAX_M2_5

_TORCH = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def arguments(file: Path, calls: tuple[str, ...], bias: Any) -> dict[str, Any]:  # noqa: ANN401 - a torch.Tensor
    """Return the keyword arguments of the first call of some names in a model's file, evaluated.

    Args:
        file: the model's source.
        calls: what is called, by the names that releases have for it.
        bias: what the layer's e_score_correction_bias is.

    Raises:
        KernelError: there is no such call; arguments that cannot be evaluated are left out.

    """
    if not file.is_file():
        raise KernelError(f"{file}: no such file: expected an engine that has MiniMax-M2")
    found_calls = [
        node
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in calls
    ]
    if not found_calls:
        names = " or ".join(calls)
        raise KernelError(f"{file}: no call of {names} in it: expected one in its MoE layer")
    known = {
        "config": SimpleNamespace(
            num_experts_per_tok=MINIMAX_M2_5.top_k,
            num_local_experts=MINIMAX_M2_5.num_experts,
            scoring_func=MINIMAX_M2_5.scoring,
        ),
        "self": SimpleNamespace(e_score_correction_bias=bias),
        "layer_id": 3,
    }
    found = {}
    for keyword in found_calls[0].keywords:
        try:
            found[str(keyword.arg)] = eval(ast.unparse(keyword.value), {}, known)  # noqa: S307 - the engine's own code, which is run anyway
        except (AttributeError, NameError):
            continue
    return found


def tensors(gate: str, bias: str, tokens: int) -> tuple[Any, Any, Any]:
    """Return hidden states [T, 2], logits [T, E] and a bias [E] or None, on the CPU."""
    import torch  # noqa: PLC0415 - in the child alone

    experts = MINIMAX_M2_5.num_experts
    held = None if bias == "none" else torch.zeros(experts, dtype=getattr(torch, _TORCH[bias]))
    logits = torch.zeros(tokens, experts, dtype=getattr(torch, _TORCH[gate]))
    return torch.zeros(tokens, 2), logits, held
