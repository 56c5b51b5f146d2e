"""Work dealt to the workers of a Dask cluster, with results in the order of the work."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfrecords.errors import DataError, UsageError

# A piece is given up after so many workers died with it.
_RETRIES = 3
_AHEAD = 3
_TIMEOUT = "10s"


def over_scheduler(
    make_task: Callable[..., Callable], arguments: tuple, starts: Sequence[Any], address: str, failure: str
) -> Iterator[Any]:
    """Give ``make_task(*arguments)(start)`` for one start after the other, computed by Dask's workers.

    What a dead worker was computing is computed again by another one. The workers import this package and reach the
    same files under the same names.

    Parameters
    ----------
    make_task, arguments, starts, failure
        As for `data_tools.engine.processes.in_order`.
    address : str
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    UsageError
        If Dask is not installed or no scheduler answers.
    DataError
        If workers die again and again with one piece.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise UsageError(
            "--scheduler needs Dask: pip install 'timedomain-zoo[dask]'. Received: no module 'distributed'"
        ) from error
    try:
        client = Client(address, timeout=_TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"no Dask scheduler answers at --scheduler {address}: {error}") from error
    with client:
        shared = client.scatter((make_task, arguments), broadcast=True, hash=False)
        under_way: collections.deque = collections.deque()
        try:
            for start in starts:
                under_way.append(client.submit(_run, shared, start, pure=False, retries=_RETRIES))
                if len(under_way) >= _AHEAD * max(1, len(client.scheduler_info(n_workers=-1)["workers"])):
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except KilledWorker as error:
            raise DataError(f"{failure} died again and again: {error}. Received: --scheduler {address}") from error
        finally:
            for future in under_way:
                future.cancel()


def _run(shared: tuple[Callable[..., Callable], tuple], start: Any) -> Any:
    make_task, arguments = shared
    return make_task(*arguments)(start)
