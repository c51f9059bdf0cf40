"""Faults of what a verdict is about: the recordings, the folder of outputs, the list of exceptions.

A kernel that is right passes each of these; what is wrong is what was asked of it, what is left of
its answers, or what excuses them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.calls import run
from goldgate.accuracy.manifest import NAME as MANIFEST
from goldgate.accuracy.manifest import WRITTEN, Entry, write_manifest
from goldgate.accuracy.narrow import narrowed, truncated
from goldgate.fixtures import (
    Output,
    Recording,
    open_output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.recording import PADDING, recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels import Loaded
from goldgate.mutants.conforming.steps import kernel
from goldgate.mutants.fault import (
    BEYOND,
    FAILED,
    INPUT,
    LOGITS,
    NOTHING,
    REFUSED,
    UNDECLARED,
    UNEXPLAINED,
    FolderFault,
)
from goldgate.reference import MINIMAX_M2_5

Float32 = NDArray[np.float32]
Ids = NDArray[np.int32]
Edit = Callable[[Recording], Recording]

#: Rows of each of the two recordings, the places of a folder's parts, and the row that `_known`
#: lists.
_ROWS = 512
RECORDINGS, OUTPUTS, OLD, NEW, KNOWN = "recordings", "outputs", "old", "new", "known.toml"
_LISTED = 7


def sound(folder: Path, edit: Edit = lambda held: held) -> None:
    """Write two recordings, the outputs of a kernel that is right for them and their manifest.

    Args:
        folder: an empty folder.
        edit: changes the first recording before the kernel runs on it.

    """
    for seed, name in enumerate(("first", "second")):
        rng = np.random.default_rng([13, seed])
        logits = rng.standard_normal((_ROWS, 256), dtype=np.float32)
        bias = rng.uniform(6.8, 7.1, 256).astype(np.float32)
        held = recording(name, logits, bias, MINIMAX_M2_5, checkpoint_bias=bias)
        path = folder / RECORDINGS / f"{name}.safetensors"
        write_recording(path, edit(held) if name == "first" else held)
        opened = open_recording(path)
        loaded = Loaded(kernel(), "planted", "unversioned", "cpu", "ieee")
        write_output(folder / OUTPUTS / path.name, run(loaded, opened).output, opened)
    write_manifest(
        folder / OUTPUTS, "planted", {name: Entry(WRITTEN) for name in ("first", "second")}
    )


def _with_bias(change: Callable[[Float32], Float32]) -> Callable[[Path], None]:
    def edit(held: Recording) -> Recording:
        meant: Float32 = np.array(held.bias(), np.float32)
        consumed = change(meant)
        return recording(held.name, held.logits(), consumed, held.spec, checkpoint_bias=meant)

    return lambda folder: sound(folder, edit)


def _coarse_gate(held: Recording) -> Recording:
    logits = narrowed(np.array(held.logits()), "bfloat16")
    bias = held.bias()
    return recording(held.name, logits, bias, held.spec, checkpoint_bias=bias)


def _padding(held: Recording) -> Recording:
    return replace(held, token_index=tensor(np.full(held.rows, PADDING)))


def _changed(folder: Path, change: Callable[[Float32], object], dtype: str | None = None) -> None:
    """Change the weights of the first recording's outputs in their file."""
    path = folder / OUTPUTS / "first.safetensors"
    held = open_recording(folder / RECORDINGS / path.name)
    output = open_output(path, held)
    weights, ids = np.array(output.weights()), np.array(output.ids())
    change(weights)
    write_output(path, Output(output.kernel, tensor(weights, dtype), tensor(ids)), held)


def _beyond(factor: float) -> Callable[[Path], None]:
    """List a row whose weight may be off by 20 bounds; it is off by `factor` times 16 u."""

    def build(folder: Path) -> None:
        sound(folder)
        off = np.float32(1.0 + factor * 2.0**-20)

        def change(weights: Float32) -> None:
            weights[_LISTED, 0] *= off

        _changed(folder, change)
        digest = open_recording(folder / RECORDINGS / "first.safetensors").sha256
        (folder / KNOWN).write_text(
            '[[known_failure]]\nkernel = "planted"\nversion = "*"\nrecording = "first"\n'
            f'recording_sha256 = "{digest}"\nreason = "weight"\nrows = [{_LISTED}]\n'
            'largest_error_over_bound = 20.0\nwhy = "a lane that rounds apart"\n',
            "utf-8",
        )

    return build


def _lost(folder: Path) -> None:
    sound(folder)
    (folder / OUTPUTS / "second.safetensors").unlink()


def _no_manifest(folder: Path) -> None:
    _lost(folder)
    (folder / OUTPUTS / MANIFEST).unlink()


def _undefined(held: Recording) -> Recording:
    logits = np.full((held.rows, held.spec.num_experts), np.nan, np.float32)
    bias = held.bias()
    return recording(held.name, logits, bias, held.spec, checkpoint_bias=bias)


def _ids_alone(change: Callable[[Ids], object]) -> Callable[[Path], None]:
    """Leave the weights of the first recording out, as servers do that return ids alone."""

    def build(folder: Path) -> None:
        sound(folder)
        path = folder / OUTPUTS / "first.safetensors"
        held = open_recording(folder / RECORDINGS / path.name)
        output = open_output(path, held)
        ids = np.array(output.ids())
        change(ids)
        write_output(path, Output(output.kernel, None, tensor(ids)), held)

    return build


def _one_id(ids: Ids) -> None:
    ids[100, 7] = next(expert for expert in range(256) if expert not in ids[100])


def _narrow(folder: Path) -> None:
    sound(folder)
    path = folder / OUTPUTS / "first.safetensors"
    held = open_recording(folder / RECORDINGS / path.name)
    output = open_output(path, held)
    weights = tensor(narrowed(np.array(output.weights()), "bfloat16"), "BF16")
    write_output(path, Output(output.kernel, weights, tensor(np.array(output.ids()))), held)


def _swapped(change: Callable[[Float32], object]) -> Callable[[Path], None]:
    """Replace the kernel by one that answers the first recording otherwise."""

    def build(folder: Path) -> None:
        sound(folder)
        (folder / OLD).mkdir()
        for path in (folder / OUTPUTS).iterdir():
            (folder / OLD / path.name).write_bytes(path.read_bytes())
        _changed(folder, change)
        (folder / OUTPUTS).rename(folder / NEW)

    return build


def _scattered(weights: Float32) -> None:
    signs = np.random.default_rng(5).choice((-7.0, 7.0), weights.shape)
    weights *= (1.0 + signs * 2.0**-24).astype(np.float32)


def _one_weight(weights: Float32) -> None:
    weights[100, 3] *= np.float32(1.0 + 2.0**-17)


def _in_order(values: NDArray[Any]) -> None:
    values[:] = values


FAULTS = (
    FolderFault(
        "bias never loaded",
        INPUT,
        "the server's bias stays 0: every token goes elsewhere, and the kernel is right",
        _with_bias(np.zeros_like),
    ),
    FolderFault(
        "bias cast to bfloat16 before the kernel",
        INPUT,
        "the bias takes the gate's type (ISEEKYAN/Megatron-LM#81, radixark/miles#811)",
        _with_bias(lambda bias: narrowed(bias, "bfloat16")),
    ),
    FolderFault(
        "bias cut off to bfloat16 before the kernel",
        INPUT,
        "a cast that drops the low bits instead of rounding",
        _with_bias(lambda bias: truncated(bias, "bfloat16")),
    ),
    FolderFault(
        "bias of another layer",
        INPUT,
        "a checkpoint's layers loaded one off",
        _with_bias(lambda bias: bias[::-1].copy()),
    ),
    FolderFault(
        "logits on the bfloat16 grid",
        LOGITS,
        "a gate computed in bfloat16 and handed on as float32 (local-inference-lab/vllm#666)",
        lambda folder: sound(folder, _coarse_gate),
    ),
    FolderFault(
        "a recording of padding alone",
        NOTHING,
        "a warm-up batch recorded in place of the model's tokens",
        lambda folder: sound(folder, _padding),
    ),
    FolderFault(
        "a recording of rows without a number",
        NOTHING,
        "a gate that returns NaN alone: the contract does not say what such rows select",
        lambda folder: sound(folder, _undefined),
    ),
    FolderFault(
        "one wrong id where ids are all there is",
        FAILED,
        "ids that a server returns without weights (vllm-project/vllm#28284)",
        _ids_alone(_one_id),
    ),
    FolderFault(
        "a listed row that got worse",
        BEYOND,
        "a known deviation that hides a regression in the same row",
        _beyond(100.0),
    ),
    FolderFault(
        "outputs lost on their way",
        REFUSED,
        "a copy that missed a file: the manifest says that it was written",
        _lost,
    ),
    FolderFault(
        "outputs and manifest lost on their way",
        REFUSED,
        "a folder that does not say what was asked: every recording is",
        _no_manifest,
    ),
    FolderFault(
        "weights in bfloat16 that nothing declares",
        UNDECLARED,
        "a kernel whose weights lose their low bits (flashinfer-ai/flashinfer#5211)",
        _narrow,
    ),
    FolderFault(
        "a swap for a kernel with one wrong weight",
        UNEXPLAINED,
        "a new release that rounds one lane apart",
        _swapped(_one_weight),
    ),
    FolderFault(
        "a swap for a kernel whose weights scatter",
        UNEXPLAINED,
        "a new release that divides approximately",
        _swapped(_scattered),
    ),
)

#: The same folders without the faults, which must pass.
RIGHT = (
    FolderFault("two recordings, their outputs and manifest", None, "", sound),
    FolderFault("a listed row within its ceiling", None, "", _beyond(8.0)),
    FolderFault("ids without weights", None, "", _ids_alone(_in_order)),
    FolderFault("a swap for the same kernel", None, "", _swapped(_in_order)),
)
