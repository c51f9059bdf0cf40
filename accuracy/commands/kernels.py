"""List the routing kernels that goldgate knows, and whether each runs on this machine.

A kernel runs here if its package can be imported and its device is there. `--json FILE` writes what
identifies each: import, release, commit, hashes of its files, arithmetic and where that was read or
measured, the routers and calls that it supports, environment (docs/kernels.md lists the keys).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from goldgate.children import each
from goldgate.kernels import registry
from goldgate.kernels.identity import machine, named, unloadable
from goldgate.provenance import environment, goldgate_itself

KIND, SCHEMA = "goldgate kernels", 1

#: Seconds that loading one kernel may take: engines' imports take half a minute on a slow disk.
_LOADING_S = 300.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every entry as JSON")


def main(options: argparse.Namespace) -> int:
    """Print each kernel with where it comes from and why it cannot run here, if it cannot."""
    # In a process of their own: a package's import may crash or hang.
    entries = []
    for entry in each(named, list(registry()), limit_s=_LOADING_S, failed=unloadable):
        print(f"{entry['name']}: {entry['summary']}\n    {_state(entry)}", flush=True)
        entries.append(entry)
    print("package.module:function: a kernel of your own, with aiter's signature")
    if options.json is not None:
        document = {
            "kind": KIND,
            "schema": SCHEMA,
            "goldgate": goldgate_itself(),
            "environment": environment(),
            "machine": machine(),
            "kernels": entries,
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def _state(entry: dict[str, Any]) -> str:
    if not entry["runs_here"]:
        return f"not here: {entry['why_not']}"
    arithmetic = entry["arithmetic"]
    release = entry["version"] or "of an unknown release"
    why = f" ({arithmetic['source']})" if arithmetic["profile"] == "conservative" else ""
    return f"runs here: {release}, judged as {arithmetic['profile']}{why}"
