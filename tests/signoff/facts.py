"""A small policy, and facts that fulfil it: each test takes something away or makes it wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from goldgate.fixtures.output import SERVED
from goldgate.reference import MINIMAX_M2_5
from goldgate.signoff.checklist import Checklist, EvidenceFile, Item
from goldgate.signoff.decide import decide
from goldgate.signoff.gathered import (
    COMPARISON,
    KILLS,
    LATENCY,
    PARITY,
    RECORDING,
    SCORES,
    Compared,
    Covered,
    Gathered,
    Interval,
    Kernel,
    Killed,
    Parity,
    Recorded,
    Scored,
    Timed,
)
from goldgate.signoff.rules import (
    AllowedFailure,
    CoverageRule,
    EngineRule,
    EvidenceRule,
    InputRule,
    KernelRule,
    LatencyRule,
    ModelRule,
    Policy,
    ScoreRule,
    ThroughputRule,
)

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
MADE = "2026-11-20T12:00:00+00:00"
JUDGE = "a" * 64
ARCHITECTURES = ("gfx942", "gfx950")
LAYERS = 2

POLICY = Policy(
    schema=1,
    name="test",
    kernel=KernelRule(("new.kernel",), ("2.*",), "new"),
    replaces=KernelRule(("old.kernel",), ("1.*",), "old"),
    architectures=ARCHITECTURES,
    model=ModelRule(("org/Model",), "Model", LAYERS, "MiniMax-M2.5", revision="r1"),
    engine=EngineRule("sglang 0.5.*"),
    inputs=InputRule("float32", "float32"),
    coverage=CoverageRule(100, ("ordinary", "pairs", "hostile"), (1, 4096), 0.5),
    latency=LatencyRule((1, 64), 1.0),
    gsm8k=ScoreRule(1.5, 0.05, "all", 1319),
    throughput=ThroughputRule(0.97),
    evidence=EvidenceRule(30, 1_000_000),
    allowed_failure=(AllowedFailure("hostile/few", "duplicate id", 2, "reviewed"),),
    path="signoff.toml",
    sha256="b" * 64,
)


#: Tango's bound of 5 losses and 4 gains among 1,319 questions at 0.05.
LOWER = -0.005098615410471119


def a_file(path: str, kind: str, made: str = MADE) -> EvidenceFile:
    """Return a file of evidence whose hash follows from its path."""
    return EvidenceFile(path, path.encode().hex()[:64].ljust(64, "0"), kind, made, "")


def a_kernel(name: str, architecture: str, **more: str) -> Kernel:
    """Return the old or the new kernel on an architecture."""
    version = "2.1" if name.startswith("new") else "1.4"
    device = {"gfx942": "AMD Instinct MI300X", "gfx950": "AMD Instinct MI355X"}.get(
        architecture, ""
    )
    about = {"version": version, "device": device, "architecture": architecture, **more}
    return Kernel(name, arithmetic="rcp_exp2", **about)


def a_recording(layer: int) -> Recorded:
    """Return a recording of a layer of the policy's model."""
    source = {
        "kind": "model", "model": "org/Model", "revision": "r1", "layer": layer, "recorder": 1,
        "server": "sglang 0.5.15",
    }  # fmt: skip
    return Recorded(
        f"rank0-layer{layer:02}-0000", f"{layer + 1:064x}", 4096, source, MINIMAX_M2_5.to_dict(),
        "F32", "F32", a_file(f"e/recorded/layer{layer:02}.safetensors", RECORDING, ""), True,
    )  # fmt: skip


def a_parity(architecture: str, recording: str, sha256: str, **more: object) -> Parity:
    """Return a pass of the new kernel."""
    served = not more.get("live", False)
    values: dict[str, Any] = {
        "kernel": a_kernel("new.kernel", architecture, note=SERVED[0] if served else ""),
        "recording": recording, "recording_sha256": sha256, "output_sha256": "", "verdict": "PASS",
        "why": "", "rows": 4096, "counts": {"exact": 4096}, "failing": 0, "known": (),
        "over_bound": 0.4, "weights": 32768, "weight_format": "float32", "drift": False,
        "input": {"verdict": "PASS", "bias": "checkpoint's", "rerouted_rows": 0,
                  "logits_grid": None},
        "call_faults": (), "call_notes": (), "live": False, "tier": "", "judged_again": False,
        "file": a_file(f"e/{architecture}/parity.json", PARITY), "judge_sha256": JUDGE,
    }  # fmt: skip
    return Parity(**(values | more))


def a_verdict(**more: object) -> dict[str, Any]:
    """Return a paired verdict as its file has it."""
    run = {
        "settings": {"model": "org/Model", "questions": 1319, "protocol": "lm-eval"},
        "totals": {"served_models": {"org/Model": 1319}, "fingerprints": {"sglang-0.5.15": 1319}},
        "data": "GSM8K", "server": {"at_start": {}, "at_end": {}}, "foreign": None,
        "hashes": {"samples": "c" * 64, "journal": "d" * 64}, "finished": MADE,
    }  # fmt: skip
    held: dict[str, Any] = {
        "verdict": "PRESERVED", "decides": "strict-match", "note": None, "checks": [],
        "cautions": [], "withheld": [],
        "rules": {"margin": 0.015, "alpha": 0.05},
        "paired": {"strict-match": {
            "questions": 1319, "losses": 5.0, "gains": 4.0, "difference": -1 / 1319,
            "lower": LOWER, "discordance": 9 / 1319,
        }},
        "noise_floor": {"discordance": 0.006}, "throughput": {"ratio": 1.02, "low": 1.0,
                                                              "high": 1.04},
        "plan": {"kind": "all questions", "sha256": "e" * 64},
        "runs": {"baseline": run, "candidate": run, "control": run},
    }  # fmt: skip
    return held | more


def a_scored(path: str = "e/gsm8k/verdict.json", **more: object) -> Scored:
    """Return a paired verdict as a fact."""
    held = a_verdict(**more)
    note = str(held["note"] or "")
    return Scored(
        held["verdict"], held, held["plan"], note.startswith("DEMO"), a_file(path, SCORES)
    )


def _timed(architecture: str, tokens: int, *, rotated: bool) -> list[Timed]:
    old, new = (a_kernel(name, architecture) for name in ("old.kernel", "new.kernel"))
    file = a_file(f"e/{architecture}/latency.json", LATENCY)
    return [
        Timed(old, old, tokens, rotated, Interval(9.0, 8.9, 9.1), None, 0.1, file),
        Timed(new, old, tokens, rotated, Interval(6.0, 5.9, 6.1), Interval(0.66, 0.65, 0.67), 0.1,
              file),
    ]  # fmt: skip


RECORDINGS = tuple(a_recording(layer) for layer in range(LAYERS))
MODEL_PARITY = tuple(
    a_parity(architecture, one.name, one.sha256)
    for architecture in ARCHITECTURES
    for one in RECORDINGS
)
CONSTRUCTED = tuple(
    a_parity(architecture, name, sha256, live=True, tier=tier, repeats=30,
             file=a_file(f"e/{architecture}/coverage.json", PARITY))
    for architecture in ARCHITECTURES
    for name, tier, sha256 in (
        ("ordinary/tokens", "ordinary", "1" * 64),
        ("pairs/0", "pairs", "2" * 64),
        ("hostile/few", "hostile", "3" * 64),
    )
)  # fmt: skip

FACTS = Gathered(
    recordings=RECORDINGS,
    parity=(*MODEL_PARITY, *CONSTRUCTED),
    covered=tuple(
        Covered(
            a_kernel("new.kernel", architecture), {"ordinary": 1, "pairs": 1, "hostile": 1}, 9000,
            ((0, 257), (4096, 4096)), {"layout": ("contiguous",)}, 60, 100, (),
            a_file(f"e/{architecture}/coverage.json", PARITY), "MiniMax-M2.5",
        )
        for architecture in ARCHITECTURES
    ),
    compared=tuple(
        Compared(
            a_kernel("old.kernel", architecture), a_kernel("new.kernel", architecture), one.name,
            one.sha256, "EXPLAINED", "", 4096, 3, 0, {"same": 4093, "rounding": 3},
            a_file(f"e/{architecture}/old-new.json", COMPARISON), JUDGE,
        )
        for architecture in ARCHITECTURES
        for one in RECORDINGS
    ),
    timed=tuple(
        one
        for architecture in ARCHITECTURES
        for tokens in (1, 64)
        for rotated in (True, False)
        for one in _timed(architecture, tokens, rotated=rotated)
    ),
    scored=(a_scored(),),
    killed=(Killed(JUDGE, 146, 146, (), 5_000_000, (), a_file("e/kills.json", KILLS)),),
)  # fmt: skip


#: The recordings of each tier.
NAMED = {"ordinary": ("ordinary/tokens",), "pairs": ("pairs/0",), "hostile": ("hostile/few",)}

FIELDS = (
    *("recordings", "parity", "covered", "compared", "timed", "scored", "killed", "dispatched"),
)


def with_files(facts: Gathered) -> Gathered:
    """Return facts with the list of the files that they are from."""
    found = dict.fromkeys(one.file for name in FIELDS for one in getattr(facts, name))
    return replace(facts, files=tuple(sorted(found, key=lambda file: file.path)))


def decided(facts: Gathered = FACTS, policy: Policy = POLICY) -> Checklist:
    """Decide on facts, as of `NOW`, with the judge `JUDGE` and one recording a tier."""
    return decide(policy, with_files(facts), NOW, judge=JUDGE, named=NAMED)[0]


def item_of(name: str, facts: Gathered = FACTS, policy: Policy = POLICY) -> Item:
    """Return one decided item."""
    return next(one for one in decided(facts, policy).items if one.name == name)
