"""What is asked of an engine's dispatch and what is found: plain values, passed as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ENGINES = ("sglang", "vllm")
PLATFORMS = ("cuda", "hip", "cpu")

#: Types of the logits and of the bias, by safetensors' names; "none": a model without a bias.
TYPES = ("F32", "BF16", "F16")


@dataclass(frozen=True)
class Scenario:
    """A call of a MiniMax-M2.5 layer's router.

    Attributes:
        engine: one of `ENGINES`.
        platform: one of `PLATFORMS`.
        gate: type of the logits, of `TYPES`.
        bias: type of the bias, of `TYPES`, or "none".
        tokens: rows of the call.
        absent: packages that cannot be imported, such as "flashinfer"; all others can.

    """

    engine: str
    platform: str
    gate: str = "F32"
    bias: str = "F32"
    tokens: int = 4
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """A branch on the way to the kernel: its test as the source has it, and how it went.

    Attributes:
        test: source text of the condition.
        held: whether it was true.
        values: of the plain names in it, as text.

    """

    test: str
    held: bool
    values: dict[str, str]


@dataclass(frozen=True)
class Step:
    """A call on the way to the kernel: a place in the engine's source.

    Attributes:
        file: path inside the engine's package folder.
        line: of the call that leads on.
        function: that it is in.
        conditions: the branches around that line, outermost first.

    """

    file: str
    line: int
    function: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Found:
    """The kernel that is reached.

    Attributes:
        kernel: "module:function" as the engine imports it, or "torch:topk" for torch's operations.
        arguments: what it was called with: tensors by type and shape, other values as text.
        path: the calls that lead to it.
        flags: environment variables that the engine's code read, with their values; None: unset.
        compiled: functions on the path that the engine hands to torch.compile.
        taken_as_off: values of the engine that were asked for a decision and have a stand-in, which
            is false or 0: options of a server, other platforms.

    """

    kernel: str
    arguments: dict[str, str]
    path: tuple[Step, ...]
    flags: dict[str, str | None]
    compiled: tuple[str, ...] = ()
    taken_as_off: tuple[str, ...] = ()


def found_from(document: dict[str, Any]) -> Found:
    """Read `Found` back from what `dataclasses.asdict` made of it."""
    path = [
        Step(**{**step, "conditions": tuple(Condition(**one) for one in step["conditions"])})
        for step in document["path"]
    ]
    lists = {key: tuple(document[key]) for key in ("compiled", "taken_as_off")}
    return Found(**{**document, **lists, "path": tuple(path)})
