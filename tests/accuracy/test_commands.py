"""The commands, as a user runs them: exit status, evidence, and one line for what is wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from goldgate.accuracy.bench import peak_memory_mib
from goldgate.cli import main
from goldgate.fixtures import (
    KernelInfo,
    Output,
    Recording,
    open_output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import MINIMAX_M2_5, route

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"


def _run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "goldgate", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=environment
    )


@pytest.fixture
def shipped(tmp_path: Path) -> tuple[Path, Path]:
    """Return copies of the shipped recordings and outputs."""
    for name in ("recordings", "outputs"):
        shutil.copytree(FIXTURES / name, tmp_path / name)
    return tmp_path / "recordings", tmp_path / "outputs"


def _run_here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which has imported and compiled what it needs."""
    words = [str(argument) for argument in arguments]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as errors:
        try:
            status = main(words)
        except SystemExit as end:  # of the parser
            status = int(end.code or 0)
    return subprocess.CompletedProcess(words, status, out.getvalue(), errors.getvalue())


def _judge(shipped: tuple[Path, Path], *more: str | Path) -> subprocess.CompletedProcess[str]:
    return _run_here("judge", "--recordings", shipped[0], "--outputs", shipped[1], *more)


def test_shipped_outputs_pass(shipped: tuple[Path, Path], tmp_path: Path) -> None:
    """All shipped outputs pass, and the evidence is complete and the same bytes every time."""
    judge = ("judge", "--recordings", shipped[0], "--outputs", shipped[1])
    first = _run(*judge, "--json", tmp_path / "a.json", "--junit", tmp_path / "a.xml")
    second = _run(*judge, "--json", tmp_path / "b.json", "--junit", tmp_path / "b.xml")

    assert first.returncode == second.returncode == 0, first.stdout + first.stderr
    one_time, other_time = (json.loads((tmp_path / f"{n}.json").read_text()) for n in "ab")
    del one_time["time"], other_time["time"]
    assert one_time == other_time
    assert (tmp_path / "a.xml").read_bytes() == (tmp_path / "b.xml").read_bytes()
    evidence = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert evidence["schema"] == 2
    one = next(r for r in evidence["results"] if r["kernel"].startswith("aiter-2026-08"))
    keys = ["exact", "reordered", "tie", "admissible", "wrong", "undefined", "padding"]
    assert sum(one[key] for key in keys) == one["rows"]
    assert {"weight_error_over_bound", "drift", "verdict", "sha256"} <= one.keys()
    assert one["execution"] == "emulated"
    suite = ET.parse(tmp_path / "a.xml").getroot()  # noqa: S314 - our own file
    assert suite.get("failures") == "0"
    cases = len(evidence["results"]) + len(evidence["not_run"])
    assert suite.get("tests") == str(cases + len(suite.findall("testcase[@classname='input']")))
    assert "Known failures" in first.stdout


def test_one_corrupt_id_is_found(shipped: tuple[Path, Path], tmp_path: Path) -> None:
    """A single changed id in 4,096 rows fails, and the row is shown with its gap and bound."""
    held = open_recording(shipped[0] / "normal.safetensors")
    path = shipped[1] / "sglang-0.5.23-triton-h100" / "normal.safetensors"
    output = open_output(path, held)
    ids = np.array(output.ids())
    ids[1234, 5] = (ids[1234, 5] + 100) % 256
    changed = Output(output.kernel, tensor(np.array(output.weights())), tensor(ids))
    write_output(path, changed, held)

    done = _judge(shipped, "--json", tmp_path / "a.json", "--junit", tmp_path / "a.xml")

    assert done.returncode == 1
    assert "1 of 4096 rows fail (other experts 1)" in done.stdout
    for part in ("row 1234", "golden ids", "missed: expert", "of which rounding explains"):
        assert part in done.stdout
    failure = ET.parse(tmp_path / "a.xml").getroot().find(".//failure")  # noqa: S314 - our own
    assert failure is not None
    assert "row 1234" in str(failure.text)
    assert ET.parse(tmp_path / "a.xml").getroot().get("failures") == "1"  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda o: (o / "normal.safetensors").write_bytes(b""), "expected a whole safetensors"),
        (lambda o: shutil.copy(o / "edge.safetensors", o / "normal.safetensors"), "sha256"),
        (lambda o: shutil.copy(o / "edge.safetensors", o / "other.safetensors"), "no recording"),
    ],
)
def test_refusals_do_not_hide_the_rest(
    shipped: tuple[Path, Path], damage: object, message: str
) -> None:
    """A file that cannot be judged is refused by name, the others are judged, exit is 2."""
    damage(shipped[1] / "torch-2.11-eager-h100")  # type: ignore[operator]  # of the table above

    done = _judge(shipped)

    assert done.returncode == 2
    assert message in " ".join(done.stdout.split())
    assert "1 refused" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_broken_recording_refuses_its_outputs(shipped: tuple[Path, Path]) -> None:
    """A truncated recording is refused, and so is every output over it; nothing passes for it."""
    path = shipped[0] / "normal.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    outputs = list(shipped[1].rglob("*.safetensors"))
    broken = sum(output.name == path.name for output in outputs)

    done = _judge(shipped)

    assert broken > 0
    assert done.returncode == 2
    expected = f"{len(outputs) - broken} passed, 0 failed, {broken + 1} refused"  # 1: itself
    assert expected in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("judge", "--recordings", "{tmp}/no", "--outputs", "{tmp}"), "no such folder"),
        (("judge", "--recordings", "{tmp}", "--outputs", "{tmp}"), "no recordings"),
        (("judge", "--recordings", "{fixtures}/recordings", "--outputs", "{tmp}"), "no outputs"),
        (("parity", "--kernel", "nonsense"), "nothing was judged"),
        (("parity", "--save-outputs", "/proc/no"), "cannot be used"),
        (("bench", "--rows", "-1"), "'-1': expected a whole number from 4 on"),
        (("parity", "--known-failures", "{tmp}/none.toml"), "cannot be read"),
        (("parity", "--deviations", "{tmp}/none.toml"), "cannot be read"),
        (("parity", "--kernel", "no.module:f"), "nothing was judged"),
        (("parity", "--kernel", "aiter"), "nothing was judged"),
        (
            (
                *("judge", "--recordings", "{fixtures}/recordings"),
                *("--outputs", "{fixtures}/outputs", "--json", "/proc/no/evidence.json"),
            ),
            "the evidence cannot be written",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """What a user gets wrong is answered in one line on standard error, with exit status 2."""
    filled = [a.format(tmp=tmp_path, fixtures=FIXTURES) for a in arguments]

    done = _run_here(*filled)

    assert done.returncode == 2
    assert message in done.stderr
    lines = done.stderr.strip().splitlines()  # with progress, on a machine that is busy
    said = [line for line in lines if not line.startswith(("usage:", "judging rows:"))]
    assert len(said) == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_parity_runs_and_saves_a_kernel_of_ones_own(tmp_path: Path) -> None:
    """A function in the current folder is run, judged, saved, and judged again from its files."""
    (tmp_path / "mine.py").write_text(
        "from goldgate.kernels.torch_eager import route\n", encoding="utf-8"
    )
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    shutil.copy(FIXTURES / "recordings" / "offset.safetensors", recordings)
    saved = tmp_path / "saved"

    ran = _run(
        *("parity", "--kernel", "mine:route", "--recordings", recordings),
        *("--save-outputs", saved, "--profile", "ieee"),
        cwd=tmp_path,
    )
    again = _run_here("judge", "--recordings", recordings, "--outputs", saved)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert again.returncode == 0
    assert "1 passed" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--kernel", "nonsense"),
            "--kernel nonsense: no such kernel: expected aiter, ",
        ),
        (("--kernel", "leaves:route"), "leaves cannot be imported (SystemExit: 0)"),
        (("--kernel", "mine:route", "--device", "nowhere"), "--device nowhere: torch cannot use"),
        (("--shipped", "--recordings", "empty"), "empty: no recordings"),
    ],
)
def test_what_cannot_be_run_does_not_keep_the_rest_from_being_judged(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """An unusable kernel, device or folder is refused in a row of its own; the others run."""
    (tmp_path / "mine.py").write_text("from goldgate.kernels.torch_eager import route\n", "utf-8")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)\n", "utf-8")
    (tmp_path / "empty").mkdir()
    write_recording(tmp_path / "r" / "tokens_32.safetensors", construct("tokens_32"))
    if "--shipped" not in arguments:
        arguments = (*arguments, "--kernel", "torch-eager", "--recordings", "r")

    done = _run("parity", *arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert message in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 0
    assert "1 refused" in done.stdout


def test_a_kernel_that_leaves_the_program_fails(tmp_path: Path) -> None:
    """A kernel that calls sys.exit(0) is no success: it is a failed call, reported."""
    (tmp_path / "mine.py").write_text(
        "import sys\ndef route(*a):\n    sys.exit(0)\n", encoding="utf-8"
    )
    write_recording(tmp_path / "r" / "tokens_32.safetensors", construct("tokens_32"))

    done = _run("parity", "--kernel", "mine:route", "--recordings", "r", cwd=tmp_path)

    assert done.returncode == 1
    assert "SystemExit: 0" in done.stdout


def test_what_a_kernel_says_breaks_neither_the_terminal_nor_the_evidence(tmp_path: Path) -> None:
    """Control characters and markup in an exception or a name are shown, and JUnit stays XML."""
    (tmp_path / "mine.py").write_text(
        "def route(*a):\n    raise ValueError('\\x1b[31mboom\\x00 [bold]')\n", encoding="utf-8"
    )
    write_recording(tmp_path / "r" / "odd[fp32].safetensors", construct("tokens_32"))

    done = _run(
        *("parity", "--kernel", "mine:route", "--recordings", "r", "--junit", "e.xml"),
        cwd=tmp_path,
    )

    suite = ET.parse(tmp_path / "e.xml").getroot()  # noqa: S314 - our own file
    failure = suite.find(".//failure")
    assert failure is not None
    assert "ValueError: ?[31mboom? [bold]" in str(failure.get("message"))
    assert suite.get("failures") == "1"
    assert "\x1b" not in done.stdout
    assert "odd[fp32]" in done.stdout


def test_evidence_names_what_was_read(tmp_path: Path) -> None:
    """A kernel that is run leaves the hash of the recording and of the outputs that it saved."""
    write_recording(tmp_path / "r" / "tokens_32.safetensors", construct("tokens_32"))

    done = _run(
        *("parity", "--kernel", "torch-eager", "--recordings", tmp_path / "r"),
        *("--save-outputs", tmp_path / "o", "--json", tmp_path / "e.json"),
    )

    (one,) = json.loads((tmp_path / "e.json").read_text("utf-8"))["results"]
    files = (
        tmp_path / "r" / "tokens_32.safetensors",
        tmp_path / "o/torch-eager/tokens_32.safetensors",
    )
    assert done.returncode == 0
    assert one["sha256"] == {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in zip(("recording", "output"), files, strict=True)
    }


def test_a_crashing_kernel_fails(tmp_path: Path) -> None:
    """A kernel that raises is a failed verdict, not a refusal: it cannot ship."""
    (tmp_path / "mine.py").write_text("def route(*a):\n    raise ValueError('boom')\n", "utf-8")

    normal = FIXTURES / "recordings" / "normal.safetensors"

    done = _run("parity", "--kernel", "mine:route", "--recordings", normal, cwd=tmp_path)

    assert done.returncode == 1
    assert "ValueError: boom" in done.stdout


_DIES = """
import os
from goldgate.kernels.torch_eager import route as honest

broken = False


def route(x, *more):
    # As a GPU's context after a fault: every later call of the process fails.
    global broken
    if broken:
        raise RuntimeError("the context is broken")
    if len(x) == 65:
        os.abort()
    if len(x) == 31:
        broken = True
        raise RuntimeError("illegal memory access")
    honest(x, *more)
"""


def test_a_kernel_that_dies_fails_where_it_died_and_nowhere_else(tmp_path: Path) -> None:
    """An abort fails its recording alone: the others are judged, by a process started anew."""
    (tmp_path / "mine.py").write_text(_DIES, "utf-8")
    for name in ("tokens_1", "tokens_31", "tokens_32", "tokens_65", "tokens_127"):
        write_recording(tmp_path / "r" / f"{name}.safetensors", construct(name))

    done = _run(
        *("parity", "--kernel", "mine:route", "--recordings", tmp_path / "r"),
        *("--json", tmp_path / "e.json"),
        cwd=tmp_path,
    )

    results = json.loads((tmp_path / "e.json").read_text("utf-8"))["results"]
    found = {one["recording"]: (one["verdict"], one["call_faults"]) for one in results}
    assert done.returncode == 1
    assert found.pop("tokens_65") == (
        "FAIL",
        ["mine:route on tokens_65: its process died (SIGABRT)"],
    )
    assert found.pop("tokens_31") == (
        "FAIL",
        ["mine:route on tokens_31, in a call of 31 tokens: RuntimeError: illegal memory access"],
    )
    assert set(found) == {"tokens_1", "tokens_32", "tokens_127"}
    assert all(one == ("PASS", []) for one in found.values())
    assert "Traceback" not in done.stdout + done.stderr


def test_an_interrupt_loses_nothing_that_was_judged(tmp_path: Path) -> None:
    """Control-C during a kernel that hangs: what was judged is reported, the rest is refused."""
    (tmp_path / "mine.py").write_text(
        "import pathlib, time\n"
        "from goldgate.kernels.torch_eager import route as honest\n"
        "def route(x, *more):\n"
        "    if len(x) == 65:\n"
        f"        pathlib.Path({str(tmp_path / 'hangs')!r}).touch()\n"
        "        time.sleep(600)\n"
        "    honest(x, *more)\n",
        "utf-8",
    )
    # A kernel runs two recordings ahead: when the last one begins, the first one is judged.
    names = ("tokens_32", "tokens_33", "tokens_34", "tokens_65")
    for name in names:
        write_recording(tmp_path / "r" / f"{name}.safetensors", construct(name))
    command = (
        *(sys.executable, "-m", "goldgate", "parity", "--kernel", "mine:route"),
        *("--recordings", tmp_path / "r", "--json", tmp_path / "e.json"),
    )
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "hangs").exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)

    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the kernel's process too
    out, err = running.communicate()

    results = json.loads((tmp_path / "e.json").read_text("utf-8"))["results"]
    assert tuple(one["recording"] for one in results) == names
    first, *_, last = (one["verdict"] for one in results)
    assert (first, last) == ("PASS", "REFUSED")
    assert running.returncode == 2
    assert "interrupted before it was judged" in out
    assert "Traceback" not in out + err


def test_the_examples_of_the_document_run(tmp_path: Path) -> None:
    """The kernel and the test in docs/kernel-parity.md are at parity as they stand there."""
    page = (ROOT / "docs" / "kernel-parity.md").read_text(encoding="utf-8")
    kernel, test = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "my_router.py").write_text(kernel, encoding="utf-8")
    (tmp_path / "test_my_router.py").write_text(test, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )

    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_kernels_lists_what_runs_here_and_what_does_not() -> None:
    """The list says of each kernel whether it runs here, and else what would run it."""
    done = _run_here("kernels")

    assert done.returncode == 0
    assert "torch-eager" in done.stdout
    assert "not here: no aiter here; a ROCm host" in done.stdout


def test_ordered_fails_what_is_out_of_order(shipped: tuple[Path, Path]) -> None:
    """--ordered passes real kernels on ordinary rows: ties and rounding explain their order."""
    for kernel in shipped[1].iterdir():
        (kernel / "edge.safetensors").unlink(missing_ok=True)

        (kernel / "manifest.json").unlink()

    assert _judge(shipped, "--ordered", "--partial").returncode == 0


def test_a_bias_cast_is_reported_beside_the_verdict(tmp_path: Path) -> None:
    """A kernel right for a bias that is not the checkpoint's passes, and the recording fails."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((200, 256), dtype=np.float32)
    checkpoint = rng.uniform(6.8, 7.1, 256).astype(np.float32)
    consumed = (checkpoint.view(np.uint32) & 0xFFFF0000).view(np.float32)
    held = recording("cast", x, consumed, MINIMAX_M2_5, checkpoint_bias=checkpoint)
    write_recording(tmp_path / "r" / "cast.safetensors", held)

    done = _run("parity", "--kernel", "torch-eager", "--recordings", tmp_path / "r")

    assert done.returncode == 1
    assert "1 passed, 0 failed" in done.stdout
    assert "INPUT FAIL cast" in done.stdout
    scores = 1 / (1 + np.exp(-x.astype(np.float64)))
    sets = [np.sort(np.argsort(-(scores + b), axis=1)[:, :8]) for b in (checkpoint, consumed)]
    moved = int((sets[0] != sets[1]).any(axis=1).sum())
    assert moved > 50
    said = " ".join(done.stdout.split())
    assert f"routes {moved} of 200 rows to other experts" in said
    assert f"{int((checkpoint != consumed).sum())} values of the bias" in said


def test_a_bias_cast_is_reported_where_no_row_moves(tmp_path: Path) -> None:
    """A changed bias is said even of a recording in which it happens to re-route nothing."""
    x = np.arange(256, dtype=np.float32)[None] / 16 - 10
    checkpoint = np.full(256, np.float32(7.01))
    consumed = np.full(256, np.float32(7.0))
    held = recording("cast", x, consumed, MINIMAX_M2_5, checkpoint_bias=checkpoint)
    write_recording(tmp_path / "r" / "cast.safetensors", held)

    done = _run(
        *("parity", "--kernel", "torch-eager", "--recordings", tmp_path / "r"),
        *("--json", tmp_path / "e.json"),
    )

    (one,) = json.loads((tmp_path / "e.json").read_text("utf-8"))["results"]
    assert (one["input"]["bias_values_changed"], one["input"]["rerouted_rows"]) == (256, 0)
    assert "256 values of the bias that the kernel consumed" in " ".join(done.stdout.split())


def test_memory_stays_small_whatever_the_size(tmp_path: Path) -> None:
    """Judging a recording of 1.5 GB from its file stays under 1 GiB of memory."""
    rows = 1_500_000
    rng = np.random.default_rng(1)
    block = rng.standard_normal((10000, 256), dtype=np.float32)
    path = tmp_path / "r" / "large.safetensors"
    path.parent.mkdir()
    small = recording("large", block, np.zeros(256, np.float32), MINIMAX_M2_5)
    _write_repeated(path, small, rows // 10000)
    held = open_recording(path)
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")
    good = _golden(block)
    output = Output(
        info,
        tensor(np.tile(good[1], (rows // 10000, 1))),
        tensor(np.tile(good[0], (rows // 10000, 1))),
    )
    write_output(tmp_path / "o" / "k" / "large.safetensors", output, held)

    peak = peak_memory_mib(
        ["judge", "--recordings", str(path.parent), "--outputs", str(tmp_path / "o")]
    )

    assert path.stat().st_size > 1.4e9
    assert peak < 1024


def _golden(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    golden = route(x, np.zeros(256), MINIMAX_M2_5)
    return golden.ids.astype(np.int32), golden.weights.astype(np.float32)


def _write_repeated(path: Path, small: Recording, times: int) -> None:
    """Write a recording whose rows are the small one's, many times, without holding them."""
    piece = path.with_name("piece")
    write_recording(piece, small)
    raw = piece.read_bytes()
    piece.unlink()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    bias = header["correction_bias"]["data_offsets"]
    logits = header["gating_output"]["data_offsets"]
    body = raw[8 + length :]
    size = logits[1] - logits[0]
    header["correction_bias"]["data_offsets"] = [0, 1024]
    header["gating_output"]["data_offsets"] = [1024, 1024 + size * times]
    header["gating_output"]["shape"][0] *= times
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + body[bias[0] : bias[1]])
        for _ in range(times):
            file.write(body[logits[0] : logits[1]])
