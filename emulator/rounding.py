"""The four instructions whose last bit is not published, under four models of their rounding.

LLVM documents v_exp_f32, v_log_f32, v_rcp_f32 and v_rsq_f32 as accurate to 1 ulp (its lowering of
`!fpmath` metadata, AMDGPUCodeGenPrepare and SIISelLowering); AMD publishes no table of results. A
model is therefore one function of the input, as the hardware's is, within one ulp of the correctly
rounded result.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import EmulationError, NotEmulatedError
from goldgate.emulator.floats import F32, F64, TINY, Bits, bits, flush

_BELOW = np.int64((1 << 29) - 1)
_HALF = np.int64(1 << 28)

#: float64 steps about a midpoint of two float32 within which a float64 function is not trusted;
#: numpy's are documented within 4.
_GUARD = np.int64(16)


@dataclass(frozen=True)
class Rounding:
    """How the last bit of the four instructions comes out.

    Attributes:
        name: "nearest", "below", "above" or "random".
        seed: of "random", where a hash of the input's bits picks -1, 0 or +1 ulp.

    """

    name: str
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        if self.name not in ROUNDINGS:
            raise EmulationError(f"rounding {self.name!r}: expected {', '.join(ROUNDINGS)}")

    def __str__(self) -> str:
        """Return what evidence calls the model."""
        return f"random (seed {self.seed})" if self.name == "random" else self.name

    def moved(self, nearest: F32, argument: Bits, salt: int) -> F32:
        """Return correctly rounded results moved as the model does; 0, inf and NaN stay."""
        if self.name == "nearest":
            return nearest
        fixed = ~np.isfinite(nearest) | (nearest == 0)
        up = np.nextafter(nearest, np.float32(np.inf))
        down = np.nextafter(nearest, np.float32(-np.inf))
        if self.name == "random":
            step = _hashed(argument, self.seed * 0x9E3779B1 + salt) % np.uint32(3)
            moved = np.where(step == 0, nearest, np.where(step == 1, up, down))
        else:
            moved = up if self.name == "above" else down
        return np.where(fixed, nearest, moved)


ROUNDINGS = ("nearest", "below", "above", "random")


def _hashed(values: Bits, salt: int) -> NDArray[np.uint32]:
    """Mix 32-bit values and a salt (the finaliser of MurmurHash3, A. Appleby, public domain)."""
    h = values ^ np.uint32(salt & 0xFFFFFFFF)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return np.asarray(h ^ (h >> np.uint32(16)))


def exp2(x: F32) -> F32:
    """Return 2**x correctly rounded."""
    return _nearest(x, np.exp2(x.astype(np.float64)), _exact_exp2)


def log2(x: F32) -> F32:
    """Return the binary logarithm correctly rounded; NaN below 0."""
    return _nearest(x, np.log2(x.astype(np.float64)), _exact_log2)


def reciprocal(x: F32) -> F32:
    """Return 1/x correctly rounded: float64 has more than twice float32's bits plus two."""
    return np.asarray((1.0 / x.astype(np.float64)).astype(np.float32))


def reciprocal_root(x: F32) -> F32:
    """Return 1/sqrt(x) correctly rounded; NaN below 0."""
    return _nearest(x, 1.0 / np.sqrt(x.astype(np.float64)), _exact_reciprocal_root)


#: The correctly rounded function of each instruction and a salt for the random model.
FUNCTIONS: dict[str, tuple[Callable[[F32], F32], int]] = {
    "v_exp_f32": (exp2, 1),
    "v_log_f32": (log2, 2),
    "v_rcp_f32": (reciprocal, 3),
    "v_rsq_f32": (reciprocal_root, 4),
}


def evaluate(name: str, x: F32, rounding: Rounding, *, flushing: bool) -> F32:
    """Return one of the four instructions under a model.

    Args:
        name: a key of `FUNCTIONS`.
        x: the operand.
        rounding: the model.
        flushing: whether MODE flushes float32 subnormals.

    Raises:
        NotEmulatedError: a subnormal operand or result with MODE keeping them: what the hardware
            then returns is not published.

    """
    function, salt = FUNCTIONS[name]
    x = flush(x) if flushing else x
    nearest = function(x)
    small = (np.abs(nearest) < TINY) & (nearest != 0) | (np.abs(x) < TINY) & (x != 0)
    if not flushing and small.any():
        raise NotEmulatedError(
            f"{name} of {x[small][0]:g} with subnormals kept: the result is not published; "
            "expected code compiled with -fgpu-flush-denormals-to-zero"
        )
    moved = rounding.moved(nearest, bits(x), salt)
    return flush(moved) if flushing else moved


def _nearest(x: F32, wide: F64, exact: Callable[[decimal.Decimal], decimal.Decimal]) -> F32:
    """Round a float64 approximation to float32, deciding results near a midpoint exactly."""
    rounded = wide.astype(np.float32)
    distance = np.abs((wide.view(np.int64) & _BELOW) - _HALF)
    doubt = (distance <= _GUARD) & np.isfinite(wide) & (wide != 0)
    for at in zip(*np.nonzero(doubt), strict=True):
        rounded[at] = _decided(float(x[at]), float(wide[at]), exact)
    return rounded


def _decided(x: float, wide: float, exact: Callable[[decimal.Decimal], decimal.Decimal]) -> float:
    """Round by comparing with the midpoint of the two float32 around it, in 60 digits."""
    near = np.float32(wide)
    toward = np.float32(np.inf if wide > near else -np.inf)
    pair = (float(near), float(np.nextafter(near, toward)))
    with decimal.localcontext() as context:
        context.prec = 60
        value = exact(decimal.Decimal(x))
        middle = (decimal.Decimal(pair[0]) + decimal.Decimal(pair[1])) / 2
        if value == middle:  # a tie goes to the even one
            return pair[0] if not bits(near) & np.uint32(1) else pair[1]
        return max(pair) if value > middle else min(pair)


def _exact_exp2(x: decimal.Decimal) -> decimal.Decimal:
    return (x * decimal.Decimal(2).ln()).exp()


def _exact_log2(x: decimal.Decimal) -> decimal.Decimal:
    return x.ln() / decimal.Decimal(2).ln()


def _exact_reciprocal_root(x: decimal.Decimal) -> decimal.Decimal:
    return 1 / x.sqrt()
