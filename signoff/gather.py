"""Reading the evidence: each file once, by the reader of the package that wrote it.

What is no evidence (a package's JSON, another tool's) is counted and left alone. A file that is
meant to be evidence and is not whole is refused by name.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goldgate.accuracy.changes_document import KIND as COMPARISON_KIND
from goldgate.accuracy.changes_document import read_comparison
from goldgate.accuracy.dispatch_document import KIND as DISPATCH_KIND
from goldgate.accuracy.dispatch_document import read_dispatch
from goldgate.accuracy.document import SCHEMA as PARITY_SCHEMA
from goldgate.accuracy.document import read_evidence
from goldgate.accuracy.latency_document import is_latency, read_latency
from goldgate.errors import GoldgateError
from goldgate.evals.records.names import RUN as RUN_NAME
from goldgate.evals.records.verdict import is_verdict, read_verdict
from goldgate.fixtures import FixtureError, open_recording, tensorfile
from goldgate.mutants.evidence import KIND as KILLS_KIND
from goldgate.mutants.evidence import read_matrix
from goldgate.signoff.checklist import EvidenceFile, Refused
from goldgate.signoff.consistent import require_consistent
from goldgate.signoff.gathered import (
    COMPARISON,
    DISPATCH,
    KILLS,
    LATENCY,
    OUTPUT,
    PARITY,
    RECORDING,
    RUN,
    SCORES,
    Gathered,
    merged,
)
from goldgate.signoff.other_facts import (
    asked_first,
    dispatch_facts,
    latency_facts,
    matrix_facts,
    score_facts,
)
from goldgate.signoff.parity_facts import comparison_facts, parity_facts, recorded_of

#: Files that are part of something else that is read: a run's plan and looks, outputs' manifest.
_PARTS = ("plan.json", "manifest.json", "unpaired.json", "evidence.schema.json")

_GZIP = ".gz"

#: A compressed document that is larger is refused: a few kilobytes may unpack to gigabytes.
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class AtHand:
    """Files that can be judged again.

    Attributes:
        recordings: path and description of each, by SHA-256.
        outputs: path and description of each.
        runs: folders of GSM8K runs, with the description of their run.json.

    """

    recordings: Mapping[str, tuple[Path, EvidenceFile]]
    outputs: tuple[tuple[Path, EvidenceFile], ...]
    runs: tuple[tuple[Path, EvidenceFile], ...]


def gather(
    files: Iterable[tuple[str, Path]], advance: Callable[[int], object] = lambda _: None
) -> tuple[Gathered, AtHand]:
    """Read files of evidence.

    Args:
        files: their names in the checklist, and their paths.
        advance: called with 1 whenever a file was read.

    Returns:
        the facts, and which recordings, outputs and runs can be judged again. A document that is
        there twice, byte for byte, counts once.

    """
    parts: list[Gathered] = []
    recordings: dict[str, tuple[Path, EvidenceFile]] = {}
    outputs: list[tuple[Path, EvidenceFile]] = []
    runs: list[tuple[Path, EvidenceFile]] = []
    documents: dict[str, str] = {}
    others = 0
    for name, path in files:
        found = _tensors(name, path) if path.suffix == ".safetensors" else _document(name, path)
        advance(1)
        if found is None:
            others += 1
            continue
        for file in found.files:
            if file.kind == RECORDING:
                recordings.setdefault(file.sha256, (path, file))
            elif file.kind == OUTPUT:
                outputs.append((path, file))
            elif file.kind == RUN:
                runs.append((path.parent, file))
            elif (first := documents.setdefault(file.sha256, name)) != name:
                found = Gathered(notes=(f"{name} is {first} again, byte for byte: read once",))
        parts.append(found)
    if others:
        parts.append(Gathered(notes=(f"{others} files are no evidence and were left alone",)))
    return merged(parts), AtHand(recordings, tuple(outputs), tuple(runs))


def _tensors(name: str, path: Path) -> Gathered | None:
    """Describe a recording or an output; None for tensors of something else."""
    try:
        _, metadata = tensorfile.read(path)
        if "recording" in metadata:
            return _recording(name, path)
        if "output" not in metadata:
            return None
        about = tensorfile.metadata_json(path, metadata, "output")
        kernel = about.get("kernel")
        subject = str(kernel.get("name")) if isinstance(kernel, dict) else ""
        file = EvidenceFile(name, tensorfile.sha256(path), OUTPUT, "", subject)
    except FixtureError as error:
        return _refusal(EvidenceFile(name, _sha256(path), RECORDING), error, path)
    return Gathered(files=(file,))


def _recording(name: str, path: Path) -> Gathered:
    held = open_recording(path)
    sha256 = held.sha256 or ""
    file = EvidenceFile(name, sha256, RECORDING, "", str(held.source.get("model") or held.name))
    about = {
        "rows": held.rows,
        "logits": held.gating_output.dtype,
        "bias": held.correction_bias.dtype,
        "spec": held.spec.to_dict(),
        "source": dict(held.source),
    }
    recorded = recorded_of(held.name, sha256, about, file, at_hand=True)
    return Gathered(recordings=(recorded,), files=(file,))


def _document(name: str, path: Path) -> Gathered | None:  # noqa: PLR0911 - a kind, a return
    """Return the facts of a JSON file; None for one that is no evidence."""
    if path.name.removesuffix(_GZIP) in _PARTS or path.parent.name == "looks":
        return Gathered()
    try:
        raw = path.read_bytes()
    except OSError as error:
        file = EvidenceFile(name, "", PARITY)
        return Gathered(refused=(Refused(file, f"cannot be read ({error.strerror})", True),))
    file = EvidenceFile(name, hashlib.sha256(raw).hexdigest(), "")
    try:
        document = json.loads(_unpacked(raw) if path.name.endswith(_GZIP) else raw)
    except (ValueError, RecursionError, EOFError, OSError, zlib.error) as error:
        reason = " ".join(str(error).split())
        why = f"expected whole JSON ({reason}): it was cut short or edited; bring it again"
        return Gathered(refused=(Refused(replace(file, kind="JSON"), why, unusable=True),))
    if not isinstance(document, dict):
        return None
    if path.name == RUN_NAME and "settings" in document:
        settings = document["settings"]
        subject = str(settings.get("model", "")) if isinstance(settings, dict) else ""
        made = str(document.get("finished") or "")
        return Gathered(files=(replace(file, kind=RUN, made=made, subject=subject),))
    try:
        return _known(path, document, file)
    except GoldgateError as error:
        return _refusal(replace(file, kind=_kind(document)), error, path, document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Its digest fits and its content does not: written by hand, or by another version.
        why = f"lacks what its schema has ({type(error).__name__}: {error}); make it again"
        refused = Refused(replace(file, kind=_kind(document)), why, unusable=True)
        return Gathered(refused=(refused,))


def _known(  # noqa: PLR0911 - a kind, a return
    path: Path, document: dict[str, Any], file: EvidenceFile
) -> Gathered | None:
    kind = _kind(document)
    if kind == PARITY:
        evidence = read_evidence(path, document).document
        require_consistent(kind, evidence)
        names = dict.fromkeys(str(info.get("name")) for info in evidence["kernels"])
        return parity_facts(evidence, _described(file, kind, evidence, names))
    if kind == COMPARISON:
        found = read_comparison(path, document)
        require_consistent(kind, found)
        return comparison_facts(found, _described(file, kind, found, [found["options"]["new"]]))
    if kind == LATENCY:
        found = read_latency(path, document)
        require_consistent(kind, found)
        return latency_facts(found, _described(file, kind, found, found["kernels"]))
    if kind == SCORES:
        found = read_verdict(path, document)
        require_consistent(kind, found)
        model = str(found["runs"]["candidate"]["settings"].get("model", ""))
        about = replace(file, kind=kind, made=asked_first(found), subject=model)
        return score_facts(found, about)
    if kind == DISPATCH:
        reached = read_dispatch(path, document)
        require_consistent(kind, reached)
        return dispatch_facts(reached, _described(file, kind, reached, [reached["kernel"]]))
    if kind == KILLS:
        matrix = read_matrix(path, document)
        require_consistent(kind, matrix)
        return matrix_facts(matrix, _described(file, kind, matrix, ["the judge"]))
    return None


def _unpacked(raw: bytes) -> bytes:
    """Return what gzip packed.

    Raises:
        ValueError: it unpacks to more than any evidence is.
        EOFError: it was cut short.
        OSError: it is nothing that gzip packed.

    """
    with gzip.open(io.BytesIO(raw)) as file:
        found = file.read(_MOST_BYTES + 1)
    if len(found) > _MOST_BYTES:
        raise ValueError(f"unpacks to more than {_MOST_BYTES} bytes")
    return found


def _kind(document: Mapping[str, Any]) -> str:
    """Return what a document is meant to be, "" for no evidence."""
    named = {COMPARISON_KIND: COMPARISON, KILLS_KIND: KILLS, DISPATCH_KIND: DISPATCH}
    kind = document.get("kind")
    if isinstance(kind, str) and kind in named:
        return named[kind]
    if is_latency(document):
        return LATENCY
    if is_verdict(document):
        return SCORES
    if {"results", "kernels", "not_run"} & set(document) and "schema" in document:
        return PARITY
    return ""


def _described(
    file: EvidenceFile, kind: str, document: Mapping[str, Any], subjects: Iterable[str]
) -> EvidenceFile:
    made = str(document["time"].get("finished") or "")
    return replace(file, kind=kind, made=made, subject=", ".join(map(str, subjects)))


def _refusal(
    file: EvidenceFile,
    error: GoldgateError,
    path: Path,
    document: Mapping[str, Any] | None = None,
) -> Gathered:
    """Return a file that is refused, its path left out of the reason: the checklist names it."""
    why = str(error).removeprefix(f"{path}: ")
    schema = (document or {}).get("schema")
    # Whole, and of an earlier version: nothing is wrong with it but its age.
    earlier = isinstance(schema, int) and "digest" not in why and schema < _current(file.kind)
    earlier = earlier or "has no digest" in why
    return Gathered(refused=(Refused(file, why, unusable=not earlier),))


def _current(kind: str) -> int:
    return PARITY_SCHEMA if kind == PARITY else 1


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
