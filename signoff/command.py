"""Fill the release sign-off checklist from evidence, and decide.

Nothing is measured: evidence files of parity, judge, emulate, compare-kernels, latency, swap,
compare and mutants are read, recordings and outputs at hand are judged again, and a policy decides.
`goldgate signoff init` writes a policy; `goldgate signoff verify FILE` holds a statement against
the files at hand. Exit status: 0 signed off, 1 not signed off, 2 unusable evidence.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console

from goldgate.accuracy.known_failures import SHIPPED, read_known_failures, read_known_inputs
from goldgate.accuracy.report import console
from goldgate.accuracy.tasks import Criteria
from goldgate.errors import how_to_install
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS
from goldgate.progress import progress
from goldgate.provenance import judge_sha256
from goldgate.sealed import write_text
from goldgate.signoff import init, verify
from goldgate.signoff.again import FEW_MARGINS, FEW_ROWS, margins_of, parity_again
from goldgate.signoff.checklist import Checklist
from goldgate.signoff.commands import EVIDENCE
from goldgate.signoff.decide import decide
from goldgate.signoff.document import to_json
from goldgate.signoff.gather import AtHand, gather
from goldgate.signoff.gathered import Gathered, merged
from goldgate.signoff.junit import to_junit
from goldgate.signoff.markdown import markdown
from goldgate.signoff.page.document import page
from goldgate.signoff.policy import find_policy, read_policy, shipped_policies
from goldgate.signoff.rules import Policy
from goldgate.signoff.statement import to_statement
from goldgate.signoff.terminal import show
from goldgate.signoff.walk import walk

#: What --out writes.
JSON, MARKDOWN, PAGE, STATEMENT, JUNIT = (
    *("signoff.json", "signoff.md", "signoff.html"),
    *("signoff.intoto.json", "signoff.xml"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and those of `init` and `verify`."""
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help="the policy, or the name of one that ships: "
        + ", ".join(shipped_policies())
        + " (default: signoff.toml of this folder, else the first)",
    )
    parser.add_argument(
        "--evidence",
        type=Path,
        action="append",
        metavar="DIR",
        help="folder of evidence in any layout; may be given several times (default: the folder "
        f"{EVIDENCE} here, else the recordings and outputs that ship)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the checklist here")
    parser.add_argument("--junitxml", type=Path, metavar="FILE", help="write it as JUnit XML")
    parser.add_argument(
        "--again",
        choices=("few", "all", "none"),
        default="few",
        help=f"judge recordings and outputs at hand again: up to {FEW_ROWS:,} rows, all, or none "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--now", type=_time, metavar="TIME", help="ISO 8601: against which evidence is old"
    )
    more = parser.add_subparsers(dest="sub", metavar="[init | verify]")
    init.add_arguments(more.add_parser("init", help="write a policy", description=init.__doc__))
    verify.add_arguments(
        more.add_parser("verify", help="check a statement", description=verify.__doc__)
    )


def main(options: argparse.Namespace) -> int:
    """Return 0 signed off, 1 not signed off, 2 unusable evidence."""
    if options.sub == "init":
        return init.run(options)
    if options.sub == "verify":
        return verify.run(options)
    policy = read_policy(find_policy(options.policy, Path()))
    here = [Path(EVIDENCE)] if Path(EVIDENCE).is_dir() else [SHIPPED_RECORDINGS, SHIPPED_OUTPUTS]
    folders = options.evidence or here
    found = collect(policy, folders, again=options.again)
    now = options.now or datetime.now(timezone.utc)
    checklist, facts = decide(policy, found, now, judge=judge_sha256())
    texts = dict(_texts(checklist, facts, options))
    for path, text in texts.items():  # before anything is printed: what was decided is kept
        write_text(path, text)
    to = console()
    show(to, checklist)
    if options.out is not None:
        lines = [f"written to {options.out}: {PAGE}, {MARKDOWN}, {JSON}, {STATEMENT}, {JUNIT}"]
        if checklist.signed_off:
            file = options.out / STATEMENT
            lines.append(f"sign it: cosign sign-blob --bundle {file}.sigstore.json {file}")
            lines.append(f"     or: gpg --armor --detach-sign {file}")
        to.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return checklist.status


def collect(policy: Policy, folders: list[Path], *, again: str) -> Gathered:
    """Read all evidence, with progress on stderr, and judge again what is at hand.

    Args:
        policy: its files of known failures apply where outputs are judged again.
        folders: of evidence.
        again: "few", "all" or "none".

    Raises:
        EvidenceFolderError: a folder is not there.
        KnownFailureError: a file of known failures cannot be used.

    """
    criteria = _criteria(policy)
    files = list(walk(folders))
    with progress(Console(stderr=True)) as add_task:
        found, at_hand = gather(files, add_task("files of evidence", len(files)))
        if again == "none":
            return found
        few = again == "few"
        judged = add_task("outputs judged again", len(at_hand.outputs))
        parts = [
            found,
            parity_again(at_hand, found.parity, criteria, FEW_ROWS if few else None, judged),
            _runs_again(at_hand, found),
            _margins(at_hand, FEW_MARGINS if few else None),
        ]
    return merged(parts)


def _margins(at_hand: AtHand, most_rows: int | None) -> Gathered:
    drawn = tuple(margins_of(at_hand.recordings, most_rows))
    total = len(at_hand.recordings)
    note = f"margins are drawn of {len(drawn)} of {total} recordings: --again all draws every one"
    return Gathered(margins=drawn, notes=(note,) if len(drawn) < total else ())


def _runs_again(at_hand: AtHand, found: Gathered) -> Gathered:
    """Compare GSM8K runs again, which needs an extra; without it a note is left."""
    if not at_hand.runs:
        return Gathered()
    try:
        from goldgate.signoff.runs_again import scores_again  # noqa: PLC0415 - lm-eval and scipy
    except ModuleNotFoundError as error:
        note = f"GSM8K runs were not compared again: needs {error.name}, {how_to_install('evals')}"
        return Gathered(notes=(note,))
    return scores_again(at_hand, found.scored)


def _criteria(policy: Policy) -> Criteria:
    folder = Path(policy.path).parent
    files = [SHIPPED, *(folder / name for name in policy.known_failures)]
    return Criteria(
        None,
        ordered=False,
        known_failures=tuple(one for path in files for one in read_known_failures(path)),
        known_inputs=tuple(one for path in files for one in read_known_inputs(path)),
        weights_dtype=None if policy.kernel.weights == "float32" else policy.kernel.weights,
        bias_dtype=None if policy.inputs.bias == "float32" else policy.inputs.bias,
    )


def _texts(
    checklist: Checklist, facts: Gathered, options: argparse.Namespace
) -> Iterator[tuple[Path, str]]:
    if options.junitxml is not None:
        yield options.junitxml, to_junit(checklist)
    if options.out is None:
        return
    yield options.out / JSON, to_json(checklist)
    yield options.out / MARKDOWN, markdown(checklist)
    yield options.out / PAGE, page(checklist, facts)
    yield options.out / STATEMENT, to_statement(checklist, facts)
    yield options.out / JUNIT, to_junit(checklist)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a time such as 2026-11-26T12:00:00+00:00"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
