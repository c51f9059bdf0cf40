"""Judging on the workers of a Dask cluster: a scheduler's address in, an executor out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from goldgate.errors import GoldgateError

#: Seconds to wait for the scheduler, and then for its first worker.
_WAIT_S = 30


class SchedulerError(GoldgateError):
    """A scheduler that cannot be used."""


@contextmanager
def scheduler(address: str) -> Iterator[Executor]:
    """Connect to a Dask scheduler and yield an executor that runs on its workers.

    What a lost worker had is computed again by another. The workers need goldgate, of the same
    version, and read recordings and outputs by the paths that are given here: on a file system that
    all machines mount in the same place.

    Args:
        address: such as "tcp://10.0.0.1:8786".

    Raises:
        SchedulerError: nothing answers there, no worker joins, or a worker has another goldgate.
        ModuleNotFoundError: `distributed` is not installed.

    """
    from distributed import Client  # noqa: PLC0415 - an extra

    if not re.fullmatch(r"[a-z]+://\S+|[^\s/]+:\d+", address):
        raise SchedulerError(f"--scheduler {address}: expected an address such as tcp://HOST:8786")
    try:
        client = Client(address, timeout=_WAIT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SchedulerError(
            f"--scheduler {address}: no Dask scheduler answers there ({reason}); "
            "start one with `dask scheduler`"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_WAIT_S)
        except TimeoutError:
            raise SchedulerError(
                f"--scheduler {address}: no worker has joined it in {_WAIT_S} s; "
                f"start some with `dask worker {address}`"
            ) from None
        _check_versions(client.run(_version), address)
        # Not pure: equal parts of two commands are not one result. A part whose worker is lost
        # runs again; a part that kills four workers is at fault itself.
        yield client.get_executor(pure=False, retries=0)


def _version() -> str:
    import goldgate  # noqa: PLC0415 - the worker's, not this process's

    return str(goldgate.__version__)


def _check_versions(workers: dict[str, str], address: str) -> None:
    """Check that every worker judges as this process does.

    Raises:
        SchedulerError: one has another version.

    """
    here = _version()
    for worker, version in sorted(workers.items()):
        if version != here:
            raise SchedulerError(
                f"--scheduler {address}: worker {worker} has goldgate {version}: expected {here}"
            )
