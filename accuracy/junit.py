"""The evidence as JUnit XML, for a CI: a test case a kernel and recording."""

from __future__ import annotations

from collections.abc import Sequence

from goldgate.accuracy.account import Account, missing
from goldgate.accuracy.evidence import Judged, complaints
from goldgate.junit import JUnitCase, junit


def to_junit(judged: Sequence[Judged], account: Account) -> str:
    """Return the verdicts on kernels and inputs, with what did not run as skipped cases."""
    # Of an input the last kernel's finding stands for all: it is the recording's alone.
    inputs = {one.recording: one.inputs for one in judged if one.inputs and one.input_verdict}
    absent = missing(judged, account)
    cases = [_case(one) for one in judged]
    for recording, found in inputs.items():
        if found.verdict == "FAIL":
            cases.append(JUnitCase("input", recording, "failure", found.text))
        else:
            text = found.text or f"bias: {found.bias}"
            cases.append(JUnitCase("input", recording, "passed", text=text))
    for note in account.not_run:
        name = note.recording or "every recording"
        cases.append(JUnitCase(note.kernel, name, "skipped", note.why))
    cases += [JUnitCase("required", line.split()[1][:-1], "error", line) for line in absent]
    return junit("kernel-parity", cases)


def _case(one: Judged) -> JUnitCase:
    if one.verdict == "REFUSED":
        return JUnitCase(one.kernel, one.recording, "error", one.why_refused)
    if one.verdict == "NOT COVERED":
        return JUnitCase(one.kernel, one.recording, "skipped", one.unweighed)
    if one.verdict == "FAIL":
        reasons = complaints(one)
        text = "\n".join((*reasons, *one.offences))
        return JUnitCase(one.kernel, one.recording, "failure", reasons[0], text)
    return JUnitCase(one.kernel, one.recording, "passed")
