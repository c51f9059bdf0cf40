"""Both sides of a comparison, from files or from kernels that run here, recording by recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from goldgate.accuracy.calls import Uncovered
from goldgate.accuracy.changes import Changes, compare
from goldgate.accuracy.isolation import DefectError, Runner, UnwrittenError
from goldgate.accuracy.judged import undeclared_weights
from goldgate.accuracy.kernel_process import Order
from goldgate.accuracy.known_failures import KnownFailure
from goldgate.accuracy.live import without
from goldgate.accuracy.manifest import CRASHED, NAME, NOT_COVERED, read_manifest
from goldgate.accuracy.rounding_models import profile_for
from goldgate.accuracy.rows import weight_format
from goldgate.fixtures import FixtureError, Output, Recording, open_output
from goldgate.kernels import KernelError, NotCoveredError, find, load, registry
from goldgate.reference import FLOAT32, PROFILES, Profile, RoutingSpec


@dataclass(frozen=True)
class Answer:
    """What one side has for a recording.

    Attributes:
        output: its outputs; None where there are none.
        profile: its arithmetic.
        faults: what its calls did wrong, the failure that ended them among it.
        refusal: why there is nothing to compare, "" where there is.
        left_out: why the recording was left out, "" where it was not.
        uncovered: calls that a kernel does not support: their rows are left out.

    """

    output: Output | None = None
    profile: Profile = PROFILES["conservative"]
    faults: tuple[str, ...] = ()
    refusal: str = ""
    left_out: str = ""
    uncovered: tuple[Uncovered, ...] = ()


#: A recording and its name in, what one side has for it out.
Side = Callable[[str, Recording], Answer]


@dataclass(frozen=True)
class Compared:
    """The comparison over one recording.

    Attributes:
        recording: its name.
        changes: what changed; None where nothing was compared.
        faults: what calls of either did wrong.
        refusal: why nothing could be compared.
        left_out: why it was left out of one of them.
        uncovered: calls that were left out of the comparison, and of whose kernel, a line each.
        sha256: of the recording and the two outputs, as far as they were read.

    """

    recording: str
    changes: Changes | None = None
    faults: tuple[str, ...] = ()
    refusal: str = ""
    left_out: str = ""
    uncovered: tuple[str, ...] = ()
    sha256: tuple[str | None, str | None, str | None] = (None, None, None)

    @property
    def verdict(self) -> str:
        """EXPLAINED, UNEXPLAINED, REFUSED or NOT COVERED."""
        if self.faults or (self.changes is not None and not self.changes.explained):
            return "UNEXPLAINED"
        if self.left_out:
            return "NOT COVERED"
        return "REFUSED" if self.changes is None else "EXPLAINED"


def side(
    name: str,
    arithmetic: str | None,
    device: str | None,
    runner: Runner,
    *,
    partial: bool,
    weights_dtype: str | None = None,
) -> Side:
    """Return what answers for one side of a comparison.

    Args:
        name: a folder of outputs, or a kernel as `goldgate.kernels.load` takes it.
        arithmetic: the name of its profile; None: what its outputs name.
        device: the torch device of a user's own kernel.
        runner: what runs a kernel; it must be open when a recording is asked for.
        partial: whether recordings that a folder without manifest lacks are left out.
        weights_dtype: the type that weights are returned in by design; None: what a kernel's module
            declares, else float32.

    Raises:
        FixtureError: the folder holds the outputs of no kernel, or of several.
        KernelError: the kernel cannot run here.

    """
    if Path(name).is_dir():
        narrow = weights_dtype or FLOAT32.name
        return _recorded(_one_folder(Path(name)), arithmetic, narrow, partial=partial)
    try:
        held = load(name, arithmetic, device)
    except KernelError as error:
        if ":" not in name and find(name) is None:
            raise KernelError(
                f"{name}: no such folder and no such kernel: expected a folder of outputs, one of "
                f"{', '.join(registry())}, or package.module:function"
            ) from None
        raise KernelError(f"{name}: not run here: {error}") from None
    return _live(Order(name, arithmetic, device), runner, weights_dtype or held.adapter.weights)


def compare_all(
    recordings: Mapping[str, Recording],
    old: Side,
    new: Side,
    known_failures: Sequence[KnownFailure],
    advance: Callable[[int], object],
) -> list[Compared]:
    """Compare two kernels over recordings; Control-C refuses those that are left."""
    done: list[Compared] = []
    try:
        for name, recording in recordings.items():
            done.append(_compared(name, recording, old, new, known_failures, advance))
    except KeyboardInterrupt:
        left = list(recordings)[len(done) :]
        done += [Compared(name, refusal="interrupted before it was compared") for name in left]
    return done


def _compared(
    name: str,
    recording: Recording,
    old: Side,
    new: Side,
    known_failures: Sequence[KnownFailure],
    advance: Callable[[int], object],
) -> Compared:
    answers = {"OLD": old(name, recording)}
    if not answers["OLD"].left_out:  # a kernel need not run for nothing
        answers["NEW"] = new(name, recording)
    faults = tuple(f"{which} {f}" for which, one in answers.items() for f in one.faults)
    refusal = "; ".join(f"{w}: {one.refusal}" for w, one in answers.items() if one.refusal)
    left_out = "; ".join(f"{w}: {one.left_out}" for w, one in answers.items() if one.left_out)
    first, second = (answers[w].output if w in answers else None for w in ("OLD", "NEW"))
    hashes = (
        recording.sha256,
        first.sha256 if first else None,
        second.sha256 if second else None,
    )
    if first is None or second is None:
        advance(recording.rows)
        return Compared(name, None, faults, refusal, left_out, sha256=hashes)
    refused = [(w, call) for w, one in answers.items() for call in one.uncovered]
    changes = compare(
        without(recording, [call for _, call in refused]),
        first,
        second,
        (answers["OLD"].profile, answers["NEW"].profile),
        known_failures=known_failures,
        advance=advance,
    )
    uncovered = tuple(
        f"{w} is not made for rows {c.start} to {c.stop}: {c.why}" for w, c in refused
    )
    return Compared(name, changes, faults, uncovered=uncovered, sha256=hashes)


def _one_folder(folder: Path) -> Path:
    """Return the folder of one kernel's outputs: this one, or the only one in it."""
    if any(folder.glob("*.safetensors")) or (folder / NAME).exists():
        return folder
    inside = sorted({path.relative_to(folder).parts[0] for path in folder.rglob("*.safetensors")})
    if len(inside) != 1:
        found = ", ".join(inside) or "none"
        raise FixtureError(f"{folder}: expected the outputs of one kernel, found {found}")
    return folder / inside[0]


def _recorded(folder: Path, arithmetic: str | None, narrow: str, *, partial: bool) -> Side:
    manifest = read_manifest(folder)

    def answer(name: str, recording: Recording) -> Answer:
        path = folder / f"{name}.safetensors"
        entry = manifest.get(name) if manifest is not None else None
        if entry is not None and entry.state == CRASHED:
            return Answer(faults=(f"crashed when it was run: {entry.why}",))
        if entry is not None and entry.state == NOT_COVERED:
            return Answer(left_out=entry.why)
        if not path.exists():
            if entry is None and (manifest is not None or partial):
                return Answer(left_out=f"{folder.name} has no output of it")
            return Answer(refusal=f"{path}: no output (--partial leaves such recordings out)")
        try:
            return _usable(open_output(path, recording), recording.spec, arithmetic, narrow)
        except FixtureError as error:
            return Answer(refusal=str(error))

    return answer


def _live(order: Order, runner: Runner, narrow: str) -> Side:
    kernel = find(order.name)

    def answer(_: str, recording: Recording) -> Answer:
        if kernel is not None and (beyond := kernel.supports(recording.spec)):
            return Answer(left_out=f"{order.name} {beyond}")
        try:
            ran = runner.run(order, recording)
        except NotCoveredError as error:
            return Answer(left_out=f"{order.name} {error}")
        except (UnwrittenError, DefectError) as error:
            return Answer(refusal=str(error))
        except KernelError as error:
            return Answer(faults=(f"failed: {error}",))
        faults = tuple(f"call is at fault: {fault}" for fault in ran.faults)
        found = _usable(ran.output, recording.spec, order.profile, narrow, faults)
        return replace(found, uncovered=ran.uncovered)

    return answer


def _usable(
    output: Output,
    spec: RoutingSpec,
    arithmetic: str | None,
    declared: str,
    faults: tuple[str, ...] = (),
) -> Answer:
    held = weight_format(output)
    if held != FLOAT32 and held.name != declared:
        faults += (undeclared_weights(held.name),)
    name = arithmetic or output.kernel.arithmetic
    if name not in PROFILES:
        return Answer(refusal=f"arithmetic {name!r}: expected one of {', '.join(PROFILES)}")
    return Answer(output, profile_for(name, output.kernel, spec), faults)
