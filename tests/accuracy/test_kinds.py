"""Kinds of faults that one factor of a call hides: the ordinary tier shows each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from goldgate.accuracy.calls import KernelRun, run
from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.isolation import Runner
from goldgate.accuracy.kernel_process import Order
from goldgate.accuracy.known_failures import SHIPPED, read_known_failures
from goldgate.fixtures import open_recording, write_recording
from goldgate.fixtures.constructed import (
    DEFAULT_MODEL,
    REPRESENTATIVES,
    Entry,
    construct,
    entries,
    hard,
)
from goldgate.fixtures.constructed import model_rows_of as rows_of
from goldgate.kernels import Loaded, load
from goldgate.kernels.torch_eager import route
from goldgate.reference import MODELS, PROFILES

Route = Callable[..., Any]
Tensor = torch.Tensor


def _judged(kernel: Route, name: str, repeats: int = 0) -> tuple[Result, KernelRun]:
    held = construct(name)
    ran = run(Loaded(kernel, "k", "1", "cpu", "ieee"), held, repeats=repeats)
    return judge(held, ran.output, PROFILES["conservative"]), ran


def _next_expert(condition: Callable[..., bool]) -> Route:
    """Return a kernel whose ids are one too high in the calls that a condition takes."""

    def kernel(x: Tensor, bias: Tensor, weights: Tensor, ids: Tensor, *more: Any) -> None:  # noqa: ANN401
        route(x, bias, weights, ids, *more)
        if condition(x, bias, ids, *more):
            ids.copy_((ids + 1) % x.shape[1])

    return kernel


def _tokens(low: int, high: int) -> Route:
    return _next_expert(lambda x, *_: low <= len(x) <= high)


def _no_tokens(x: Tensor, *more: Any) -> None:  # noqa: ANN401
    """Refuse an empty grid, as a launch does."""
    if not len(x):
        raise RuntimeError("invalid configuration argument")
    route(x, *more)


def _index_of_16_bits(x: Tensor, bias: Tensor, weights: Tensor, ids: Tensor, *more: Any) -> None:  # noqa: ANN401
    """Give the rows from 65,536 on the ids of the first ones."""
    route(x, bias, weights, ids, *more)
    ids[65536:] = ids[: max(0, len(ids) - 65536)]


def _bias_as_gate(x: Tensor, bias: Tensor, *more: Any) -> None:  # noqa: ANN401
    """Cast the bias to the gate's type."""
    route(x, bias.to(x.dtype), *more)


def _half_the_experts(x: Tensor, *more: Any) -> None:  # noqa: ANN401
    """Look at the first 256 experts alone."""
    if x.shape[1] > 256:
        x = x.clone()
        x[:, 256:] = -torch.inf
    route(x, *more)


def _eight_slots(x: Tensor, bias: Tensor, weights: Tensor, ids: Tensor, *more: Any) -> None:  # noqa: ANN401
    """Fill the slots from the ninth on with the first ones again."""
    route(x, bias, weights, ids, *more)
    ids[:, 8:] = ids[:, : max(0, ids.shape[1] - 8)]


def _scale_where_renormalised(
    *arguments: Any,  # noqa: ANN401
) -> None:
    """Apply the scale in the branch that renormalises alone."""
    changed = (*arguments[:7], arguments[7] if arguments[6] else 1.0)
    route(*changed)


def _aligned_loads(x: Tensor, *more: Any) -> None:  # noqa: ANN401
    """Read from the 16-byte boundary before the logits, as vector loads do."""
    skipped = x.data_ptr() % 16 // x.element_size()
    route(torch.roll(x, skipped, 1) if skipped else x, *more)


#: kind: the kernel, the recording that shows it and what it is seen by.
KINDS: dict[str, tuple[Route, str, str]] = {
    "few tokens": (_tokens(4, 30), "MiniMax-M2.5/tokens_0_to_257", "rows"),
    "a bucket": (_tokens(66, 126), "MiniMax-M2.5/tokens_0_to_257", "rows"),
    "no tokens": (_no_tokens, "MiniMax-M2.5/tokens_0_to_257", "invalid configuration"),
    "a threshold": (_tokens(1409, 1535), "MiniMax-M2.5/tokens_511_to_4097", "rows"),
    "16-bit rows": (_index_of_16_bits, "MiniMax-M2.5/tokens_65535_to_65537", "rows"),
    "grouped decode": (
        _next_expert(lambda x, _, __, groups, *___: groups > 1 and len(x) <= 32),
        "routers/DeepSeek-V3",
        "rows",
    ),
    "384 experts, prefill": (
        _next_expert(lambda x, *_: x.shape[1] == 384 and len(x) > 1024),
        "routers/Kimi-K2",
        "rows",
    ),
    "512 experts": (_half_the_experts, "routers/shape_512_10", "rows"),
    "top 10": (_eight_slots, "routers/Qwen3-Next_sigmoid", "rows"),
    "grouped top 6": (
        _next_expert(lambda _, __, ids, groups, *___: groups > 1 and ids.shape[1] == 6),
        "routers/DeepSeek-V2_sigmoid",
        "rows",
    ),
    "scale": (_scale_where_renormalised, "unnormalised", "rows"),
    "both bfloat16": (
        _next_expert(lambda x, bias, *_: x.dtype == bias.dtype == torch.bfloat16),
        "MiniMax-M2.5/types_bf16_bf16",
        "rows",
    ),
    "bias as float16": (_bias_as_gate, "MiniMax-M2.5/types_f16_f32", "rows"),
    "alignment": (_aligned_loads, "MiniMax-M2.5/layout_offset", "rows"),
}


@cache
def _right(name: str) -> tuple[Result, KernelRun]:
    """Judge a kernel without a fault, once for a recording."""
    return _judged(route, name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_shown_by_the_ordinary_tier(kind: str) -> None:
    """A kernel with one fault fails on the recording for its kind; one without passes it."""
    kernel, name, seen = KINDS[kind]

    good, ran = _right(name)
    assert good.passed
    assert ran.faults == ()

    bad, ran = _judged(kernel, name)
    assert len(bad.failing) if seen == "rows" else seen in ran.faults[0]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_hidden_from_a_single_large_call(kind: str) -> None:
    """None of these faults shows on the recording that has every factor as usual."""
    kernel, _, _ = KINDS[kind]

    result, ran = _judged(kernel, "tokens_513")

    assert result.passed
    assert ran.faults == ()


def test_a_race_that_is_rarely_lost_is_seen_by_repeats() -> None:
    """One call in twenty that spoils a row is seen where the call is made thirty times more."""
    calls = []

    def kernel(x: Tensor, bias: Tensor, weights: Tensor, ids: Tensor, *more: Any) -> None:  # noqa: ANN401
        calls.append(1)
        route(x, bias, weights, ids, *more)
        if len(calls) % 20 == 0:
            ids[len(ids) // 2] = (ids[len(ids) // 2] + 1) % 256

    assert _judged(kernel, "tokens_65")[1].faults == ()
    calls.clear()

    faults = _judged(kernel, "tokens_65", repeats=30)[1].faults

    assert any("on the same input differs from the first in 1 rows" in fault for fault in faults)


@pytest.mark.parametrize("state", ["tenth_call", "thousandth_call", "another_shape_between"])
def test_what_earlier_calls_leave_is_seen(state: str) -> None:
    """A counter that runs over, or a workspace of another shape, spoils the call after it."""
    seen: list[int] = []

    def kernel(x: Tensor, bias: Tensor, weights: Tensor, ids: Tensor, *more: Any) -> None:  # noqa: ANN401
        route(x, bias, weights, ids, *more)
        number = {"tenth_call": 10, "thousandth_call": 1000}.get(state)
        other = bool(seen) and seen[-1] != x.shape[1]
        seen.append(x.shape[1])
        if len(seen) == number or (number is None and other and x.shape[1] == 256):
            ids.copy_((ids + 1) % x.shape[1])

    assert not len(_judged(kernel, "MiniMax-M2.5/state_first_call")[0].failing)
    seen.clear()

    assert len(_judged(kernel, f"MiniMax-M2.5/state_{state}")[0].failing)


def _constant(x: Tensor, b: Tensor, w: Tensor, *more: Any) -> None:  # noqa: ANN401
    """Multiply by a constant of torch's default type: 1.001 in float32, 1 in bfloat16."""
    route(x, b, w, *more)
    w.mul_(torch.tensor(1.001).float())


def _inference(x: Tensor, b: Tensor, w: Tensor, i: Tensor, *more: Any) -> None:  # noqa: ANN401
    """Take another branch without autograd."""
    route(x, b, w, i, *more)
    if torch.is_inference_mode_enabled():
        i.copy_(i.roll(1, 1))


@pytest.mark.parametrize(
    ("state", "broken"), [("bfloat16_by_default", _constant), ("inference_mode", _inference)]
)
def test_modes_of_torch_are_called(state: str, broken: Route) -> None:
    """What depends on torch's default type, or fails in inference mode, is at fault there."""
    name = f"MiniMax-M2.5/state_{state}"

    assert _judged(route, name)[1].faults == ()
    before = torch.get_default_dtype()
    faults = _judged(broken, name)[1].faults

    assert any("rows differ from a plain call" in fault for fault in faults)
    assert torch.get_default_dtype() == before


@pytest.mark.parametrize(
    ("layout", "broken"),
    [
        ("gate_rows_padded", lambda x, *more: route(x.as_strided(x.shape, (256, 1)), *more)),
        (
            "gate_columns_strided",
            lambda x, *more: route(x.as_strided(x.shape, (x.stride(0), 1)), *more),
        ),
        (
            "outputs_padded",
            lambda x, b, w, i, *more: route(x, b, w.as_strided(w.shape, (8, 1)), i, *more),
        ),
    ],
)
def test_strides_are_judged(layout: str, broken: Route) -> None:
    """A kernel that takes a stride for granted fails on the layout that has another."""
    name = f"MiniMax-M2.5/layout_{layout}"

    assert _judged(route, name)[0].passed
    assert len(_judged(broken, name)[0].failing)


def test_padding_between_rows_does_not_reach_them() -> None:
    """A kernel that a padding row's NaN spreads through fails on the rows beside it."""

    def spreads(x: Tensor, *more: Any) -> None:  # noqa: ANN401
        route(torch.where(torch.isnan(x).any(), x * 0, x), *more)

    name = "MiniMax-M2.5/padding_between"

    assert _judged(route, name)[0].passed
    assert len(_judged(spreads, name)[0].failing)


#: Every hostile recording: the default model's, and those of each published router.
_HOSTILE = [
    entry
    for entry in (*hard(), *(e for m in (*REPRESENTATIVES, *MODELS.values()) for e in rows_of(m)))
    if entry.tier == "hostile" and not entry.name.startswith(DEFAULT_MODEL.name)
]


@pytest.mark.parametrize(
    "entry", {entry.name: entry for entry in _HOSTILE}.values(), ids=lambda e: e.name
)
def test_torch_eager_fails_hostile_rows_as_listed(tmp_path: Path, entry: Entry) -> None:
    """torch-eager fails in the hostile tier what is listed, each with a ceiling, and no more."""
    path = tmp_path / f"{entry.name}.safetensors"
    write_recording(path, entry.recording())
    held = open_recording(path)

    ran = run(replace(load("torch-eager"), device="cpu"), held)
    result = judge(held, ran.output, PROFILES["ieee"], known_failures=read_known_failures(SHIPPED))

    assert ran.faults == ()
    assert result.passed
    assert all(known.ceiling for known in result.known_failures)


@pytest.mark.parametrize(
    "entry",
    [e for e in entries() if e.tier == "pairs" and "/sigmoid/" in e.name][::8],
    ids=lambda e: e.name,
)
def test_torch_eager_passes_combinations(entry: Entry) -> None:
    """A conforming kernel passes any combination of the factors."""
    result, ran = _judged(route, entry.name)

    assert result.passed
    assert ran.faults == ()


@pytest.mark.parametrize("answered", [1, 2, 3, 5])
def test_what_was_answered_before_a_refusal_is_judged(answered: int) -> None:
    """A kernel that answers wrongly and refuses a later call does not hide its answers."""
    calls = 0

    def kernel(x: Tensor, bias: Tensor, weights: Tensor, ids: Tensor, *more: Any) -> None:  # noqa: ANN401
        nonlocal calls
        calls += 1
        if calls > answered + 1:  # the first is not judged
            raise NotImplementedError("not for that")
        route(x, torch.zeros_like(bias), weights, ids, *more)

    result, ran = _judged(kernel, "bias_near_7")

    assert not result.passed
    assert ran.uncovered == ()


def test_the_first_call_of_a_process_is_judged_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording about the first call gets a process of its own: only there is it the first."""
    (tmp_path / "once.py").write_text(
        "import torch\n"
        "from goldgate.kernels.torch_eager import route as right\n"
        "calls = 0\n"
        "def route(x, b, w, i, *more):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    right(x, torch.zeros_like(b) if calls == 1 else b, w, i, *more)\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (name,) = [one.name for one in entries() if one.name.endswith("state_first_call")]
    order = Order("once:route", None, "cpu")
    found = []
    with Runner() as runner:
        for title in ("MiniMax-M2.5/types_bf16_f32", name):
            path = tmp_path / f"{title}.safetensors"
            write_recording(path, construct(title))
            held = open_recording(path)
            ran = runner.run(order, held)
            found.append(judge(held, ran.output, PROFILES["conservative"]).passed)

    assert found == [True, False]
