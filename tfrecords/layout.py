"""How the records of a directory are laid out: names of shards, rows of the index, which record goes where."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from tfrecords.errors import DataError, UsageError
from tfrecords.info import DatasetInfo
from tfrecords.schema import Record, encode

INDEX_DTYPE = np.dtype(
    [
        ("shard", "<u2"),
        ("partition", "u1"),
        ("offset", "<u8"),
        ("size", "<u4"),
        ("length", "<u4"),
        ("class_id", "<i8"),
    ]
)


def shard_name(partition: str, number: int, count: int) -> str:
    """Give the file name of a shard, such as ``test-00000-of-00003.tfrecord``."""
    return f"{partition}-{number:05d}-of-{count:05d}.tfrecord"


def row_count(record: Record) -> int:
    """Count the rows of a record's light curve."""
    return 0 if record.lc is None else len(record.lc)


def stable_hash(text: str, seed: int) -> int:
    """Hash a text to 64 bits, the same on every machine and in every process."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Layout:
    """What a data set is and how its records are dealt to shards; can be sent to other processes.

    Attributes
    ----------
    info : DatasetInfo
        Without shards and ledger.
    shards : tuple of int
        Number of shards of each partition, in the order of ``info.partitions``.
    seed : int
        Of the hash that deals records to shards.
    """

    info: DatasetInfo
    shards: tuple[int, ...]
    seed: int

    def place(self, record: Record, partition: str) -> tuple[int, bytes]:
        """Check and encode a record.

        Returns
        -------
        (int, bytes)
            Number of its shard, counted through all partitions, and its payload.

        Raises
        ------
        DataError
            If the record breaks a rule of the schema or does not fit the data set.
        UsageError
            If the partition does not exist.
        """
        names = self.info.partitions
        if partition not in names:
            raise UsageError(f"partitions are {', '.join(names)}. Received: {partition!r}")
        payload = encode(record)
        problems = self.info.problems_of(record)
        if problems:
            raise DataError(f"object {record.object_id!r}: {problems[0]}")
        number = names.index(partition)
        count = self.shards[number]
        within = stable_hash(record.object_id, self.seed) % count if count > 1 else 0
        return sum(self.shards[:number]) + within, payload
