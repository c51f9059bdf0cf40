"""aiter's source and the compiler: where they come from, and what is refused with one line."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

from goldgate.accuracy.commands import emulate
from goldgate.cli import main
from goldgate.emulator.compiler import SHIM, Compiler, CompilerError, find_compiler
from goldgate.fixtures import write_recording
from goldgate.fixtures.constructed import construct
from goldgate.kernels import KernelError
from goldgate.kernels.aiter_emulated import build as builds
from goldgate.kernels.aiter_emulated import source as sources
from goldgate.kernels.aiter_emulated.build import instantiation
from goldgate.kernels.aiter_emulated.route import cast
from goldgate.kernels.aiter_emulated.shape import CUT, TEMPLATE, read_shape
from goldgate.kernels.aiter_emulated.source import Source, stage
from tests.emulator import programs

# The shape of aiter's file, with nothing of its contents.
_PARAMETERS = """
    DTYPE_I* __restrict__ gating_output,         // [num_tokens, hidden_size]
    const DTYPE_I* __restrict__ correction_bias, // [num_expert]
    float* __restrict__ topk_weights, int* __restrict__ topk_ids, const size_t stride_tk,
    const int num_experts, const int topk, const int topk_group, const int num_tokens,
    const float routed_scaling_factor"""
_DEVICE = f"""
template <{TEMPLATE}>
__global__ void grouped_topk_kernel({_PARAMETERS}) {{ }}
template <{TEMPLATE}>
__global__ void
grouped_topk_opt_sort_kernel({_PARAMETERS})
{{
}}
"""
_HOST = """
void biased_grouped_topk(torch::Tensor& gating_output)
{
    // bool use_opt_sort = false;
    bool use_opt_sort = (topk == 8) && (num_expert_group == 8) && (num_experts == 256) &&
                        (topk_grp == 4) && (isBiased == true);
    dim3 grid(num_tokens);
    dim3 block(64);
    size_t shared_mem_size = (num_experts * sizeof(float) + num_expert_group * sizeof(float));
    shared_mem_size += !use_opt_sort
                           ? 0
                           : (num_expert_group * sizeof(int) /*group_map_idx*/
                              + topk * sizeof(int) + topk * sizeof(float)
                              + (topk > topk_grp ? topk : topk_grp) * sizeof(int)
                              + (topk > topk_grp ? topk : topk_grp) * sizeof(float));
    LAUNCH_KERNEL()
}
"""
_TEXT = f"{_DEVICE}\n{CUT}   \\\n    switch(num_experts % 4)\n{_HOST}"


def test_the_shape_of_the_source_is_read() -> None:
    """Parameters in order, and the LDS that the host function asks for."""
    shape = read_shape(Source(_TEXT, "a version", {}))

    assert shape.device == _DEVICE + "\n"
    assert shape.parameters["grouped_topk_kernel"][:5] == (
        *("gating_output", "correction_bias", "topk_weights", "topk_ids", "stride_tk"),
    )
    assert shape.lds(256, 8, 1, 1) == 4 * (256 + 1)
    assert shape.lds(256, 8, 8, 4) == 4 * (256 + 8 + 8 + 16 + 16)
    assert shape.lds(256, 8, 8, 3) == 4 * (256 + 8)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (CUT, "#define LAUNCH()", "there is no `#define LAUNCH_KERNEL()`"),
        ("grouped_topk_opt_sort_kernel", "grouped_topk_sorted", "grouped_topk_opt_sort_kernel: ex"),
        ("bool isSoftmax>", "bool isSoftmax, int more>", "grouped_topk_kernel: expected template"),
        ("const int topk,", "const int topk, const int more,", "a parameter `const int more`"),
        ("const size_t stride_tk", "const int stride_tk", "a parameter `const int stride_tk`"),
        ("biased_grouped_topk(", "another(", "no host function biased_grouped_topk"),
        ("(num_experts * sizeof", "(3 * num_experts * sizeof", "computes shared_mem_size"),
        ("(topk == 8)", "(topk <= 8)", "chooses use_opt_sort in another way"),
        ("block(64)", "block(128)", "launches another grid"),
    ],
)
def test_a_source_of_another_shape_is_refused(before: str, after: str, words: str) -> None:
    """What a launch relies on is compared with the text; the message says what differs."""
    assert before in _TEXT

    with pytest.raises(KernelError) as raised:
        read_shape(Source(_TEXT.replace(before, after), "commit abc", {}))

    assert words in str(raised.value)
    assert str(raised.value).startswith("commit abc: the source has changed its shape: ")
    assert "\n" not in str(raised.value)


def test_a_checkout_is_read_with_its_headers(tmp_path: Path) -> None:
    """The kernel's file and the headers beside it, named by the hash of the text."""
    kernel = tmp_path / "csrc" / "kernels" / "topk_softmax_kernels_group.cu"
    header = tmp_path / "csrc" / "include" / "opus" / "opus.hpp"
    for path, text in ((kernel, _TEXT), (header, "// a header\n")):
        path.parent.mkdir(parents=True)
        path.write_text(text)

    found = sources.from_checkout(tmp_path)

    digest = hashlib.sha256(_TEXT.encode()).hexdigest()[:12]
    assert found.text == _TEXT
    assert found.version.startswith("checkout ")
    assert found.version.endswith(f"topk_softmax_kernels_group.cu {digest}")
    assert found.headers == {"opus/opus.hpp": b"// a header\n"}


def _repository(folder: Path) -> str:
    """Make a repository of a folder with one commit; return the commit."""
    name = ("-c", "user.name=a", "-c", "user.email=a@b")
    git = ("git", "-C", str(folder), *name)
    for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "one")):
        subprocess.run((*git, *command), check=True)
    done = subprocess.run((*git, "rev-parse", "HEAD"), check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _checkout(folder: Path) -> Path:
    kernel = folder / "csrc" / "kernels" / "topk_softmax_kernels_group.cu"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(_TEXT)
    return folder


def test_a_checkouts_version_is_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository's root is named by its commit, with -dirty where it was edited."""
    folder = _checkout(tmp_path / "aiter")
    commit = _repository(folder)
    monkeypatch.setenv("GIT_DIR", str(tmp_path))  # as in a hook of another repository

    assert sources.from_checkout(folder).version.startswith(f"checkout {commit[:12]}, ")

    (folder / "csrc" / "kernels" / "topk_softmax_kernels_group.cu").write_text(_TEXT + "//")
    assert sources.from_checkout(folder).version.startswith(f"checkout {commit[:12]}-dirty, ")


@pytest.mark.parametrize("kept", [False, True])
def test_an_unpacked_folder_is_not_named_by_the_repository_around_it(
    kept: bool, tmp_path: Path
) -> None:
    """A source inside of another repository, in its commit or not, has an unknown commit."""
    (tmp_path / "other.txt").write_text("other")
    if kept:
        folder = _checkout(tmp_path / "third_party" / "aiter")
        commit = _repository(tmp_path)
    else:
        commit = _repository(tmp_path)
        folder = _checkout(tmp_path / "third_party" / "aiter")

    version = sources.from_checkout(folder).version

    assert version.startswith("checkout of unknown commit, ")
    assert commit[:7] not in version


def test_the_shim_stands_over_headers_of_the_same_name(tmp_path: Path) -> None:
    """Headers of the source are kept, except those that the shim has."""
    held = Source("", "", {"own.h": b"own", "ck_tile/core.hpp": b"theirs"})

    stage(held, tmp_path)

    assert (tmp_path / "own.h").read_bytes() == b"own"
    core = (tmp_path / "ck_tile" / "core.hpp").read_bytes()
    assert core == (SHIM / "ck_tile" / "core.hpp").read_bytes()
    assert (tmp_path / "type_traits").exists()


def test_a_folder_that_is_no_checkout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command names the folder and what was expected, in one line with exit status 2."""
    monkeypatch.setenv(sources.CHECKOUT, "")

    status = main(["emulate", "--aiter", str(tmp_path)])

    error = capsys.readouterr().err
    assert status == 2
    assert error.count("\n") == 1
    assert f"{tmp_path}: no csrc/kernels/topk_softmax_kernels_group.cu in it" in error


def test_a_source_that_does_not_compile_is_an_error_and_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the compiler rejects is one line with exit status 2, not a failure of the kernel."""
    monkeypatch.setenv(sources.CHECKOUT, "")
    kernel = tmp_path / "aiter" / "csrc" / "kernels" / "topk_softmax_kernels_group.cu"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(_TEXT)
    held = tmp_path / "tokens_3.safetensors"
    write_recording(held, construct("tokens_3"))
    rejects = "print('kernel.hip:7:9: error: undeclared name', file=__import__('sys').stderr)"
    command = (sys.executable, "-c", f"{rejects}; raise SystemExit(1)")
    monkeypatch.setattr(builds, "find_compiler", lambda: Compiler(command, "22.1.8"))
    monkeypatch.setattr(emulate, "workers", lambda: nullcontext(map))

    status = main(["emulate", "--aiter", str(tmp_path / "aiter"), "--recordings", str(held)])

    seen = capsys.readouterr()
    (line,) = (line for line in seen.err.splitlines() if "error" in line)
    assert status == 2
    assert "kernel.hip:7:9: error: undeclared name; expected a source that clang 22.1.8" in line
    assert "FAIL" not in seen.out + seen.err


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (
            programs.text(["v_mov_b32_e32 v0, 0", "v_goldgate_f32 v0, v0"]),
            ("v_goldgate_f32", "instructions in the emulator's table"),
        ),
        (
            programs.text(
                ["s_nop 0"],
                [
                    *[(8, "global_buffer")] * 4,
                    *((8, "by_value"), *[(4, "by_value")] * 5, (8, "hidden_heap_v1")),
                ],
            ),
            ("program: argument hidden_heap_v1: not emulated",),
        ),
    ],
    ids=["instruction", "argument"],
)
def test_what_is_not_emulated_is_an_error_and_no_verdict(
    program: str,
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An unknown instruction or argument is one line with exit status 2: nothing is guessed."""
    monkeypatch.setenv(sources.CHECKOUT, "")
    folder = _checkout(tmp_path / "aiter")
    held = tmp_path / "tokens_3.safetensors"
    write_recording(held, construct("tokens_3"))
    monkeypatch.setattr(builds, "compile_hip", lambda *_: program)
    monkeypatch.setattr(builds, "find_compiler", lambda: Compiler(("true",), "22.1.8"))
    monkeypatch.setattr(emulate, "workers", lambda: nullcontext(map))

    status = main(["emulate", "--aiter", str(folder), "--recordings", str(held)])

    seen = capsys.readouterr()
    (line,) = (line for line in seen.err.splitlines() if words[0] in line)
    assert status == 2
    assert line.startswith("goldgate emulate: checkout of unknown commit, ")
    assert all(word in line for word in words)
    assert "FAIL" not in seen.out + seen.err


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel and without a checkout the message has the command that helps."""
    monkeypatch.delenv(sources.CHECKOUT, raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    with pytest.raises(KernelError, match="tox -e aiter-emulated") as raised:
        sources.find()

    assert f"amd-aiter {sources.VERSION} is not here" in str(raised.value)


def test_another_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the wheel's name with another hash is not read."""
    path = tmp_path / sources.WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("aiter_meta/csrc/kernels/topk_softmax_kernels_group.cu", _TEXT)
    monkeypatch.setenv(sources.CHECKOUT, str(path))

    with pytest.raises(KernelError, match=f"sha256 [0-9a-f]+: expected {sources.WHEEL_SHA256}"):
        sources.find()


def test_a_wheel_that_is_there_is_not_downloaded_again_and_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged download is found by its hash, before anything is compiled."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    sources.wheel_path().parent.mkdir(parents=True)
    sources.wheel_path().write_bytes(b"half of it")

    with pytest.raises(KernelError, match=r"expected fe139d74.*; delete the file"):
        sources.fetch()


def test_a_download_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip's own last line says why."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    pip = tmp_path / "python"
    pip.write_text("#!/bin/sh\necho 'Looking' >&2\necho 'ERROR: no network' >&2\nexit 1\n")
    pip.chmod(pip.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(pip))

    with pytest.raises(KernelError, match=r"cannot be downloaded: ERROR: no network$"):
        sources.fetch()


def _script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_compilers_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """Too old, no clang, or not there: each message says what was expected."""
    old = _script(tmp_path / "old", "echo 'Debian clang version 19.1.7 (3)'")
    other = _script(tmp_path / "other", "echo 'gcc 14'")

    with pytest.raises(CompilerError, match=r"clang 19.1.7: expected 20 or newer.*ziglang==0.17.1"):
        find_compiler([old])
    with pytest.raises(CompilerError, match="expected clang's version"):
        find_compiler([other])
    with pytest.raises(CompilerError, match=r"nowhere: cannot be run \(No such file"):
        find_compiler([str(tmp_path / "nowhere")])


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ziglang the message says what to install."""
    monkeypatch.setattr("goldgate.emulator.compiler.find_spec", lambda _: None)

    with pytest.raises(CompilerError, match=r"install ziglang==0.17.1"):
        find_compiler()


def test_instantiations_are_those_that_the_host_function_dispatches() -> None:
    """Vectors by the experts, the sorting kernel for one shape alone, four group counts."""
    plain = instantiation("F32", 256, 8, 1, 1, renormalize=True)
    sorting = instantiation("BF16", 256, 8, 8, 4, renormalize=False)

    assert (plain.vector, plain.groups, plain.sorting) == (4, 1, False)
    assert instantiation("F32", 258, 8, 1, 1, renormalize=True).vector == 2
    assert instantiation("F32", 255, 8, 1, 1, renormalize=True).vector == 1
    assert sorting.sorting
    assert not instantiation("F32", 256, 8, 8, 8, renormalize=True).sorting
    assert not instantiation("F32", 256, 6, 8, 4, renormalize=True).sorting
    with pytest.raises(KernelError, match="Unsupported num_expert_group: 16"):
        instantiation("F32", 256, 8, 16, 8, renormalize=True)
    statement = sorting.statement(("gating_output", "correction_bias", "topk", "stride_tk"))
    assert "aiter::grouped_topk_opt_sort_kernel<c10::BFloat16, " in statement
    assert ", 8, false, true, false>(" in statement
    assert "(c10::BFloat16*, const c10::BFloat16*, const int, const size_t);" in statement


@pytest.mark.parametrize("to", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("of", ["F32", "BF16", "F16"])
def test_the_bias_is_cast_as_torch_casts_it(of: str, to: str) -> None:
    """The bits equal those of `.to(gating_output.dtype)`, which sglang calls."""
    kinds = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(7, 0.2, 500), rng.normal(0, 1e-3, 500), [0.0, -0.0, 7e4]])
    given = torch.from_numpy(values.astype(np.float32)).to(kinds[of])

    got = cast(_bits(given), of, to)

    assert (got.view(np.uint8) == _bits(given.to(kinds[to])).view(np.uint8)).all()


def _bits(values: torch.Tensor) -> np.ndarray:
    if values.dtype == torch.bfloat16:
        return values.view(torch.int16).numpy().view(np.uint16)
    return values.numpy()
