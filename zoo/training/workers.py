"""Several machines that train one model: who they are by TF_CONFIG, and what they tell each other."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable

from tfrecords.errors import DataError, UsageError

VARIABLE = "TF_CONFIG"
EXAMPLE = '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}'

LETTER = 8192
"""Bytes of the message that the chief can send to all."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a process stands in the cluster.

    Attributes
    ----------
    index : int
        Its number; 0 is the chief, who alone writes files.
    count : int
        Workers of the cluster, the chief among them.
    """

    index: int = 0
    count: int = 1


def place() -> Place:
    """Read TF_CONFIG.

    Returns
    -------
    Place
        That of a single process where the variable is absent or names one worker.

    Raises
    ------
    UsageError
        If the variable is malformed, or names other roles than ``chief`` and ``worker``.
    """
    text = os.environ.get(VARIABLE)
    if not text or not text.strip():
        return Place()
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _wrong(f"must be JSON ({error})", text) from None
    cluster = values.get("cluster") if isinstance(values, dict) else None
    if not isinstance(cluster, dict) or not cluster:
        raise _wrong("needs 'cluster', a mapping from role to addresses", text)
    if set(cluster) - {"chief", "worker"}:
        raise _wrong("may name the roles chief and worker only", sorted(cluster))
    for role, addresses in cluster.items():
        if not isinstance(addresses, list) or not addresses or not all(map(_is_address, addresses)):
            raise _wrong(f"needs a list of addresses host:port under cluster, {role}", addresses)
    members = [(role, number) for role in ("chief", "worker") for number in range(len(cluster.get(role, ())))]
    addresses = [address for found in cluster.values() for address in found]
    if len(cluster.get("chief", ())) > 1:
        raise _wrong("may name one chief", cluster["chief"])
    if len(set(addresses)) != len(addresses):
        raise _wrong("must give every task an address of its own", addresses)
    task = values.get("task")
    if not isinstance(task, dict) or not {"type", "index"} <= set(task):
        raise _wrong("needs 'task' with 'type' and 'index'", task)
    own = (task["type"], task["index"])
    if isinstance(own[1], bool) or own not in members:
        known = ", ".join(f"{role} {number}" for role, number in members)
        raise _wrong(f"must name as task a member of the cluster, one of {known}", task)
    return Place(members.index(own), len(members))


def _is_address(value) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[^\s/]+:\d{1,5}", value) is not None


def _wrong(what: str, received) -> UsageError:
    return UsageError(f"{VARIABLE} {what}. Valid: {EXAMPLE}. Received: {received}")


def refuse(what: str) -> None:
    """Refuse under TF_CONFIG what trains more than one model in a process."""
    count = place().count
    if count > 1:
        raise UsageError(
            f"{what} trains one model after the other, several workers train one a command. Valid: no {VARIABLE}, "
            f"or one command for each. Received: {VARIABLE} with {count} workers"
        )


class Workers:
    """The processes that train together; for a single one everything here does nothing.

    Every method that talks must be called by all of them in the same order.

    Parameters
    ----------
    strategy : tf.distribute.Strategy
    """

    def __init__(self, strategy):
        import tensorflow as tf

        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.strategy, self.place = strategy, place() if several else Place()

    @contextlib.contextmanager
    def together(self):
        """Turn what TensorFlow says of a worker that is gone into one message."""
        import tensorflow as tf

        gone = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
                tf.errors.DeadlineExceededError, tf.errors.FailedPreconditionError)  # fmt: skip
        try:
            yield
        except gone as error:
            if not self.several:
                raise
            named = re.search(r"Error reported from (/job\S+?):? ", str(error))
            raise DataError(
                "another worker ended or cannot be reached; its own message says why. Start all of them again, with "
                f"--resume RUN if an epoch was finished. Received: {type(error).__name__}"
                f"{f' from {named[1]}' if named else ''}"
            ) from error

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return self.place.count > 1

    @property
    def chief(self) -> bool:
        """Whether this one writes the files."""
        return self.place.index == 0

    @property
    def share(self) -> tuple[int, int, int]:
        """First replica that this process feeds, how many it feeds, and how many there are in all."""
        if not self.several:
            # One process hands whole batches to its strategy, which cuts them itself.
            return 0, 1, 1
        total = self.strategy.num_replicas_in_sync
        own = total // self.place.count
        return self.place.index * own, own, total

    def distribute(self, dataset):
        """Make a data set of this process's share one that the strategy's replicas take turns in."""
        if not self.several:
            return dataset
        return self.strategy.distribute_datasets_from_function(lambda context: dataset)

    def _sum(self, values):
        """Give the sum of an integer array over the workers."""
        import numpy as np
        import tensorflow as tf

        values, own = np.asarray(values, "int64"), self.share[1]
        found = self.strategy.run(lambda: tf.constant(values))
        return self.strategy.reduce("SUM", found, axis=None).numpy() // own

    def check_same(self, **settings) -> None:
        """Refuse to go on where one worker has other settings or data than the chief.

        Parameters
        ----------
        **settings
            What must be the same, by name.
        """
        if not self.several:
            return
        import numpy as np

        digests = [int(hashlib.sha256(repr(value).encode()).hexdigest()[:12], 16) for value in settings.values()]
        table = np.zeros((self.place.count, len(digests)), "int64")
        table[self.place.index] = digests
        table = self._sum(table)
        for name, column in zip(settings, table.T, strict=True):
            others = np.flatnonzero(column != column[0]).tolist()
            if others:
                raise UsageError(
                    f"every worker must be started with the same arguments on the same data. Valid: {name} as the "
                    f"chief has it. Received: another {name} on worker {', '.join(map(str, others))} of "
                    f"0..{self.place.count - 1}"
                )

    def chief_does(self, action: Callable[[], object]) -> str:
        """Let the chief alone act; all wait for it, and all fail if it does.

        Returns
        -------
        str
            What it gave, as text, on every worker.
        """
        if not self.several:
            return str(action())
        import numpy as np

        letter, failure = np.zeros(LETTER, "int64"), None
        if self.chief:
            try:
                kind, text = 0, str(action())
            except Exception as error:
                kind, text, failure = 2 if isinstance(error, UsageError) else 1, str(error), error
            content = text.encode("utf-8")[: LETTER - 2]
            letter[: len(content) + 2] = [kind, len(content), *content]
        letter = self._sum(letter)
        if failure is not None:
            raise failure
        text = bytes(letter[2 : 2 + int(letter[1])].tolist()).decode("utf-8", "replace")
        if letter[0]:
            raise (UsageError if letter[0] == 2 else DataError)(text)
        return text

    def farewell(self) -> None:
        """Wait until all have come this far, so that none ends while another still needs it."""
        if not self.several:
            return
        import tensorflow as tf

        # One that heard of all the others first may be gone already: nothing is needed of it any more.
        with contextlib.suppress(tf.errors.OpError):
            self._sum([0])
