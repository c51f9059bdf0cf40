"""What a kernel's module declares of its calls: most kernels need no wrapper."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from goldgate.accuracy.calls import KernelRun, run
from goldgate.accuracy.evaluate import judge
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.recording import Recording, recording
from goldgate.kernels import KernelError, Loaded, NotCoveredError, load_function
from goldgate.kernels.adapter import AdapterError
from goldgate.kernels.torch_eager import route
from goldgate.reference import PROFILES, RoutingSpec

Tensor = torch.Tensor
Load = Callable[..., Loaded]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that loads a kernel from a module with some declarations."""

    def load(function: Callable[..., Any], **declared: object) -> Loaded:
        module = ModuleType("my_router")
        vars(module).update(declared, route=function, DEVICE="cpu")
        monkeypatch.setitem(sys.modules, "my_router", module)
        return load_function("my_router:route", "ieee")

    return load


def _passes(ran: KernelRun, held: Recording) -> bool:
    result = judge(held, ran.output, PROFILES["conservative"])
    return result.passed and not ran.faults


def _returned(
    x: Tensor, bias: Tensor, k: int, groups: int, kept: int, renorm: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """Route out of place."""
    weights = torch.empty(len(x), k)
    ids = torch.empty(len(x), k, dtype=torch.int32)
    route(x, bias, weights, ids, groups, kept, renorm, scale)
    return weights, ids


def _scored(scoring: str, x: Tensor) -> Tensor:
    x = x.float()
    if scoring == "softmax":
        return torch.softmax(x, dim=1)
    if scoring == "sqrtsoftplus":
        return torch.sqrt(torch.nn.functional.softplus(x, threshold=1e9))
    return torch.sigmoid(x)


def _told(
    x: Tensor,
    bias: Tensor,
    weights: Tensor,
    ids: Tensor,
    groups: int,
    kept: int,
    renorm: bool,
    scale: float,
    scoring: str = "",
    group_score: str = "",
) -> None:
    """Route by a scoring and a rule for the groups that it is told."""
    s = _scored(scoring, x)
    c = s + bias.float()
    if groups > 1:
        grouped = c.view(len(x), groups, -1)
        terms = 1 if group_score == "maximum" else 2
        best = grouped.topk(terms, dim=2).values.sum(2).topk(kept, dim=1).indices
        stays = torch.zeros(len(x), groups, dtype=torch.bool).scatter_(1, best, value=True)
        c = grouped.masked_fill(~stays.unsqueeze(2), -torch.inf).flatten(1)
    chosen = c.topk(ids.shape[1], dim=1).indices
    w = s.gather(1, chosen)
    ids.copy_(chosen)
    weights.copy_((w / w.sum(1, keepdim=True) if renorm else w) * scale)


def test_keywords_reach_the_kernel_by_its_names(loaded: Load) -> None:
    """ARGUMENTS maps our names to the kernel's, and what it leaves out is not passed."""
    seen: dict[str, object] = {}

    def kernel(
        *, router_logits: Tensor, e_bias: Tensor, w: Tensor, i: Tensor, topk: int, s: float
    ) -> None:
        seen.update(topk=topk, s=s)
        route(router_logits, e_bias, w, i, 1, 1, need_renorm=True, routed_scaling_factor=s)

    names = {"gating_output": "router_logits", "correction_bias": "e_bias"}
    names |= {"topk_weights": "w", "topk_ids": "i", "top_k": "topk", "routed_scaling_factor": "s"}
    held = construct("scaled_inexactly")

    ran = run(loaded(kernel, ARGUMENTS=names), held)

    assert _passes(ran, held)
    assert seen == {"topk": 8, "s": 2.827}


@pytest.mark.parametrize("order", [("weights", "ids"), ("ids", "weights")])
def test_outputs_may_be_returned(loaded: Load, order: tuple[str, str]) -> None:
    """RETURNS names the order of what a kernel returns; it is then given no buffers."""

    def kernel(*arguments: Any) -> tuple[Tensor, ...]:  # noqa: ANN401
        found = dict(zip(("weights", "ids"), _returned(*arguments), strict=True))
        return tuple(found[name] for name in order)

    held = construct("MiniMax-M2.5/layout_all_padded")

    assert _passes(run(loaded(kernel, RETURNS=order), held), held)


def test_what_is_returned_is_checked(loaded: Load) -> None:
    """A kernel that returns other things than it declares is refused by what it returned."""
    held = construct("tokens_65")

    with pytest.raises(KernelError, match="returns a NoneType: expected weights and ids"):
        run(loaded(lambda *_: None, RETURNS=("weights", "ids")), held)
    with pytest.raises(KernelError, match=r"returns ids torch.int32 \[65, 8\]: expected torch.int"):
        run(loaded(_returned, RETURNS=("weights", "ids"), IDS="int64"), held)


def test_ids_may_have_64_bits(loaded: Load) -> None:
    """IDS = "int64" gives a buffer of that type, and ids beyond 32 bits stay out of range."""
    held = construct("tokens_65")
    kernel = loaded(route, IDS="int64")

    def beyond(x: Tensor, b: Tensor, w: Tensor, i: Tensor, *more: Any, **told: Any) -> None:  # noqa: ANN401
        assert i.dtype == torch.int64
        route(x, b, w, i, *more, **told)
        i[3, 0] += 2**32

    assert _passes(run(kernel, held), held)
    result = judge(held, run(replace(kernel, route=beyond), held).output, PROFILES["conservative"])
    assert result.failing.tolist() == [3]


@pytest.mark.parametrize(("weight", "factor"), [(1.0, 1.0), ("1/scale", 0.4), (0.5, 0.5)])
def test_shared_experts_have_columns_of_their_own(
    loaded: Load, weight: object, factor: float
) -> None:
    """The columns behind the k routed ones are checked for the ids and the weight declared."""

    def kernel(x: Tensor, b: Tensor, w: Tensor, i: Tensor, *more: Any) -> None:  # noqa: ANN401
        route(x, b, w[:, :8], i[:, :8], *more)
        w[:, 8:], i[:, 8:] = factor, torch.tensor([256, 257], dtype=torch.int32)

    def swaps(x: Tensor, b: Tensor, w: Tensor, i: Tensor, *more: Any) -> None:  # noqa: ANN401
        kernel(x, b, w, i, *more)
        i[:, 8:] = i[:, 8:].flip(1)

    held = construct("scaled")

    right = run(loaded(kernel, SHARED_EXPERTS={"count": 2, "weight": weight}), held)
    wrong = run(loaded(kernel, SHARED_EXPERTS={"count": 2, "weight": 0.7}), held)
    swapped = run(loaded(swaps, SHARED_EXPERTS={"count": 2, "weight": weight}), held)

    assert _passes(right, held)
    assert "shared experts: weights are not 0.7 in 512 rows" in wrong.faults
    assert "shared experts: ids are not [256, 257] in 512 rows" in swapped.faults


def test_scoring_and_group_rule_are_told(loaded: Load) -> None:
    """A kernel with parameters for them is told the scoring and the groups' rule."""
    for name in (
        *("routers/scoring_softmax", "routers/scoring_sqrtsoftplus", "routers/DeepSeek-V2"),
        *("routers/Qwen3-MoE", "routers/DeepSeek-V4-Flash", "routers/DeepSeek-V3"),
    ):
        held = construct(name)

        assert _passes(run(loaded(_told), held), held), name


def test_a_kernel_that_is_not_told_is_not_asked(loaded: Load) -> None:
    """Without a parameter for it a kernel is only called for the scoring that it declares."""
    softmax, grouped = construct("routers/Qwen3-MoE"), construct("routers/DeepSeek-V2")

    def untold(x: Tensor, b: Tensor, w: Tensor, i: Tensor, *more: Any) -> None:  # noqa: ANN401
        route(x, b, w, i, *more)

    def fixed(*arguments: Any) -> None:  # noqa: ANN401
        _told(*(*arguments, "softmax", "maximum"))

    with pytest.raises(NotCoveredError, match="scores with sigmoid, not softmax"):
        run(loaded(untold), softmax)
    assert _passes(run(loaded(fixed, SCORINGS=("softmax",)), softmax), softmax)
    with pytest.raises(NotCoveredError, match="ranks groups by the sum of two largest, not the"):
        run(loaded(fixed, SCORINGS=("softmax",)), grouped)
    declared = {"SCORINGS": ("softmax",), "GROUP_SCORES": ("maximum",)}
    assert _passes(run(loaded(fixed, **declared), grouped), grouped)


def test_padding_is_told_and_must_be_masked(loaded: Load) -> None:
    """A kernel with num_token_non_padded masks the rows behind it, as -1 or as 0."""
    held = construct("MiniMax-M2.5/padding_end")

    def masks(value: int, *, weights_too: bool) -> Callable[..., None]:
        def kernel(
            x: Tensor,
            b: Tensor,
            w: Tensor,
            i: Tensor,
            *more: Any,  # noqa: ANN401
            num_token_non_padded: Tensor,
        ) -> None:
            route(x, b, w, i, *more)
            i[num_token_non_padded:] = value
            if weights_too:
                w[num_token_non_padded:] = 0

        return kernel

    assert _passes(run(loaded(masks(-1, weights_too=False)), held), held)
    assert _passes(run(loaded(masks(0, weights_too=True)), held), held)
    lost = run(loaded(masks(0, weights_too=False)), held).faults
    assert any("does not mask" in fault for fault in lost)


def test_refused_calls_are_not_covered(loaded: Load) -> None:
    """What a kernel refuses, call by call, is left out with its words; the rest is there."""
    held = construct("MiniMax-M2.5/tokens_511_to_4097")

    def raises(x: Tensor, *more: Any) -> None:  # noqa: ANN401
        if len(x) > 2048:
            raise NotImplementedError("2048 tokens at most")
        route(x, *more)

    def supports(spec: RoutingSpec, rows: int, gate: str, bias: str) -> object:
        assert (spec.top_k, gate, bias) == (8, "F32", "F32")
        return rows <= 2048 or "2048 tokens at most"

    for kernel in (loaded(raises), loaded(route, supports=supports)):
        ran = run(kernel, held)

        assert [one.stop - one.start for one in ran.uncovered] == [
            *(2049, 3071, 3072, 3073, 4095, 4096, 4097)
        ]
        assert all("2048 tokens at most" in one.why for one in ran.uncovered)
        assert ran.faults == ()
    with pytest.raises(NotCoveredError, match="returns False"):
        run(loaded(route, supports=lambda *_: False), held)
    with pytest.raises(KernelError, match=r"supports\(\) raised ZeroDivisionError"):
        run(loaded(route, supports=lambda *_: 1 / 0), held)


def test_weights_may_be_returned_in_16_bits(loaded: Load) -> None:
    """Weights returned in bfloat16 are judged as that type, which the module must declare."""

    def kernel(*arguments: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        weights, ids = _returned(*arguments)
        return weights.bfloat16(), ids

    held = construct("tokens_65")

    ran = run(loaded(kernel, RETURNS=("weights", "ids")), held)

    assert ran.output.topk_weights is not None
    assert ran.output.topk_weights.dtype == "BF16"
    assert judge(held, ran.output, PROFILES["ieee"], weights_dtype="bfloat16").passed
    assert not _passes(ran, held)


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_weights_may_be_written_in_16_bits(loaded: Load, name: str) -> None:
    """A module that declares the type is given buffers of it, and every slot must be written."""

    def lazy(x: Tensor, bias: Tensor, weights: Tensor, ids: Tensor, *more: Any) -> None:  # noqa: ANN401
        kept = weights[3, 2].clone()
        route(x, bias, weights, ids, *more)
        weights[3, 2] = kept

    held = construct("tokens_65")

    ran = run(loaded(route, WEIGHTS=name), held)
    broken = run(loaded(lazy, WEIGHTS=name), held)

    assert judge(held, ran.output, PROFILES["ieee"], weights_dtype=name).passed
    assert ran.faults == ()
    assert "does not write topk_weights in 1 of rows 0 to 65" in broken.faults


def test_weights_of_two_types_are_refused_in_one_line(loaded: Load) -> None:
    """A kernel whose calls return other types than each other fails, by its name and the types."""

    def kernel(x: Tensor, *more: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        weights, ids = _returned(x, *more)
        return (weights.bfloat16() if len(x) < 10 else weights), ids

    held = construct("MiniMax-M2.5/tokens_0_to_257")

    with pytest.raises(KernelError, match="in some calls in bfloat16, in others in float32: expe"):
        run(loaded(kernel, RETURNS=("weights", "ids")), held)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"ARGUMENTS": {"logits": "x"}}, "ARGUMENTS has logits: expected gating_output"),
        ({"ARGUMENTS": ("x",)}, "ARGUMENTS is .* expected a dict"),
        ({"RETURNS": ("ids",)}, "RETURNS is .* expected weights and ids"),
        ({"IDS": "int16"}, "IDS is 'int16': expected int32 or int64"),
        ({"WEIGHTS": "F16"}, "WEIGHTS is 'F16': expected float32 or bfloat16 or float16"),
        ({"SHARED_EXPERTS": {"count": 0}}, "SHARED_EXPERTS is .* expected a count"),
        ({"SHARED_EXPERTS": {"count": 1, "weight": "scale"}}, "a number above 0 or '1/scale'"),
        ({"SHARED_EXPERTS": {"count": 1, "wieght": 1}}, "SHARED_EXPERTS is"),
        ({"SCORINGS": "softmax"}, "SCORINGS is 'softmax': expected a tuple"),
    ],
)
def test_declarations_are_checked(loaded: Load, declared: dict[str, object], message: str) -> None:
    """A declaration that cannot be used is refused by its name and what was expected."""
    with pytest.raises(AdapterError, match=message):
        loaded(route, **declared)


def test_a_module_named_as_a_folder_of_the_checkout_is_the_users(
    tmp_path: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user's `kernels.py` is found from the checkout's root, which has a folder `kernels`."""
    (tmp_path / "kernels.py").write_text("DEVICE = 'cpu'\ndef mine(*a): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.delitem(sys.modules, "kernels", raising=False)

    try:
        assert load_function("kernels:mine", "ieee").name == "kernels:mine"
    finally:
        sys.modules.pop("kernels", None)


def test_batches_are_compared() -> None:
    """Rows that depend on their batch are noted, and a fault of a kernel that claims otherwise."""
    rng = np.random.default_rng(5)
    spec = RoutingSpec(256, 8)
    source = construct("MiniMax-M2.5/state_other_batches").source
    held = recording(
        "x",
        rng.standard_normal((257, 256), dtype=np.float32),
        rng.normal(0, 0.1, 256).astype(np.float32),
        spec,
        source,
    )

    def leans(x: Tensor, b: Tensor, w: Tensor, *more: Any) -> None:  # noqa: ANN401
        route(x, b, w, *more)
        w.mul_(1 + 2.0**-22 * (len(x) % 2))

    plain = Loaded(leans, "k", "1", "cpu", "ieee")
    claims = replace(plain, adapter=replace(plain.adapter, batch_invariant=True))
    still = Loaded(_one_by_one, "k", "1", "cpu", "ieee")

    assert "not batch-invariant" in run(plain, held).notes[0]
    assert run(plain, held).faults == ()
    assert "claims batch invariance" in run(claims, held).faults[0]
    assert run(still, held).notes[0].startswith("batch-invariant:")


def _one_by_one(x: Tensor, b: Tensor, w: Tensor, i: Tensor, *more: Any) -> None:  # noqa: ANN401
    """Route each row by itself."""
    for t in range(len(x)):
        route(x[t : t + 1], b, w[t : t + 1], i[t : t + 1], *more)
