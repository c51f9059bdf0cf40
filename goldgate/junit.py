"""Checks with a name, and the JUnit file that a CI shows them from."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# What XML 1.0 cannot hold, not even escaped; a server's words may contain it.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
        detail = _NOT_XML.sub("?", check.detail)
        case = ET.SubElement(element, "testcase", classname=suite, name=check.name)
        if check.passed:
            ET.SubElement(case, "system-out").text = detail
        else:
            ET.SubElement(case, "failure", message=detail)
    ET.indent(element)
    ET.ElementTree(element).write(path, encoding="utf-8", xml_declaration=True)
