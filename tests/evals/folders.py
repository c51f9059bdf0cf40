"""Run folders that a test changes so that they agree with themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from goldgate.evals.records.folder import sha256
from goldgate.sealed import digest
from tests.evals.support import facts_of

if TYPE_CHECKING:
    from pathlib import Path


def write_samples(run: Path, samples: list[Any]) -> None:
    """Replace the samples and the hash that covers them."""
    (run / "samples.jsonl").write_text("".join(json.dumps(s) + "\n" for s in samples))
    facts = facts_of(run)
    facts["hashes"]["samples"] = sha256(run / "samples.jsonl")
    write_facts(run, facts)


def write_facts(run: Path, facts: dict[str, Any]) -> None:
    """Replace run.json and its digest."""
    facts = {**facts, "digest": digest(facts)}
    (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")
