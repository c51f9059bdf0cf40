"""List the routing kernels that goldgate can call, and whether each runs on this machine."""

from __future__ import annotations

import argparse

from goldgate.kernels import registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: it has none."""
    del parser


def main(_: argparse.Namespace) -> int:
    """Print each kernel with where it comes from and why it cannot run here, if it cannot."""
    for name, kernel in registry().items():
        why = kernel.missing()
        print(f"{name}: {kernel.summary}\n    {'runs here' if why is None else f'not here: {why}'}")
    print("package.module:function: a kernel of your own, with aiter's signature")
    return 0
