"""Judging threads and hashes share the cores; results come in order whatever they do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from goldgate.accuracy import turns
from goldgate.accuracy.turns import in_turns
from goldgate.fixtures import FixtureError, hashing
from goldgate.fixtures.hashing import Digest, Hashing
from goldgate.fixtures.tensorfile import sha256
from goldgate.program import environment

#: Seconds after which a test fails that waits for threads.
_WAIT_S = 30


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hashing]:
    """Yield hashing threads whose number of pending files a test sets."""
    own = Hashing()
    monkeypatch.setattr(turns, "hashing", lambda: own)
    yield own
    own.pending = 0


class _Together:
    """Counts how many calls run at a time; they end when so many do."""

    def __init__(self, expected: int) -> None:
        self._barrier = threading.Barrier(expected)
        self._lock = threading.Lock()
        self._running = 0
        self.most = 0

    def __call__(self, argument: int) -> int:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self._barrier.wait(_WAIT_S)
        with self._lock:
            self._running -= 1
        return argument


@pytest.mark.parametrize(
    ("cores", "pending", "expected"), [(4, 0, 4), (4, 1, 3), (4, 3, 1), (2, 9, 1), (40, 1, 16)]
)
def test_each_pending_hash_has_a_core(
    hashes: Hashing, cores: int, pending: int, expected: int
) -> None:
    """As many calls run at a time as hashes leave cores, at least one, and at most 16."""
    hashes.pending = pending
    together = _Together(expected)

    found = list(in_turns(together, range(expected * 5), cores))

    assert found == list(range(expected * 5))
    assert together.most == expected


def test_the_core_of_a_hash_that_is_done_is_used(hashes: Hashing) -> None:
    """A thread that waits begins when a hash ends, while another thread is in a call."""
    hashes.pending = 1
    both = threading.Barrier(2)

    def do(argument: int) -> int:
        if argument == 1:
            with hashes.changed:
                hashes.pending = 0
                hashes.changed.notify_all()
        if argument in (1, 2):
            both.wait(_WAIT_S)
        return argument

    assert list(in_turns(do, range(4), 2)) == [0, 1, 2, 3]


def test_hashes_leave_judging_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """While something is judged, one file fewer than there are cores is hashed at a time."""
    together = _Together(2)
    monkeypatch.setattr(hashing, "cores", lambda: 3)
    monkeypatch.setattr(hashing, "sha256", lambda path: str(together(int(path.name))))
    own = Hashing()
    with own.shared(3):
        beside = [own.submit(Path(str(n))).result for n in range(6)]
        found = [result(_WAIT_S) for result in beside]
    most = together.most
    together = _Together(3)

    alone = [own.submit(Path(str(n))).result for n in range(6)]

    assert [result(_WAIT_S) for result in alone] == found == list("012345")
    assert (most, together.most) == (2, 3)
    assert own.pending == 0


def test_judging_states_the_cores_that_it_shares(hashes: Hashing) -> None:
    """While parts are judged, hashes know of how many cores they leave one; then they have all."""
    found = list(in_turns(lambda _: list(hashes.sharing), range(3), 5))

    assert found == [[5]] * 3
    assert hashes.sharing == []


def test_a_hash_that_waits_for_a_core_begins_when_judging_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where judging leaves one core, the second file's hash begins beside the first, afterwards."""
    begun, together = threading.Event(), _Together(2)

    def slow(path: Path) -> str:
        begun.set()
        return str(together(int(path.name)))

    monkeypatch.setattr(hashing, "cores", lambda: 2)
    monkeypatch.setattr(hashing, "sha256", slow)
    own = Hashing()
    with own.shared(2):
        first, second = own.submit(Path("1")), own.submit(Path("2"))
        assert begun.wait(_WAIT_S)

    assert (first.result(_WAIT_S), second.result(_WAIT_S)) == ("1", "2")


def test_what_waits_holds_no_part(hashes: Hashing) -> None:
    """With one turn for several threads, calls begin in their order: no result is held up."""
    hashes.pending = 9
    begun: list[int] = []

    list(in_turns(begun.append, range(200), 4))

    assert begun == list(range(200))


@pytest.mark.usefixtures("hashes")
def test_no_call_begins_after_an_error() -> None:
    """An exception of a call is raised where the results are read; the calls behind it are left."""
    begun: list[int] = []

    def do(argument: int) -> int:
        begun.append(argument)
        if argument == 3:
            raise ValueError(argument)
        return argument

    with pytest.raises(ValueError, match="3"):
        list(in_turns(do, range(100_000), 1))

    assert len(begun) < 100_000


def test_a_hash_begins_once_and_where_it_is_asked_for(tmp_path: Path) -> None:
    """A digest that was not started is computed when it is read; started twice, it is one."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    digest = Digest(path)

    assert digest.hexdigest() == sha256(path)
    assert digest.start() is digest.start()
    path.write_bytes(b"other")
    assert digest.hexdigest() != sha256(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_has_hashing_threads_of_its_own() -> None:
    """A process that is forked after a hash does not wait for threads of its parent."""
    program = (
        "import os, sys, threading, warnings; from pathlib import Path;"
        "from goldgate.fixtures.hashing import Digest;"
        "warnings.simplefilter('ignore');"  # of a fork beside threads
        "path = Path(sys.argv[1]); here = Digest(path).hexdigest(); child = os.fork();"
        "child or (threading.Timer(20, os._exit, [3]).start(),"
        " os._exit(Digest(path).hexdigest() != here));"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, __file__], check=False, timeout=60, env=environment()
    )

    assert done.returncode == 0


def test_a_file_that_cannot_be_hashed_is_named_and_leaves_no_core_taken(tmp_path: Path) -> None:
    """The error is raised where the hash is read, and nothing is pending any more."""
    with pytest.raises(FixtureError, match="absent"):
        Digest(tmp_path / "absent").hexdigest()

    assert hashing.hashing().pending == 0
