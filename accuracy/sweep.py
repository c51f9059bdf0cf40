"""All 2**32 float32 inputs through a kernel's scoring, against float64: its arithmetic, measured.

Sigmoid and sqrtsoftplus are swept. A softmax's score is of its whole row, and is not.

Without renormalisation and with as many experts as slots, every expert is selected and its weight
is its score. So a call on rows of distinct logits returns the kernel's score of each of them.
Inputs are taken in the order of their bits; 65,536 successive ones (the same sign, exponent and
upper seven bits of the fraction) are a bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldgate.kernels import FOREIGN, KernelError, Loaded, one_line
from goldgate.reference import Profile, RoutingSpec, U, score_error
from goldgate.reference.scoring import scores

if TYPE_CHECKING:
    import torch

#: Inputs of a bucket and of a call, experts of a row.
BUCKET, CALL, EXPERTS = 1 << 16, 1 << 20, 8

#: Buckets in all, and the calls that they take.
BUCKETS = (1 << 32) // BUCKET
CALLS = (1 << 32) // CALL

#: The scorings whose score of an expert is a function of its own logit.
SCORINGS = ("sigmoid", "sqrtsoftplus")


@dataclass(frozen=True)
class Swept:
    """What a part of a sweep found, by bucket in the order of the inputs' bits.

    Attributes:
        first: number of the first bucket.
        error: the largest |s' - s| / s in units of u = 2**-24, float64 [n]; 0 for NaN.
        at: the input where it is, float32 [n].
        flushed: inputs whose score the kernel returns as 0 although it is above 0, int64 [n].
        scoring: one of `SCORINGS`.

    """

    first: int
    error: NDArray[np.float64]
    at: NDArray[np.float32]
    flushed: NDArray[np.int64]
    scoring: str = field(default="sigmoid", kw_only=True)


def spec_of(scoring: str) -> RoutingSpec:
    """Return the router of a sweep's calls."""
    return RoutingSpec(EXPERTS, EXPERTS, scoring, renormalize=False)


def sweep(
    kernel: Loaded,
    start: int,
    stop: int,
    advance: Callable[[int], object] = lambda _: None,
    scoring: str = "sigmoid",
) -> Swept:
    """Run calls start to stop of the sweep's `CALLS`.

    Args:
        kernel: what to call, with a zero bias.
        start: the first call.
        stop: one behind the last.
        advance: called with a number of inputs whenever so many more are done.
        scoring: one of `SCORINGS`.

    Raises:
        KernelError: the kernel refuses such a call, or does not return each expert once.

    """
    spec = spec_of(scoring)
    if why := kernel.adapter.refusal(spec, CALL // EXPERTS, "F32", "F32"):
        raise KernelError(f"{kernel.name}: cannot be swept: it {why}")
    per_call = CALL // BUCKET
    error = np.zeros((stop - start) * per_call)
    at = np.zeros(len(error), np.float32)
    flushed = np.zeros(len(error), np.int64)
    for number in range(start, stop):
        place = slice((number - start) * per_call, (number - start + 1) * per_call)
        inputs = _inputs(number, kernel.device)
        found = _scored(kernel, inputs, spec)
        error[place], at[place], flushed[place] = _compared(inputs, found, scoring)
        advance(CALL)
    return Swept(start * per_call, error, at, flushed, scoring=scoring)


def _inputs(number: int, device: str) -> torch.Tensor:
    """Return the inputs of a call, float32 [CALL]; 0 in place of NaN."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    bits = torch.arange(number * CALL, (number + 1) * CALL, dtype=torch.int64, device=device)
    # int32 has the same bits: the upper half of the range is negative there.
    signed = torch.where(bits < 1 << 31, bits, bits - (1 << 32)).to(torch.int32)
    inputs = signed.view(torch.float32)
    return torch.where(inputs.isnan(), 0.0, inputs)


def _scored(kernel: Loaded, inputs: torch.Tensor, spec: RoutingSpec) -> torch.Tensor:
    """Return the kernel's scores of the inputs, float32 on its device."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    # Rows hold inputs that are far apart.
    logits = inputs.view(EXPERTS, -1).T.contiguous()
    rows = len(logits)
    bias = torch.zeros(EXPERTS, device=kernel.device)
    weight_type: torch.dtype = getattr(torch, kernel.adapter.weights)
    id_type = torch.int64 if kernel.adapter.ids == "int64" else torch.int32
    nan = float("nan")
    weights = torch.full((rows, EXPERTS), nan, dtype=weight_type, device=kernel.device)
    ids = torch.full((rows, EXPERTS), -1, dtype=id_type, device=kernel.device)
    try:
        returned = kernel.adapter.call(kernel.route, (logits, bias, weights, ids), spec)
        if kernel.adapter.returns:
            held = dict(zip(kernel.adapter.returns, returned, strict=True))
            weights, ids = held["weights"], held["ids"]
        ids = ids.to(torch.int32).cpu().to(kernel.device)  # a device's fault shows here
    except FOREIGN as error:
        raise KernelError(
            f"{kernel.name}: cannot be swept: it refuses {EXPERTS} of {EXPERTS} experts without "
            f"renormalisation ({one_line(error)})"
        ) from None
    every = torch.arange(EXPERTS, dtype=torch.int32, device=kernel.device)
    if not torch.equal(ids.sort(dim=1).values, every.expand(rows, -1)):
        raise KernelError(
            f"{kernel.name}: cannot be swept: it does not return each of {EXPERTS} experts once"
        )
    wide = weights.float()
    return torch.zeros_like(wide).scatter_(1, ids.long(), wide).T.reshape(-1)


def _compared(inputs: torch.Tensor, found: torch.Tensor, scoring: str) -> tuple[Any, Any, Any]:
    """Return the largest relative error in u, its input and the flushed scores, by bucket."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    x = inputs.double()
    if scoring == "sqrtsoftplus":  # log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))
        s = (x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))).sqrt()
    else:
        s = torch.where(x < 0, torch.exp(x) / (1 + torch.exp(x)), 1 / (1 + torch.exp(-x)))
    wide = found.double()
    relative = ((wide - s).abs() / s / U).nan_to_num(nan=torch.inf, posinf=torch.inf)
    flushed = ((wide == 0) & (s > 0)).view(-1, BUCKET).sum(dim=1)
    # A score that is 0 is counted, not measured: its relative error is 1 by definition.
    relative = torch.where((wide == 0) | x.isinf(), 0.0, relative).view(-1, BUCKET)
    worst = relative.max(dim=1)
    at = x.view(-1, BUCKET).gather(1, worst.indices[:, None])[:, 0]
    return worst.values.cpu().numpy(), at.float().cpu().numpy(), flushed.cpu().numpy()


def over_bound(swept: Swept, profile: Profile) -> NDArray[np.float64]:
    """Return each bucket's largest error over the smallest bound of the profile in it, float64 [n].

    Along a bucket, whose inputs share their sign, the bound of `reference.score_error` for sigmoid
    over s grows with |x| below 0; above 0 it is (1 - s)(a x + b) and a constant, which grows and
    then falls. It has no minimum inside, so the smaller of the two ends is its smallest value. For
    sqrtsoftplus this is no derivation: at 40 inputs of every bucket, for five profiles, no value
    was below those of the ends.
    """
    numbers = np.arange(swept.first, swept.first + len(swept.error), dtype=np.uint64)
    ends = np.stack([numbers * BUCKET, numbers * BUCKET + (BUCKET - 1)], axis=1)
    with np.errstate(invalid="ignore"):
        x = ends.astype(np.uint32).view(np.float32).astype(np.float64)
    finite = np.isfinite(x).all(axis=1)
    x = np.where(np.isfinite(x), x, 0.0)
    s = scores(x, swept.scoring)
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = score_error(x, s, spec_of(swept.scoring), profile) / s / U
    ratio = swept.error / np.nan_to_num(bound.min(axis=1), nan=np.inf)
    return np.where(finite, ratio, 0.0)


def by_binade(swept: Swept, ratio: NDArray[np.float64]) -> list[dict[str, float]]:
    """Return a line for each sign and binade.

    `at` and `error_u` are the largest error and its input; `over_bound` and `over_bound_at` are the
    largest part of the bound and its input, which need not be the same.

    Args:
        swept: the buckets; whole binades.
        ratio: of `over_bound`.

    """
    lines = []
    buckets = (1 << 23) // BUCKET
    for start in range(0, len(swept.error), buckets):
        part = slice(start, start + buckets)
        if not swept.error[part].any() and not swept.flushed[part].any():
            continue
        worst = start + int(np.argmax(swept.error[part]))
        lines.append(
            {
                "at": float(swept.at[worst]),
                "error_u": float(swept.error[worst]),
                "over_bound": float(ratio[part].max()),
                "over_bound_at": float(swept.at[start + int(np.argmax(ratio[part]))]),
                "flushed": int(swept.flushed[part].sum()),
            }
        )
    return lines
