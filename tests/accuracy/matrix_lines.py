"""The lines of the kill matrix that tests make anew, each once."""

from __future__ import annotations

from functools import cache

from goldgate.mutants import matrix
from goldgate.mutants.trial import FAULTS

#: Recordings too large for a quick test: `goldgate mutants` runs the faults on them.
LARGE = ("many", "million")

QUICK = [fault for fault in FAULTS if fault.on not in LARGE]
HONEST = matrix.honest()
SHIPPED = matrix.shipped()

fault_line = cache(matrix.fault_line)
file_line = cache(matrix.file_line)
folder_line = cache(matrix.folder_line)
honest_line = cache(matrix.honest_line)
shipped_line = cache(matrix.shipped_line)
