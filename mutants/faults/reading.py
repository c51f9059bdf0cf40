"""Faults of reading: inputs taken for something else, kept from an earlier call, or written."""

from __future__ import annotations

from collections.abc import Callable

import torch

from goldgate.mutants.conforming.steps import kernel, write
from goldgate.mutants.fault import CALL, Fault, PlantedKernel

Tensor = torch.Tensor


def _writes(argument: int) -> Callable[[], PlantedKernel]:
    """Make a kernel that uses an input as its scratch memory."""

    def make() -> PlantedKernel:
        honest = kernel()

        def route(*arguments: Tensor) -> None:
            honest(*arguments)
            arguments[argument].sigmoid_()

        return route

    return make


def _kept_result() -> PlantedKernel:
    """Return a kernel that computes once for a shape and then returns that result."""
    honest = kernel()
    kept: dict[torch.Size, tuple[Tensor, Tensor]] = {}

    def route(*arguments: Tensor) -> None:
        shape = arguments[0].shape
        if shape not in kept:
            honest(*arguments)
            kept[shape] = arguments[2].clone(), arguments[3].clone()
        write(arguments[2], arguments[3], *kept[shape])

    return route


def _float32_as_bfloat16() -> PlantedKernel:
    """Return a kernel that reads a float32 bias as if it were bfloat16: halves of the first E / 2.

    Lower halves hold the ends of mantissas, which as bfloat16 may be anything.
    """
    honest = kernel()

    def route(gating_output: Tensor, correction_bias: Tensor, *rest: Tensor) -> None:
        halves = correction_bias.float().view(torch.bfloat16)[: len(correction_bias)].float()
        honest(gating_output, halves.nan_to_num(0, 0, 0), *rest)

    return route


def _bfloat16_as_float32() -> PlantedKernel:
    """Return a kernel that reads a bfloat16 bias as if it were float32: pairs, then what follows.

    What follows the bias in memory is not known; here it is 0.
    """
    honest = kernel()

    def route(gating_output: Tensor, correction_bias: Tensor, *rest: Tensor) -> None:
        bias = correction_bias.float()
        if correction_bias.dtype == torch.bfloat16:
            pairs = correction_bias.contiguous().view(torch.float32)
            bias = torch.zeros(len(correction_bias))
            bias[: len(pairs)] = pairs
        honest(gating_output, bias, *rest)

    return route


def _row_length(less: int) -> Callable[[], PlantedKernel]:
    """Make a kernel that takes rows of logits to be so much shorter than E apart."""

    def make() -> PlantedKernel:
        honest = kernel()

        def route(gating_output: Tensor, *rest: Tensor) -> None:
            rows, experts = gating_output.shape
            logits = gating_output
            if logits.dtype != torch.float32:
                logits = logits.float()
            honest(torch.as_strided(logits, (rows, experts), (experts - less, 1)), *rest)

        return route

    return make


def _first_bias() -> PlantedKernel:
    """Return a kernel that, as a captured graph, reads its first call's bias ever after."""
    honest = kernel()
    captured: list[Tensor] = []

    def route(gating_output: Tensor, correction_bias: Tensor, *rest: Tensor) -> None:
        captured.append(correction_bias.clone())
        honest(gating_output, captured[0], *rest)

    return route


def _fault(
    name: str, seen_as: str, stands_for: str, make: Callable[[], PlantedKernel], on: str = "normal"
) -> Fault:
    return Fault(name, "memory", on, seen_as, stands_for, make)


_OTHER = "other experts"

FAULTS = (
    _fault(
        "writes its logits",
        CALL,
        "a sigmoid in place",
        _writes(0),
    ),
    _fault(
        "writes its bias",
        CALL,
        "scratch in the bias",
        _writes(1),
    ),
    _fault(
        "returns the result of the first call",
        _OTHER,
        "a stale buffer; the inputs of the capture under graph replay",
        _kept_result,
    ),
    _fault(
        "float32 bias read as bfloat16",
        _OTHER,
        "a check on dtypes removed: aiter#2611",
        _float32_as_bfloat16,
    ),
    _fault(
        "logits read at the wrong stride",
        _OTHER,
        "rows taken to be E - 1 apart",
        _row_length(1),
    ),
    _fault(
        "bfloat16 bias read as float32",
        _OTHER,
        "a float32 gate with a bfloat16 bias, silently reinterpreted: aiter#2611",
        _bfloat16_as_float32,
        on="bfloat16-bias",
    ),
    _fault(
        "gate's row stride ignored",
        CALL,
        "rows of a wider buffer read as if they lay one behind another",
        _row_length(0),
    ),
    _fault(
        "bias of the first call kept",
        _OTHER,
        "a pointer frozen at capture, replayed after the weights were loaded anew",
        _first_bias,
    ),
)
