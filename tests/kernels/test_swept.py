"""What was swept: documents, catalogue and page agree, and constants cover every measured error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from goldgate.kernels import registry
from goldgate.kernels.swept import SWEPT, Swept, sweeps_of
from goldgate.reference import PROFILES, Profile, RoutingSpec, U, score_error
from goldgate.reference.scoring import scores

DOCS = Path(__file__).parents[2] / "docs"
PAGE = " ".join((DOCS / "kernels.md").read_text("utf-8").split())
SPEC = RoutingSpec(8, 8, renormalize=False)


def _document(one: Swept) -> dict[str, object]:
    found: dict[str, object] = json.loads((DOCS / "measurements" / one.document).read_text("utf-8"))
    return found


def _profile(one: Swept) -> Profile:
    """Return the arithmetic that the swept release is judged by."""
    return PROFILES[registry()[one.kernel].origin.arithmetic_of(one.release).profile]


def test_every_shipped_sweep_is_in_the_catalogue() -> None:
    """No document is without its line, and no line without its document."""
    shipped = {path.name for path in (DOCS / "measurements").glob("sweep-*.json")}

    assert {one.document for one in SWEPT} == shipped
    assert {one.kernel for one in SWEPT} <= set(registry())
    assert all(one in sweeps_of(one.kernel) for one in SWEPT)


@pytest.mark.parametrize("one", SWEPT, ids=lambda one: one.document)
def test_the_constants_cover_what_was_measured(one: Swept) -> None:
    """In each binade the worst error is within the bound of the profile as it is now."""
    lines = _document(one)["binades"]
    assert isinstance(lines, list)
    x = np.array([line["at"] for line in lines])
    s = scores(x, "sigmoid")

    bound = score_error(x, s, SPEC, _profile(one)) / s / U

    assert len(lines) > 100
    assert (np.array([line["error_u"] for line in lines]) <= bound).all()


@pytest.mark.parametrize("one", SWEPT, ids=lambda one: one.document)
def test_no_constant_is_smaller_than_the_one_that_was_swept(one: Swept) -> None:
    """So the largest part of the bound, over all inputs, is no larger than was measured."""
    then, now = _document(one)["profile"], _profile(one)
    assert isinstance(then, dict)

    for name in ("exponent", "exp", "exp_per_unit", "divide"):
        assert getattr(now, name) >= then[name]


@pytest.mark.parametrize("one", SWEPT, ids=lambda one: one.document)
def test_the_line_is_the_document_s(one: Swept) -> None:
    """Release, card and largest error over its bound, below 1; all inputs were swept."""
    document = _document(one)
    largest = document["largest_error_over_bound"]
    assert isinstance(largest, float)

    assert document["shard"] == "1/1"
    assert (document["version"], document["device"]) == (one.release, one.device)
    assert round(largest, 3) == one.over_bound < 1


def test_the_page_says_what_each_kernel_s_constants_rest_on() -> None:
    """A line for each kernel with a profile of its own: releases' profiles, and what was swept."""
    for kernel in registry().values():
        profiles = dict.fromkeys(line.profile for line in kernel.origin.arithmetic)
        if not profiles:
            continue
        swept = ", ".join(
            f"{one.release} on an {one.device.split()[1]}: {one.over_bound:.3f}"
            for one in sweeps_of(kernel.name)
        )
        names = ", ".join(f"`{name}`" for name in profiles)
        assert f"| `{kernel.name}` | {names} | {swept or 'no'} |" in PAGE
