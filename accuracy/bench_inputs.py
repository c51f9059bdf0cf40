"""Recordings and a float32 kernel's answers of any router, for measuring speed."""

from __future__ import annotations

import numpy as np
import torch

from goldgate.fixtures import KernelInfo, Output, Recording
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import RoutingSpec

_SEED = 20260423
_AT_A_TIME = 16384

#: DeepSeek-V3's router but for its scale: 256 experts in 8 groups, 4 of which stay.
DEEPSEEK_V3_SHAPE = RoutingSpec(256, 8, num_expert_group=8, topk_group=4)

#: The same size with softmax scores, one group.
SOFTMAX_SHAPE = RoutingSpec(256, 8, scoring="softmax")


def inputs(spec: RoutingSpec, rows: int) -> tuple[Recording, Output]:
    """Return N(0, 1) float32 logits [rows, E], and what float32 arithmetic routes them to."""
    rng = np.random.default_rng(_SEED)
    logits = rng.standard_normal((rows, spec.num_experts), dtype=np.float32)
    # A softmax score is about 1 / E, and a bias that decides is no larger.
    width = 0.1 if spec.scoring == "sigmoid" else 0.1 / spec.num_experts
    bias = rng.normal(0.0, width, spec.num_experts).astype(np.float32)
    weights = np.empty((rows, spec.top_k), np.float32)
    ids = np.empty((rows, spec.top_k), np.int32)
    for start in range(0, rows, _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        chosen, w = _route(torch.from_numpy(logits[part]), torch.from_numpy(bias), spec)
        ids[part], weights[part] = chosen.numpy(), w.numpy()
    info = KernelInfo("torch eager", str(torch.__version__), "cpu", "hardware", "ieee")
    held = recording("bench", logits, bias, spec)
    return held, Output(info, tensor(weights), tensor(ids))


def _route(
    logits: torch.Tensor, bias: torch.Tensor, spec: RoutingSpec
) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.softmax(logits, 1) if spec.scoring == "softmax" else torch.sigmoid(logits)
    c = s + bias
    if spec.num_expert_group > 1:
        grouped = c.view(len(c), spec.num_expert_group, spec.group_size)
        best = grouped.topk(2, dim=2).values.sum(2).topk(spec.topk_group, dim=1).indices
        stays = torch.zeros(grouped.shape[:2], dtype=torch.bool).scatter(1, best, value=True)
        c = grouped.masked_fill(~stays[:, :, None], -torch.inf).view_as(c)
    ids = c.topk(spec.top_k, dim=1).indices
    w = s.gather(1, ids)
    return ids, w / w.sum(dim=1, keepdim=True)
