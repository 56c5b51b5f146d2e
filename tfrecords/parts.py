"""Parts of a directory under construction: the records of a piece of the input, encoded in any process.

A part is two files. ``<name>.frames`` holds framed records in the order of their shards, ``<name>.npz`` the rows of the
index, the lines of the ledger and the CRC-32C of the frames. The second one is renamed to its place last: a part that
has it was whole when its process was killed. Nothing is flushed to the disk: a part that is taken up again is checked.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from google_crc32c import value as crc32c

from tfrecords.errors import DataError
from tfrecords.framing import OVERHEAD, frame
from tfrecords.layout import INDEX_DTYPE, Layout, row_count
from tfrecords.schema import Record


class LedgerLine(NamedTuple):
    """What became of one object, as in the ledger."""

    object_id: str
    outcome: str
    partition: str
    reason: str


class PartWriter:
    """Collects the records of one piece in memory and writes them as a part.

    Parameters
    ----------
    path : pathlib.Path
        Of the part, without suffix.
    layout : Layout
        Of the directory that the part is for.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        self._frames: list[bytes] = []
        self._rows: list[tuple[int, int, int, int, int, int]] = []
        self._ledger: list[LedgerLine] = []

    def write(self, record: Record, partition: str) -> None:
        """Add a record. Raises DataError and UsageError as `Layout.place` does."""
        number, payload = self._layout.place(record, partition)
        self._frames.append(frame(payload))
        where = self._layout.info.partitions.index(partition)
        self._rows.append((number, where, 0, len(payload), row_count(record), record.class_id))
        self._ledger.append(LedgerLine(record.object_id, "written", partition, ""))

    def skip(self, object_id: str, reason: str) -> None:
        """Count an object that has nothing to write."""
        self._ledger.append(LedgerLine(object_id, "skipped", "", reason))

    def quarantine(self, object_id: str, reason: str) -> None:
        """Count an object that is refused for its values."""
        self._ledger.append(LedgerLine(object_id, "quarantined", "", reason))

    def close(self) -> None:
        """Write the part. Raises DataError if the disk fails."""
        rows = np.array(self._rows, INDEX_DTYPE)
        order = np.argsort(rows["shard"], kind="stable")
        frames = b"".join(self._frames[position] for position in order.tolist())
        ledger = json.dumps([list(line) for line in self._ledger]).encode()
        # Two processes may be at work on one part, if a scheduler gave up one of them too early.
        mine = f"{os.getpid()}-{os.urandom(4).hex()}"
        frames_path, index_path = self._path.with_suffix(f".{mine}.frames"), self._path.with_suffix(f".{mine}.npz")
        try:
            with open(frames_path, "wb") as file:
                file.write(frames)
            with open(index_path, "wb") as file:
                crc = np.array(crc32c(frames), np.uint32)
                np.savez(file, rows=rows[order], ledger=np.frombuffer(ledger, np.uint8), crc=crc)
            os.rename(frames_path, self._path.with_suffix(".frames"))
            os.rename(index_path, self._path.with_suffix(".npz"))
        except OSError as error:
            raise DataError(f"cannot write {self._path}: {error.strerror or error}") from error
        finally:
            for path in (frames_path, index_path):
                with contextlib.suppress(OSError):
                    path.unlink()


class Part:
    """A whole part, read again.

    Parameters
    ----------
    path : pathlib.Path
        Without suffix.

    Raises
    ------
    DataError
        If the part is not there or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
                self.rows = arrays["rows"]
                self.ledger = [LedgerLine(*line) for line in json.loads(arrays["ledger"].tobytes())]
                self._crc = int(arrays["crc"])
            size = path.with_suffix(".frames").stat().st_size
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(f"{path}: the part is incomplete: {error}") from error
        wanted = int(self.rows["size"].astype(np.int64).sum()) + OVERHEAD * len(self.rows)
        if self.rows.dtype != INDEX_DTYPE or size != wanted:
            raise DataError(f"{path}: the frames of the part have {wanted} bytes. Received: {size}")

    def is_whole(self) -> bool:
        """Say whether the frames are those that were written."""
        return crc32c(self.path.with_suffix(".frames").read_bytes()) == self._crc

    def blocks(self) -> Iterator[tuple[int, np.ndarray, bytes]]:
        """Give the frames by shard: number of the shard through all partitions, rows of the index, frames.

        Raises
        ------
        DataError
            If the frames are not those that were written.
        """
        frames = self.path.with_suffix(".frames").read_bytes()
        if crc32c(frames) != self._crc:
            raise DataError(f"{self.path}: the frames of the part are damaged. Received: another checksum")
        if not len(self.rows):
            return
        numbers, starts = np.unique(self.rows["shard"], return_index=True)
        position = 0
        for number, rows in zip(numbers.tolist(), np.split(self.rows, starts[1:]), strict=True):
            size = int(rows["size"].astype(np.int64).sum()) + OVERHEAD * len(rows)
            yield number, rows, frames[position : position + size]
            position += size
