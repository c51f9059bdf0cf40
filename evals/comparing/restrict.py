"""A run, read as if only some of its questions had been asked."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from goldgate.evals.records.folder import Run
from goldgate.evals.records.schema import recount


def restricted(run: Run, ids: Sequence[int]) -> Run:
    """Return a run with the samples of these questions alone and totals counted from them.

    What is counted of requests (served models, builds, errors) stays that of the whole run: a
    server that changed at any time is no evidence. The hash of the samples is that of the part,
    which identifies the data set. A run that holds no more than these questions is returned as it
    is.
    """
    wanted = set(ids)
    samples = tuple(sample for sample in run.samples if sample["doc_id"] in wanted)
    if len(samples) == len(run.samples):
        return run
    repeats = run.settings["runs"]
    counted = recount(samples, repeats, run.filters)
    totals = dict(run.facts["totals"])
    for name in ("right", "not_extracted"):
        totals[name] = {one: counted[f"{name}.{one}"] for one in run.filters}
    for name in ("answers", "empty", "truncated", "truncation_unknown", "stop_left_in_text"):
        totals[name] = counted[name]
    totals["thoughts"] = dict(Counter(sample["thought"] for sample in samples))
    text = "".join(json.dumps(sample, sort_keys=True) + "\n" for sample in samples)
    hashes = {**run.facts["hashes"], "samples": hashlib.sha256(text.encode()).hexdigest()}
    settings = {**run.settings, "questions": len(samples) // repeats}
    facts = {**run.facts, "totals": totals, "hashes": hashes, "settings": settings}
    return replace(run, facts=facts, samples=samples)
