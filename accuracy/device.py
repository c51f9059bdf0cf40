"""Screening on a GPU: what `goldgate.accuracy.fast` does, in a Triton kernel, for NVIDIA and ROCm.

Logits go to the device in the recorded type; of each row a code and its worst error come back, and
of a part the sums. A row that the kernel does not settle is left to the processor's fast path, as
every row is that the latter does not settle to the definition.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
import triton
from numpy.typing import NDArray

from goldgate.accuracy.device_kernel import FRACTION, SCORE_ERROR, STRIDE, screen_rows
from goldgate.accuracy.fast.thresholds import ERROR64
from goldgate.accuracy.fast.tile import FINE_BUCKETS
from goldgate.accuracy.fast.vectors import EXP_RANGE
from goldgate.accuracy.fast.weigh import MARGIN
from goldgate.accuracy.fastpath import (
    LARGEST_BIAS,
    Screened,
    figures,
    screened,
    weights_to_screen,
)
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.systematic_error import BUCKETS, TERMS, ResidualSums
from goldgate.errors import GoldgateError
from goldgate.fixtures import Output, Recording
from goldgate.fixtures.tensorfile import Stored
from goldgate.reference import RoutingSpec, U

#: Logits that a program of the kernel holds, 32 a lane of its warps. One, two and eight warps of as
#: many a lane were slower on an H200, 64 a lane too.
_CELLS, _WARPS = 4096, 4

#: The mean square of the centred sensitivities below which fixed point, that rounds each square by
#: 2**-21, is too coarse for the slope and its size: at this mean it moves them by 2**-9 of theirs.
LEAST_SQUARE = 2.0**-12

#: Parts are screened in several threads, but a kernel's first launch compiles it, which Triton does
#: not state to be safe in many.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Device:
    """A device of torch's, by name, that screens rows; it can be sent to another process."""

    name: str

    def applies(self, spec: RoutingSpec) -> bool:
        """Say whether rows of this router can be screened here.

        Sigmoid scores of one group, of up to 1,024 experts of which up to 32 are chosen.
        """
        one = spec.scoring == "sigmoid" and spec.topk_group == spec.num_expert_group
        return one and spec.num_experts <= 1024 and spec.top_k <= 32

    def screen(self, rows: Rows, contract: Contract) -> Screened:
        """Screen n rows of a router that `applies`; see `goldgate.accuracy.fastpath.screen`."""
        if float(np.abs(rows.bias).max()) >= LARGEST_BIAS:
            return Screens.empty(len(rows), "cpu").read()
        with own_stream(self.name):
            held = Held.of(self.name, rows, weights_to_screen(rows, contract.spec))
            with _one_at_a_time:
                launched = screen_held(held, rows.bias, contract)
            found = launched.read()
        count, _, _, _, squares, _ = found.sums.sums[0].sum(axis=0)
        if squares < LEAST_SQUARE * count:
            return Screens.empty(len(rows), "cpu").read()
        return found


class DeviceError(GoldgateError):
    """A device that cannot be used."""


def open_device(name: str) -> Device:
    """Return a device after trying it.

    Raises:
        DeviceError: torch has no such device here, or Triton does not run there.

    """
    expected = f"--judge-device {name}: expected a GPU that torch and Triton use, such as cuda"
    try:
        torch.zeros(1, dtype=torch.float64, device=name)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DeviceError(f"{expected} ({reason})") from None
    if torch.device(name).type != "cuda" and isinstance(screen_rows, triton.JITFunction):
        raise DeviceError(f"{expected} (elsewhere Triton runs under TRITON_INTERPRET=1, slowly)")
    return Device(name)


@dataclass(frozen=True)
class Held:
    """Rows on a device: logits in the recorded type, ids, weights, and 1 for padding, uint8."""

    logits: torch.Tensor
    ids: torch.Tensor
    weights: torch.Tensor
    skip: torch.Tensor

    @staticmethod
    def of(device: str, rows: Rows, weights: NDArray[np.float32]) -> Held:
        """Copy rows to a device."""
        return Held(
            to_device(rows.logits, device),
            to_device(rows.ids, device),
            to_device(weights, device),
            to_device(rows.padding.view(np.uint8), device),
        )


@dataclass(frozen=True)
class Screens:
    """What the kernel writes, on the device: see `device_kernel.screen_rows`."""

    codes: torch.Tensor
    over: torch.Tensor
    fine: torch.Tensor
    sums: torch.Tensor
    scratch: torch.Tensor

    @staticmethod
    def empty(rows: int, device: str) -> Screens:
        """Return what stands for nothing settled."""
        return Screens(
            torch.zeros(rows, dtype=torch.uint8, device=device),
            torch.zeros(rows, dtype=torch.float64, device=device),
            torch.zeros(FINE_BUCKETS + 1, dtype=torch.int64, device=device),
            torch.zeros((2, BUCKETS, STRIDE), dtype=torch.int64, device=device),
            torch.empty(rows, dtype=torch.float32, device=device),
        )

    def read(self) -> Screened:
        """Copy it to the host and return it as the processor's fast path does."""
        fine = self.fine.cpu().numpy()
        sums = self.sums.cpu().numpy().astype(np.float64)
        sums = np.ascontiguousarray(sums[:, :, :TERMS])
        sums[:, :, 1:] *= 2.0**-FRACTION  # the first term counts
        return screened(
            self.codes.cpu().numpy(),
            self.over.cpu().numpy(),
            fine[:FINE_BUCKETS],
            ResidualSums(int(fine[FINE_BUCKETS]), sums),
        )


def to_device(values: Stored, device: str) -> torch.Tensor:
    """Copy an array to a device; the 16 bits of bfloat16, uint16, as bfloat16.

    To a GPU by way of pinned memory: several threads then copy side by side, where torch's own copy
    of other memory takes one at a time.
    """
    bits = values.view(np.int16) if values.dtype == np.uint16 else values
    there = torch.device(device).type == "cuda"
    kind = torch.from_numpy(np.empty(0, bits.dtype)).dtype
    held = torch.empty(bits.shape, dtype=kind, pin_memory=there)
    np.copyto(held.numpy(), bits)
    found = held.to(device, non_blocking=True)
    return found.view(torch.bfloat16) if values.dtype == np.uint16 else found


_threads = threading.local()


def own_stream(device: str) -> AbstractContextManager[object]:
    """Return what makes this thread's work on a device independent of other threads'."""
    if torch.device(device).type != "cuda":
        return nullcontext()
    if not hasattr(_threads, "stream"):
        _threads.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return torch.cuda.stream(_threads.stream)


def screen_held(held: Held, bias: NDArray[np.float64], contract: Contract) -> Screens:
    """Launch the kernel over what a device holds; the result is there once the device is done.

    Fewer than 2**31 logits, and up to 2**23 weights: 63 bits hold their sums, whatever they are.
    """
    spec, (rows, experts) = contract.spec, held.logits.shape
    found = Screens.empty(rows, str(held.logits.device))
    known = figures(spec, contract.profile)
    slack = SCORE_ERROR + 4.0 * U * (1.0 + float(np.abs(bias).max()))
    constants = _constants(
        str(held.logits.device),
        bias.tobytes(),
        (*known, ERROR64, EXP_RANGE, MARGIN, slack),
    )
    columns, chosen = _power(experts), _power(spec.top_k)
    block = max(1, _CELLS // columns)
    if rows:
        screen_rows[(triton.cdiv(rows, block),)](
            *(held.logits, held.ids, held.weights, held.skip),
            *constants,
            *(found.codes, found.over, found.fine, found.sums, found.scratch),
            rows,
            experts,
            spec.top_k,
            columns,
            chosen,
            block,
            contract.ordered,
            contract.profile.tanh > 0.0,
            bool(contract.profile.recovered),
            spec.renormalize,
            num_warps=_WARPS,
            enable_fp_fusion=True,
        )
    return found


def settle_resident(
    name: str, held: Recording, output: Output, contract: Contract
) -> tuple[torch.Tensor, Callable[[], object]]:
    """Put a recording on a device; return its logits and what screens them there."""
    bias = held.bias().astype(np.float64)
    rows = Rows(
        held.stored_logits(0, held.rows),
        bias,
        output.ids(),
        output.weights(),
        np.zeros(held.rows, bool),
    )
    there = Held.of(name, rows, output.weights())
    return there.logits, lambda: screen_held(there, bias, contract)


@functools.lru_cache(maxsize=2)
def _constants(
    device: str, bias: bytes, known: tuple[float, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a bias and the figures of a contract on a device, float64."""
    figure = torch.tensor(known, dtype=torch.float64, device=device)
    return torch.from_numpy(np.frombuffer(bias).copy()).to(device), figure


def _power(n: int) -> int:
    """Return the smallest power of two that is not below n."""
    return 1 << (n - 1).bit_length()
