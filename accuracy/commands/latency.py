"""Measure microseconds per call of every routing kernel that runs on this machine's GPU.

Calls are timed by graph replay, the kernels in turn, on inputs outside the cache and inside it.
Ratios are to a baseline of the same run. A kernel that crashes or hangs in a trial before that is
left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.table import Table

from goldgate.accuracy.calls import device_name
from goldgate.accuracy.latency import (
    ROUNDS,
    TOKENS,
    Interval,
    Latency,
    copy_bandwidth,
    floor_us,
    measure,
    summarise,
)
from goldgate.accuracy.latency_document import document
from goldgate.accuracy.latency_trial import tried
from goldgate.accuracy.report import console as report_console
from goldgate.errors import GoldgateError
from goldgate.kernels import KernelError, Loaded, by_default, find, load
from goldgate.options import positive
from goldgate.progress import progress
from goldgate.reference import MODELS, RoutingSpec
from goldgate.sealed import sealed, write_text

#: What a reader compares with: the claim of sglang pull request 23611, measured there on MI355X.
CLAIM = (
    "aiter 6 us against topk_sigmoid 9.3 us a call, 35 % less (sglang pull request 23611, MI355X)"
)

#: Seconds for a kernel's trial: compilers take minutes.
_TRIAL_S = 900


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--kernel",
        action="append",
        default=[],
        metavar="NAME",
        help="a kernel that `goldgate kernels` lists, or package.module:function (default: every "
        "kernel that runs here)",
    )
    parser.add_argument(
        "--baseline", metavar="NAME", help="kernel that ratios are to (default: the first)"
    )
    parser.add_argument(
        "--model",
        choices=[name for name, model in MODELS.items() if model.has_bias],
        default="MiniMax-M2.5",
        metavar="NAME",
        help="the router, of a model with a bias: %(choices)s (default: %(default)s)",
    )
    parser.add_argument(
        "--tokens",
        type=positive,
        nargs="+",
        default=list(TOKENS),
        metavar="T",
        help="numbers of tokens a call (default: " + " ".join(map(str, TOKENS)) + ")",
    )
    parser.add_argument(
        "--rounds",
        type=positive,
        default=ROUNDS,
        metavar="N",
        help="how often each kernel is timed (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=positive,
        default=_TRIAL_S,
        metavar="S",
        help="leave a kernel out that has not compiled and answered once at every size after S "
        "seconds (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the result as a PNG or SVG")


def main(options: argparse.Namespace) -> int:
    """Measure and print; return 2 where nothing could be measured."""
    spec, started = MODELS[options.model].spec, datetime.now(timezone.utc)
    loaded, notes = _loaded(options.kernel, spec)
    baseline = options.baseline or next(iter(loaded), "")
    if loaded and baseline not in loaded:
        raise GoldgateError(f"--baseline {baseline}: expected one of {', '.join(loaded)}")
    loaded = _usable(loaded, options, notes)
    console, names = report_console(), list(loaded)
    if baseline not in names:
        for note in notes:
            console.print(note, highlight=False, markup=False, soft_wrap=True)
        why = f"the baseline {baseline} failed" if names else "no kernel for a CUDA or ROCm device"
        raise GoldgateError(f"NOT RUN: {why}{'' if names else ' runs here'}")
    device = loaded[baseline].device
    bandwidth = copy_bandwidth(device)
    found: list[Latency] = []
    with progress(Console(stderr=True)) as add_task:
        advance = add_task("rounds", 2 * len(options.tokens) * options.rounds)
        for tokens in options.tokens:
            for rotated in (True, False):
                us, failed = measure(
                    list(loaded.values()),
                    spec,
                    tokens,
                    rotated=rotated,
                    rounds=options.rounds,
                    advance=advance,
                )
                notes += [f"{names[i]}: {tokens} tokens: {why}" for i, why in failed.items()]
                ran = [(n, mine) for n, mine in zip(names, us, strict=True) if mine]
                if baseline in dict(ran):
                    ran_names, ran_us = zip(*ran, strict=True)
                    found += summarise(ran_names, baseline, tokens, ran_us, rotated=rotated)
    held = document(
        found,
        loaded,
        device=device_name(device),
        bandwidth=bandwidth,
        baseline=baseline,
        rounds=options.rounds,
        spec=spec,
        tokens=options.tokens,
        notes=notes,
        claim=CLAIM,
        started=started,
    )
    if options.json is not None:  # before anything is drawn: what was measured is kept
        write_text(options.json, sealed(held))
    _print(console, found, held, spec)
    if options.plot is not None:
        from goldgate.accuracy.latency_plot import plot  # noqa: PLC0415 - matplotlib

        plot(options.plot, found, held)
    return 0 if found else 2


def _usable(
    loaded: dict[str, Loaded], options: argparse.Namespace, notes: list[str]
) -> dict[str, Loaded]:
    """Return the kernels that can be timed; note why the others cannot."""
    kept = {}
    for name, kernel in loaded.items():
        print(f"{name}: a trial in a process of its own", file=sys.stderr, flush=True)
        if why := tried(name, options.model, options.tokens, options.timeout):
            notes.append(f"{name}: NOT RUN: {why}")
        else:
            kept[name] = kernel
    return kept


def _loaded(named: list[str], spec: RoutingSpec) -> tuple[dict[str, Loaded], list[str]]:
    """Return the kernels that run on a GPU here, and why the others do not."""
    loaded, notes = {}, []
    for name in named or by_default():
        known = find(name)
        beyond = known.supports(spec) if known else None
        try:
            kernel = load(name, None, None)
        except KernelError as error:
            if named:
                raise KernelError(f"{'' if name in str(error) else f'{name}: '}{error}") from None
            notes.append(f"{name}: NOT RUN: {error}")
            continue
        if beyond:
            notes.append(f"{name}: NOT RUN: it {beyond}")
        elif not kernel.device.startswith("cuda"):
            notes.append(f"{name}: NOT RUN: latency is measured on a CUDA or ROCm device")
        else:
            loaded[name] = kernel
    return loaded, notes


def _print(
    console: Console, found: list[Latency], document: Mapping[str, object], spec: RoutingSpec
) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("kernel", "tokens", "inputs", "us a call", "of the baseline", "of the floor"):
        table.add_column(heading, justify="left" if heading in ("kernel", "inputs") else "right")
    bandwidth = document["copy_bandwidth_bytes_per_s"]
    assert isinstance(bandwidth, float)  # noqa: S101 - its own object
    for one in found:
        floor = floor_us(one.tokens, spec, bandwidth)
        table.add_row(
            one.kernel,
            str(one.tokens),
            "rotated" if one.rotated else "warm",
            _with(one.us, 2),
            "baseline" if one.ratio is None else _with(one.ratio, 3),
            f"{one.us.median / floor:.1f}",
        )
    console.print(table)
    notes = document["not_run"]
    assert isinstance(notes, list)  # noqa: S101 - its own object
    lines = [
        *notes,
        f"{document['device']}: a copy moves {bandwidth / 1e12:.2f} TB/s, read plus written",
        f"claim, not checked here unless aiter ran: {CLAIM}",
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _with(value: Interval, digits: int) -> str:
    return f"{value.median:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f})"
