"""`python -m evals COMMAND`, the spelling of 0.1.0: the program is `goldgate` now."""

import sys

from goldgate.cli import main

#: Commands that have another name in `goldgate`.
RENAMED: dict[str, str] = {"signoff": "swap", "bench": "harness-bench"}

if __name__ == "__main__":
    given = [RENAMED.get(word, word) if n == 0 else word for n, word in enumerate(sys.argv[1:])]
    old = " ".join(["python -m evals", *sys.argv[1:2]])
    print(
        f"{old} is now `goldgate {' '.join(given[:1])}`; this spelling ends with 0.3",
        file=sys.stderr,
    )
    sys.exit(main(given))
