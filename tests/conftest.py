"""Import `evals` before any test does: its silence about lm-eval's bars holds from then on."""

import goldgate.evals  # noqa: F401 - tqdm reads the environment once, whoever imports it first
