"""Where a kernel comes from: its import, its package, and its arithmetic by release, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic profile of some releases.

    Attributes:
        releases: a regular expression that matches all of a release's name.
        profile: a name of `goldgate.reference.PROFILES`.
        source: where the profile was read or measured.

    """

    releases: str
    profile: str
    source: str


#: What a kernel gets of whose release nothing is known.
UNKNOWN = Arithmetic(".*", "conservative", "nothing is known of this release: the widest figures")


@dataclass(frozen=True)
class Origin:
    """Where a kernel comes from, and what its results depend on beside its inputs.

    Attributes:
        imports: what its call imports, "module:function"; "" where it imports nothing.
        packages: names of its distribution; the first that is installed states the release.
        runs_on: what a host needs to run it.
        arithmetic: profiles by release, the first that matches.
        files: patterns of the files that identify its build, "top-level module/pattern".
        environment: prefixes of the environment variables that choose what runs.

    """

    imports: str = ""
    packages: tuple[str, ...] = ()
    runs_on: str = ""
    arithmetic: tuple[Arithmetic, ...] = ()
    files: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()

    def arithmetic_of(self, release: str) -> Arithmetic:
        """Return the arithmetic of a release; `UNKNOWN` where the table has no line for it."""
        for line in self.arithmetic:
            if re.fullmatch(line.releases, release):
                return line
        return UNKNOWN
