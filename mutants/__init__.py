"""Faults planted in routing kernels, each of which the judge must see, and what others see.

`steps` is an honest kernel made of replaceable steps; `arithmetic`, `sigmoids`, `selection`,
`groups`, `memory`, `reading`, `rare` and `rounding` plant faults in it, `outputs` plants them in
output files; `honest` holds kernels that must pass, `volume` tries them on millions of rows of the
distributions of `cases`; `checks` holds the criteria in use elsewhere; `matrix` tries everything
before everything, `document` and `page` write docs/kill-matrix.md.
"""
