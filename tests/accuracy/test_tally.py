"""Parts add up to what all their rows come to at once."""

from __future__ import annotations

import numpy as np
import pytest

from goldgate.accuracy.parts import Found, judge_part, part_rows, parts
from goldgate.accuracy.random_sums import RandomSums
from goldgate.accuracy.selection import Verdict
from goldgate.accuracy.summary import LISTED
from goldgate.accuracy.systematic_error import ResidualSums
from goldgate.accuracy.tally import Tally
from goldgate.fixtures import KernelInfo, Output
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import PROFILES, RoutingSpec, route


def _found() -> tuple[RoutingSpec, list[tuple[int, Found]]]:
    """Return ten parts of 1,024 rows, some of which fail."""
    held = construct("tokens_1024")
    golden = route(held.logits(), held.bias(), held.spec)
    ids = golden.ids.astype(np.int32)
    ids[[3, 500], 0] = ids[[3, 500], 1]
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")
    output = Output(info, tensor(golden.weights.astype(np.float32)), tensor(ids))
    some = parts(held, output, PROFILES["ieee"], ordered=False)
    return held.spec, [(part.start, judge_part(part)) for part in some]


def _added(spec: RoutingSpec, found: list[tuple[int, Found]]) -> Tally:
    tally = Tally(spec)
    for start, one in found:
        tally.add(start, one.summary, one.inside, one.rerouted)
    tally.add_waiting()
    return tally


def _assert_same_sums(one: RandomSums, two: RandomSums) -> None:
    assert one.classes.keys() == two.classes.keys()
    for number, sums in one.classes.items():
        other = two.classes[number]
        np.testing.assert_array_equal(sums.squares, other.squares)
        np.testing.assert_array_equal(sums.groups, other.groups)
        np.testing.assert_array_equal(sums.drift.sums, other.drift.sums)
        np.testing.assert_array_equal(sums.fine, other.fine)
        assert (sums.bits, sums.drift.rows) == (other.bits, other.drift.rows)


def test_sums_of_the_sample_have_the_same_bits_however_the_rows_are_divided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One row is added after another, so that parts leave no trace in the sums."""
    spec, whole = _found()
    monkeypatch.setattr("goldgate.accuracy.parts.PART_LOGITS", 256 * 103)
    _, divided = _found()

    one, ten = _added(spec, whole), _added(spec, divided)

    assert (len(whole), len(divided)) == (1, 10)
    _assert_same_sums(one.inside, ten.inside)
    np.testing.assert_array_equal(one.counts, ten.counts)
    assert np.concatenate(ten.failing).tolist() == [3, 500]
    assert ten.judged_rows == one.judged_rows == 1022


def test_collected_sums_stay_in_their_array() -> None:
    """`collect` returns what `+` does, in the array that it was called on."""
    rng = np.random.default_rng(2)
    one, two = (ResidualSums(3, rng.random((2, 1024, 6))) for _ in range(2))
    expected, held = one + two, one.sums

    found = one.collect(two)

    np.testing.assert_array_equal(found.sums, expected.sums)
    assert found.rows == expected.rows == 6
    assert found.sums is held


def test_rows_that_are_named_are_the_first() -> None:
    """Of more ties than a result lists the first are kept, numbered from the recording's start."""
    spec, found = _found()
    summary = found[0][1].summary
    ties = {Verdict.TIE: np.arange(0, 60)}
    tally = Tally(spec)
    for start in (0, 1000, 2000):
        one = type(summary)(**(vars(summary) | {"listed": ties}))
        tally.add(start, one, None, 0)

    assert len(tally.listed[Verdict.TIE]) == LISTED
    assert tally.listed[Verdict.TIE][58:62] == [58, 59, 1000, 1001]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(1, 16384), (524288, 16384), (524289, 16385), (1 << 20, 32768), (1 << 24, 32768)],
)
def test_parts_are_as_large_as_leaves_every_thread_some(rows: int, expected: int) -> None:
    """16,384 rows of 256 experts, up to twice as many where that leaves 32 parts."""
    assert part_rows(rows, 256) == expected
