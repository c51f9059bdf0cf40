"""Microseconds a call, by graph replay: what a routing kernel costs inside a served model.

Servers replay decoding steps from a captured graph, so launch overhead of Python is not part of a
call's cost. Each measurement captures many calls in one graph and times its replay with device
events. Each call of a graph reads other inputs, none of them in the cache when the replay starts,
or all read the same ones (decoding finds its logits in the cache: the gate has just written them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goldgate.kernels import FOREIGN, KernelError, Loaded, one_line
from goldgate.reference import RoutingSpec

if TYPE_CHECKING:
    import torch

#: Tokens of a call: decoding, and prefill up to the largest batch that servers form.
TOKENS = (1, 8, 64, 512, 4096, 16384, 131072)

#: Rounds: in each, every kernel is timed once, in turn, so that slow changes of the device's clock
#: meet all kernels alike.
ROUNDS = 41

#: Calls in a graph: enough that a replay takes some hundred microseconds.
_LEAST_CALLS, _REPLAY_US = 8, 400.0

#: Most calls in a graph, and the most memory that their rotated inputs take.
_MOST_CALLS, _MOST_BYTES = 512, 4 << 30

#: Times the cache's size that is written between replays over rotated inputs.
_CACHES = 3


@dataclass(frozen=True)
class Interval:
    """A median with its confidence interval (95 %, from order statistics)."""

    median: float
    low: float
    high: float


def interval(values: Sequence[float]) -> Interval:
    """Return the median and the order statistics that enclose it with 95 % confidence.

    The number of values below the true median is binomial(n, 1/2) whatever the distribution, so
    ranks come from its quantiles (Conover, Practical Nonparametric Statistics, section 3.2).

    Raises:
        ValueError: fewer than 6 values, which enclose no median with 95 % confidence.

    """
    n = len(values)
    if n < 6:
        raise ValueError(f"{n} values: expected at least 6")
    ordered = sorted(values)
    below, rank = 0.0, -1
    while True:  # the largest rank below which lie at most 2.5 % of binomial(n, 1/2)
        below += math.comb(n, rank + 1) / 2.0**n
        if below > 0.025:
            break
        rank += 1
    return Interval(float(np.median(ordered)), ordered[rank], ordered[n - 1 - rank])


@dataclass(frozen=True)
class Latency:
    """What one kernel costs at one size.

    Attributes:
        kernel: its name.
        tokens: of a call.
        rotated: whether each call read other inputs, none of them in the cache.
        us: microseconds a call.
        ratio: to the baseline's calls of the same rounds; None for the baseline itself.

    """

    kernel: str
    tokens: int
    rotated: bool
    us: Interval
    ratio: Interval | None


def floor_us(tokens: int, spec: RoutingSpec, bandwidth: float) -> float:
    """Return the least microseconds that moving a call's bytes takes.

    Args:
        tokens: of the call.
        spec: the router; logits are float32, weights float32 and ids int32.
        bandwidth: bytes a second of a device-to-device copy, read plus written.

    """
    moved = tokens * (4 * spec.num_experts + 8 * spec.top_k) + 4 * spec.num_experts
    return moved / bandwidth * 1e6


def summarise(
    names: Sequence[str],
    baseline: str,
    tokens: int,
    us: Sequence[Sequence[float]],
    *,
    rotated: bool,
) -> list[Latency]:
    """Return each kernel's latency from its rounds.

    Args:
        names: the kernels.
        baseline: the one that ratios are to.
        tokens: of a call.
        us: microseconds a call, one sequence a kernel, each with one value a round.
        rotated: whether each call read other inputs, none of them in the cache.

    """
    base = us[list(names).index(baseline)]
    return [
        Latency(
            name,
            tokens,
            rotated,
            interval(mine),
            None
            if name == baseline
            else interval([a / b for a, b in zip(mine, base, strict=True)]),
        )
        for name, mine in zip(names, us, strict=True)
    ]


def measure(
    kernels: Sequence[Loaded],
    spec: RoutingSpec,
    tokens: int,
    *,
    rotated: bool,
    rounds: int = ROUNDS,
    advance: Callable[[int], object] = lambda _: None,
) -> tuple[list[list[float]], dict[int, str]]:
    """Time kernels on one GPU, interleaved.

    Args:
        kernels: loaded, all for one CUDA or ROCm device.
        spec: the router.
        tokens: of a call.
        rotated: whether each call reads other inputs, none of them in the cache.
        rounds: how often each is timed.
        advance: called with 1 after each round.

    Returns:
        microseconds a call, one list a kernel in their order (empty for one that failed), and why
        for each that failed, by its place in that order.

    """
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    device = torch.device(kernels[0].device)
    cache = torch.cuda.get_device_properties(device).L2_cache_size
    generator = torch.Generator(device).manual_seed(0)
    most = min(_MOST_CALLS, max(_LEAST_CALLS, _MOST_BYTES // (4 * tokens * spec.num_experts)))
    shape = (most if rotated else 1, tokens, spec.num_experts)
    pool = torch.randn(shape, generator=generator, device=device)
    bias = torch.rand(spec.num_experts, generator=generator, device=device)
    # Written before a replay over rotated inputs, so that none of them is left in the cache.
    scratch = torch.empty(_CACHES * cache if rotated else 0, dtype=torch.uint8, device=device)
    # By place: two entries may call one function, and have its name.
    graphs: dict[int, tuple[torch.cuda.CUDAGraph, int]] = {}
    failed: dict[int, str] = {}
    for place, kernel in enumerate(kernels):
        try:
            graphs[place] = _captured(kernel, spec, pool, bias, most)
        except FOREIGN as error:
            failed[place] = one_line(error)
    times: list[list[float]] = [[] for _ in kernels]
    for _ in range(rounds):
        for place, (graph, calls) in graphs.items():
            scratch.fill_(1)
            times[place].append(_replay_us(graph) / calls)
        advance(1)
    return times, failed


def _captured(
    kernel: Loaded, spec: RoutingSpec, pool: torch.Tensor, bias: torch.Tensor, most: int
) -> tuple[torch.cuda.CUDAGraph, int]:
    """Return a graph of calls over the pool's inputs in turn, and how many calls it holds."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    adapter, tokens = kernel.adapter, pool.shape[1]
    if why := adapter.refusal(spec, tokens, "F32", "F32"):
        raise KernelError(f"{kernel.name} {why}")
    shape = tokens, spec.top_k + (adapter.shared.count if adapter.shared else 0)
    weight_type: torch.dtype = getattr(torch, adapter.weights)
    id_type = torch.int64 if adapter.ids == "int64" else torch.int32
    weights = torch.empty(shape, dtype=weight_type, device=pool.device)
    ids = torch.empty(shape, dtype=id_type, device=pool.device)
    real = torch.tensor(tokens, dtype=torch.int32, device=pool.device)

    def call(number: int) -> None:
        adapter.call(kernel.route, (pool[number % len(pool)], bias, weights, ids), spec, real)

    def capture(calls: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for number in range(calls):
                call(number)
        return graph

    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's own
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # what is compiled or allocated once is not captured
        for number in range(3):
            call(number)
    torch.cuda.current_stream().wait_stream(aside)
    few = capture(_LEAST_CALLS)
    _replay_us(few)
    us = _replay_us(few) / _LEAST_CALLS
    calls = max(_LEAST_CALLS, min(most, math.ceil(_REPLAY_US / us)))
    graph = capture(calls)
    _replay_us(graph)
    return graph, calls


def _replay_us(graph: torch.cuda.CUDAGraph) -> float:
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's own
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's own
    start.record()
    graph.replay()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e3


def copy_bandwidth(device: str) -> float:
    """Return bytes a second of a large device-to-device copy, read plus written (median of 20).

    Raises:
        KernelError: the device is no GPU.

    """
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    if not device.startswith("cuda"):
        raise KernelError(f"{device}: copy bandwidth is measured on a CUDA or ROCm device")
    source = torch.empty(1 << 28, device=device)
    target = torch.empty_like(source)
    start, end = (
        torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's own
        for _ in range(2)
    )
    times = []
    for _ in range(23):
        start.record()
        target.copy_(source)
        end.record()
        end.synchronize()
        times.append(float(start.elapsed_time(end)) * 1e3)
    us = float(np.median(times[3:]))
    return 2 * source.nbytes / us * 1e6
