"""The fast path on a device of torch's: what `goldgate.accuracy.fast` does, in array operations.

Logits go to the device in the recorded type; of each row a code and its worst error come back, and
of a part the sums. On a GPU the operations are compiled into a few kernels (`torch.compile`). A row
whose cut and step have another expert between them is left to the CPU's fast path, as every row is
that is not settled here.

A GPU adds in no fixed order, so the sums are in fixed point, `FRACTION` bits below 1, where the
order does not matter: each term is rounded by 2**-21 at the most.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goldgate.accuracy.fast.thresholds import ERROR64, STEPS, thresholds
from goldgate.accuracy.fast.tile import FINE_BUCKETS
from goldgate.accuracy.fast.vectors import EXP_RANGE
from goldgate.accuracy.fast.weigh import (
    DESCENDING,
    NEAR_EDGE,
    NEAR_TIE,
    UNORDERED,
)
from goldgate.accuracy.fastpath import Screened, figures, weights_to_screen, whole_histogram
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.systematic_error import BUCKETS, TERMS, ResidualSums
from goldgate.errors import GoldgateError
from goldgate.fixtures import Output, Recording
from goldgate.fixtures.tensorfile import Stored
from goldgate.reference import Profile, RoutingSpec, U, formulas
from goldgate.reference.formulas import TINY

#: Bits of a sum below 1. Where float32 holds a score, |x| is below 2**7, an error r below 2**9 u:
#: terms stay below 2**18, and 63 bits hold the sum of the 2**23 weights of a part at 8 of 64.
FRACTION = 20

#: Parts are screened in several threads, but compiled code is called by one at a time: it compiles
#: and measures its kernels when it is first called, which torch does not state to be safe in many.
_one_at_a_time = threading.Lock()

_MARGIN = 1e-9
_NEAR_EDGE, _NEAR_TIE = int(NEAR_EDGE), int(NEAR_TIE)
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_EXPONENT, _BELOW = 0x7FF0000000000000, (1 << 52) - 1


@dataclass(frozen=True)
class Device:
    """A device of torch's, by name, that screens rows; it can be sent to another process."""

    name: str

    def applies(self, spec: RoutingSpec) -> bool:
        """Say whether rows of this router can be screened here: sigmoid scores, one group."""
        return spec.scoring == "sigmoid" and spec.topk_group == spec.num_expert_group

    def screen(self, rows: Rows, contract: Contract) -> Screened:
        """Screen n rows of a router that `applies`; see `goldgate.accuracy.fastpath.screen`."""
        spec, weights = contract.spec, weights_to_screen(rows, contract.spec)
        base, least, b = _constants(self.name, rows.bias.tobytes(), spec.top_k)
        with _one_at_a_time:
            settle = _compiled() if self.name.startswith("cuda") else _settle
            found = settle(
                to_device(rows.logits, self.name),
                b,
                base,
                least,
                torch.from_numpy(np.ascontiguousarray(rows.ids)).to(self.name),
                torch.from_numpy(np.ascontiguousarray(weights)).to(self.name),
                torch.from_numpy(rows.padding).to(self.name),
                contract.ordered,
                figures(spec, contract.profile),
            )
            codes, over, fine, sums, counted = (one.cpu().numpy() for one in found)
        return Screened(
            codes, over, whole_histogram(fine), ResidualSums(int(counted), _floating(sums))
        )


class DeviceError(GoldgateError):
    """A device that cannot be used."""


def open_device(name: str) -> Device:
    """Return a device after trying it.

    Raises:
        DeviceError: torch has no such device here.

    """
    try:
        torch.zeros(1, dtype=torch.float64, device=name)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DeviceError(
            f"--judge-device {name}: expected a device of torch's with float64, such as cuda "
            f"({reason})"
        ) from None
    return Device(name)


def to_device(logits: Stored, device: str) -> torch.Tensor:
    """Copy logits to a device in the recorded type."""
    held = np.ascontiguousarray(logits)
    if held.dtype == np.uint16:
        return torch.from_numpy(held.view(np.int16)).to(device).view(torch.bfloat16)
    return torch.from_numpy(held).to(device)


def settle_resident(
    name: str, held: Recording, output: Output, profile: Profile
) -> tuple[torch.Tensor, Callable[[], object]]:
    """Put a recording on a device; return its logits and what screens them there."""
    base, least, b = _constants(name, held.bias().astype(np.float64).tobytes(), held.spec.top_k)
    settle = _compiled() if name.startswith("cuda") else _settle
    logits = to_device(held.stored_logits(0, held.rows), name)
    ids, weights = (torch.from_numpy(a).to(name) for a in (output.ids(), output.weights()))
    skip = torch.zeros(held.rows, dtype=torch.bool, device=name)
    rest = (b, base, least, ids, weights, skip, False, figures(held.spec, profile))
    return logits, lambda: settle(logits, *rest)


@functools.lru_cache(maxsize=2)
def _constants(
    device: str, bias_bytes: bytes, top_k: int
) -> tuple[float, torch.Tensor, torch.Tensor]:
    bias = np.frombuffer(bias_bytes)
    table = thresholds(bias, top_k)
    b = torch.from_numpy(bias.copy()).to(device)
    return table.base, torch.from_numpy(table.logits).to(device), b


@functools.cache
def _compiled() -> Any:  # noqa: ANN401 - torch.compile's wrapper
    return torch.compile(_settle, dynamic=True)


def _floating(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    found = sums.astype(np.float64)
    found[:, :, 1:] *= 2.0**-FRACTION  # the first term counts
    return found


def _settle(
    stored: torch.Tensor,
    bias: torch.Tensor,
    base: float,
    least: torch.Tensor,
    ids: torch.Tensor,
    weights: torch.Tensor,
    skip: torch.Tensor,
    ordered: bool,
    arithmetic: tuple[float, ...],
) -> tuple[torch.Tensor, ...]:
    """Return codes, worst errors, the fine histogram, the sums in fixed point, and their rows."""
    experts, k = stored.shape[1], ids.shape[1]
    inside = (ids >= 0) & (ids < experts)
    at = torch.where(inside, ids, 0).long()
    twice = (at[:, :, None] == at[:, None, :]).sum((1, 2)) > k
    sound = ~skip & inside.all(1) & ~twice
    x, b = stored.gather(1, at).double(), bias[at]
    sound &= (x.abs() <= EXP_RANGE).all(1)
    s = 1.0 / (1.0 + torch.exp(-x.clamp(-EXP_RANGE, EXP_RANGE)))
    error64 = ERROR64 * (1.0 + b.abs())
    low = s + b - error64
    descends = (low[:, :-1] - (s + b)[:, 1:] > error64[:, 1:]).all(1)
    above = low.amin(1) - base
    sound &= above >= 0.0
    step = (above.clamp(min=0.0).sqrt() * STEPS).long().clamp(0, STEPS - 1)
    sound &= (stored.float() >= least[step]).sum(1) == k
    if ordered:
        sound &= descends
    sound, worst, bucket, used, terms, hashes = _weigh(x, s, b, weights, sound, arithmetic)
    codes = torch.where(sound, torch.where(descends, DESCENDING, UNORDERED), 0).to(torch.uint8)
    over = torch.where(sound, worst, 0.0)
    fine = torch.zeros(FINE_BUCKETS, dtype=torch.int64, device=x.device)
    fine.index_add_(0, bucket.reshape(-1), sound[:, None].expand(-1, k).reshape(-1).long())
    taking = sound & (used.sum(1) >= 2)
    fixed = torch.where((used & taking[:, None])[:, :, None], terms, 0.0) * 2.0**FRACTION
    counted = (used & taking[:, None]).long()[:, :, None]
    whole = torch.cat((counted, fixed[:, :, 1:].round().long()), dim=2)
    row = torch.where(used, hashes, 0).sum(1) & (BUCKETS - 1)
    sums = torch.zeros((2, BUCKETS, TERMS), dtype=torch.int64, device=x.device)
    sums[0].index_add_(0, row, whole.sum(1))
    sums[1].index_add_(0, hashes.reshape(-1), whole.reshape(-1, TERMS))
    return codes, over, fine, sums, taking.sum()


def _weigh(
    x: torch.Tensor,
    s: torch.Tensor,
    b: torch.Tensor,
    weights: torch.Tensor,
    sound: torch.Tensor,
    arithmetic: tuple[float, ...],
) -> tuple[torch.Tensor, ...]:
    """Return what `goldgate.accuracy.fast.weigh` finds out of the weights, in its order."""
    slope, exp, divide, tanh, recovered, renormalize, scale, inexact, sharp = arithmetic
    if tanh > 0.0:
        error = formulas.tangent_error(s, tanh)
    else:
        error = formulas.sigmoid_error(s, x, slope, exp, divide)
    if recovered:
        error = error + formulas.recovery_error(s, b)
    if renormalize:
        total = s.sum(1, keepdim=True)
        moved = formulas.sum_error(error.sum(1, keepdim=True), total, s.shape[1])
        sound = sound & (moved[:, 0] < 0.5)
        last = formulas.last_steps(divide, inexact)
        w = s / total * scale
        bound = formulas.renormalised_error(s, error, total, moved, last, scale)
    else:
        w = s * scale
        bound = formulas.plain_error(s, error, inexact, scale)
    edge = w * sharp
    used = bound < edge
    sound = sound & ((bound - edge).abs() > _MARGIN * edge).all(1) & (bound < w).all(1)
    signed = weights.double() - w
    over = signed.abs() / bound
    sound = sound & (over <= 1.0 - _MARGIN).all(1)
    power = w.clamp(min=TINY).float().double().view(torch.int64) & _EXPONENT
    q = (signed.abs() / (power.view(torch.float64) * 2.0**-23)).view(torch.int64)
    near = _NEAR_EDGE >> (((q + _NEAR_EDGE) >> 52) - 1022).clamp(0, 31)
    on_edge = ((q + near) & _BELOW) < 2 * near
    sound = sound & ~(on_edge & (q >= 1021 << 52)).any(1)
    bucket = (((q - 1) >> 52) - 1021).clamp(0, FINE_BUCKETS - 1)
    dropped = s.view(torch.int64) & ((1 << 29) - 1)
    sound = sound & ((dropped - (1 << 28)).abs() >= _NEAR_TIE).all(1)
    taking = used.sum(1, keepdim=True).clamp(min=1)
    r = torch.where(used, signed / w / U, 0.0)
    z = torch.where(used, x * (1.0 - s), 0.0)
    rc, zc = r - r.sum(1, keepdim=True) / taking, z - z.sum(1, keepdim=True) / taking
    wide = torch.where(used.all(1, keepdim=True), w, 0.0)
    terms = torch.stack((wide, wide, wide * r, rc * zc, zc * zc, wide * z), dim=2)
    return sound, over.amax(1), bucket, used, terms, _hash(s, b, recovered)


def _hash(s: torch.Tensor, b: torch.Tensor, recovered: float) -> torch.Tensor:
    """Return `systematic_error.mix` of the scores as float32 holds them, its low bits."""
    held = s.float()
    if recovered:
        held = (held + b.float()) - b.float()
    h = ((held.view(torch.int32).long() & 0xFFFFFFFF) + 1) * _GOLDEN
    h = (h ^ ((h >> 32) & 0xFFFFFFFF)) * _GOLDEN
    return (h ^ ((h >> 32) & 0xFFFFFFFF)) & (BUCKETS - 1)
