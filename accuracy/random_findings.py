"""What the tier of random error found: by the rows of a call, what is wrong and its JSON."""

from __future__ import annotations

from dataclasses import dataclass

from goldgate.accuracy.systematic_error import SystematicError

#: Standard errors that a group's mean must be beyond its limit. A class of calls has some 360
#: groups and a recording up to 9 classes. Of 32 buckets, t with 27 degrees of freedom or more is
#: beyond 7 once in 6e6, either way: 5e-4 false alarms a recording if every group leaned by exactly
#: its limit. With fewer buckets the errors are bounded by what their variance counts, and the mean
#: is beyond 7 of its standard errors with a chance of 2 exp(-49/2) = 5e-11 (Hoeffding).
GROUP_SIGNIFICANCE = 7.0

#: Groups that a finding names.
_NAMED = 5

#: The class of all calls together.
ALL = "all calls"


@dataclass(frozen=True)
class Group:
    """A group of weights whose mean differs from that of all.

    Attributes:
        kind: "slot", "expert", "expert modulo 2", "expert modulo 32", "row modulo 32", "32nd of the
            rows" or "all".
        number: which.
        mean: of r, less that of all (of "all": itself), in u.
        error: its standard error.
        limit: what is allowed.
        about: the mean that it is allowed about, in u; 0 but for "all".

    """

    kind: str
    number: int
    mean: float
    error: float
    limit: float
    about: float = 0.0

    @property
    def excess(self) -> float:
        """How far beyond the limit it is for certain, in u; 0 or less where it is not."""
        return abs(self.mean - self.about) - self.limit - GROUP_SIGNIFICANCE * self.error

    @property
    def text(self) -> str:
        """The group in words."""
        about = f" about {self.about:+.2f}" if self.about else ""
        return f"{self.kind} {self.number}: {self.mean:+.2f} u (limit {self.limit:.2f}{about})"


@dataclass(frozen=True)
class ClassError:
    """The random error of a kernel's weights over rows of calls of about one size.

    Attributes:
        calls: the rows of these calls, in words; `ALL` for all calls together.
        weights: how many were looked at.
        rms: the root of the mean of r^2, in u.
        rms_over_limit: the root of the mean of r^2 / variance; at most 1 where all conforms.
        rms_found: whether that is beyond 1 for certain.
        groups: the groups whose means differ for certain, the worst first.
        largest: the group that comes nearest to its limit or is furthest beyond it; None if no
            group has enough weights.
        mantissa_bits: explicit mantissa bits that the weights use; 23 for float32.
        drift: the systematic error of the class alone; None where it is that of the recording.

    """

    calls: str
    weights: int
    rms: float
    rms_over_limit: float
    rms_found: bool
    groups: tuple[Group, ...]
    largest: Group | None
    mantissa_bits: int
    drift: SystematicError | None = None

    @property
    def leans(self) -> bool:
        """Whether the weights of the class have a systematic error."""
        return self.drift is not None and bool(self.drift.found)

    @property
    def found(self) -> bool:
        """Whether any of it is no rounding."""
        return self.rms_found or bool(self.groups) or self.mantissa_bits < 23 or self.leans

    @property
    def nearest(self) -> float:
        """How much of its limit the mean of the `largest` group takes for certain; 0 if none."""
        if self.largest is None:
            return 0.0
        return max(0.0, 1.0 + self.largest.excess / self.largest.limit)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, a line each."""
        lines = []
        if self.mantissa_bits < 23:
            lines.append(
                f"every weight has its last {23 - self.mantissa_bits} bits 0: it went through a "
                f"type of {self.mantissa_bits} mantissa bits"
            )
        if self.rms_found:
            lines.append(
                f"weights scatter by {self.rms:.2f} u (root mean square), "
                f"{self.rms_over_limit:.2f} times what independent roundings can"
            )
        if self.groups:
            named = ", ".join(group.text for group in self.groups[:_NAMED])
            more = len(self.groups) - _NAMED
            named += f" and {more} more" if more > 0 else ""
            lines.append(f"weights lean by group, inside the bound: {named}")
        if self.drift is not None and self.leans:
            lines.append(
                f"weights drift: systematic part {self.drift.size:.2f} u, mean "
                f"{self.drift.mean:+.2f} u"
            )
        return tuple(lines)

    def as_json(self) -> dict[str, object]:
        """Return it as the evidence has it."""
        largest, drift = self.largest, self.drift
        return {
            "calls": self.calls,
            "found": self.found,
            "weights": self.weights,
            "rms_u": self.rms,
            "rms_over_limit": self.rms_over_limit,
            "rms_found": self.rms_found,
            "groups_found": [vars(group) for group in self.groups],
            "largest_group": vars(largest) if largest else None,
            "mantissa_bits": self.mantissa_bits,
            "drift_size_u": drift.size if drift else None,
            "drift_mean_u": drift.mean if drift else None,
            "drift_found": self.leans,
        }


@dataclass(frozen=True)
class RandomError:
    """The random error of a kernel's weights over a sample of a recording's rows.

    Attributes:
        classes: by the rows of their calls, ascending, and all together where there are several;
            empty where no weight was looked at.

    """

    classes: tuple[ClassError, ...] = ()

    @property
    def weights(self) -> int:
        """How many weights were looked at."""
        return self.classes[-1].weights if self.classes else 0

    @property
    def rms_over_limit(self) -> float:
        """The largest of a class that has enough weights for a statement; else of all."""
        return max((one.rms_over_limit for one in self.classes[-1:]), default=0.0)

    @property
    def rms_found(self) -> bool:
        """Whether that of any class is beyond 1 for certain."""
        return any(one.rms_found for one in self.classes)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups of any class whose means differ for certain, the worst first."""
        found = [group for one in self.classes for group in one.groups]
        return tuple(sorted(found, key=lambda group: -group.excess))

    @property
    def nearest(self) -> float:
        """How much of its limit the mean of any group takes for certain."""
        return max((one.nearest for one in self.classes), default=0.0)

    @property
    def mantissa_bits(self) -> int:
        """The fewest that the weights of a class use."""
        return min((one.mantissa_bits for one in self.classes), default=23)

    @property
    def leans(self) -> bool:
        """Whether the weights of a class have a systematic error."""
        return any(one.leans for one in self.classes)

    @property
    def found(self) -> bool:
        """Whether any of it is no rounding."""
        return any(one.found for one in self.classes)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, a line each; what all calls show together, where no class shows more."""
        parts = [one for one in self.classes if one.calls != ALL and one.findings]
        if not parts or len(self.classes) == 1:
            return tuple(line for one in self.classes for line in one.findings)
        return tuple(f"in calls of {o.calls}: {line}" for o in parts for line in o.findings)

    def as_json(self) -> dict[str, object]:
        """Return it as the evidence has it: all calls together, and by the rows of a call."""
        if not self.classes:
            return {"found": False, "weights": 0, "by_call": []}
        whole = self.classes[-1].as_json() | {"found": self.found}
        return whole | {"by_call": [one.as_json() for one in self.classes]}
