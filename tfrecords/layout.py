"""How a directory of records is laid out: its place and files, rows of the index, which record goes where."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError, UsageError
from tfrecords.info import INDEX_FILE, INFO_FILE, LEDGER_FILE, DatasetInfo
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
        number = self.shard_of(record.object_id, partition)
        payload = encode(record)
        problems = self.info.problems_of(record)
        if problems:
            raise DataError(f"object {record.object_id!r}: {problems[0]}")
        return number, payload

    def shard_of(self, object_id: str, partition: str, within: int | None = None) -> int:
        """Give the number of an object's shard, counted through all partitions.

        Parameters
        ----------
        object_id, partition : str
        within : int, optional
            Number of the shard within the partition; by default by the hash of the id.

        Raises
        ------
        UsageError
            If the partition does not exist.
        """
        names = self.info.partitions
        if partition not in names:
            raise UsageError(f"partitions are {', '.join(names)}. Received: {partition!r}")
        number = names.index(partition)
        count = self.shards[number]
        if within is None:
            within = stable_hash(object_id, self.seed) % count if count > 1 else 0
        return sum(self.shards[:number]) + within


def is_own_file(name: str) -> bool:
    """Say whether a name in a directory of records belongs to the data set, or was put beside it."""
    return name.endswith(".tfrecord") or name in (INFO_FILE, INDEX_FILE, LEDGER_FILE, "derived")


def remove_abandoned(path: Path) -> None:
    """Remove what writers of this directory left behind that were killed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.partial-*"):
        process = left.name.removesuffix("-old").rpartition("-")[2]
        try:
            os.kill(int(process), 0)
            alive = int(process) != os.getpid()
        except (ProcessLookupError, ValueError):
            alive = False
        except PermissionError:
            alive = True
        # Between its two renames a writer's old directory is the only whole one.
        if not alive and (path.exists() or not left.name.endswith("-old")):
            shutil.rmtree(left, ignore_errors=True)


def check_place(path: Path, overwrite: bool) -> None:
    """Raise UsageError if a directory of records may not be made here."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise UsageError(f"the output exists; name another one or allow overwriting. Received: {path}")
    if not (path / INFO_FILE).is_file():
        raise UsageError(f"only a directory of records (with {INFO_FILE}) is overwritten. Received: {path}")
