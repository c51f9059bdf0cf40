"""The recordings on which faults are planted: made of one seed, each hard in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from goldgate.fixtures import SHIPPED_RECORDINGS, Output, Recording, open_output, open_recording
from goldgate.fixtures.plan import Plan
from goldgate.fixtures.recording import PADDING, recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.mutants.factors import MAKERS
from goldgate.reference import MINIMAX_M2_5, RoutingSpec

SEED = 20260423

Float32 = NDArray[np.float32]

#: Rows of most recordings, and how many of them are padding on the one that has any.
_ROWS, PADDING_ROWS = 1024, 64

_GROUPED = RoutingSpec(256, 8, num_expert_group=8, topk_group=4, routed_scaling_factor=2.5)


def bfloat16(values: Float32) -> Float32:
    """Round float32 values to bfloat16, to nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)
    return np.asarray((rounded & np.uint32(0xFFFF0000)).view(np.float32))


def _made(
    rng: np.random.Generator,
    name: str,
    *,
    rows: int = _ROWS,
    spec: RoutingSpec = MINIMAX_M2_5,
    spread: float = 1.0,
    bias_mean: float = 0.0,
    bias_spread: float = 0.1,
) -> Recording:
    logits = np.float32(spread) * rng.standard_normal((rows, spec.num_experts), dtype=np.float32)
    bias = rng.normal(bias_mean, bias_spread, spec.num_experts).astype(np.float32)
    return recording(name, logits, bias, spec)


def _uniform(rng: np.random.Generator, name: str, low: float, high: float) -> Recording:
    logits = rng.uniform(low, high, (_ROWS, 256)).astype(np.float32)
    return recording(name, logits, rng.normal(0, 0.1, 256).astype(np.float32), MINIMAX_M2_5)


def _bfloat16(rng: np.random.Generator, name: str) -> Recording:
    """Rows whose logits tie often, under a bias of zero."""
    logits = bfloat16(rng.standard_normal((_ROWS, 256), dtype=np.float32))
    return recording(name, tensor(logits, "BF16"), np.zeros(256, np.float32), MINIMAX_M2_5)


def _nonfinite(rng: np.random.Generator, name: str) -> Recording:
    """Rows with one NaN, one -inf and every eighth row one +inf."""
    logits = rng.standard_normal((_ROWS, 256), dtype=np.float32)
    at = np.argsort(rng.random((_ROWS, 256)), axis=1)[:, :3]
    values = np.tile(np.array([np.nan, -np.inf, 0.0], np.float32), (_ROWS, 1))
    values[::8, 2] = np.inf
    np.put_along_axis(logits, at, values, axis=1)
    return recording(name, logits, rng.normal(0, 0.1, 256).astype(np.float32), MINIMAX_M2_5)


def _few(rng: np.random.Generator, name: str) -> Recording:
    """Rows in which only four logits are numbers."""
    logits = np.full((_ROWS, 256), np.nan, np.float32)
    at = np.argsort(rng.random((_ROWS, 256)), axis=1)[:, :4]
    np.put_along_axis(logits, at, rng.standard_normal((_ROWS, 4), dtype=np.float32), axis=1)
    return recording(name, logits, rng.normal(0, 0.1, 256).astype(np.float32), MINIMAX_M2_5)


def _nan_among_low(rng: np.random.Generator, name: str) -> Recording:
    """Rows of low logits, every eighth of them NaN: what takes NaN for 0 selects nothing else."""
    logits = rng.standard_normal((_ROWS, 256), dtype=np.float32) - np.float32(3)
    logits[:, 3::8] = np.nan
    return recording(name, logits, rng.normal(0, 0.1, 256).astype(np.float32), MINIMAX_M2_5)


def _all(rng: np.random.Generator, name: str, value: float) -> Recording:
    """Rows of which every eighth has but one value: the contract does not say what they select."""
    logits = rng.standard_normal((_ROWS, 256), dtype=np.float32)
    logits[::8] = value
    return recording(name, logits, rng.normal(0, 0.1, 256).astype(np.float32), MINIMAX_M2_5)


def _bfloat16_bias(rng: np.random.Generator, name: str) -> Recording:
    """A float32 gate beside a bfloat16 bias."""
    logits = rng.standard_normal((_ROWS, 256), dtype=np.float32)
    bias = bfloat16(rng.normal(0, 0.1, 256).astype(np.float32))
    return recording(name, logits, tensor(bias, "BF16"), MINIMAX_M2_5)


def _padded(rng: np.random.Generator, name: str) -> Recording:
    """Rows of a batch whose last `PADDING_ROWS` no one asked for."""
    logits = rng.standard_normal((_ROWS, 256), dtype=np.float32)
    bias = rng.normal(0, 0.1, 256).astype(np.float32)
    index = np.arange(_ROWS)
    index[-PADDING_ROWS:] = PADDING
    return recording(name, logits, bias, MINIMAX_M2_5, token_index=index)


def _dead_group(rng: np.random.Generator, name: str, value: float) -> Recording:
    """Rows of which every eighth has a whole group of one value; all eight groups stay."""
    logits = rng.standard_normal((_ROWS, 256), dtype=np.float32)
    logits[::8, 64:96] = value
    spec = RoutingSpec(256, 8, num_expert_group=8, topk_group=8)
    return recording(name, logits, rng.normal(0, 0.1, 256).astype(np.float32), spec)


def _in_calls(rng: np.random.Generator, name: str) -> Recording:
    """Rows in calls of 1 to 64 tokens and of some more."""
    tokens = [*range(1, 65), 96, 128, 200, 700]
    plain = _made(rng, name, rows=sum(tokens))
    calls = Plan(tuple(tokens)).to_dict()
    return replace(plain, source={**plain.source, "calls": calls})


_MAKERS: dict[str, tuple[str, Callable[[np.random.Generator, str], Recording]]] = {
    "normal": ("logits N(0, 1), bias N(0, 0.1)", _made),
    "offset": (
        "logits N(0, 1.5), bias near 7 as MiniMax-M2.5 has it",
        lambda rng, name: _made(rng, name, spread=1.5, bias_mean=7.0, bias_spread=0.08),
    ),
    "far": (
        "logits N(0, 1), bias near 35",
        lambda rng, name: _made(rng, name, bias_mean=35.0),
    ),
    "wide": (
        "logits N(0, 6): saturated and vanishing scores",
        lambda rng, name: _made(rng, name, spread=6.0, bias_spread=0.3),
    ),
    "deep": (
        "logits from -60 to -20: scores that the bias swallows",
        lambda rng, name: _uniform(rng, name, -60.0, -20.0),
    ),
    "deepest": (
        "logits from -100 to -90: every float32 score is 0",
        lambda rng, name: _uniform(rng, name, -100.0, -90.0),
    ),
    "few": ("four logits a row, the others NaN: fewer than top-8 can be selected", _few),
    "nan-among-low": ("logits N(-3, 1), every eighth of them NaN", _nan_among_low),
    "all-nan": (
        "every logit of every eighth row NaN",
        lambda rng, name: _all(rng, name, np.nan),
    ),
    "all-minus-inf": (
        "every logit of every eighth row -inf",
        lambda rng, name: _all(rng, name, -np.inf),
    ),
    "dead-group": (
        "8 groups of which 8 stay; in every eighth row one is -inf",
        lambda rng, name: _dead_group(rng, name, -np.inf),
    ),
    "dead-group-nan": (
        "8 groups of which 8 stay; in every eighth row one is NaN",
        lambda rng, name: _dead_group(rng, name, np.nan),
    ),
    "padded": (f"the last {PADDING_ROWS} rows are padding (token_index -1)", _padded),
    "bfloat16-bias": ("logits N(0, 1), a bfloat16 bias N(0, 0.1)", _bfloat16_bias),
    "high": (
        "logits from 80 to 120: exp(x) overflows, every score is 1",
        lambda rng, name: _uniform(rng, name, 80.0, 120.0),
    ),
    "bfloat16": ("bfloat16 logits N(0, 1), no bias: exact ties", _bfloat16),
    "nonfinite": ("every row with a NaN and a -inf, every eighth with +inf", _nonfinite),
    "negative": (
        "bias near -3: every biased score is below -1",
        lambda rng, name: _made(rng, name, bias_mean=-3.0),
    ),
    "grouped": (
        "8 groups of which 4 stay, bias N(0, 1), scale 2.5 (DeepSeek-V3's shape)",
        lambda rng, name: _made(rng, name, spec=_GROUPED, bias_spread=1.0),
    ),
    "grouped-negative": (
        "8 groups of which 4 stay, bias near -3: every biased score is below 0",
        lambda rng, name: _made(rng, name, spec=_GROUPED, bias_mean=-3.0),
    ),
    "two-groups": (
        "2 groups of which 1 stays",
        lambda rng, name: _made(
            rng, name, spec=RoutingSpec(256, 8, num_expert_group=2, topk_group=1)
        ),
    ),
    "four-groups": (
        "4 groups of which 2 stay",
        lambda rng, name: _made(
            rng, name, spec=RoutingSpec(256, 8, num_expert_group=4, topk_group=2)
        ),
    ),
    "unnormalised": (
        "not renormalised, scale 2.5",
        lambda rng, name: _made(
            rng, name, spec=RoutingSpec(256, 8, renormalize=False, routed_scaling_factor=2.5)
        ),
    ),
    "128-experts": (
        "128 experts, top-8",
        lambda rng, name: _made(rng, name, spec=RoutingSpec(128, 8)),
    ),
    "384-experts": (
        "384 experts, top-8",
        lambda rng, name: _made(rng, name, spec=RoutingSpec(384, 8)),
    ),
    "calls": ("as normal, in calls of each 1 to 64 tokens, 96, 128, 200 and 700", _in_calls),
    "one-row": ("a single token", lambda rng, name: _made(rng, name, rows=1)),
    "many": (
        "70,000 rows in one call, 64 experts, scale 2.5",
        lambda rng, name: _made(
            rng, name, rows=70_000, spec=RoutingSpec(64, 8, routed_scaling_factor=2.5)
        ),
    ),
    "million": (
        "1,048,576 rows, 32 experts, top-4",
        lambda rng, name: _made(rng, name, rows=1 << 20, spec=RoutingSpec(32, 4)),
    ),
    **MAKERS,
}

_FIXTURES = SHIPPED_RECORDINGS.parent

#: The recordings that real kernels' shipped outputs are of. On `edge` they have known failures
#: (accuracy/known_failures.toml).
_SHIPPED = {
    f"shipped {name}": f"the shipped fixtures/recordings/{name}"
    for name in ("normal", "offset", *(f"standin-layer{layer:02}-0000" for layer in range(3)))
}
_DEVIATING = {"shipped edge": "the shipped fixtures/recordings/edge"}

#: What each recording is, by name.
DESCRIPTIONS = {name: text for name, (text, _) in _MAKERS.items()}
DESCRIPTIONS |= _SHIPPED | _DEVIATING


@cache
def made(name: str) -> Recording:
    """Return the recording of that name; the same bits every time."""
    if name in _SHIPPED or name in _DEVIATING:
        return open_recording(_FIXTURES / "recordings" / f"{name.partition(' ')[2]}.safetensors")
    rng = np.random.default_rng([SEED, *name.encode()])
    return _MAKERS[name][1](rng, name)


def shipped_outputs(on: str) -> dict[str, Output]:
    """Return what ships of real kernels' outputs for one of the shipped recordings, by kernel."""
    name = f"{on.partition(' ')[2]}.safetensors"
    paths = sorted((_FIXTURES / "outputs").glob(f"*/{name}"))
    return {path.parent.name: open_output(path, made(on)) for path in paths}


#: The names of the recordings that have shipped outputs, and of those with known failures.
SHIPPED, DEVIATING = tuple(_SHIPPED), tuple(_DEVIATING)
