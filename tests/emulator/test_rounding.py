"""The instructions whose last bit is not published, against Arb, under each rounding model."""

from __future__ import annotations

from collections.abc import Callable

import flint
import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.emulator import EmulationError, Rounding
from goldgate.emulator.rounding import FUNCTIONS, evaluate
from tests.emulator.programs import FLUSH, KEEP, run
from tests.emulator.values import same

_EXACT: dict[str, Callable[[flint.arb], flint.arb]] = {
    "v_exp_f32": lambda x: flint.arb(2) ** x,
    "v_log_f32": lambda x: x.log() / flint.arb(2).log(),
    "v_rcp_f32": lambda x: 1 / x,
    "v_rsq_f32": lambda x: x.rsqrt(),
}
N = 64 * 32


def arguments(name: str) -> NDArray[np.float32]:
    """Return normal arguments whose results are normal too."""
    rng = np.random.default_rng(30)
    if name == "v_exp_f32":
        return np.concatenate([rng.uniform(-125, 127, N // 2), rng.normal(0, 1e-3, N // 2)]).astype(
            np.float32
        )
    exponents = rng.integers(-120, 120, N)
    x = np.ldexp(1 + rng.random(N), exponents).astype(np.float32)
    if name == "v_log_f32":
        x[: N // 2] = (1 + rng.normal(0, 1e-3, N // 2)).astype(np.float32)
    if name == "v_rcp_f32":
        x[::2] *= -1
    return x


def nearest(name: str, x: float) -> float:
    """Round the exact result to float32, by enclosures of growing precision."""
    for precision in (80, 160, 320):
        with flint.ctx.workprec(precision):
            value = _EXACT[name](flint.arb(x))
            low, high = np.float64(value.lower()), np.float64(value.upper())
            wide = float(value.mid())
            near = np.float32(wide)
            other = np.nextafter(near, np.float32(np.inf if wide > near else -np.inf))
            middle = (flint.arb(float(near)) + flint.arb(float(other))) / 2
            if low == high == near or not (value - middle).contains(0):
                closer = (value > middle) == (other > near)
                return float(other if closer and low != near else near)
    raise AssertionError(f"{name}({x}) is a tie")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nearest_is_the_correctly_rounded_result(name: str) -> None:
    """The model nearest equals the enclosure of the exact result, rounded."""
    x = arguments(name)

    got = run([f"{name}_e32 v9, v1"], {1: x}, denormals=FLUSH).v(9, "f4")

    expected = np.array([nearest(name, float(value)) for value in x], np.float32)
    assert same(got, expected).all()


def test_exact_powers_and_ties_are_exact() -> None:
    """2^n, log2(2^n) and 1/sqrt(4^n) come out exactly."""
    n = np.resize(np.arange(-60, 61), 128).astype(np.float32)
    power = np.ldexp(np.float32(1), n.astype(np.int32))
    lines = ["v_exp_f32_e32 v9, v1", "v_log_f32_e32 v10, v2", "v_rsq_f32_e32 v11, v3"]

    after = run(lines, {1: n, 2: power, 3: power * power}, denormals=FLUSH)

    assert (after.v(9, "f4") == power).all()
    assert (after.v(10, "f4") == n).all()
    assert (after.v(11, "f4") == 1 / power).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_models_are_one_ulp_apart(name: str) -> None:
    """The models below and above are the neighbours of nearest; random is one of the three."""
    x = arguments(name)

    models = {
        model: run([f"{name}_e32 v9, v1"], {1: x}, denormals=FLUSH, rounding=model).v(9, "f4")
        for model in ("nearest", "below", "above", "random")
    }

    down = np.nextafter(models["nearest"], np.float32(-np.inf))
    up = np.nextafter(models["nearest"], np.float32(np.inf))
    moved = models["nearest"] != 0
    assert same(models["below"], down)[moved].all()
    assert same(models["above"], up)[moved].all()
    shares = [
        float(same(models["random"], one)[moved].mean()) for one in (down, models["nearest"], up)
    ]
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    assert min(shares) > 0.25


def test_random_is_a_function_of_the_argument_and_the_seed() -> None:
    """Equal arguments give equal results wherever they stand; another seed gives others."""
    x = arguments("v_exp_f32")
    twice = np.concatenate([x, x])

    one = evaluate("v_exp_f32", twice, Rounding("random", 1), flushing=True)
    other = evaluate("v_exp_f32", x, Rounding("random", 2), flushing=True)

    assert same(one[:N], one[N:]).all()
    assert not same(one[:N], other).all()


@pytest.mark.parametrize("model", ["nearest", "below", "above", "random"])
def test_special_values_do_not_move(model: str) -> None:
    """Zeros, infinities and NaN are exact in every model, as IEEE functions have them."""
    x = np.resize(
        np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, 1e-40, -1e-40], np.float32), 64
    )
    lines = [f"{name}_e32 v{9 + number}, v1" for number, name in enumerate(FUNCTIONS)]

    after = run(lines, {1: x}, denormals=FLUSH, rounding=model)

    inf, nan = np.inf, np.nan
    exp, log, rcp, rsq = (after.v(9 + number, "f4")[:8] for number in range(4))
    assert same(exp[2:5], np.array([inf, 0, nan], np.float32)).all()
    assert same(log, np.array([-inf, -inf, inf, nan, nan, nan, -inf, -inf], np.float32)).all()
    assert same(
        rcp[[0, 1, 2, 3, 4, 6, 7]], np.array([inf, -inf, 0, -0.0, nan, inf, -inf], np.float32)
    ).all()
    assert same(rsq, np.array([inf, -inf, 0, nan, nan, nan, inf, -inf], np.float32)).all()


def test_reciprocal_with_flag_is_the_reciprocal() -> None:
    """v_rcp_iflag_f32, which integer division uses, has v_rcp_f32's results."""
    x = arguments("v_rcp_f32")

    after = run(["v_rcp_iflag_f32_e32 v9, v1", "v_rcp_f32_e32 v10, v1"], {1: x}, denormals=FLUSH)

    assert same(after.v(9, "f4"), after.v(10, "f4")).all()


#: x / y in lanes of v0 and v1 to v9, as LLVM divides 32-bit integers.
DIVISION = (
    *("v_cvt_f32_u32_e32 v2, v1", "v_rcp_iflag_f32_e32 v4, v2"),
    *("v_mul_f32_e32 v4, 0x4f7ffffe, v4", "v_cvt_u32_f32_e32 v4, v4"),
    *("v_sub_u32_e32 v5, 0, v1", "v_mul_lo_u32 v5, v5, v4", "v_mul_hi_u32 v5, v4, v5"),
    *("v_add_u32_e32 v7, v4, v5", "v_mul_hi_u32 v9, v0, v7", "v_mul_lo_u32 v8, v9, v1"),
    "v_sub_u32_e32 v8, v0, v8",
    *2
    * (
        *("v_add_u32_e32 v6, 1, v9", "v_cmp_le_u32_e32 vcc, v1, v8"),
        *("v_cndmask_b32_e32 v9, v9, v6, vcc", "v_subrev_u32_e32 v6, v1, v8"),
        "v_cndmask_b32_e32 v8, v8, v6, vcc",
    ),
)


@pytest.mark.parametrize("model", ["nearest", "below", "above", "random"])
def test_integers_are_divided_exactly_under_each_model(model: str) -> None:
    """Compiled integer division, which rests on v_rcp_iflag_f32, does not depend on the model."""
    divisors = np.r_[1:1025, 2**16 - 3 : 2**16 + 4, 2**32 - 6 : 2**32 - 1].astype(np.uint64)
    x = np.concatenate([np.arange(16), 7 * divisors - 1, 7 * divisors, [2**32 - 1] * 32])
    x = np.resize(x % 2**32, 64 * len(divisors)).astype(np.uint32)
    y = np.repeat(divisors, 64).astype(np.uint32)

    after = run(list(DIVISION), {0: x, 1: y}, denormals=FLUSH, rounding=model)

    assert (after.v(9, "u4") == x // y).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_subnormals_that_are_kept_stop_the_run(name: str) -> None:
    """What the hardware returns for a subnormal with MODE keeping them is not guessed."""
    x = np.full(64, -149.5 if name == "v_exp_f32" else 1e-40, np.float32)
    x[0] = -140 if name == "v_exp_f32" else 1e-40

    with pytest.raises(EmulationError, match=f"{name} of .* with subnormals kept"):
        run([f"{name}_e32 v9, v1"], {1: x}, denormals=KEEP)


def test_unknown_models_are_refused() -> None:
    """A rounding model's name is checked."""
    with pytest.raises(EmulationError, match="expected nearest, below, above, random"):
        Rounding("upward")
