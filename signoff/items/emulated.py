"""The kernel's own code executed without its hardware: informative, for every rounding model."""

from __future__ import annotations

from dataclasses import replace

from goldgate.emulator import ROUNDINGS
from goldgate.signoff import commands
from goldgate.signoff.checklist import Item
from goldgate.signoff.fit import files_of, is_kernel, listed
from goldgate.signoff.items.item import across, item
from goldgate.signoff.view import View


def emulated(view: View) -> Item:
    """Look for emulated verdicts on each architecture that has an emulator."""
    policy = view.policy
    found = [
        one
        for one in view.facts.parity
        if one.kernel.execution == "emulated" and is_kernel(one.kernel, policy.kernel)
    ]
    wrong = [
        f"{one.recording} ({one.kernel.version}): {one.why} ({one.file.path})"
        for one in found
        if one.verdict not in ("PASS", "NOT COVERED")
    ]
    amd = [name for name in policy.architectures if name.startswith("gfx")]
    none = [a for a in amd if not any(one.kernel.architecture == a for one in found)]
    lacking = [(architecture, "nothing emulated") for architecture in none]
    for architecture in amd:
        held = {
            one.kernel.rounding.partition(" ")[0]  # the random one names its seed
            for one in found
            if one.kernel.architecture == architecture
        }
        left = [name for name in ROUNDINGS if name not in held]
        if left and architecture not in none:
            lacking.append((architecture, f"not under the rounding models {', '.join(left)}"))
    missing = across(lacking)
    if not amd:
        missing = [] if found else ["goldgate emulates AMD's architectures alone"]
    # Saved outputs that are at hand have a verdict of their own beside that of their run.
    passing = {
        (replace(one.kernel, note=""), one.recording_sha256): one.rows
        for one in found
        if one.verdict == "PASS"
    }
    rows = sum(passing.values())
    variants = dict.fromkeys(one.kernel.version for one in found)
    return item(
        view,
        "emulated",
        "the kernel's own code, executed without its hardware for every rounding",
        good=f"{rows} rows pass, emulated: {listed(variants, 3)}; not run on hardware",
        wrong=wrong,
        missing=missing,
        evidence=files_of(found),
        to_do=[commands.emulate(dict(lacking))] if lacking and is_aiter(view) else [],
    )


def is_aiter(view: View) -> bool:
    """Say whether the policy's kernel is the one that `goldgate emulate` executes."""
    return "aiter" in (view.policy.kernel.command, view.policy.kernel.names[0].split(".")[0])
