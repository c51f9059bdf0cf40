"""The worked sign-off in docs/: a YES and a NO of the same files, that are what they state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goldgate.cli import main
from goldgate.pictures import digest_in
from goldgate.signoff.checklist import DEMONSTRATION
from tests.signoff_example import EVIDENCE, FOLDER, PAGES, PICTURE, sha256


def answer(name: str) -> dict[str, Any]:
    """Return a checklist of the example."""
    found: dict[str, Any] = json.loads((FOLDER / name / "signoff.json").read_text("utf-8"))
    return found


def test_the_demonstration_is_a_yes_and_the_release_a_no() -> None:
    """The same evidence fills the demonstration's policy and none of the release's parity."""
    yes, no = answer("yes"), answer("no")

    assert (yes["exit_status"], no["exit_status"]) == tuple(one[1] for one in PAGES.values())
    assert yes["verdict"].startswith(DEMONSTRATION)
    assert "YES" in yes["verdict"]
    assert no["verdict"].startswith("NO: ")
    assert {one["state"] for one in yes["items"] if one["required"]} == {"PASS"}
    assert [one["state"] for one in no["items"] if one["name"] == "parity"] == ["MISSING"]


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_have_the_verdict_of_their_checklist(name: str) -> None:
    """HTML and Markdown carry the verdict of signoff.json."""
    verdict = answer(name)["verdict"]

    for page in ("signoff.html", "signoff.md"):
        assert verdict in (FOLDER / name / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_the_statement_is_about_the_files_that_are_there(name: str, tmp_path: Path) -> None:
    """`goldgate signoff verify` finds no changed file, and a changed one once there is one."""
    statement = str(FOLDER / name / "signoff.intoto.json")
    changed = tmp_path / EVIDENCE.name
    files = sorted(EVIDENCE.rglob("*.json.gz"))
    for path in files:
        (changed / path.relative_to(EVIDENCE)).parent.mkdir(parents=True, exist_ok=True)
        (changed / path.relative_to(EVIDENCE)).write_bytes(path.read_bytes() + b" ")

    verify = ["signoff", "verify", statement, "--evidence"]

    assert files
    assert main([*verify, str(EVIDENCE)]) == 0
    assert main([*verify, str(changed)]) == 1


def test_the_picture_is_of_the_page() -> None:
    """The picture carries the hash of the page that it was drawn of."""
    assert digest_in(PICTURE) == sha256(FOLDER / "yes" / "signoff.html")
