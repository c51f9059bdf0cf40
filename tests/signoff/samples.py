"""A checklist and gathered facts made by hand, for tests of what is written from them."""

from __future__ import annotations

from goldgate.signoff.checklist import (
    Checklist,
    EvidenceFile,
    Fact,
    Item,
    Refused,
    State,
    ToDo,
)
from goldgate.signoff.gathered import (
    COMPARISON,
    LATENCY,
    PARITY,
    RECORDING,
    SCORES,
    Compared,
    Covered,
    Gathered,
    Interval,
    Kernel,
    Margins,
    Parity,
    Recorded,
    Scored,
    Timed,
)


def a_file(path: str, kind: str = PARITY, subject: str = "new") -> EvidenceFile:
    """Return a file of evidence whose hash follows from its path."""
    return EvidenceFile(
        path, path.encode().hex()[:64].ljust(64, "0"), kind, "2026-11-20T10:00:00+00:00", subject
    )


NEW = Kernel(
    "sglang Triton moe_fused_gate", "0.5.15", "NVIDIA H100 80GB HBM3", "hardware", "fast_math",
    "sglang", "", "sm_90",
)  # fmt: skip
OLD = Kernel(
    "sgl_kernel.topk_sigmoid", "0.4.4", "NVIDIA H100 80GB HBM3", "hardware", "fast_math",
    "sgl_kernel", "", "sm_90",
)  # fmt: skip

PARITY_FILE = a_file("evidence/h100/parity.json")
COMPARISON_FILE = a_file("evidence/h100/compare.json", COMPARISON)
LATENCY_FILE = a_file("evidence/h100/latency.json", LATENCY)
SCORES_FILE = a_file("evidence/gsm8k/verdict.json", SCORES)
RECORDING_FILE = a_file("evidence/recordings/standin-layer00-0000.safetensors", RECORDING)

SPEC = {
    "scoring": "sigmoid", "num_experts": 256, "top_k": 8, "num_expert_group": 1, "topk_group": 1,
    "renormalize": True, "routed_scaling_factor": 1.0,
}  # fmt: skip


def a_recording(layer: int) -> Recorded:
    """Return a recording of the stand-in."""
    return Recorded(
        f"standin-layer{layer:02}-0000",
        f"{layer:064x}",
        3783,
        {"kind": "model", "model": "goldgate-standin", "layer": layer, "server": "sglang 0.5.15"},
        SPEC,
        "F32",
        "F32",
        RECORDING_FILE,
        at_hand=True,
    )


def a_parity(layer: int, over_bound: float) -> Parity:
    """Return a pass of the new kernel on one of the stand-in's recordings."""
    counts = {"exact": 3780, "reordered": 2, "tie": 0, "admissible": 1, "wrong": 0, "undefined": 0}
    return Parity(
        NEW, f"standin-layer{layer:02}-0000", f"{layer:064x}", "b" * 64, "PASS", "", 3783, counts,
        0, (), over_bound, 30264, "float32", False,
        {"verdict": "PASS", "bias": "checkpoint's", "rerouted_rows": 0}, (), (), False, "recorded",
        False, PARITY_FILE,
    )  # fmt: skip


GATHERED = Gathered(
    recordings=tuple(map(a_recording, range(3))),
    parity=tuple(a_parity(layer, 0.3 + layer / 10) for layer in range(3)),
    covered=(
        Covered(
            NEW,
            {"ordinary": 40, "hard": 12, "hostile": 9},
            1_000_000,
            ((0, 257), (511, 513), (131_072, 131_072)),
            {"logits": ("float32",), "bias": ("float32", "bfloat16"), "padding": ("no", "yes")},
            310,
            320,
            ("strided-01 (calls of 4 tokens): needs contiguous logits",),
            PARITY_FILE,
        ),
    ),
    compared=tuple(
        Compared(OLD, NEW, f"standin-layer{layer:02}-0000", f"{layer:064x}", "EXPLAINED", "", 3783,
                 1, 0, {"same": 3780, "order": 2, "rounding": 1}, COMPARISON_FILE)
        for layer in range(3)
    ),
    timed=tuple(
        Timed(kernel, OLD, tokens, True, Interval(us, us * 0.99, us * 1.01), ratio, floor,
              LATENCY_FILE)
        for tokens, floor in ((1, 0.001), (512, 0.3), (16_384, 12.1))
        for kernel, us, ratio in (
            (OLD, 4.2 + tokens / 1000, None),
            (NEW, 5.6 + tokens / 1100, Interval(1.3, 1.29, 1.31)),
        )
    ),
    scored=(
        Scored(
            "PRESERVED",
            {
                "verdict": "PRESERVED",
                "decides": "strict-match",
                "rules": {"margin": 1.5, "alpha": 0.05},
                "paired": {
                    "strict-match": {
                        "questions": 1319, "repeats": 1, "losses": 3, "gains": 2,
                        "difference": -0.08, "bound": -0.41, "discordance": 0.4,
                        "verdict": "PRESERVED",
                    }
                },
                "noise_floor": None,
            },
            {},
            False,
            SCORES_FILE,
        ),
    ),
    margins=(
        Margins(
            "standin-layer00-0000", 3783, (1e-8, 1e-6, 1e-4, 1e-2), (1, 3, 240, 3000, 539), 2, 1
        ),
    ),
    files=(PARITY_FILE, COMPARISON_FILE, LATENCY_FILE, SCORES_FILE, RECORDING_FILE),
)  # fmt: skip

CHECKLIST = Checklist(
    title="sglang Triton moe_fused_gate in place of sgl_kernel.topk_sigmoid on the stand-in",
    policy_name="standin-nvidia",
    policy_sha256="a" * 64,
    policy=(
        Fact("kernel", "sglang Triton moe_fused_gate 0.5.15"),
        Fact("replaces", "sgl_kernel.topk_sigmoid 0.4.4"),
        Fact("model", "goldgate-standin"),
        Fact("margin", "1.5 points"),
    ),
    demonstration=True,
    items=(
        Item(
            "parity", "kernel parity on the model's recordings, every layer", True, State.PASS,
            "3 of 3 layers pass on sm_90: 11349 rows, largest weight error 0.50 of its bound",
            (PARITY_FILE,),
        ),
        Item(
            "latency", "latency against the kernel it replaces", True, State.FAIL,
            "at 1 token 1.30 times topk_sigmoid, limit 1.05",
            (LATENCY_FILE,),
            (ToDo("goldgate latency --json latency.json", "a host with an NVIDIA H100 (sm_90)"),),
        ),
        Item(
            "scores", "GSM8K is preserved: paired, with a control", True, State.MISSING,
            "no paired verdict with a control",
            (),
            (ToDo("BASE_URL=... BASELINE_URL=... tox -e gsm8k -- --control", "the serving host"),),
            ("evidence/demo/verdict.json is goldgate's demonstration: the paired verdict",),
        ),
        Item(
            "emulated", "emulated evidence for every rounding", False, State.MISSING,
            "no emulated evidence", (),
            (ToDo("tox -e aiter-emulated -- --json emulated.json", "any machine"),),
        ),
    ),
    refused=(
        Refused(
            a_file("evidence/old/parity.json"),
            "made 2026-01-02, 322 days before: the policy allows 30; judge again",
            unusable=False,
        ),
    ),
    read=GATHERED.files,
    made="2026-11-26T21:00:00+00:00",
    goldgate=(Fact("version", "0.2.0"), Fact("sha256", "c" * 64)),
)  # fmt: skip
