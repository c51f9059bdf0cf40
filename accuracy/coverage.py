"""What the verdicts of a command looked at: tiers, token counts, factors, pairs, what was left out.

Read off the recordings that were judged, not off what was planned.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from goldgate.accuracy.calls import Uncovered
from goldgate.accuracy.judged import Looked
from goldgate.fixtures import Recording
from goldgate.fixtures.constructed import TIERS
from goldgate.fixtures.covering import pairs
from goldgate.fixtures.factors import FACTORS, allowed, levels_of
from goldgate.fixtures.plan import Plan, plan_of

#: The tier of a recording that is not constructed.
RECORDED = "recorded"


@dataclass(frozen=True)
class NotCovered:
    """Calls on a recording that the kernel does not support.

    Attributes:
        recording: its name.
        tokens: rows of each of the calls; empty: all calls of the recording.
        why: in the kernel's words.

    """

    recording: str
    tokens: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class Coverage:
    """What the verdicts on one kernel looked at.

    Attributes:
        kernel: its name.
        tiers: recordings judged, by tier.
        rows: rows judged.
        tokens: token counts of the calls judged, ascending.
        levels: the levels met of each factor of `FACTORS`, in its order.
        pairs: pairs of levels of two factors that were met in one call.
        possible: pairs that there are.
        not_covered: what the kernel does not support.
        calls: calls judged and calls asked for, by tier.
        missed: levels of each factor, and token counts, that were asked for and met in no call.

    """

    kernel: str
    tiers: Mapping[str, int]
    rows: int
    tokens: tuple[int, ...]
    levels: Mapping[str, tuple[str, ...]]
    pairs: int
    possible: int
    not_covered: tuple[NotCovered, ...] = ()
    calls: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    missed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def share(self, tier: str) -> float:
        """Return the part of a tier's calls that was judged; 0 where none was asked for."""
        judged, asked = self.calls.get(tier, (0, 0))
        return judged / asked if asked else 0.0

    def as_json(self) -> dict[str, object]:
        """Return it as JSON has it; token counts that follow each other as [first, last]."""
        return {
            "kernel": self.kernel,
            "tiers": dict(self.tiers),
            "rows": self.rows,
            "token_counts": [list(run) for run in runs(self.tokens)],
            "factors": {name: list(levels) for name, levels in self.levels.items()},
            "pairs": {"met": self.pairs, "possible": self.possible},
            "calls": {tier: {"judged": a, "asked": b} for tier, (a, b) in self.calls.items()},
            "missed": {name: list(levels) for name, levels in self.missed.items()},
            "not_covered": [
                {"recording": one.recording, "tokens": list(one.tokens), "why": one.why}
                for one in self.not_covered
            ],
        }

    def lines(self) -> Iterator[str]:
        """Yield it as lines for a reader."""
        tiers = ", ".join(f"{tier} {count}" for tier, count in self.tiers.items())
        counts = ", ".join(f"{a} to {b}" if b > a else str(a) for a, b in runs(self.tokens))
        yield f"{self.kernel}: covered: {tiers or 'no'} recordings, {self.rows} rows"
        parts = ", ".join(f"{tier} {a} of {b}" for tier, (a, b) in self.calls.items())
        judged, asked = (sum(pair[n] for pair in self.calls.values()) for n in (0, 1))
        yield f"  calls judged: {judged} of {asked} ({parts})"
        yield f"  calls of {counts or 'no'} tokens"
        met = ", ".join(f"{name} {len(self.levels[name])}/{len(FACTORS[name])}" for name in FACTORS)
        yield f"  levels of each factor: {met}; pairs of levels: {self.pairs} of {self.possible}"
        if self.missed:
            parts = "; ".join(f"{name} {', '.join(some)}" for name, some in self.missed.items())
            yield f"  asked for and not covered: {parts}"
        reasons: dict[str, list[NotCovered]] = {}
        for one in self.not_covered:
            reasons.setdefault(one.why, []).append(one)
        for why, some in reasons.items():
            named = ", ".join(_where(one) for one in some[:3])
            more = f" and {len(some) - 3} more" if len(some) > 3 else ""
            yield f"  not covered: {named}{more}: {why}"


def looked_at(tier: str, recording: Recording, uncovered: Iterable[Uncovered] = ()) -> Looked:
    """Return what a verdict on a recording looks at, the calls that were not made left out."""
    plan = plan_of(recording.source) or Plan()
    left = {(one.start, one.stop): one.why for one in uncovered}
    spans = list(plan.spans(recording.rows))
    return Looked(
        tier,
        levels_of(recording),
        tuple(stop - start for start, stop in spans if (start, stop) not in left),
        tuple((stop - start, why) for (start, stop), why in left.items()),
    )


def coverage(
    kernel: str,
    judged: Iterable[tuple[str, Looked]],
    not_covered: Iterable[tuple[str, str]] = (),
    refused: Iterable[Looked] = (),
) -> Coverage:
    """Return what a kernel's verdicts looked at.

    Args:
        kernel: its name.
        judged: recordings by name, with what was looked at.
        not_covered: recordings of which no call is supported, and why.
        refused: what these ask for.

    """
    calls: dict[str, list[int]] = {}
    asked: dict[str, dict[str, None]] = {}
    tiers: dict[str, int] = {}
    tokens: set[int] = set()
    met: set[tuple[str, str]] = set()
    together: set[frozenset[tuple[str, str]]] = set()
    rows, left = 0, []
    judged, refused = list(judged), list(refused)
    for looked in (*(one for _, one in judged), *refused):
        tally = calls.setdefault(looked.tier, [0, 0])
        tally[0] += len(looked.tokens)
        tally[1] += len(looked.tokens) + len(looked.not_covered)
        for factor, level in looked.levels.items():
            asked.setdefault(factor, {})[_text(level)] = None
    for name, looked in judged:
        tiers[looked.tier] = tiers.get(looked.tier, 0) + 1
        rows += sum(looked.tokens)
        tokens.update(looked.tokens)
        for count in set(looked.tokens):
            here = [(factor, _text(level)) for factor, level in looked.levels.items()]
            here.append(("tokens", str(count)))
            met.update(here)
            together.update(frozenset(pair) for pair in combinations(here, 2))
        whys: dict[str, list[int]] = {}
        for count, why in looked.not_covered:
            whys.setdefault(why, []).append(count)
        left += [NotCovered(name, tuple(counts), why) for why, counts in whys.items()]
    left += [NotCovered(name, (), why) for name, why in not_covered]
    unanswered = {
        count
        for looked in (*refused, *(one for _, one in judged))
        for count, _ in looked.not_covered
    }
    possible = [
        frozenset((name, _text(FACTORS[name][at])) for name, at in pair)
        for pair in pairs(FACTORS, allowed)
    ]
    levels = {
        name: tuple(_text(level) for level in known if (name, _text(level)) in met)
        for name, known in FACTORS.items()
    }
    order = (*TIERS, RECORDED)
    return Coverage(
        kernel,
        {tier: tiers[tier] for tier in order if tier in tiers},
        rows,
        tuple(sorted(tokens)),
        levels,
        sum(pair in together for pair in possible),
        len(possible),
        tuple(left),
        {tier: (calls[tier][0], calls[tier][1]) for tier in order if tier in calls},
        _missed(asked, met, unanswered - tokens),
    )


def _missed(
    asked: Mapping[str, Iterable[str]], met: Container[tuple[str, str]], counts: Iterable[int]
) -> dict[str, tuple[str, ...]]:
    """Return the levels that were asked for and not met, and token counts as runs."""
    found = {
        name: tuple(level for level in levels if (name, level) not in met)
        for name, levels in asked.items()
    }
    found["tokens"] = tuple(f"{a} to {b}" if b > a else str(a) for a, b in runs(sorted(counts)))
    return {name: levels for name, levels in found.items() if levels}


def runs(counts: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield ascending counts as runs (first, last) of numbers that follow each other."""
    first = last = None
    for count in counts:
        if last is not None and first is not None and count != last + 1:
            yield first, last
            first = count
        first, last = count if first is None else first, count
    if first is not None and last is not None:
        yield first, last


def _where(one: NotCovered) -> str:
    if not one.tokens:
        return one.recording
    spans = ", ".join(f"{a} to {b}" if b > a else str(a) for a, b in runs(sorted(one.tokens)))
    return f"{one.recording} (calls of {spans} tokens)"


def _text(level: object) -> str:
    return "/".join(str(part) for part in level) if isinstance(level, tuple) else str(level)
