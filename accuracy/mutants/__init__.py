"""Faults planted in routing kernels, each of which the judge must see, and what others see.

`steps` is an honest kernel made of replaceable steps; `arithmetic`, `selection`, `memory` and
`rare` plant faults in it, `outputs` plants them in output files; `honest` holds kernels that must
pass; `checks` holds the criteria in use elsewhere; `matrix` writes docs/kill-matrix.md.
"""
