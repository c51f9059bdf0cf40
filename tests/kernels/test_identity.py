"""`goldgate kernels --json`: what identifies each kernel, and what is said of a release."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from goldgate.accuracy.commands.kernels import _state
from goldgate.cli import main
from goldgate.kernels import registry
from goldgate.kernels.identity import calls, environment, files
from goldgate.kernels.origin import UNKNOWN, Arithmetic, Origin
from goldgate.reference import PROFILES
from goldgate.reference.models import MODELS

PAGE = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text("utf-8")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Return what the command writes here."""
    path = tmp_path_factory.mktemp("kernels") / "kernels.json"
    assert main(["kernels", "--json", str(path)]) == 0
    found: dict[str, object] = json.loads(path.read_text("utf-8"))
    return found


def test_the_document_has_every_kernel_with_the_keys_of_the_page(
    document: dict[str, object],
) -> None:
    """docs/kernels.md lists each key of an entry, and no entry is left out."""
    entries = document["kernels"]
    assert isinstance(entries, list)

    assert [entry["name"] for entry in entries] == list(registry())
    for entry in entries:
        assert all(f"| `{key}` |" in PAGE for key in entry)
        assert set(entry["supports"]) == set(MODELS)
        assert entry["arithmetic"]["profile"] in PROFILES
        assert entry["arithmetic"]["source"]
        assert (entry["why_not"] is None) == entry["runs_here"]
        assert "\n" not in (entry["why_not"] or "")
    assert all(f"`{key}`" in PAGE for key in document)


def test_every_kernel_but_a_recorded_one_has_an_origin() -> None:
    """Import, host and profiles by release are stated; the profiles exist."""
    for kernel in registry().values():
        assert kernel.origin.imports or kernel.name == "aiter-emulated"
        assert {line.profile for line in kernel.origin.arithmetic} <= set(PROFILES)
        if kernel.name not in ("sglang-route-radix", "vllm-fused-topk-bias"):
            assert kernel.origin.runs_on


def test_a_release_that_no_line_matches_is_conservative() -> None:
    """The whole name of a release must match; what is unknown gets the widest figures."""
    origin = Origin(arithmetic=(Arithmetic(r"0\.4", "ieee", "measured"),))

    assert origin.arithmetic_of("0.4").profile == "ieee"
    assert origin.arithmetic_of("0.4.1") is UNKNOWN
    assert origin.arithmetic_of("unknown").profile == "conservative"


def test_files_and_environment_identify_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package's files are hashed without importing it; variables are chosen by prefix."""
    inside = tmp_path / "never_imported" / "csrc"
    inside.mkdir(parents=True)
    (inside.parent / "__init__.py").write_text("raise RuntimeError\n")
    (inside / "kernel.cu").write_text("text")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("NEVER_A", "1")
    monkeypatch.setenv("OTHER", "1")
    origin = Origin(files=("never_imported/**/*.cu", "no_such/x"), environment=("NEVER_",))

    digest = hashlib.sha256(b"text").hexdigest()
    assert files(origin) == {"never_imported/csrc/kernel.cu": digest}
    assert environment(origin) == {"NEVER_A": "1"}
    assert environment(Origin()) == {}


def test_the_list_says_why_a_kernel_is_judged_as_conservative() -> None:
    """Of a profile that a release chose the list names the profile alone."""
    entry = {"runs_here": True, "version": None}

    known = _state(entry | {"arithmetic": {"profile": "ieee", "source": "measured"}})
    unknown = _state(entry | {"arithmetic": {"profile": "conservative", "source": "not read"}})

    assert known == "runs here: of an unknown release, judged as ieee"
    assert unknown == "runs here: of an unknown release, judged as conservative (not read)"


def test_a_kernel_whose_import_crashes_is_a_line_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package that ends the process when it is imported is named; all kernels are listed."""
    (tmp_path / "transformers.py").write_text("import os, signal\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(tmp_path)

    assert main(["kernels"]) == 0

    listed = capsys.readouterr().out
    assert "transformers-minimax-m2: loading it: its process died (SIGSEGV)" in listed
    assert all(f"{name}: " in listed for name in registry())


def test_calls_that_a_launcher_refuses_are_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bias of 16 bits, float16 and strided tensors are in the entry of a kernel that is here."""
    monkeypatch.setattr("goldgate.kernels.vllm.operators", object)
    vllm = calls(registry()["vllm-topk-sigmoid"].load())

    assert vllm["contiguous"]
    assert set(vllm["refused"]) == {
        f"{gate} logits, {bias} bias" for gate in ("F32", "BF16", "F16") for bias in ("BF16", "F16")
    }
    assert vllm["refused"]["F32 logits, BF16 bias"] == "takes a float32 bias, not BF16"
    assert calls(registry()["torch-eager"].load()) == {
        "contiguous": False,
        "weights": "float32",
        "refused": {},
    }
