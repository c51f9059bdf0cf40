"""Serve recorded completions on loopback, as an OpenAI-compatible server."""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.options import not_negative, port


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("completions", type=Path, metavar="FILE", help="the recorded completions")
    parser.add_argument("--arm", required=True, help="the recording in FILE to serve")
    parser.add_argument("--model", default="replay", help="the model id to answer with")
    parser.add_argument(
        "--delay", type=not_negative, default=0.0, metavar="SECONDS", help="wait before each answer"
    )
    parser.add_argument(
        "--port", type=port, default=0, help="port to listen on (default: 0, a free one)"
    )


def main(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from goldgate.evals.servers.replay_server import (  # noqa: PLC0415 - aiohttp
        read_completions,
        replay_app,
        serve,
    )

    completions = read_completions(options.completions, options.arm)
    serve(replay_app(completions, model=options.model, delay_s=options.delay), options.port)
    return 0
