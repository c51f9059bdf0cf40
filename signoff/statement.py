"""The in-toto Statement of a checklist, and its check against files at hand.

Statement v1 with the predicate test-result v0.1 (github.com/in-toto/attestation). It is not
signed: cosign or gpg sign the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldgate.sealed import DocumentError, read_json
from goldgate.signoff.checklist import Checklist, State
from goldgate.signoff.gathered import Gathered

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"

#: The predicate's results. A demonstration never is PASSED: who admits releases by that word must
#: not take one for a release.
_PASSED, _WARNED, _FAILED = "PASSED", "WARNED", "FAILED"


def to_statement(checklist: Checklist, facts: Gathered) -> str:
    """Return the Statement as JSON.

    Its subjects are the kernel's source where the evidence has its hash, the recordings, outputs
    and GSM8K runs that count, and each file of evidence. A MISSING item is a failed test, and so
    is an INCONCLUSIVE verdict; where a file is broken, the test "usable-evidence" is.
    """
    states = {state: [one for one in checklist.items if one.state is state] for state in State}
    not_passed = [*states[State.FAIL], *states[State.MISSING]]
    passed = _WARNED if checklist.demonstration else _PASSED
    predicate = {
        "result": passed if checklist.signed_off else _FAILED,
        "configuration": [
            {
                "name": f"policy {checklist.policy_name}",
                "digest": {"sha256": checklist.policy_sha256},
                "annotations": {
                    "title": checklist.title,
                    "verdict": checklist.verdict,
                    "demonstration": checklist.demonstration,
                    "made": checklist.made,
                    **{f"goldgate {one.name}": one.value for one in checklist.goldgate},
                },
            }
        ],
        "passedTests": [one.name for one in states[State.PASS]],
        "warnedTests": [one.name for one in not_passed if not one.required],
        "failedTests": [
            *(one.name for one in not_passed if one.required),
            *(["usable-evidence"] if checklist.unusable else []),
        ],
    }
    whole = {
        "_type": TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": sha256}}
            for name, sha256 in subjects(checklist, facts).items()
        ],
        "predicateType": PREDICATE,
        "predicate": predicate,
    }
    return json.dumps(whole, indent=2) + "\n"


def subjects(checklist: Checklist, facts: Gathered) -> dict[str, str]:
    """Return what a statement is about: SHA-256 by name, each name once."""
    found = {f"policy {checklist.policy_name}": checklist.policy_sha256}
    for one in facts.parity:
        if one.kernel.source_sha256:
            found[f"source of {one.kernel.name} {one.kernel.version}"] = one.kernel.source_sha256
    at_hand = {file.sha256 for file in checklist.read}
    for held in facts.recordings:
        if held.model and held.sha256 not in at_hand:  # constructed ones are made, not kept
            found.setdefault(f"recording {held.name} {held.sha256[:12]}", held.sha256)
    for scored in facts.scored:
        for name, run in scored.document["runs"].items():
            for what in ("samples", "journal"):
                sha256 = run["hashes"].get(what)
                if isinstance(sha256, str) and sha256:
                    found[f"{what} of the {name} of {scored.file.path}"] = sha256
    for file in checklist.read:
        if file.sha256:
            found[file.path] = file.sha256
    return found


#: How `subjects` names what it knows by its hash alone.
_BY_HASH = ("recording ", "source of ")
_OF_RUN = re.compile(r"(samples|journal) of the \w+ of ")


@dataclass(frozen=True)
class Verified:
    """What was found of one subject.

    Attributes:
        name: the subject's.
        sha256: that the statement names.
        found: "same" where a file with this hash is at hand, "differs" where the file of its name
            has another one, "absent" where neither is there.
        where: the file, "" for none.
        by_hash: whether it was no file when the statement was made, but known by its hash from the
            evidence: a recording, a run's samples or journal, a kernel's source.

    """

    name: str
    sha256: str
    found: str
    where: str
    by_hash: bool = False


def read_statement(path: Path) -> Mapping[str, Any]:
    """Read a statement that `to_statement` wrote.

    Raises:
        DocumentError: it is no such statement.

    """
    held = read_json(path)
    shape = isinstance(held, dict) and held.get("_type") == TYPE
    if not shape or not isinstance(held, dict) or held.get("predicateType") != PREDICATE:
        raise DocumentError(
            f"{path}: expected an in-toto Statement v1 with the predicate test-result v0.1, which "
            "`goldgate signoff --out DIR` writes as signoff.intoto.json; unpack a signed envelope "
            "first"
        )
    predicate, about = held.get("predicate"), held.get("subject")
    if not isinstance(predicate, dict) or not isinstance(about, list) or not about:
        raise DocumentError(f"{path}: no predicate or no subjects; it is damaged")
    if predicate.get("result") not in (_PASSED, _WARNED, _FAILED):
        raise DocumentError(f"{path}: result {predicate.get('result')!r}: it is damaged")
    for one in about:
        digest = one.get("digest") if isinstance(one, dict) else None
        if not isinstance(digest, dict) or not isinstance(digest.get("sha256"), str):
            raise DocumentError(f"{path}: a subject without a sha256; it is damaged")
    return held


def verified(statement: Mapping[str, Any], hashes: Iterable[tuple[str, str]]) -> list[Verified]:
    """Hold a statement's subjects against files.

    Args:
        statement: as `read_statement` returns it.
        hashes: name and SHA-256 of each file at hand; names as in a checklist.

    A file counts as changed where one is at its place below the folder of evidence, under whatever
    name that folder has now; where several are, none is taken for it.

    """
    held = list(hashes)
    by_hash = {sha256: name for name, sha256 in reversed(held)}
    about = {one["digest"]["sha256"] for one in statement["subject"]}
    by_place: dict[str, set[tuple[str, str]]] = {}
    for name, sha256 in held:
        if sha256 not in about:
            for place in _places(name):
                by_place.setdefault(place, set()).add((name, sha256))
    found = []
    for one in statement["subject"]:
        name, sha256 = str(one.get("name", "")), one["digest"]["sha256"]
        no_file = name.startswith(_BY_HASH) or _OF_RUN.match(name) is not None
        there = by_place.get(_below(name), set())
        if sha256 in by_hash:
            found.append(Verified(name, sha256, "same", by_hash[sha256], no_file))
        elif len(there) == 1 and not no_file:
            [(where, _)] = there
            found.append(Verified(name, sha256, "differs", where))
        else:
            found.append(Verified(name, sha256, "absent", "", no_file))
    return found


def _below(name: str) -> str:
    """Return a file's place below the folder of evidence, whose own name may have changed since."""
    return name.partition("/")[2] or name


def _places(name: str) -> list[str]:
    """Return a path and its ends: a folder of evidence may lie anywhere below the one named."""
    parts = name.split("/")
    return ["/".join(parts[at:]) for at in range(len(parts))]
