"""The evidence: complete, in its schema, read back, and kept whatever fails around it."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest

import goldgate
from goldgate.accuracy.account import Account, NotRun, exit_status
from goldgate.accuracy.commands import parity
from goldgate.accuracy.commands.judging import one_interrupt
from goldgate.accuracy.document import SCHEMA_FILE, digest
from goldgate.accuracy.evidence import EvidenceError, Judged, read_evidence
from goldgate.accuracy.isolation import Runner, UnwrittenError
from goldgate.accuracy.kernel_process import Order
from goldgate.accuracy.live import folder_of
from goldgate.accuracy.saving import saved
from goldgate.cli import main
from goldgate.fixtures import (
    SHIPPED_OUTPUTS,
    SHIPPED_RECORDINGS,
    open_recording,
    write_recording,
)
from goldgate.fixtures.constructed import construct

Damage = Callable[[dict[str, Any]], object]
KERNEL = "aiter-2026-08-gfx942-emulated"


def _judge(folder: Path, *more: str | Path) -> int:
    """Judge one shipped kernel's outputs for `normal` and `edge`."""
    for name in ("normal", "edge"):
        for source, target in (
            (SHIPPED_RECORDINGS, folder / "recordings"),
            (SHIPPED_OUTPUTS / KERNEL, folder / "outputs" / KERNEL),
        ):
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / f"{name}.safetensors", target)
    where = ("--recordings", folder / "recordings", "--outputs", folder / "outputs")
    return main(["judge", *map(str, (*where, *more))])


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """Return a file of evidence."""
    assert _judge(tmp_path, "--json", tmp_path / "e.json") == 0
    return tmp_path / "e.json"


def test_evidence_is_in_its_schema(evidence: Path) -> None:
    """What is written is what the JSON Schema describes, and a result with a wrong type is not."""
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    document = json.loads(evidence.read_text("utf-8"))

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    document["results"][0]["exact"] = "many"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_every_field_of_a_result_is_described(evidence: Path) -> None:
    """A field of a result that the schema does not know is a field that no reader can rely on."""
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))

    for result in read_evidence(evidence).results:
        assert set(result) <= set(schema["$defs"]["result"]["properties"])


def test_schema_has_every_verdict() -> None:
    """The schema's verdicts are those that a judge gives, NOT COVERED among them."""
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))

    given = {Judged("k", "r", not_covered="x").verdict, Judged("k", "r", refusal="x").verdict,
             Judged("k", "r", faults=("x",)).verdict, "PASS"}  # fmt: skip

    assert set(schema["$defs"]["result"]["properties"]["verdict"]["enum"]) == given


def test_evidence_of_a_live_kernel_is_in_the_schema(tmp_path: Path) -> None:
    """`goldgate parity` writes what the schema describes: coverage, notes and skipped calls too."""
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    write_recording(tmp_path / "in" / "r.safetensors", construct("MiniMax-M2.5/padding_between"))
    run = ("--kernel", "torch-eager", "--recordings", str(tmp_path / "in"), "--repeats", "0")

    assert main(["parity", *run, "--json", str(tmp_path / "e.json")]) == 0

    document = json.loads((tmp_path / "e.json").read_text("utf-8"))
    jsonschema.validate(document, schema)
    (result,) = document["results"]
    assert set(result) <= set(schema["$defs"]["result"]["properties"])
    assert len(result["random_error"]["by_call"]) > 1
    assert document["coverage"] is not None


def test_evidence_says_what_was_judged(evidence: Path) -> None:
    """Version, options, kernel, hashes of all that was read and the known failures are there."""
    document = read_evidence(evidence).document

    assert document["goldgate"]["version"] == goldgate.__version__
    assert document["options"]["command"] == "judge"
    assert document["options"]["ordered"] is False
    (kernel,) = document["kernels"]
    assert (kernel["name"], kernel["execution"]) == ("aiter.biased_grouped_topk", "emulated")
    kinds = [one["kind"] for one in document["read"]]
    assert sorted(kinds) == ["known failures", "output", "output", "recording", "recording"]
    edge = next(one for one in document["results"] if one["recording"] == "edge")
    assert all(known["ceiling"] for known in edge["known_failures"])
    assert document["summary"]["exit_status"] == 0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d["results"][0].update(verdict="PASS", wrong=0, rows=1), "was edited"),
        (lambda d: d["summary"].update(failed=7), "was edited"),
        (lambda d: d.update(schema=1), "expected 2"),
        (lambda d: d.pop("results"), "no 'results'"),
        (lambda d: d["results"][0].pop("verdict"), "has no 'verdict'"),
    ],
)
def test_changed_evidence_is_refused(evidence: Path, damage: Damage, message: str) -> None:
    """Evidence that was edited or lacks a part is refused by name."""
    document = json.loads(evidence.read_text("utf-8"))
    damage(document)
    evidence.write_text(json.dumps(document), "utf-8")

    with pytest.raises(EvidenceError, match=message) as caught:
        read_evidence(evidence)

    assert str(evidence) in str(caught.value)


def test_the_digest_leaves_out_the_time(evidence: Path) -> None:
    """Two runs on the same input have the same digest, whenever they ran."""
    document = json.loads(evidence.read_text("utf-8"))
    before = digest(document)
    document["time"]["started"] = "1999-01-01T00:00:00+00:00"

    assert digest(document) == before == document["digest"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": NaN}'])
def test_what_is_no_evidence_is_refused(tmp_path: Path, text: str) -> None:
    """A file that is cut short or something else is refused in one line."""
    (tmp_path / "e.json").write_text(text, "utf-8")

    with pytest.raises(EvidenceError, match=r"e\.json"):
        read_evidence(tmp_path / "e.json")


def test_what_did_not_run_is_in_json_and_junit(tmp_path: Path) -> None:
    """A recording that the manifest says was not covered is a skipped case, with its reason."""
    folder = tmp_path / "outputs" / KERNEL
    folder.mkdir(parents=True)
    manifest: dict[str, Any] = {"schema": 1, "kernel": "k", "recordings": {}}
    manifest["recordings"]["edge"] = {"state": "written"}
    manifest["recordings"]["normal"] = {"state": "written"}
    manifest["recordings"]["groups"] = {"state": "not covered", "why": "one group only"}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")

    status = _judge(tmp_path, "--json", tmp_path / "e.json", "--junit", tmp_path / "e.xml")

    assert status == 0
    (note,) = read_evidence(tmp_path / "e.json").document["not_run"]
    assert note == {"kernel": KERNEL, "recording": "groups", "why": "one group only"}
    suite = ET.parse(tmp_path / "e.xml").getroot()  # noqa: S314 - our own file
    (skipped,) = suite.findall("testcase/skipped")
    assert skipped.get("message") == "one group only"
    assert suite.get("skipped") == "1"


def test_a_required_kernel_that_was_not_run_is_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--require names the kernel that has no verdict; one that has satisfies it."""
    assert _judge(tmp_path, "--require", KERNEL) == 0

    status = _judge(tmp_path, "--require", "sglang", "--junit", tmp_path / "e.xml")

    assert status == 2
    assert "--require sglang: it was not run" in capsys.readouterr().err
    assert ET.parse(tmp_path / "e.xml").getroot().get("errors") == "1"  # noqa: S314 - our own


def test_a_required_kernel_says_why_it_did_not_run() -> None:
    """The reason of a kernel that cannot run here stands in the error of --require."""
    about = Account({}, (NotRun("aiter", "", "no ROCm device"),), ("aiter",))

    assert exit_status([Judged("torch-eager", "a", faults=("x",))], about) == 1
    assert exit_status([Judged("torch-eager", "a", refusal="x")], about) == 2


def test_evidence_that_cannot_be_written_is_named_and_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full or missing disk is exit 2 with the file and cause; the table and JUnit still come."""
    (tmp_path / "file").write_text("", "utf-8")
    unwritable = tmp_path / "file" / "e.json"

    status = _judge(tmp_path, "--json", unwritable, "--junit", tmp_path / "e.xml")

    said = capsys.readouterr()
    assert status == 2
    assert f"{unwritable}: the evidence cannot be written" in said.err
    assert "2 passed, 0 failed" in said.out
    assert (tmp_path / "e.xml").exists()


def test_outputs_that_cannot_be_saved_are_judged_all_the_same(tmp_path: Path) -> None:
    """A file that takes no outputs is the disk's fault: they are judged from another file."""
    held = open_recording(SHIPPED_RECORDINGS / "edge.safetensors")
    (tmp_path / "file").write_text("", "utf-8")

    with Runner() as runner:
        ran = runner.run(
            Order("torch-eager", None, None), held, tmp_path / "file" / "edge.safetensors"
        )

        assert ran.output.ids().shape == (held.rows, 8)
        assert "cannot be written" in ran.unsaved


def test_a_manifest_that_cannot_be_written_loses_no_report(tmp_path: Path) -> None:
    """What became of the outputs is still reported where the disk is full by then, with a line."""
    folder = tmp_path / folder_of("k")
    folder.mkdir()
    (folder / "manifest.json").mkdir()  # no file can take its place

    (line,) = saved(tmp_path, [Judged("k", "r", not_covered="no groups")])

    assert line.startswith(f"{folder / 'manifest.json'}: ")


def test_what_could_not_be_saved_makes_a_pass_exit_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failed manifest comes after the table, on stderr, and the run is no pass."""
    failed = "out/k/manifest.json: the manifest cannot be written (No space left on device)"
    monkeypatch.setattr(parity, "saved", lambda *_: [failed])
    run = ("--kernel", "torch-eager", "--recordings", str(SHIPPED_RECORDINGS / "edge.safetensors"))

    status = main(["parity", *run, "--repeats", "0", "--save-outputs", str(tmp_path)])

    said = capsys.readouterr()
    assert status == 2
    assert "1 passed, 0 failed" in said.out
    assert failed in said.err


def test_outputs_that_no_file_takes_are_no_failure_of_the_kernel() -> None:
    """Where even the temporary folder is gone the recording is refused, not failed."""
    held = open_recording(SHIPPED_RECORDINGS / "edge.safetensors")

    with Runner() as runner:
        shutil.rmtree(runner._folder.name)
        Path(runner._folder.name).write_text("", "utf-8")
        with pytest.raises(UnwrittenError, match="cannot be written"):
            runner.run(Order("torch-eager", None, None), held)
        Path(runner._folder.name).unlink()
        Path(runner._folder.name).mkdir()


def test_a_second_interrupt_does_not_lose_the_report() -> None:
    """After the first Control-C a second one is ignored until the report is out."""
    before = signal.getsignal(signal.SIGINT)

    with one_interrupt():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # raises nothing

    assert signal.getsignal(signal.SIGINT) is before


def test_a_kernel_of_ones_own_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The evidence of a live kernel has its package, the hash of its file and the architecture."""
    (tmp_path / "described.py").write_text(
        "from goldgate.kernels.torch_eager import route as there\n"
        "__version__ = '7'\n"
        "def route(*a):\n    there(*a)\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    recordings = SHIPPED_RECORDINGS / "standin-layer00-0000.safetensors"

    status = main(
        ["parity", "--kernel", "described:route", "--recordings", str(recordings), "--json", "e"]
    )

    (kernel,) = read_evidence(tmp_path / "e").document["kernels"]
    assert status == 0
    assert (kernel["package"], kernel["version"]) == ("described", "7")
    assert len(kernel["source_sha256"]) == 64
    assert kernel["architecture"]


def test_numbers_that_json_has_not_are_refused() -> None:
    """A NaN never gets into evidence, where a reader would stumble over it."""
    with pytest.raises(ValueError, match="JSON"):
        digest({"size": float(np.nan)})
