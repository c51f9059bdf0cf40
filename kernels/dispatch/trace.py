"""How a kernel was reached, read off the exception it raised: places, branches, arguments."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType

from goldgate.kernels.dispatch.scenario import Condition, Step
from goldgate.kernels.dispatch.standins import StandIn

_SHOWN = 60

#: Where engines declare their variables, and read some of them while they do.
_DECLARING = ("sglang/srt/environ.py", "vllm/envs.py")


class Flags(MutableMapping[str, str]):
    """The environment, which keeps what is read of it by name."""

    def __init__(self, environment: MutableMapping[str, str], prefix: str) -> None:
        """Keep what begins with a prefix."""
        self._held, self._prefix, self.read = environment, prefix, dict[str, str | None]()

    def __getitem__(self, name: str) -> str:
        """Return a variable and keep that it was read."""
        if name.startswith(self._prefix) and not _declaring():
            self.read[name] = self._held.get(name)
        return self._held[name]

    def __setitem__(self, name: str, value: str) -> None:
        """Set a variable."""
        self._held[name] = value

    def __delitem__(self, name: str) -> None:
        """Delete a variable."""
        del self._held[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._held)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._held)

    def copy(self) -> dict[str, str]:
        """Return a copy, as os.environ does."""
        return dict(self._held)


def _declaring() -> bool:
    """Say whether a module that declares all of an engine's variables is being imported."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - no other way to ask who reads
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>" and code.co_filename.endswith(_DECLARING):
            return True
        frame = frame.f_back
    return False


def recorded(prefix: str) -> Flags:
    """Put `Flags` in the place of os.environ in this process."""
    flags = Flags(os.environ, prefix)
    os.environ = flags  # type: ignore[assignment]  # noqa: B003 - what os.getenv reads is asked for
    return flags


def steps(traceback: TracebackType | None, root: Path) -> tuple[Step, ...]:
    """Return the frames of a traceback in an engine's folder, outermost first."""
    found = []
    while traceback is not None:
        frame, line = traceback.tb_frame, traceback.tb_lineno
        file = Path(frame.f_code.co_filename)
        if root in file.parents:
            place = file.relative_to(root).as_posix()
            function = frame.f_code.co_name
            found.append(Step(place, line, function, _conditions(file, line, frame)))
        traceback = traceback.tb_next
    return tuple(found)


def shown(value: object) -> str:
    """Return a value as text: a tensor's type and shape, of others a short repr."""
    if isinstance(value, StandIn):
        return "False"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind}{list(value.shape)}"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _conditions(file: Path, line: int, frame: FrameType) -> tuple[Condition, ...]:
    """Return the branches around a line, inside the function of its frame."""
    function = [
        node
        for node in ast.walk(_tree(file))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name == frame.f_code.co_name
        and _holds(node, line)
    ]
    if not function:
        return ()
    return tuple(_branches(function[-1].body, line, lambda test: _values(test, frame)))


def _branches(
    body: list[ast.stmt], line: int, values: Callable[[ast.expr], dict[str, str]]
) -> Iterator[Condition]:
    for node in body:
        if not _holds(node, line):
            continue
        if isinstance(node, ast.If):
            held = any(_holds(inner, line) for inner in node.body)
            yield Condition(ast.unparse(node.test), held, values(node.test))
            yield from _branches(node.body if held else node.orelse, line, values)
            return
        for name in ("body", "orelse", "finalbody"):
            yield from _branches(getattr(node, name, []), line, values)


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _values(test: ast.expr, frame: FrameType) -> dict[str, str]:
    """Return the plain names of a test that hold plain values or tensors."""
    found = {}
    called = {ast.unparse(node.func) for node in ast.walk(test) if isinstance(node, ast.Call)}
    for node in ast.walk(test):
        if not isinstance(node, ast.Name) or any(one.startswith(node.id) for one in called):
            continue
        value = frame.f_locals.get(node.id, frame.f_globals.get(node.id))
        plain = value is None or isinstance(value, bool | int | float | str)
        if plain or (hasattr(value, "dtype") and hasattr(value, "shape")):
            found[node.id] = shown(value)
    return found
