"""Truncation: which answers the token limit cut, and how many of a run may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goldgate.evals.asking.journal_lines import Answer

# The share of truncated answers that a verdict allows: a stated limit, not a measured one.
MAX_TRUNCATED = 0.05

# How servers say that the model ended its answer: OpenAI's, sglang's and vLLM's "stop", and what
# others send for the end of the sequence or a stop string. "length" is the token limit.
_ENDED = {"stop", "eos", "eos_token", "stop_sequence", "end_turn"}
_LIMIT = "length"


def came_to_its_end(finish_reason: str | None) -> bool:
    """Whether an answer ended by itself or at the token limit, as far as the server says.

    Anything else is no answer: "abort" and "error" are requests that failed, "content_filter" and
    "tool_calls" are texts that something else than the model or the limit cut.
    """
    return not finish_reason or finish_reason == _LIMIT or finish_reason in _ENDED


def truncated(answer: Answer, max_tokens: int) -> bool | None:
    """Whether the token limit cut an answer, or None where the server does not let one tell."""
    if answer.finish_reason:
        return answer.finish_reason == _LIMIT
    tokens = answer.usage.get("completion_tokens")
    return None if tokens is None else tokens >= max_tokens


@dataclass(frozen=True)
class Truncation:
    """How many of a run's answers are cut at the token limit.

    Attributes:
        answers: all of them.
        cut: those that are cut.
        unknown: those of which nobody can tell.

    """

    answers: int
    cut: int
    unknown: int = 0

    @classmethod
    def of(cls, totals: Mapping[str, Any]) -> Truncation:
        """Read it from what run.json counts."""
        return cls(totals["answers"], totals["truncated"], totals["truncation_unknown"])

    @property
    def rate(self) -> float:
        """The share of answers that are cut."""
        return self.cut / max(self.answers, 1)

    @property
    def percent(self) -> str:
        """The share as text."""
        return f"{100 * self.rate:.2f} %"

    def exceeds(self, limit: float = MAX_TRUNCATED) -> bool:
        """Whether more answers are cut than a verdict allows."""
        return self.rate > limit
