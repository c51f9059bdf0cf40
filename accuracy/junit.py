"""The evidence as JUnit XML, for a CI: a test case a kernel and recording."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from goldgate.accuracy.account import Account, missing
from goldgate.accuracy.evidence import Judged, complaints


def to_junit(judged: Sequence[Judged], account: Account) -> str:
    """Return the verdicts on kernels and inputs, with what did not run as skipped cases."""
    # Of an input the last kernel's finding stands for all: it is the recording's alone.
    inputs = {one.recording: one.inputs for one in judged if one.inputs and one.input_verdict}
    absent = missing(judged, account)
    suite = ET.Element(
        "testsuite",
        name="kernel-parity",
        tests=str(len(judged) + len(inputs) + len(account.not_run) + len(absent)),
        failures=str(
            sum(one.verdict == "FAIL" for one in judged)
            + sum(found.verdict == "FAIL" for found in inputs.values())
        ),
        errors=str(sum(one.verdict == "REFUSED" for one in judged) + len(absent)),
        skipped=str(len(account.not_run)),
    )
    for one in judged:
        case = ET.SubElement(suite, "testcase", classname=one.kernel, name=one.recording)
        if one.verdict == "REFUSED":
            ET.SubElement(case, "error", message=one.why_refused)
        elif one.verdict == "FAIL":
            reasons = complaints(one)
            failure = ET.SubElement(case, "failure", message=reasons[0])
            failure.text = "\n".join((*reasons, *one.offences))
    for recording, found in inputs.items():
        case = ET.SubElement(suite, "testcase", classname="input", name=recording)
        if found.verdict == "FAIL":
            ET.SubElement(case, "failure", message=found.text)
        else:
            ET.SubElement(case, "system-out").text = found.text or f"bias: {found.bias}"
    for note in account.not_run:
        name = note.recording or "every recording"
        case = ET.SubElement(suite, "testcase", classname=note.kernel, name=name)
        ET.SubElement(case, "skipped", message=note.why)
    for line in absent:
        case = ET.SubElement(suite, "testcase", classname="required", name=line.split()[1][:-1])
        ET.SubElement(case, "error", message=line)
    for node in suite.iter():  # whatever a kernel's exception or a file's name says
        node.attrib.update({key: _xml(value) for key, value in node.attrib.items()})
        node.text = _xml(node.text) if node.text else node.text
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, "unicode") + "\n"


def _xml(text: str) -> str:
    """Replace what XML 1.0 has no way to write (control characters, lone surrogates)."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
