"""Run a program over recordings and write what it returns as output files, without torch.

python record_outputs.py ./router --out outputs --name my-router --device "AMD EPYC"
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from goldgate import (
    SHIPPED_RECORDINGS,
    KernelInfo,
    Recording,
    open_recording,
    output,
    write_output,
)


def run(program: Path, recording: Recording, kernel: KernelInfo, path: Path) -> None:
    """Hand a recording to the program in raw files, and write its answers to an output file."""
    spec = recording.spec
    with tempfile.TemporaryDirectory() as folder:
        recording.logits().tofile(Path(folder, "logits.f32"))
        recording.bias().tofile(Path(folder, "bias.f32"))
        numbers = (recording.rows, spec.num_experts, spec.top_k, int(spec.renormalize))
        words = [program, *numbers, spec.routed_scaling_factor, folder]
        subprocess.run(list(map(str, words)), check=True)
        shape = (recording.rows, spec.top_k)
        weights = np.fromfile(Path(folder, "weights.f32"), np.float32).reshape(shape)
        ids = np.fromfile(Path(folder, "ids.i32"), np.int32).reshape(shape)
    write_output(path, output(kernel, weights, ids), recording)


def main() -> int:
    """Write DIR/NAME/RECORDING.safetensors for each recording."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("program", type=Path, help="takes the arguments of router.cpp")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--name", default="my-router", help="the kernel, as reports call it")
    parser.add_argument("--version", default="unversioned", help="of the kernel")
    parser.add_argument("--device", required=True, help="what the program runs on")
    parser.add_argument("--arithmetic", default="conservative", help="as in `goldgate judge`")
    parser.add_argument("--recordings", type=Path, default=SHIPPED_RECORDINGS, metavar="DIR")
    parser.add_argument("--only", nargs="+", default=["normal", "offset"], metavar="RECORDING")
    options = parser.parse_args()
    kernel = KernelInfo(
        options.name, options.version, options.device, "hardware", options.arithmetic
    )
    for name in options.only:
        recording = open_recording(options.recordings / f"{name}.safetensors")
        path = options.out / options.name / f"{name}.safetensors"
        run(options.program.resolve(), recording, kernel, path)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
