"""The power study: exact, and saying what the documents say."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from goldgate.evals.stats import criteria, power
from goldgate.pictures import digest_in

if TYPE_CHECKING:
    from pathlib import Path


def test_enumeration_is_the_trinomial() -> None:
    """Every pair of counts has the probability that scipy's multinomial gives it."""
    losses, gains, weight = power.trinomial(12, 0.1, 0.3)
    counts = np.stack([losses, gains, 12 - losses - gains], axis=1)

    expected = stats.multinomial.pmf(counts, 12, [0.2, 0.1, 0.7])

    assert weight == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert weight.sum() == pytest.approx(1)


def test_enumeration_at_full_size_leaves_nothing_out() -> None:
    """The pairs that are left out of 1319 questions have no weight to speak of."""
    assert power.trinomial(1319, 0.015, 0.14)[2].sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("discordance", "expected"), [(0.02, 0.977), (0.04, 0.844)])
def test_power_at_no_change(discordance: float, expected: float) -> None:
    """The verdict's power at no change is the published figure."""
    assert power.paired_power(criteria.preserved, 0, discordance) == pytest.approx(
        expected, abs=5e-4
    )


def test_verdict_holds_its_size_where_wald_does_not() -> None:
    """Over all discordances Tango passes a loss of the margin 5.0 % of the time at worst."""
    tango, wald = power.worst_size(criteria.preserved), power.worst_size(criteria.wald)

    assert tango.probability == pytest.approx(0.050, abs=5e-4)
    assert wald.probability == pytest.approx(0.078, abs=5e-4)


@pytest.mark.parametrize(
    ("gate", "loss", "expected"),
    [
        (criteria.fixed_threshold, 0.0, 0.706),
        (criteria.relative_tolerance, 0.05, 0.997),
        (criteria.unpaired_z, 0.015, 0.985),
        (criteria.unpaired_z, 0.03, 0.587),
    ],
)
def test_gates_on_the_score_alone(gate: object, loss: float, expected: float) -> None:
    """Each gate in use passes as often as the documents say."""
    assert callable(gate)

    assert power.unpaired_power(gate, loss) == pytest.approx(expected, abs=5e-4)


def test_not_significant_is_no_proof_of_the_same() -> None:
    """McNemar's "not significant" passes most candidates that lost the margin at 10 % changed."""
    passing = power.paired_power(power.PAIRED['McNemar "not significant"'], 0.015, 0.10)

    assert passing == pytest.approx(0.626, abs=5e-4)


def test_impossible_discordance_is_refused() -> None:
    """No pair of servers loses more than it changes."""
    with pytest.raises(ValueError, match="needs a discordance"):
        power.trinomial(100, 0.05, 0.02)


def test_worst_size_is_found_where_every_change_is_a_loss() -> None:
    """At a margin of 2 points the documented worst size lies where all that changes is lost."""
    found = power.worst_size(partial(criteria.preserved, margin=0.02), 0.02)

    assert found.probability == pytest.approx(0.054, abs=5e-4)
    assert found.discordance == 0.02


def test_paired_gates_have_no_power_beyond_the_discordance() -> None:
    """A loss of more answers than change has no probability, and none is drawn."""
    rows = power.table(np.array([-0.03, 0.02, 0.021]), 0.02)

    paired = [*power.PAIRED, power.SEQUENTIAL]
    assert [name for name, row in rows.items() if np.isnan(row).any()] == paired
    for name in paired:
        assert np.isnan(rows[name]).tolist() == [True, False, True]


def test_plot_in_the_documents_shows_what_the_code_computes(tmp_path: Path) -> None:
    """docs/gsm8k-power.png carries the hash of today's table, as a plot drawn now does."""
    tables = power.study()
    power.plot(tmp_path / "power.png", tables)

    for drawn in (tmp_path / "power.png", Path(__file__).parents[2] / "docs" / "gsm8k-power.png"):
        held = digest_in(drawn, power.DIGEST)
        assert held == power.digest(tables), f"{drawn}: draw it with tox -e gsm8k-power"
    changed = {**tables, 0.02: {**tables[0.02], "unpaired z-test, sigma 50": [0.0]}}
    assert power.digest(changed) != power.digest(tables)
