"""The checklist: what a release manager reads and signs. Frozen types only; every output is one.

The terminal table, signoff.md, signoff.html, signoff.json, the in-toto Statement and JUnit are
each a function of one `Checklist` (the page also of `Gathered`, for its plots).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

#: What the verdict line, the page and the statement of a demonstration policy carry.
DEMONSTRATION = "DEMONSTRATION"


class State(Enum):
    """What the evidence says of an item."""

    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    MISSING = "MISSING"


@dataclass(frozen=True)
class EvidenceFile:
    """A file that was read.

    Attributes:
        path: relative to the folder that `--evidence` names, with that folder's own name first;
            forward slashes. The same tree gives the same path on every machine.
        sha256: of its bytes, in hexadecimal.
        kind: what it is, one of `goldgate.signoff.gathered.KINDS`.
        made: when it says it was finished, ISO 8601 with an offset; "" where it does not say.
        subject: the kernel, recording or model that it is about; "" where it does not say.

    """

    path: str
    sha256: str
    kind: str
    made: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Refused:
    """A file that was found and not used: it is damaged, too old, or about something else.

    Attributes:
        file: the file.
        why: in one sentence: what is wrong, what was expected, what to do.
        unusable: whether the file itself is broken (damaged, edited, no whole evidence), so that
            the command exits with 2. A whole file about another kernel or of another day is
            refused too, but leaves the answer to the items.

    """

    file: EvidenceFile
    why: str
    unusable: bool


@dataclass(frozen=True)
class ToDo:
    """What is still to be run for an item.

    Attributes:
        command: the exact command line.
        where: the machine that it needs, as in "a host with an AMD Instinct MI300X (gfx942)".

    """

    command: str
    where: str


@dataclass(frozen=True)
class Item:
    """One line of the checklist.

    Attributes:
        name: its identifier, stable between releases: lower case with hyphens.
        title: what has to hold, in a few words.
        required: whether the sign-off needs it; else it is advisory.
        state: what the evidence says.
        found: what was found, in one sentence.
        evidence: the files that decide it, by path.
        to_do: what is still to be run; empty for PASS.
        would_fill: evidence that is no evidence for this item (emulated, of the stand-in, a
            demonstration, partial, of another version, without coverage), a sentence each with
            which rows of the item it would have filled.
        details: further lines for a reader who looks closer.
        next_step: what to do about a FAIL, in a sentence; empty for PASS and MISSING, which
            `to_do` is about.

    """

    name: str
    title: str
    required: bool
    state: State
    found: str
    evidence: tuple[EvidenceFile, ...] = ()
    to_do: tuple[ToDo, ...] = ()
    would_fill: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    next_step: str = ""


@dataclass(frozen=True)
class Fact:
    """A line of what the policy demands or of what was read: a name and its value, as text."""

    name: str
    value: str


@dataclass(frozen=True)
class Checklist:
    """The whole answer.

    Attributes:
        title: what would be released, as in "aiter.biased_grouped_topk on MiniMax-M2.5".
        policy_name: the policy's name.
        policy_sha256: of the policy file's bytes.
        policy: the policy's facts, in the order in which a reader wants them.
        demonstration: whether the policy's model is the stand-in: nothing is released by it.
        items: in the policy's order.
        refused: files that were found and not used.
        read: every file that was read and used.
        made: when the checklist was made, ISO 8601 in UTC.
        goldgate: version, commit and source hash of this goldgate, as facts.
        notes: what else a reader has to know, a sentence each.

    """

    title: str
    policy_name: str
    policy_sha256: str
    policy: tuple[Fact, ...]
    demonstration: bool
    items: tuple[Item, ...]
    refused: tuple[Refused, ...]
    read: tuple[EvidenceFile, ...]
    made: str
    goldgate: tuple[Fact, ...]
    notes: tuple[str, ...] = ()

    @property
    def signed_off(self) -> bool:
        """Whether every required item passes and no file that was read is broken."""
        return not self.unusable and all(one.state is State.PASS for one in self.required())

    @property
    def unusable(self) -> bool:
        """Whether a file that was found is broken."""
        return any(one.unusable for one in self.refused)

    @property
    def status(self) -> int:
        """The exit status: 0 signed off, 1 not signed off, 2 unusable evidence."""
        return 2 if self.unusable else (0 if self.signed_off else 1)

    @property
    def verdict(self) -> str:
        """The answer in one line.

        It says DEMONSTRATION where the policy's model is the stand-in, and a YES names the advisory
        items that do not pass.
        """
        if self.unusable:
            answer = "NO: unusable evidence"
        elif self.signed_off:
            answer = "YES: every required item passes"
            open_items = [
                f"{one.name} {one.state.value}"
                for one in self.items
                if not one.required and one.state is not State.PASS
            ]
            if open_items:
                answer += f"; advisory: {', '.join(open_items)}"
        else:
            required = list(self.required())
            failed = sum(one.state is State.FAIL for one in required)
            missing = sum(one.state is State.MISSING for one in required)
            answer = f"NO: of {len(required)} required items {failed} fail, {missing} are missing"
        return f"{DEMONSTRATION}, releases nothing: {answer}" if self.demonstration else answer

    def required(self) -> Iterator[Item]:
        """Yield the items that the sign-off needs."""
        return (one for one in self.items if one.required)
