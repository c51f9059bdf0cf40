"""Known failures: each has to be one that the policy's authors reviewed, in no more rows."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from goldgate.signoff.gathered import Parity
from goldgate.signoff.rules import Policy


def not_reviewed(judged: Iterable[Parity], policy: Policy) -> tuple[list[str], int]:
    """Return what the policy does not allow, a clause each, and how many rows it does allow.

    The judge has held each row against the ceilings of the file of known failures already.
    """
    wrong, met = [], 0
    for one in judged:
        for known in one.known:
            rows = len(known.get("rows", ()))
            met += rows
            allowed = [
                rule.most_rows
                for rule in policy.allowed_failure
                if fnmatchcase(one.recording, rule.recording) and rule.reason == known["reason"]
            ]
            if not allowed:
                wrong.append(
                    f"{one.recording}: {known['reason']} in {rows} rows is a known failure that "
                    f"the policy does not allow ({one.file.path})"
                )
            elif rows > max(allowed):
                wrong.append(
                    f"{one.recording}: {known['reason']} in {rows} rows, the policy allows "
                    f"{max(allowed)} ({one.file.path})"
                )
    return wrong, met
