"""Render docs/api.md from the docstrings of the public names; as a program, write it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import goldgate

PAGE = Path(__file__).parents[1] / "docs" / "api.md"

#: The public names, in the order of a reader who judges a kernel.
SECTIONS = {
    "Judge a kernel": ("assert_parity", "judge", "Result", "RoutingKernel"),
    "Recordings and outputs": (
        *("Recording", "open_recording", "write_recording", "recording", "construct"),
        *("Output", "KernelInfo", "open_output", "write_output", "output"),
    ),
    "What is right": ("RoutingSpec", "route", "Routing", "Profile"),
    "Failures": ("KnownFailure", "read_known_failures", "GoldgateError"),
}

#: Names that have no docstring, and what they are.
CONSTANTS = {
    "__version__": "the version, as `goldgate --version` prints it.",
    "PROFILES": "every arithmetic profile by name, a dict of `Profile`: "
    + ", ".join(f"`{name}`" for name in goldgate.PROFILES)
    + ".",
    "CONSTRUCTORS": "a dict whose keys are the names that `construct` takes.",
    "MINIMAX_M2_5": "the `RoutingSpec` of MiniMax-M2.5.",
    "SHIPPED_RECORDINGS": "the folder of the recordings that ship, a `pathlib.Path`.",
    "SHIPPED_OUTPUTS": "the folder of the outputs that ship, a `pathlib.Path`.",
}

_HEAD = """\
# The public API

`from goldgate import NAME`. A name is imported when it is first used. Everything else in the
packages may change in any release. `python -m tests.api_page` writes this page from the docstrings.
"""


def page() -> str:
    """Return the page."""
    text = [_HEAD]
    for heading, names in SECTIONS.items():
        text += [f"## {heading}\n", *(entry for name in names for entry in _entry(name))]
    text.append("## Constants\n")
    for name, about in CONSTANTS.items():
        text.append(f"- `{name}`: {about}")
    return "\n".join(text) + "\n"


def _entry(name: str) -> Iterator[str]:
    value = getattr(goldgate, name)
    yield f"### {name}\n"
    protocol = getattr(value, "_is_protocol", False)
    if not (inspect.isclass(value) and (issubclass(value, Exception) or protocol)):
        yield f"```python\n{_signature(name, value)}\n```\n"
    yield _prose(inspect.getdoc(value) or "")
    if inspect.isclass(value) and not issubclass(value, Exception):
        for member, found in vars(value).items():
            if not member.startswith("_") and (lines := _member(member, found)):
                yield lines


def _member(name: str, found: object) -> str:
    if isinstance(found, property):
        doc, shown = found.__doc__, name
    elif inspect.isfunction(inspect.unwrap(getattr(found, "__func__", found))):  # type: ignore[arg-type]  # a member
        function = getattr(found, "__func__", found)
        doc, shown = function.__doc__, _signature(name, function, bound=True)
    else:
        return ""
    return f"- `{shown}`: {' '.join((doc or '').split(chr(10) * 2)[0].split())}\n"


def _signature(name: str, value: object, *, bound: bool = False) -> str:
    """Return a signature as it is written in the source; a function as a default is `...`."""
    signature = inspect.signature(value)  # type: ignore[arg-type]  # a public name
    parameters = [
        p.replace(default=...) if inspect.isfunction(p.default) else p
        for p in signature.parameters.values()
    ]
    shown = str(signature.replace(parameters=parameters[1:] if bound else parameters))
    # Annotations are strings, which `inspect` quotes.
    shown = re.sub(r"(: |-> )'([^']*)'", r"\1\2", shown).replace("Ellipsis", "...")
    if inspect.isclass(value):
        shown = shown.removesuffix(" -> None")
    if len(name + shown) <= 99 or bound:
        return name + shown
    before, arrow, result = shown.rpartition(" -> ")
    inside = (before or result)[1:-1]
    return (
        f"{name}(\n    "
        + re.sub(r", (?=\*|\w+:)", ",\n    ", inside)
        + f",\n){arrow}"
        + (result if arrow else "")
    )


def _prose(docstring: str) -> str:
    """Return a docstring as Markdown: its sections in bold, their entries as lists."""
    lines, listed = list[str](), False
    for line in docstring.splitlines():
        heading = re.fullmatch(r"(Args|Attributes|Raises|Returns|Yields):", line)
        if heading:
            lines += [f"**{heading[1]}**", ""]
            listed = True
        elif listed and (entry := re.fullmatch(r" {4}(\w+): (.*)", line)):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif listed and line.startswith("    "):
            lines.append("  " + line.strip() if lines[-1].startswith(("-", "  ")) else line.strip())
        else:
            lines.append(line)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
