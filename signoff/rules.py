"""What a policy demands, as types. `goldgate.signoff.policy` reads it from a file.

Names, versions and models are patterns as file names have them (`*`, `?`, `[...]`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

#: The model that nothing is released for: a policy about it is a demonstration. Its recorder names
#: it so, an engine that serves it by its folder.
STANDIN = "goldgate-standin"
_STANDIN_FOLDER = "standin/data/model"

#: The types of policies, as safetensors names them.
NAMES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}

#: The items of the checklist, in its order.
ITEMS = (
    "release", "parity", "bias", "old-new", "gate", "coverage", "hostile", "determinism",
    "emulated", "latency", "gsm8k", "throughput", "judge", "provenance", "agreement",
)  # fmt: skip


@dataclass(frozen=True)
class KernelRule:
    """A kernel: the one to release, or the one that it replaces.

    Attributes:
        names: patterns for its name as evidence has it.
        versions: patterns for its version.
        command: what `--kernel` takes.
        source_sha256: of the file that defines it; none: not pinned.
        arithmetic: the profiles by which it may be judged; none: any.
        weights: the type in which it returns weights by design: float32, bfloat16, float16.

    """

    names: tuple[str, ...]
    versions: tuple[str, ...]
    command: str
    source_sha256: tuple[str, ...] = ()
    arithmetic: tuple[str, ...] = ()
    weights: str = "float32"


@dataclass(frozen=True)
class ModelRule:
    """The model that is served.

    Attributes:
        names: patterns for its name or path in recordings and answers.
        title: what readers call it.
        layers: how many layers route, numbered from `first_layer`.
        router: its name for `goldgate parity --model`.
        first_layer: the number of the first.
        revision: a pattern for the checkpoint's revision.

    """

    names: tuple[str, ...]
    title: str
    layers: int
    router: str
    first_layer: int = 0
    revision: str = "*"


@dataclass(frozen=True)
class EngineRule:
    """The serving engine.

    Attributes:
        server: a pattern for what recordings name, as in "sglang 0.5.15".
        fingerprint: a pattern for the candidate's system_fingerprint, build or version in the
            GSM8K run; "": it has to have one that stays the same, whichever.
        environment: the variables with which the engine reaches the kernel, as a shell has them in
            front of a command: "NAME=VALUE NAME=VALUE"; "": none.

    """

    server: str
    fingerprint: str = ""
    environment: str = ""


@dataclass(frozen=True)
class InputRule:
    """What the kernel has to be given.

    Attributes:
        bias: the type of the bias that the dispatch really reaches: float32, bfloat16, float16.
        logits: the type of the gate's logits.
        most_rerouted: the largest share of rows that an intended cast of the bias may re-route.

    """

    bias: str
    logits: str
    most_rerouted: float = 0.0


@dataclass(frozen=True)
class CoverageRule:
    """Which shapes have to have been called.

    Attributes:
        rows_per_layer: recorded rows of each layer, at least.
        tiers: tiers of constructed recordings.
        token_counts: rows of a call.
        pairs: the least share of pairs of factors' levels that calls have to meet; those that the
            kernel does not support count as not met.

    """

    rows_per_layer: int
    tiers: tuple[str, ...]
    token_counts: tuple[int, ...]
    pairs: float = 0.0


@dataclass(frozen=True)
class AllowedFailure:
    """A known failure that was reviewed.

    Attributes:
        recording: a pattern for the recording's name.
        reason: what fails, in the judge's words.
        most_rows: rows of one recording that may fail so.
        why: why it is acceptable.

    """

    recording: str
    reason: str
    most_rows: int
    why: str


@dataclass(frozen=True)
class LatencyRule:
    """What a call may cost.

    Attributes:
        tokens: sizes that have to be measured.
        most: the largest ratio to the kernel that is replaced; its whole interval has to be below.
        inputs: rotated, warm or both.

    """

    tokens: tuple[int, ...]
    most: float
    inputs: str = "both"


@dataclass(frozen=True)
class ScoreRule:
    """The paired verdict on GSM8K.

    Attributes:
        margin: points that the score may fall by at most.
        alpha: one-sided.
        plan: all, sequential or any: how the registered plan asks.
        questions: how many are asked.
        control: whether a second run of the baseline is needed.
        protocols: patterns for the protocol.
        data: "GSM8K", or "own" for questions of one's own.

    """

    margin: float
    alpha: float
    plan: str
    questions: int
    control: bool = True
    protocols: tuple[str, ...] = ("*",)
    data: str = "GSM8K"


@dataclass(frozen=True)
class ThroughputRule:
    """What the served model's throughput may fall to: `least` times the baseline's."""

    least: float


@dataclass(frozen=True)
class EvidenceRule:
    """What holds of evidence in general.

    Attributes:
        most_days: how old it may be.
        conforming_rows: rows on which the kill matrix has judged conforming kernels, at least.

    """

    most_days: int
    conforming_rows: int = 0


@dataclass(frozen=True)
class Policy:
    """What a release demands.

    Attributes:
        schema: the version of the layout.
        name: a short one.
        kernel: the kernel to release.
        replaces: the kernel that it replaces.
        architectures: of the hosts that serve it: gfx942, sm_90 and the like.
        model: what is served.
        engine: what serves it.
        inputs: what the kernel has to be given.
        coverage: which shapes have to have been called.
        latency: what a call may cost.
        gsm8k: the paired verdict.
        throughput: of the served model.
        evidence: how old it may be.
        advisory: items that do not decide.
        allowed_failure: known failures that were reviewed.
        known_failures: further files of known failures, relative to the policy's folder.
        path: the file; "" for none.
        sha256: of its bytes.

    """

    schema: int
    name: str
    kernel: KernelRule
    replaces: KernelRule
    architectures: tuple[str, ...]
    model: ModelRule
    engine: EngineRule
    inputs: InputRule
    coverage: CoverageRule
    latency: LatencyRule
    gsm8k: ScoreRule
    throughput: ThroughputRule
    evidence: EvidenceRule
    advisory: tuple[str, ...] = ("emulated",)
    allowed_failure: tuple[AllowedFailure, ...] = ()
    known_failures: tuple[str, ...] = ()
    path: str = ""
    sha256: str = ""

    @property
    def demonstration(self) -> bool:
        """Whether the model is the stand-in: then nothing is released."""
        names = (STANDIN, f"fixtures/{_STANDIN_FOLDER}", f"/{_STANDIN_FOLDER}")
        return any(matches(name, self.model.names) for name in names)

    @property
    def layers(self) -> range:
        """The numbers of the layers that route."""
        first = self.model.first_layer
        return range(first, first + self.model.layers)

    @property
    def title(self) -> str:
        """What would be released, in one line."""
        return f"{self.kernel.names[0]} in place of {self.replaces.names[0]} on {self.model.title}"


def matches(text: str, patterns: tuple[str, ...] | str) -> bool:
    """Say whether a text has the form of one of the patterns."""
    patterns = (patterns,) if isinstance(patterns, str) else patterns
    return any(text == pattern or fnmatchcase(text, pattern) for pattern in patterns)


def is_standin(model: str) -> bool:
    """Say whether a model, as recordings and answers name it, is the stand-in."""
    return model == STANDIN or model.rstrip("/").endswith(_STANDIN_FOLDER)


def named(rule: KernelRule) -> str:
    """Return a rule's kernel with its versions, for a reader; any version is not named."""
    version = " or ".join(rule.versions)
    return rule.names[0] if version == "*" else f"{rule.names[0]} {version}"
