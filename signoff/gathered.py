"""What was read of the evidence: compact, typed, with the file that each fact comes from.

Every file is read once, by the reader that the package which writes it ships, and only these facts
stay in memory: thousands of files are some megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any

from goldgate.signoff.checklist import EvidenceFile, Refused

PARITY = "kernel parity"
COMPARISON = "comparison of kernels"
LATENCY = "kernel latency"
SCORES = "GSM8K verdict"
RUN = "GSM8K run"
KILLS = "kill matrix"
DISPATCH = "dispatch"
RECORDING = "recording"
OUTPUT = "output"

#: The kinds of evidence, in the order in which a release makes them.
KINDS = (RECORDING, OUTPUT, PARITY, COMPARISON, LATENCY, SCORES, RUN, KILLS, DISPATCH)


@dataclass(frozen=True)
class Kernel:
    """Which kernel answered, where and how; "" where the evidence does not say.

    Attributes:
        name: the function, for example "aiter.biased_grouped_topk".
        version: the release or commit.
        device: what it ran on.
        execution: "hardware" or "emulated".
        arithmetic: the profile that it was judged by.
        package: what it is imported from.
        source_sha256: of the file that defines it.
        architecture: gfx942, sm_90 and the like.
        note: what else its outputs say.
        rounding: of an emulated kernel, the rounding model, such as "below" or "random (seed 0)".

    """

    name: str
    version: str = ""
    device: str = ""
    execution: str = "hardware"
    arithmetic: str = ""
    package: str = ""
    source_sha256: str = ""
    architecture: str = ""
    note: str = ""
    rounding: str = ""


@dataclass(frozen=True)
class Recorded:
    """A recording that the evidence is about.

    Attributes:
        name: the file's name without its ending.
        sha256: of the file.
        rows: T.
        source: where its tensors come from, as the recorder wrote it; "kind" is "model" or
            "synthetic"; "model", "revision", "layer", "server", "prompts" and the like.
        spec: the router, as JSON has it.
        bias_dtype: the type of the bias that the kernel consumed: F32, BF16 or F16.
        logits_dtype: the type of the logits, likewise.
        file: where it was described; None where it is known by its hash alone.
        at_hand: whether the file itself was read.

    """

    name: str
    sha256: str
    rows: int
    source: Mapping[str, Any]
    spec: Mapping[str, Any]
    bias_dtype: str
    logits_dtype: str
    file: EvidenceFile
    at_hand: bool = False

    @property
    def model(self) -> str:
        """The model's name; "" for a synthetic recording."""
        return str(self.source.get("model", "")) if self.source.get("kind") == "model" else ""

    @property
    def layer(self) -> int | None:
        """The layer, None where there is none."""
        layer = self.source.get("layer")
        return layer if isinstance(layer, int) and not isinstance(layer, bool) else None


@dataclass(frozen=True)
class Parity:
    """The verdict on a kernel over one recording.

    Attributes:
        kernel: what answered.
        recording: its name.
        recording_sha256: of the file; "" where it was not read.
        output_sha256: of the outputs; "" for a kernel that was run without saving them.
        verdict: PASS, FAIL, REFUSED or NOT COVERED.
        why: for FAIL and REFUSED, the reason in one line.
        rows: T.
        counts: rows by row verdict: exact, reordered, tie, admissible, wrong, undefined, padding.
        failing: rows that fail and are not known to.
        known: known failures met: each with `rows`, `reason`, `ceiling`, `why`, `link`.
        over_bound: the largest weight error over its bound.
        weights: weights judged.
        weight_format: float32, bfloat16 or float16; "" where ids alone were judged.
        drift: whether a systematic error was found.
        input: the verdict on the recording's inputs, as the parity evidence has it; empty where
            nothing is known.
        call_faults: what the calls did wrong (repeats that differ, batches that change rows).
        call_notes: what the calls did not try.
        live: whether the kernel was run by goldgate, rather than its recorded outputs judged.
        tier: one of the constructed tiers, "recorded", or "" where the evidence does not say.
        judged_again: whether this goldgate judged the recording and outputs again.
        file: the evidence.
        partial: whether recordings were left out (--partial).
        repeats: how often a call of each recording was made again on the same rows.
        judge_sha256: the hash of the judge's code; "" where the evidence does not say.
        spec: the router of the recording; empty where the evidence does not say.

    """

    kernel: Kernel
    recording: str
    recording_sha256: str
    output_sha256: str
    verdict: str
    why: str
    rows: int
    counts: Mapping[str, int]
    failing: int
    known: tuple[Mapping[str, Any], ...]
    over_bound: float
    weights: int
    weight_format: str
    drift: bool
    input: Mapping[str, Any]
    call_faults: tuple[str, ...]
    call_notes: tuple[str, ...]
    live: bool
    tier: str
    judged_again: bool
    file: EvidenceFile
    partial: bool = False
    repeats: int = 0
    judge_sha256: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def judged_rows(self) -> int:
        """Rows that are neither padding nor undefined."""
        return self.rows - self.counts.get("padding", 0) - self.counts.get("undefined", 0)


@dataclass(frozen=True)
class Covered:
    """What the verdicts of one parity command looked at, for one kernel.

    Attributes:
        kernel: what answered.
        tiers: recordings judged, by tier.
        rows: rows judged.
        token_counts: runs (first, last) of rows a call, ascending.
        factors: the levels met of each factor.
        pairs_met: pairs of levels of two factors met in one call.
        pairs_possible: pairs that there are.
        not_covered: what the kernel does not support, a line each.
        file: the evidence.
        router: the model whose router was covered in full; "" for a router of a file.
        unsupported: names of the recordings of which no call was judged, each told in
            `not_covered`.

    """

    kernel: Kernel
    tiers: Mapping[str, int]
    rows: int
    token_counts: tuple[tuple[int, int], ...]
    factors: Mapping[str, tuple[str, ...]]
    pairs_met: int
    pairs_possible: int
    not_covered: tuple[str, ...]
    file: EvidenceFile
    router: str = ""
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compared:
    """The old kernel against the new one on one recording.

    Attributes:
        old: what answered before.
        new: what answers now.
        recording: its name.
        recording_sha256: of the file.
        verdict: EXPLAINED, UNEXPLAINED, REFUSED or NOT COVERED.
        why: the reason where it is not EXPLAINED.
        rows: T.
        rerouted: rows that go to other experts.
        unexplained: how many rows are not explained.
        explained: rows by explanation, as the comparison counts them.
        file: the evidence.
        judge_sha256: the hash of the judge's code; "" where the evidence does not say.

    """

    old: Kernel
    new: Kernel
    recording: str
    recording_sha256: str
    verdict: str
    why: str
    rows: int
    rerouted: int
    unexplained: int
    explained: Mapping[str, int]
    file: EvidenceFile
    judge_sha256: str = ""


@dataclass(frozen=True)
class Interval:
    """A median with its confidence interval of 95 %."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Timed:
    """What one kernel costs at one size.

    Attributes:
        kernel: what ran.
        baseline: the kernel that ratios are to.
        tokens: of a call.
        rotated: whether each call read other inputs, none of them in the cache.
        us: microseconds a call.
        ratio: to the baseline's calls of the same rounds; None for the baseline itself.
        floor_us: the least that moving a call's bytes takes; None where the file does not say.
        file: the evidence.
        spec: the router that was timed; empty where the file does not say.

    """

    kernel: Kernel
    baseline: Kernel
    tokens: int
    rotated: bool
    us: Interval
    ratio: Interval | None
    floor_us: float | None
    file: EvidenceFile
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """The paired verdict on two GSM8K runs.

    Attributes:
        verdict: PRESERVED, DEGRADED, INCONCLUSIVE or REFUSED.
        document: all of verdict.json.
        plan: the registered plan (plan.json in the same folder); empty where there is none.
        demonstration: whether it is goldgate's own demonstration.
        file: the evidence.

    """

    verdict: str
    document: Mapping[str, Any]
    plan: Mapping[str, Any]
    demonstration: bool
    file: EvidenceFile

    @property
    def paired(self) -> Mapping[str, Any]:
        """The counts and bounds of the filter that decides; empty in a refusal."""
        found = self.document.get("paired", {}).get(self.document.get("decides") or "", {})
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Killed:
    """What the planted faults say of the judge.

    Attributes:
        judge_sha256: a hash of the judge's code when they were planted.
        planted: faults.
        caught: of these, caught by the kernel's own profile.
        survivors: the names of the others.
        conforming_rows: rows on which conforming kernels were judged.
        alarms: conforming kernels that were called wrong.
        file: the evidence.

    """

    judge_sha256: str
    planted: int
    caught: int
    survivors: tuple[str, ...]
    conforming_rows: int
    alarms: tuple[str, ...]
    file: EvidenceFile


@dataclass(frozen=True)
class Dispatched:
    """Which kernel an engine's own code reaches for a model.

    Attributes:
        engine: name and release, as in "sglang 0.5.15".
        platform: cuda, hip or cpu.
        model: the model's name.
        gate: the type of the logits that were passed, as safetensors names it.
        kernel: "module:function" as the engine imports it.
        catalogue: what `--kernel` takes for it; "" for one that the catalogue has not.
        simulated: whether another platform than the machine's was simulated.
        file: the evidence.
        bias: the type of the bias that reaches the kernel, such as float32; "" where no argument
            has the form of one.

    """

    engine: str
    platform: str
    model: str
    gate: str
    kernel: str
    catalogue: str
    simulated: bool
    file: EvidenceFile
    bias: str = ""


@dataclass(frozen=True)
class Margins:
    """How near a recording's rows are to another choice of experts, for the page's plot.

    Attributes:
        recording: its name.
        rows: rows that are judged.
        edges: ascending gaps between the last chosen and the best rejected biased score.
        counts: rows in each of the len(edges) + 1 intervals that the edges make.
        near_ties: rows that rounding may decide otherwise.
        exact_ties: rows where a chosen and a rejected expert are equal.

    """

    recording: str
    rows: int
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    near_ties: int
    exact_ties: int


@dataclass(frozen=True)
class Gathered:
    """All facts of the evidence at hand, in the order of their files' paths.

    Attributes:
        recordings: that the evidence is about, by name and hash.
        parity: verdicts on kernels.
        covered: what those verdicts looked at.
        compared: old against new.
        timed: latencies.
        scored: GSM8K verdicts.
        killed: kill matrices.
        dispatched: what engines' dispatch reaches.
        margins: of the recordings at hand.
        files: every file that was read.
        refused: files that were found and not used.
        notes: what else a reader has to know of the gathering, a sentence each.

    """

    recordings: tuple[Recorded, ...] = ()
    parity: tuple[Parity, ...] = ()
    covered: tuple[Covered, ...] = ()
    compared: tuple[Compared, ...] = ()
    timed: tuple[Timed, ...] = ()
    scored: tuple[Scored, ...] = ()
    killed: tuple[Killed, ...] = ()
    dispatched: tuple[Dispatched, ...] = ()
    margins: tuple[Margins, ...] = ()
    files: tuple[EvidenceFile, ...] = ()
    refused: tuple[Refused, ...] = ()
    notes: tuple[str, ...] = ()


def merged(parts: Iterable[Gathered]) -> Gathered:
    """Return the facts of several parts together, in their order."""
    held = list(parts)
    return Gathered(
        **{
            one.name: tuple(chain.from_iterable(getattr(part, one.name) for part in held))
            for one in fields(Gathered)
        }
    )
