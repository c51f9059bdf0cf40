"""Checks with a name, and the JUnit file that a CI shows them from."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Check:
    """One thing that has to hold; `detail` says what was found."""

    name: str
    passed: bool
    detail: str


def write_junit(path: Path, suite: str, checks: Sequence[Check]) -> None:
    """Write the checks as one JUnit test suite."""
    failed = sum(not check.passed for check in checks)
    element = ET.Element(
        "testsuite", name=suite, tests=str(len(checks)), failures=str(failed), errors="0"
    )
    for check in checks:
        case = ET.SubElement(element, "testcase", classname=suite, name=check.name)
        if check.passed:
            ET.SubElement(case, "system-out").text = check.detail
        else:
            ET.SubElement(case, "failure", message=check.detail)
    ET.indent(element)
    ET.ElementTree(element).write(path, encoding="utf-8", xml_declaration=True)
