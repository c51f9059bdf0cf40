"""Say which routing kernel MiniMax-M2.5's layers reach in an engine, and why.

The engine's own functions are called, on tensors of the model's shape and with the environment of
this command, in a process in which kernels raise and everything but the router's modules is a
stand-in. No GPU is needed: another platform than this machine's is simulated.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from goldgate.kernels.dispatch.find import (
    Engine,
    catalogued,
    dispatch,
    engine,
    sources,
    this_platform,
)
from goldgate.kernels.dispatch.scenario import ENGINES, PLATFORMS, TYPES, Found, Scenario
from goldgate.options import positive
from goldgate.provenance import goldgate_itself

KIND, SCHEMA = "goldgate dispatch", 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("engine", choices=ENGINES, help="the engine's package")
    parser.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help="folder with the engine's package folder in it, such as an unpacked wheel "
        "(default: the engine that is installed)",
    )
    parser.add_argument(
        "--platform", choices=PLATFORMS, help="simulate this platform (default: this machine's)"
    )
    parser.add_argument("--gate", choices=TYPES, default="F32", help="type of the logits")
    parser.add_argument(
        "--bias", choices=(*TYPES, "none"), default="F32", help="type of the bias, or none"
    )
    parser.add_argument(
        "--tokens", type=positive, default=4, metavar="T", help="rows of the call (default: 4)"
    )
    parser.add_argument(
        "--absent",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package that cannot be imported, such as flashinfer (default: all can)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")


def main(options: argparse.Namespace) -> int:
    """Ask and print; 0, or 2 where the engine is not there or cannot be followed."""
    held = engine(options.engine, options.source)
    here = this_platform()
    scenario = Scenario(
        options.engine,
        options.platform or here,
        options.gate,
        options.bias,
        options.tokens,
        tuple(options.absent),
    )
    found = dispatch(held, scenario)
    simulated = scenario.platform != here
    name = catalogued(found.kernel, scenario.platform)
    if options.json is not None:
        document = {
            "kind": KIND,
            "schema": SCHEMA,
            "goldgate": goldgate_itself(),
            "model": "MiniMax-M2.5",
            "version": held.version,
            "scenario": asdict(scenario),
            "simulated": simulated,
            "catalogue": name,
            "sources": sources(held, found),
            **asdict(found),
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print("\n".join(_lines(held, scenario, found, name, simulated=simulated)))
    return 0


def _lines(
    held: Engine, scenario: Scenario, found: Found, name: str | None, *, simulated: bool
) -> list[str]:
    where = f"{scenario.platform}, simulated" if simulated else scenario.platform
    bias = "no bias" if scenario.bias == "none" else f"{scenario.bias} bias"
    asked = f"{scenario.gate} logits, {bias}, {scenario.tokens} tokens"
    lines = [
        f"{held.name} {held.version} on {where}: {asked}",
        f"MiniMax-M2.5 reaches {found.kernel}" + (f" (--kernel {name})" if name else ""),
        "called with " + ", ".join(f"{key}={value}" for key, value in found.arguments.items()),
    ]
    for step in found.path:
        compiled = ", compiled by torch" if step.function in found.compiled else ""
        lines.append(f"  {step.file}:{step.line} {step.function}{compiled}")
        for one in step.conditions:
            values = ", ".join(f"{key}={value}" for key, value in one.values.items())
            branch = "if" if one.held else "not"
            lines.append(f"    {branch}: {one.test}" + (f" ({values})" if values else ""))
    flags = [f"{key}={'(unset)' if v is None else v}" for key, v in found.flags.items()]
    lines.append("environment read: " + (", ".join(flags) or "none"))
    lines.append("taken as off: " + (", ".join(found.taken_as_off) or "nothing"))
    if scenario.absent:
        lines.append("taken as missing: " + ", ".join(scenario.absent))
    return lines
