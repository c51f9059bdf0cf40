"""The criteria in use elsewhere, written anew from what their sources do.

Each takes the weights and ids of a reference and of a kernel and says whether it would complain.
The reference is the one the source compares with: the same definition in float32, for aiter with
excluded experts masked with 0. Whether the source runs the check on a shape, or asserts its result,
is stated in the notes, not held against it: every check sees the recording on which the fault
shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from goldgate.fixtures import Recording
from goldgate.mutants.conforming.steps import (
    SCORES,
    Call,
    Steps,
    group_score,
    keep_groups,
    kernel,
)
from goldgate.mutants.fault import PlantedKernel, adapter_of

Float32 = NDArray[np.float32]
Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Outputs:
    """Weights and ids [T, k]."""

    weights: Float32
    ids: Ids


@dataclass(frozen=True)
class Given:
    """What a trial's kernel was given, which a check may look at besides: [T, E], [E]."""

    logits: Float32
    bias: Float32
    renormalize: bool
    scoring: str = "sigmoid"

    @property
    def biased(self) -> Float32:
        """The reference's biased scores c [T, E]."""
        return np.nan_to_num(SCORES[self.scoring](self.logits)) + self.bias


@dataclass(frozen=True)
class OtherSuite:
    """A criterion in use elsewhere.

    Attributes:
        name: the column's heading.
        source: where it stands.
        does: what it does, in a sentence.
        masked: what its reference puts in place of excluded experts.
        calls: how often it calls the kernel into the same buffers before it looks.
        trials: how often it starts anew with other inputs and buffers (`given`).
        complains: whether it would, for the reference's outputs and the kernel's.

    """

    name: str
    source: str
    does: str
    masked: float
    calls: int
    trials: int
    complains: Callable[[Outputs, Outputs, Given], bool]


def reference(masked: float) -> PlantedKernel:
    """Return the reference of a check: the honest kernel, excluded experts masked so."""

    def exclude(c: Float32, call: Call) -> Float32:
        if call.groups == 1:
            return c
        return np.where(keep_groups(c, call, group_score(call)), c, np.float32(masked))

    return kernel(Steps(exclude=exclude))


def given(recording: Recording, trial: int, trials: int) -> Given:
    """Return the inputs of a trial: the recording's in the first, then of the same kind.

    The rows come in another order, padding where it was, and every other trial the halves of the
    experts change places with their biases.
    """
    padding, experts = recording.padding(), recording.spec.num_experts
    live = np.flatnonzero(~padding)
    order = np.arange(recording.rows)
    order[~padding] = np.roll(live, trial * len(live) // trials)
    columns = np.roll(np.arange(experts), trial % 2 * (experts // 2))
    logits = recording.logits()[order]
    logits = logits[:, columns] if trial % 2 else logits
    spec = recording.spec
    return Given(logits, recording.bias()[columns], spec.renormalize, spec.scoring)


def outputs(
    route: PlantedKernel, recording: Recording, calls: int, trials: int
) -> list[Outputs] | None:
    """Return each trial's outputs, called as tests do, buffers zeroed; None if it raises."""
    spec = recording.spec
    found = []
    for trial in range(trials):
        inputs = given(recording, trial, trials)
        weights = torch.zeros((recording.rows, spec.top_k), dtype=torch.float32)
        ids = torch.zeros((recording.rows, spec.top_k), dtype=torch.int32)
        for _ in range(calls):
            logits, bias = torch.from_numpy(inputs.logits.copy()), torch.tensor(inputs.bias)
            if recording.gating_output.dtype == "BF16":
                logits = logits.bfloat16()
            if recording.correction_bias.dtype == "BF16":
                bias = bias.bfloat16()
            try:
                adapter_of(route).call(route, (logits, bias, weights, ids), spec)
            except (RuntimeError, TypeError):
                return None
        found.append(Outputs(weights.numpy(), ids.numpy()))
    return found


def _close(a: Float32, b: Float32, rtol: float, atol: float) -> NDArray[np.bool_]:
    """Compare as torch.isclose(a, b) does: |a - b| <= atol + rtol |b|."""
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= atol + rtol * np.abs(b)
        return np.asarray((a == b) | (near & np.isfinite(a) & np.isfinite(b)))


def _aiter(right: Outputs, got: Outputs, given: Given) -> bool:
    """check_topk_softmax_allclose: sorted by weight + bias, 5 % of the weights may differ."""
    c, last = given.biased, given.biased.shape[1] - 1
    if ((got.ids < 0) | (got.ids > last)).any():
        return True  # its gather raises

    def in_order(out: Outputs) -> tuple[Float32, Ids]:
        key = out.weights + given.bias[out.ids]
        order = np.argsort(key, axis=1, kind="stable")
        return np.take_along_axis(out.weights, order, 1), np.take_along_axis(out.ids, order, 1)

    (w, i), (v, j) = in_order(right), in_order(got)
    close = _close(w, v, 1e-2, 1e-2)
    if not close.all():
        return bool((~close).mean() > 0.05)
    # Ids, too, to isclose's default of 1e-5 relative, which for ids means equal.
    other = i != j
    expected, chosen = (np.take_along_axis(c, ids, 1)[other] for ids in (i, j))
    return not _close(expected, chosen, 1e-2, 1e-2).all()


def _sgl_fused_gate(right: Outputs, got: Outputs, _: Given) -> bool:
    same = (np.sort(right.ids, axis=1) == np.sort(got.ids, axis=1)).all()
    close = _close(np.sort(right.weights, axis=1), np.sort(got.weights, axis=1), 1e-2, 1e-3)
    return not (same and close.all())


def _sgl_topk_sigmoid(right: Outputs, got: Outputs, _: Given) -> bool:
    same = (right.ids == got.ids).all()
    return not (same and _close(right.weights, got.weights, 1e-3, 1e-3).all())


def _vllm(right: Outputs, got: Outputs, given: Given) -> bool:
    if given.renormalize and not _close(right.weights, got.weights, 0.0, 2e-2).all():
        return True
    return not (right.ids == got.ids).all()


def _flashinfer_bench(right: Outputs, got: Outputs, _: Given) -> bool:
    if not np.isfinite(got.weights).all():
        return True
    for y, x in ((right.weights, got.weights), (right.ids, got.ids)):
        absolute = np.abs(x.astype(np.float32) - y.astype(np.float32))
        relative = absolute / (np.abs(y.astype(np.float32)) + 1e-8)
        if 1.0 - float(((absolute > 1e-2) & (relative > 1e-2)).mean()) < 0.95:
            return True
    return False


def _torch_testing(right: Outputs, got: Outputs, _: Given) -> bool:
    try:
        for expected, actual in ((right.weights, got.weights), (right.ids, got.ids)):
            torch.testing.assert_close(torch.from_numpy(actual), torch.from_numpy(expected))
    except AssertionError:
        return True
    return False


#: A commit of flashinfer-bench at which the 5 % hold.
_FLASHINFER_BENCH = (
    "https://github.com/flashinfer-ai/flashinfer-bench/blob/"
    "40e6ca7844b514eb4b1c7edba6d6a7377df57870/flashinfer_bench/bench"
)

CHECKS = (
    OtherSuite(
        "aiter",
        "https://github.com/ROCm/aiter/blob/e4048607a535ace3a2b51ded31b1c8c2d45c0879"
        "/op_tests/test_moeTopkSoftmax.py",
        "pairs sorted by weight + bias; weights to rtol = atol = 1e-2, up to 5 % of them may "
        "differ, and then ids are not looked at; other ids pass if their scores are within 1e-2; "
        "an id that no expert has makes it raise, which counts as caught. The result is logged, "
        "not asserted. Its reference masks excluded groups with 0",
        0.0,
        3,
        1,
        _aiter,
    ),
    OtherSuite(
        "sgl-kernel gate",
        "https://github.com/sgl-project/sglang/blob/02d1424fb64a62adf80ed2765552cb967d1ec5ee"
        "/sgl-kernel/tests/test_moe_fused_gate.py",
        "ids sorted and weights sorted, apart from each other; weights to rtol 1e-2, atol 1e-3",
        -np.inf,
        1,
        1,
        _sgl_fused_gate,
    ),
    OtherSuite(
        "sgl-kernel top-k",
        "https://github.com/sgl-project/sglang/blob/fd24a1b521969a359af3379f30faa35b5fc4e944"
        "/sgl-kernel/tests/test_moe_topk_sigmoid.py",
        "ids equal in order; weights to rtol = atol = 1e-3; random normal inputs, top-k 1, 2, 4",
        -np.inf,
        1,
        1,
        _sgl_topk_sigmoid,
    ),
    OtherSuite(
        "vLLM",
        "https://github.com/vllm-project/vllm/blob/01a12652c86d980bb12c261d07d45864d9cce005"
        "/tests/kernels/moe/test_grouped_topk.py",
        "ids equal in order; weights to atol 2e-2, but only where they are renormalised; "
        "16 experts, up to 64 rows",
        -np.inf,
        1,
        1,
        _vllm,
    ),
    OtherSuite(
        "flashinfer-bench",
        f"{_FLASHINFER_BENCH}/evaluators/default.py",
        "three trials, each with inputs and buffers of its own (here of the same kind: rows in "
        "another order, halves of the experts exchanged); "
        "nothing that is not finite; an element fails if it is off by more than 1e-2 both "
        "absolutely and relatively ([compute_error_stats]"
        f"({_FLASHINFER_BENCH}/utils.py)); 5 % of the elements may fail, as "
        f"[eval_config.yaml]({_FLASHINFER_BENCH}/eval_config.yaml) has it for op_type `moe` (of "
        "others, none may); ids are compared so too, as float32",
        -np.inf,
        1,
        3,
        _flashinfer_bench,
    ),
    OtherSuite(
        "torch.testing",
        "https://docs.pytorch.org/docs/stable/testing.html#torch.testing.assert_close",
        "assert_close's defaults: float32 to rtol 1.3e-6, atol 1e-5; ids equal in order",
        -np.inf,
        1,
        1,
        _torch_testing,
    ),
)
