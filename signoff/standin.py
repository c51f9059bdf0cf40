"""The stand-in by its revision, for it may be served from any folder and under any name."""

from __future__ import annotations

from functools import cache

from goldgate.fixtures import SHIPPED_RECORDINGS, open_recording
from goldgate.signoff.gathered import Recorded
from goldgate.signoff.rules import Policy, is_standin, matches


@cache
def standin_revision() -> str:
    """Return the revision that the stand-in's shipped recordings state.

    An installed copy has these, not the weights that the revision is a hash of.
    """
    first = min(SHIPPED_RECORDINGS.glob("standin-*.safetensors"))
    return str(open_recording(first).source["revision"])


def of_standin(recorded: Recorded) -> bool:
    """Say whether a recording is of the stand-in, by its model's name or by its revision."""
    if not recorded.model:
        return False
    return is_standin(recorded.model) or recorded.source.get("revision") == standin_revision()


def is_demonstration(policy: Policy, recordings: tuple[Recorded, ...]) -> bool:
    """Say whether the policy's model is the stand-in, by its names or by a recording of it."""
    return policy.demonstration or any(
        matches(one.model, policy.model.names) and of_standin(one) for one in recordings
    )
