"""What to do about an item that fails, beside the command that measures it again."""

from __future__ import annotations

_REVIEW = (
    "mend the kernel; or, if these rows cannot occur, list them with a ceiling "
    "(docs/kernel-parity.md) and allow them in the policy with a reason"
)

#: A sentence for each item. The command of the item, where it has one, is beside it.
NEXT_STEP = {
    "release": "decide which release is released, run the commands of the other files again with "
    "it, and take the files of the other one away",
    "parity": "`goldgate judge` on these recordings and outputs prints the failing rows with the "
    f"experts expected; {_REVIEW}",
    "bias": "find where the bias is cast or lost (`goldgate dispatch` shows the path of the call) "
    "and mend it, or state the cast that is intended in the policy's [inputs]; then record again",
    "old-new": "`goldgate compare-kernels` on these recordings prints the rows that no rounding "
    "explains and which of the two is wrong; mend that kernel",
    "gate": "have the engine compute its gate in the policy's type, or state the model's type in "
    "the policy; then record again",
    "coverage": "write the recording with `goldgate construct NAME --out DIR` and run `goldgate "
    f"parity --kernel KERNEL --recordings DIR`, which prints the rows; {_REVIEW}",
    "hostile": "write the recording with `goldgate construct NAME --out DIR` and run `goldgate "
    f"parity --kernel KERNEL --recordings DIR`, which prints the rows; {_REVIEW}",
    "determinism": "a kernel whose calls differ reads what it did not write, or adds in the order "
    "in which threads arrive: mend it, then run the command again",
    "emulated": "run `goldgate emulate` with --json: it prints the rows that fail and under which "
    "rounding",
    "latency": "measure again on a host that does nothing else; if it stays, mend the kernel or "
    "argue another ratio in the policy, before anyone decides the release",
    "gsm8k": "after DEGRADED do not release: verdict.html lists the answers that changed; after "
    "INCONCLUSIVE ask more repeats, as its report says: a second look spends what is left of alpha",
    "throughput": "compare with the control's ratio in verdict.html: if it is as wide, measure on "
    "quieter hosts; else the kernel or its dispatch costs time",
    "judge": "a judge that misses a fault or calls a right kernel wrong decides nothing: use a "
    "release of goldgate whose kill matrix passes, and judge again",
    "provenance": "record again with `goldgate record`, which states all of it, from one "
    "checkpoint",
    "agreement": "find out which of the two files is right, for instance by running its command "
    "again, and take the other away",
}
