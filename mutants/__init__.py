"""Faults planted in routing kernels, each of which the judge must see, and what others see.

`conforming` holds kernels that must pass, the first of which, `steps`, is made of replaceable
steps; `faults` plants faults in it and in output files; `other_suites` holds the criteria in use
elsewhere; `matrix` tries everything before everything; `served` asks the stand-in, routed by faulty
kernels, GSM8K's questions; `report` writes docs/kill-matrix.md.
"""

import goldgate.evals  # noqa: F401 - before torch: it turns off the bars that lm-eval would draw
