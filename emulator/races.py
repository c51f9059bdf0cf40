"""Races in the local data share: two waves, one of them writing, and no barrier between.

Lanes of one wave execute an instruction together, so that only waves race with one another; two
lanes that write different values with one instruction are found where the values are stored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NOBODY, _SEVERAL = 0, -1


class Races:
    """Who has written and read each word since the workgroup's last barrier."""

    def __init__(self, groups: int, words: int) -> None:
        self._writer = np.zeros(groups * words, np.int32)
        self._reader = np.zeros(groups * words, np.int32)
        self._words = words

    def read(self, words: NDArray[np.int64], waves: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Note reads of words [n] by waves [n]; return which follow another wave's write."""
        me = waves + 1
        before = self._reader[words]
        self._reader[words] = np.where((before == _NOBODY) | (before == me), me, _SEVERAL)
        self._reader[words[self._reader[words] != me]] = _SEVERAL
        writer = self._writer[words]
        return np.asarray((writer != _NOBODY) & (writer != me))

    def write(self, words: NDArray[np.int64], waves: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Note writes; return which follow another wave's read or write."""
        me = waves + 1
        raced = np.zeros(len(words), bool)
        for before in (self._reader[words], self._writer[words]):
            raced |= (before != _NOBODY) & (before != me)
        self._writer[words] = me
        return np.asarray(raced | (self._writer[words] != me))

    def barrier(self, groups: NDArray[np.int64]) -> None:
        """Forget what workgroups did before a barrier that all their waves have reached."""
        for held in (self._writer, self._reader):
            held.reshape(-1, self._words)[groups] = _NOBODY
