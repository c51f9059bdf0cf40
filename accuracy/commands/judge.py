"""Judge recorded outputs of kernels.

--outputs is a folder of KERNEL/NAME.safetensors: what KERNEL returned for the recording NAME.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from goldgate.accuracy.blocks import Device
from goldgate.accuracy.commands.judging import (
    account,
    add_judging_options,
    criteria,
    do_all,
    one_interrupt,
    report,
)
from goldgate.accuracy.recorded import judge_tasks
from goldgate.accuracy.scheduler import scheduler
from goldgate.errors import GoldgateError
from goldgate.fixtures import SHIPPED_RECORDINGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--recordings",
        type=Path,
        default=SHIPPED_RECORDINGS,
        metavar="DIR",
        help="folder of recordings (default: the shipped recordings)",
    )
    parser.add_argument(
        "--outputs",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of KERNEL/NAME.safetensors",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="judge on the workers of the Dask scheduler at this address, which read the files by "
        "the same paths (default: threads of this process)",
    )
    parser.add_argument(
        "--judge-device",
        metavar="DEVICE",
        help="screen rows of sigmoid scores and one group on this GPU, by torch's name of it, such "
        "as cuda (also ROCm's; not run there), and judge the rest on the processor (default: the "
        "processor alone)",
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="leave out recordings that a folder without manifest.json has no output for",
    )
    add_judging_options(parser)


def main(options: argparse.Namespace) -> int:
    """Judge; return 0 if all pass, 1 if a verdict failed, 2 if something was refused."""
    at = options.scheduler
    if at is not None and options.judge_device is not None:
        raise GoldgateError(
            "--judge-device screens rows in this process: leave it or --scheduler out"
        )
    with one_interrupt(), nullcontext() if at is None else scheduler(at) as executor:
        how = replace(criteria(options), executor=executor, device=_device(options.judge_device))
        tasks, not_run = judge_tasks(
            options.recordings, options.outputs, how, partial=options.partial
        )
        about = account(options, not_run)
        return report(do_all(tasks), about, options)


def _device(name: str | None) -> Device | None:
    if name is None:
        return None
    from goldgate.accuracy.device import open_device  # noqa: PLC0415 - torch, which judging is without

    return open_device(name)
