"""A document that contradicts itself is unusable, whatever its digest: by name, with the field."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goldgate.places import CHECKOUT
from goldgate.sealed import sealed
from goldgate.signoff.gather import gather
from goldgate.signoff.gathered import Gathered
from goldgate.signoff.walk import walk

Edit = Callable[[dict[str, Any]], object]

pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="an installed copy has no documents")

PARITY, CHANGES = "swap-h200/record-moe-fused-gate.json.gz", "swap-h200/old-new.json.gz"
SCORES, LATENCY = "swap-h200/verdict.json.gz", "latency-h200.json"
DISPATCH = "swap-h200/dispatch-sglang.json"
DOCUMENTS = (PARITY, CHANGES, SCORES, LATENCY, DISPATCH)


def whole(name: str) -> dict[str, Any]:
    """Return a document that was measured."""
    assert CHECKOUT is not None
    raw = (CHECKOUT / "docs" / "measurements" / name).read_bytes()
    held: dict[str, Any] = json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)
    return held


def read(folder: Path, document: dict[str, Any]) -> Gathered:
    """Read a document that carries the digest of what it is now."""
    (folder / "x.json").write_text(sealed(document), encoding="utf-8")
    return gather(walk([folder]))[0]


def first(**values: object) -> Edit:
    """Return a change of the first result."""
    return lambda held: held["results"][0].update(values)


def strict(**values: object) -> Edit:
    """Return a change of the counts that decide a paired verdict."""
    return lambda held: held["paired"]["strict-match"].update(values)


def put(name: str, **values: object) -> Edit:
    """Return a change of a part."""
    return lambda held: held[name].update(values)


def fault(**values: object) -> dict[str, Any]:
    """Return a kill matrix of one fault."""
    one = {"name": "no bias", "family": "selection", "on": "normal", "caught": True} | values
    return {
        "schema": 1, "kind": "kill matrix", "goldgate": {"judge": "j"}, "environment": {},
        "faults": [one], "conforming": {"kernels": 3, "rows": 100, "alarms": []}, "unexpected": [],
        "time": {"finished": "2026-11-20T12:00:00+00:00"},
    }  # fmt: skip


EDITS: list[tuple[str, Edit, str]] = [
    (PARITY, first(exact=4095), "results[0].rows is 4096, and the rows of each kind add up to 40"),
    (PARITY, first(failing=3), "results[0].failing is 3 beside the verdict PASS"),
    (PARITY, first(wrong=1, exact=4095), "results[0].wrong is 1 beside the verdict PASS"),
    (PARITY, first(known=2), "known is 2, and known_failures list 0 rows"),
    (PARITY, first(call_faults=["two calls differ"]), "call_faults is ['two calls differ']"),
    (PARITY, first(drift={"found": True}), "results[0].drift.found is True"),
    (PARITY, first(random_error={"found": True}), "results[0].random_error.found is True"),
    (PARITY, first(weight_error_over_bound=1.5), "weight_error_over_bound is 1.5"),
    (PARITY, first(weight_format="bfloat16"), "weight_format is 'bfloat16'"),
    (PARITY, first(refusal="none judged"), "refusal is 'none judged'"),
    (PARITY, first(beyond_ceiling=[{"rows": [1]}]), "beyond_ceiling"),
    (PARITY, first(stale_known_failures=[{"rows": [1]}]), "stale_known_failures"),
    (PARITY, first(verdict="FAIL"), "results[0].verdict is FAIL, and nothing in it fails"),
    (PARITY, put("summary", passed=19), "summary.passed is 19 of 18 results PASS"),
    (CHANGES, first(same=15), "results[0].rows is 4096, its kinds add up to 4097"),
    (CHANGES, first(new_wrong=14, same=0), "new_wrong and both_wrong is 14 beside the verdict EX"),
    (CHANGES, first(lean={"new": {"found": True}}), "lean is ['new'] beside the verdict EXPLAINED"),
    (CHANGES, first(call_faults=["x"]), "call_faults is ['x'] beside the verdict EXPLAINED"),
    (CHANGES, put("summary", explained=17), "summary.explained is 17 of 18 results"),
    (SCORES, strict(losses=40.0), "difference is -0.00075815"),
    (SCORES, strict(losses=1400.0), "questions is 1319, with 1400 losses"),
    (SCORES, strict(lower=-0.001), "lower is -0.001, and its counts give -0.00367501095"),
    (SCORES, strict(alpha=0.2), "alpha is 0.2, and rules.alpha 0.05"),
    (SCORES, strict(margin=0.03), "margin is 0.03, and rules.margin 0.015"),
    (SCORES, strict(verdict="INCONCLUSIVE"), "verdict is PRESERVED, its filter's INCONCLUSIVE"),
    (SCORES, put("rules", margin=0.003), "rules.margin is 0.003, in the registered plan 0.015"),
    (SCORES, lambda held: held["checks"][0].update(passed=False), "did not pass beside the verdi"),
    (SCORES, lambda held: held.update(verdict="REFUSED"), "and each of checks passed"),
    (SCORES, lambda held: held.update(verdict="DEGRADED"), "exit_status is 0 beside the verdict D"),
    (
        SCORES,
        lambda held: held.update(verdict="DEGRADED", exit_status=1),
        "verdict is DEGRADED, its filter's PRESERVED",
    ),
    (SCORES, lambda held: held.update(decides="other"), "paired has no filter 'other'"),
    (SCORES, lambda held: held.update(withheld=["cut off"]), "withheld for 'cut off'"),
    (SCORES, put("look", level=0), "look.level is 0: alpha was spent"),
    (SCORES, put("noise_floor", discordance=1.2), "noise_floor.discordance is 1.2"),
    (SCORES, put("throughput", low=1.2), "throughput.ratio is not within low and high"),
    (
        SCORES,
        lambda held: held["runs"]["candidate"]["settings"].update(questions=200),
        "runs.candidate.settings.questions is 200 of 1319 paired",
    ),
    (
        SCORES,
        lambda held: held["runs"]["candidate"]["totals"]["right"].update({"strict-match": [1200]}),
        "runs: 1231 and 1200 right answers, and its counts differ by -1",
    ),
    (LATENCY, lambda held: held["latencies"][0]["us"].update(low=1e9), "latencies[0].us: its medi"),
    (LATENCY, lambda held: held["latencies"].append(held["latencies"][0]), "that came before"),
    (DISPATCH, lambda held: held.update(catalogue="torch-eager"), "catalogue is 'torch-eager'"),
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_that_were_measured_agree_with_themselves(name: str, tmp_path: Path) -> None:
    """What the commands wrote on a GPU contradicts itself nowhere."""
    assert read(tmp_path, whole(name)).refused == ()


@pytest.mark.parametrize(("name", "edit", "words"), EDITS)
def test_contradiction_is_unusable_by_its_field(
    name: str, edit: Edit, words: str, tmp_path: Path
) -> None:
    """An edit that leaves two parts of a document unlike is told, though its digest fits."""
    held = whole(name)
    edit(held)

    found = read(tmp_path, held)

    [one] = found.refused
    assert one.unusable
    assert one.why.startswith("contradicts itself: ")
    assert words in one.why
    assert (found.parity, found.compared, found.timed, found.scored) == ((), (), (), ())


def test_bound_beyond_the_margin_is_not_preserved(tmp_path: Path) -> None:
    """PRESERVED is held against the margin itself: every other figure of it may agree."""
    held = whole(SCORES)
    held["rules"]["margin"] = held["plan"]["rules"]["margin"] = 0.003
    for one in held["paired"].values():
        one["margin"] = 0.003

    [one] = read(tmp_path, held).refused

    assert "PRESERVED, and lower -0.37 is beyond the margin of 0.3 points" in one.why


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda held: held.update(faults=[]), "faults is empty: nothing was planted"),
        (lambda held: held["faults"].append(held["faults"][0]), "'no bias' on 'normal' twice"),
        (lambda held: held["faults"][0].update(caught=1), "caught is neither true nor false"),
        (lambda held: held["conforming"].update(rows=-1), "conforming.rows is below 0"),
    ],
)
def test_kill_matrix_that_proves_nothing_is_unusable(
    edit: Edit, words: str, tmp_path: Path
) -> None:
    """A matrix of no fault, of one twice, or of rows below 0 is no evidence."""
    held = fault()
    assert read(tmp_path, held).refused == ()
    edit(held)

    [one] = read(tmp_path, held).refused

    assert words in one.why


def test_coverage_that_its_results_do_not_have_is_unusable(tmp_path: Path) -> None:
    """The tiers that a run counts are those of its results."""
    held = whole(PARITY)
    held["results"][0]["tier"] = "ordinary"
    one = {"kernel": held["results"][0]["kernel"], "tiers": {"ordinary": 64}, "rows": 1}
    held["coverage"] = {"kernels": [one]}

    [refused] = read(tmp_path, held).refused

    assert "is {'ordinary': 64}, its results {'ordinary': 1}" in refused.why
