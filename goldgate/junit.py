"""Checks with a name, and the JUnit file that a CI shows them from."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from goldgate.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# What XML 1.0 cannot hold, not even escaped, beyond what `printable` replaces: a server's answer, a
# kernel's exception or a file's name may contain it, and a CI shows them.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Check:
    """One thing that has to hold; `detail` says what was found."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class JUnitCase:
    """One test case of a JUnit file.

    Attributes:
        group: what a CI lists the case under.
        name: its own name.
        outcome: how it ended; an error is an input that could not be judged.
        message: one line on it; a case that passed has none.
        text: everything on it.

    """

    group: str
    name: str
    outcome: Literal["passed", "failure", "error", "skipped"]
    message: str = ""
    text: str = ""


def junit(suite: str, cases: Sequence[JUnitCase]) -> str:
    """Return a JUnit file with one test suite; the same cases give the same text."""
    outcomes = [case.outcome for case in cases]
    root = ET.Element(
        "testsuite",
        name=suite,
        tests=str(len(cases)),
        failures=str(outcomes.count("failure")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
    )
    for case in cases:
        node = ET.SubElement(root, "testcase", classname=case.group, name=case.name)
        if case.outcome != "passed":
            node = ET.SubElement(node, case.outcome, message=case.message)
        elif case.text:
            node = ET.SubElement(node, "system-out")
        node.text = case.text or None
    for node in root.iter():
        node.attrib.update({key: _shown(value) for key, value in node.attrib.items()})
        node.text = _shown(node.text) if node.text else node.text
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _shown(text: str) -> str:
    return _NOT_XML.sub("?", printable(text))


def write_junit(path: Path, suite: str, checks: Sequence[Check]) -> None:
    """Write checks as one JUnit test suite."""
    cases = [
        JUnitCase(suite, check.name, "passed", text=check.detail)
        if check.passed
        else JUnitCase(suite, check.name, "failure", check.detail)
        for check in checks
    ]
    path.write_text(junit(suite, cases), encoding="utf-8")
