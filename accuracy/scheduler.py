"""Judging on the workers of a Dask cluster: a scheduler's address in, an executor out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from goldgate.errors import GoldgateError
from goldgate.fixtures import FixtureError

if TYPE_CHECKING:
    from distributed import Client

P = ParamSpec("P")
T = TypeVar("T")

#: Before Python 3.11 asyncio's is no TimeoutError.
_TIMED_OUT = (TimeoutError, asyncio.TimeoutError)

#: Seconds to wait for the scheduler, and then for its first worker.
_WAIT_S = 30


class SchedulerError(GoldgateError):
    """A scheduler that cannot be used."""


@contextmanager
def scheduler(address: str) -> Iterator[Executor]:
    """Connect to a Dask scheduler and yield an executor that runs on its workers.

    What a lost worker had is computed again by another. The workers need the same goldgate, and
    read recordings and outputs by the paths that are given here: on a file system that all machines
    mount in the same place.

    Args:
        address: such as "tcp://10.0.0.1:8786".

    Raises:
        SchedulerError: nothing answers there or no longer, no worker joins, the scheduler or a
            worker has no goldgate or another one, or workers die of what they judge.
        ModuleNotFoundError: `distributed` is not installed.

    """
    from distributed import Client, KilledWorker  # noqa: PLC0415 - an extra

    if not re.fullmatch(r"[a-z]+://\S+|[^\s/]+:\d+", address):
        raise SchedulerError(f"--scheduler {address}: expected an address such as tcp://HOST:8786")
    try:
        client = Client(address, timeout=_WAIT_S, set_as_default=False)
    except (OSError, *_TIMED_OUT, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SchedulerError(
            f"--scheduler {address}: no Dask scheduler answers there ({reason}); "
            "start one with `dask scheduler`"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_WAIT_S)
        except _TIMED_OUT:
            raise SchedulerError(
                f"--scheduler {address}: no worker has joined it in {_WAIT_S} s; "
                f"start some with `dask worker {address}`"
            ) from None
        _check_workers(client, address)
        try:
            yield _Workers(client)
        except KilledWorker as error:
            reason = " ".join(str(error).split())
            raise SchedulerError(
                f"--scheduler {address}: workers that judge a part of the rows die ({reason}); "
                "see their logs, they may lack memory"
            ) from None
        except CancelledError:
            raise SchedulerError(
                f"--scheduler {address}: the scheduler was lost; start it again and judge again"
            ) from None


class _Workers(Executor):
    """Runs functions on a cluster's workers; says of a file that cannot be read on which."""

    def __init__(self, client: Client) -> None:
        # Not pure: equal parts of two commands are not one result. A part whose worker is lost
        # runs again; a part that kills four workers is at fault itself.
        self._executor = client.get_executor(pure=False, retries=0)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function on a worker."""
        found: Future[T] = self._executor.submit(_run, fn, *args, **kwargs)
        return found


def _run(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return fn(*args, **kwargs)
    except OSError as error:
        raise OSError(error.errno, _on_this_worker(error.strerror), error.filename) from None
    except FixtureError as error:
        raise FixtureError(_on_this_worker(str(error))) from None


def _on_this_worker(what: str | None) -> str:
    from distributed import get_worker  # noqa: PLC0415 - as above

    where = get_worker().address
    return f"{what}, on worker {where}; all machines must have the file at the same path"


def _itself() -> tuple[str, str]:
    """Return goldgate's version and the hash of its judge."""
    import goldgate  # noqa: PLC0415 - this also runs on workers, which may be without
    from goldgate.provenance import judge_sha256  # noqa: PLC0415

    return str(goldgate.__version__), judge_sha256()


def _check_workers(client: Client, address: str) -> None:
    """Check that every worker judges as this process does, and that the scheduler can tell.

    Raises:
        SchedulerError: one has no goldgate, or another one.

    """

    # A local function travels as its code: a worker without goldgate could load no other.
    def itself() -> tuple[str, str] | str:
        try:
            from goldgate.accuracy.scheduler import _itself as found  # noqa: PLC0415

            return found()
        except ImportError as error:
            return str(error)

    here = version, judge = _itself()
    # The scheduler unpickles what is submitted.
    asked = {"the scheduler": client.run_on_scheduler(itself)}
    asked |= {f"worker {at}": found for at, found in sorted(client.run(itself).items())}
    for which, found in asked.items():
        if isinstance(found, str):
            raise SchedulerError(
                f"--scheduler {address}: {which} cannot judge ({found}): expected "
                f"goldgate {version} in its Python"
            )
        if found != here:
            other = found[0] if found[0] != version else f"{version} with another judge"
            raise SchedulerError(
                f"--scheduler {address}: {which} has goldgate {other} (judge "
                f"{found[1][:12]}): expected {version} (judge {judge[:12]})"
            )
