"""Whether a call gives the same bits again, and the same rows in other batches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from goldgate.signoff.checklist import Item
from goldgate.signoff.fit import Miss, files_of
from goldgate.signoff.gathered import Parity
from goldgate.signoff.items.constructed import HOSTILE, constructed, cover, left_of, unjudged
from goldgate.signoff.items.item import across, item
from goldgate.signoff.view import View

#: The faults that are about this item, of `goldgate.accuracy.states`, `graphs` and `calls`. Others,
#: such as writing beside the outputs, fail the coverage.
_OTHERWISE = re.compile(r"\bdiffers?\b|answers otherwise|refuses the same call")

#: How notes on other batches begin (`goldgate.accuracy.states.batches`).
_ALIKE, _UNLIKE = "batch-invariant: ", "not batch-invariant: "


def determinism(view: View) -> Item:
    """Require that repeated calls, and the same rows in other batches, give the same bits."""
    policy = view.policy
    judged, misses = constructed(view, lambda tier: tier != HOSTILE)
    repeated = [one for one in judged if one.repeats > 0 and one.verdict == "PASS"]
    misses += [
        Miss(one.file, one.recording, ("its calls were not repeated (--repeats 0)",))
        for one in judged
        if not one.repeats
    ]
    wrong = [
        f"{one.recording} on {one.kernel.architecture}: {faults[0]} ({one.file.path})"
        for one in judged
        if (faults := [text for text in one.call_faults if _OTHERWISE.search(text)])
    ]
    missing = [
        (architecture, "no repeated calls")
        for architecture in policy.architectures
        if not any(one.kernel.architecture == architecture for one in repeated)
    ]
    tiers = [tier for tier in policy.coverage.tiers if tier != HOSTILE]
    for architecture in policy.architectures:
        if architecture not in dict(missing):
            missing += left_of(view, repeated, architecture, tiers, "no repeated calls")
    missing += unjudged(view)[0]
    times = min((one.repeats for one in repeated), default=0)
    return item(
        view,
        "determinism",
        "the same call gives the same bits again; whether other batches do is known",
        good=f"a call of each of {len(repeated)} recordings was made {times} more times, with the "
        f"same bits; {_batches(repeated)}",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of(repeated),
        to_do=cover(view, wrong, missing),
        misses=misses,
        details=[f"{one.recording}: {note}" for one in repeated for note in one.call_notes],
    )


def _batches(repeated: Sequence[Parity]) -> str:
    """Say what is known of the same rows in other batches."""
    notes = list(dict.fromkeys(note for one in repeated for note in one.call_notes))
    unlike = _texts(notes, _UNLIKE)
    if unlike:
        return f"the kernel is not batch-invariant and does not claim to be: {unlike[0]}"
    alike = _texts(notes, _ALIKE)
    return f"{alike[0]} are alike" if alike else "other batches were not tried"


def _texts(notes: Iterable[str], start: str) -> list[str]:
    return [note.removeprefix(start) for note in notes if note.startswith(start)]
