"""Work dealt to processes, with results in the order of the work and memory that does not grow with it."""

from __future__ import annotations

import collections
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from multiprocessing import connection
from typing import Any

from tfrecords.errors import DataError

# Pieces under way for each process: enough that none waits for the writing, few enough to stay small.
_AHEAD = 3

Task = Callable[[Any], Any]


def in_order(
    make_task: Callable[..., Task], arguments: tuple, starts: Sequence[Any], workers: int, failure: str
) -> Iterator[Any]:
    """Give ``make_task(*arguments)(start)`` for one start after the other.

    Parameters
    ----------
    make_task : callable
        Of a module's top level, called once in every process; gives what computes a piece.
    arguments : tuple
        Of `make_task`; they are sent to the processes.
    starts : sequence
        What the pieces are called with.
    workers : int
        Processes; 1 computes in this one.
    failure : str
        What to say should a process die: where, and what was computed.

    Raises
    ------
    DataError
        If a process dies.
    """
    workers = min(workers, len(starts))
    if workers <= 1:
        yield from map(make_task(*arguments), starts)
        return
    pool = futures.ProcessPoolExecutor(
        workers,
        # A forked process would inherit the threads of whatever library this one has loaded.
        multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(make_task, arguments),
    )
    under_way: collections.deque[futures.Future] = collections.deque()
    try:
        for start in starts:
            under_way.append(_submit(pool, start))
            if len(under_way) >= workers * _AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except futures.BrokenExecutor as error:
        raise DataError(
            f"{failure} died (killed, or out of memory); fewer --workers need less memory. "
            f"Received: --workers {workers}"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: futures.ProcessPoolExecutor, start: Any) -> futures.Future:
    """Submit a piece; a process that this starts is deaf to interrupts, which the one that waits for it answers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_run, start)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> int:
    """Count the cores that are given to this process."""
    # Not os.cpu_count: in a container fewer may be given to this process than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_task: Task | None = None


def _start(make_task: Callable[..., Task], arguments: tuple) -> None:
    """Prepare a process of the pool."""
    global _task
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # An interrupt reaches all processes of a terminal; the one that waits for the others ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _task = make_task(*arguments)


def _end_with_parent() -> None:
    """End this process when the one that waits for it is gone: killed, it cannot say so, and the pool waits forever."""
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _run(start: Any) -> Any:
    return _task(start)
