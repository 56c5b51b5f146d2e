"""Writing a directory of records: built under a temporary name beside its place, renamed when it is whole."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import math
import os
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tfrecords.errors import DataError, UsageError
from tfrecords.framing import OVERHEAD, frame
from tfrecords.info import (
    INDEX_FILE,
    INFO_FILE,
    LEDGER_COLUMNS,
    LEDGER_FILE,
    Band,
    DatasetInfo,
    Ledger,
    NativeClass,
    Shard,
    StaticColumn,
    partition_names,
)
from tfrecords.layout import (
    INDEX_DTYPE,
    Layout,
    check_place,
    is_own_file,
    remove_abandoned,
    row_count,
    shard_name,
)
from tfrecords.schema import SCHEMA_VERSION, Record

if TYPE_CHECKING:
    from tfrecords.parts import Part

_INDEX_ROW = struct.Struct("<HBQIIq")
_SHARD_BYTES = 256 << 20
_BUFFER_BYTES = 256 << 10


class DatasetWriter:
    """Writes a directory of records; use as a context manager.

    Nothing stands under the final name before the ``with`` block has ended well: the files are built in a hidden
    sibling, flushed to the disk and renamed. Any error, a full disk included, removes the sibling.
    The same calls give the same bytes.

    Parameters
    ----------
    path : path
        The directory to make.
    survey, flux_unit : str
    bands : sequence of Band
    zero_point : float
        AB magnitude of a flux of 1.
    static_columns : sequence of StaticColumn
    classes : sequence of NativeClass
    folds : int
        0: partitions train, validation, test. K >= 2: test, fold0 ... fold<K-1>.
    targets : sequence of str
        Names of the targets that records may hold.
    stamp_channels : sequence of str
        What the channels of the stamps are, in their order.
    alert_columns : sequence of StaticColumn
        Columns of the stamps' metadata.
    source : mapping
        What made the directory: tool and options, plain JSON values, no paths of the machine.
    shards : int or mapping of str to int, optional
        Number of shards of every partition, or by partition; by default from `expected`.
    expected : mapping of str to int
        Records expected by partition; shards then hold about 256 MiB.
    record_bytes : int
        Expected size of one record, for the same purpose.
    seed : int
        Of the hash that deals records to shards.
    overwrite : bool
        Replace a directory of records at `path`; files in it that are not the data set's own stay.

    Raises
    ------
    UsageError
        If `path` exists and may not be replaced.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        survey: str,
        bands: Sequence[Band],
        zero_point: float,
        flux_unit: str,
        static_columns: Sequence[StaticColumn] = (),
        classes: Sequence[NativeClass] = (),
        folds: int = 0,
        targets: Sequence[str] = (),
        stamp_channels: Sequence[str] = (),
        alert_columns: Sequence[StaticColumn] = (),
        source: Mapping[str, Any] | None = None,
        shards: int | Mapping[str, int] | None = None,
        expected: Mapping[str, int] | None = None,
        record_bytes: int = 4096,
        seed: int = 0,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(os.path.abspath(path))
        self._overwrite = overwrite
        check_place(self.path, overwrite)
        self._info = DatasetInfo(
            schema_version=SCHEMA_VERSION,
            survey=survey,
            bands=tuple(bands),
            zero_point=float(zero_point),
            flux_unit=flux_unit,
            static_columns=tuple(static_columns),
            classes=tuple(classes),
            folds=folds,
            shards=(),
            index_sha256="",
            targets=tuple(targets),
            stamp_channels=tuple(stamp_channels),
            alert_columns=tuple(alert_columns),
            ledger=Ledger(0, 0, 0, 0),
            source=dict(source or {}),
        )
        self._ids: set[str] = set()
        self._totals = {"written": 0, "skipped": 0, "quarantined": 0}
        self._temporary = self.path.parent / f".{self.path.name}.partial-{os.getpid()}"
        names = partition_names(folds)
        fixed = shards if isinstance(shards, Mapping) else dict.fromkeys(names, shards)
        counts = tuple(
            fixed.get(name) or max(1, math.ceil((expected or {}).get(name, 0) * record_bytes / _SHARD_BYTES))
            for name in names
        )
        if sum(counts) > 0xFFFF:
            raise UsageError(f"a directory has at most 65535 shards. Received: shards={shards}")
        self.layout = Layout(self._info, counts, seed)
        self._shards = [
            _ShardFile(self._temporary / shard_name(name, part, count), name, number)
            for number, (name, count) in enumerate(zip(names, counts, strict=True))
            for part in range(count)
        ]
        self._ledger = _TextFile(self._temporary / LEDGER_FILE)

    @property
    def totals(self) -> dict[str, int]:
        """Number of objects by outcome so far: written, skipped, quarantined."""
        return dict(self._totals)

    def __enter__(self) -> Self:
        with _writing(self.path):
            self._temporary.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.path)
            self._temporary.mkdir()
        self._ledger.row(LEDGER_COLUMNS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with _writing(self.path):
                    self._finish()
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, record: Record, partition: str) -> None:
        """Write a record.

        Raises
        ------
        DataError
            If the id was seen before, the record breaks a rule of the schema or does not fit the data set (survey,
            bands, static columns, targets, classes), or the disk fails.
        UsageError
            If the partition does not exist.
        """
        number, payload = self.layout.place(record, partition)
        with _writing(self.path):
            self._enter("written", record.object_id, partition, "")
            shard = self._shards[number]
            shard.append(payload, row_count(record), record.class_id)

    def append(self, part: Part) -> None:
        """Append the records of a part and its lines of the ledger, in their order.

        Raises
        ------
        DataError
            If an id was seen before, the file of the part is damaged, or the disk fails.
        """
        with _writing(self.path):
            for line in part.ledger:
                self._enter(line.outcome, line.object_id, line.partition, line.reason)
            for number, rows, frames in part.blocks():
                self._shards[number].extend(frames, rows)

    def copy(
        self, payload: bytes, object_id: str, partition: str, length: int, class_id: int, shard: int | None = None
    ) -> None:
        """Write a record of another directory of the same data set as its bytes are; nothing is checked again.

        Parameters
        ----------
        payload : bytes
            As `tfrecords.schema.encode` gives them.
        object_id, partition : str
        length, class_id : int
            Rows of the light curve, and native class: of the record, for the index.
        shard : int, optional
            Number of the shard within its partition; by default by the hash of the id.

        Raises
        ------
        DataError
            If the id was seen before or the disk fails.
        UsageError
            If the partition does not exist.
        """
        number = self.layout.shard_of(object_id, partition, shard)
        with _writing(self.path):
            self._enter("written", object_id, partition, "")
            self._shards[number].append(payload, length, class_id)

    def skip(self, object_id: str, reason: str) -> None:
        """Count an object that has nothing to write. Raises DataError if its id was seen before."""
        with _writing(self.path):
            self._enter("skipped", object_id, "", reason)

    def quarantine(self, object_id: str, reason: str) -> None:
        """Count an object that is refused for its values. Raises DataError if its id was seen before."""
        with _writing(self.path):
            self._enter("quarantined", object_id, "", reason)

    def _enter(self, outcome: str, object_id: str, partition: str, reason: str) -> None:
        if object_id in self._ids:
            raise DataError(f"object ids are unique in a data set. Received: {object_id!r} twice")
        self._ids.add(object_id)
        self._totals[outcome] += 1
        self._ledger.row((object_id, outcome, partition, reason))

    def _finish(self) -> None:
        if not self._totals["written"]:
            raise DataError(f"{self.path}: no record to write. Received: {self._totals}")
        # An empty partition has no file; a partition with records has all of its shards, empty ones too.
        used = {shard.partition for shard in self._shards if shard.count}
        files = [shard for shard in self._shards if shard.partition in used]
        for shard in files:
            shard.close()
        self._ledger.close()
        rows = np.concatenate([np.frombuffer(shard.index, INDEX_DTYPE) for shard in files])
        rows["shard"] = np.repeat(np.arange(len(files)), [shard.count for shard in files])
        buffer = io.BytesIO()
        np.save(buffer, rows, allow_pickle=False)
        _write_bytes(self._temporary / INDEX_FILE, buffer.getvalue())
        info = dataclasses.replace(
            self._info,
            shards=tuple(shard.describe() for shard in files),
            index_sha256=hashlib.sha256(buffer.getvalue()).hexdigest(),
            ledger=Ledger(input=sum(self._totals.values()), **self._totals),
        )
        info = dataclasses.replace(info, fingerprint=info.compute_fingerprint())
        text = info.to_json()
        DatasetInfo.from_json(text)
        _write_bytes(self._temporary / INFO_FILE, text.encode())
        _sync(self._temporary)
        self._move()

    def _move(self) -> None:
        check_place(self.path, self._overwrite)
        if not self.path.exists():
            os.rename(self._temporary, self.path)
        else:
            for entry in self.path.iterdir():
                if not is_own_file(entry.name):
                    copy = shutil.copytree if entry.is_dir() else shutil.copy2
                    copy(entry, self._temporary / entry.name)
            old = self._temporary.with_name(self._temporary.name + "-old")
            os.rename(self.path, old)
            try:
                os.rename(self._temporary, self.path)
            except BaseException:
                os.rename(old, self.path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        _sync(self.path.parent)


class _ShardFile:
    """One shard: frames are collected and appended in large pieces, so that no file has to stay open."""

    def __init__(self, path: Path, partition: str, number: int) -> None:
        self.path, self.partition, self.number = path, partition, number
        self.count = self.bytes = 0
        self.index = bytearray()
        self._buffer = bytearray()
        self._sha = hashlib.sha256()

    def append(self, payload: bytes, length: int, class_id: int) -> None:
        self.index += _INDEX_ROW.pack(0, self.number, self.bytes, len(payload), length, class_id)
        self._add(frame(payload), 1)

    def extend(self, frames: bytes, rows: np.ndarray) -> None:
        rows = rows.copy()
        sizes = rows["size"].astype(np.uint64) + np.uint64(OVERHEAD)
        rows["offset"] = self.bytes + np.cumsum(sizes) - sizes
        rows["partition"], rows["shard"] = self.number, 0
        self.index += rows.tobytes()
        self._add(frames, len(rows))

    def _add(self, frames: bytes, count: int) -> None:
        self.bytes += len(frames)
        self.count += count
        self._buffer += frames
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._sha.update(self._buffer)
        _write_bytes(self.path, bytes(self._buffer), append=True)
        self._buffer.clear()

    def close(self) -> None:
        self._flush()
        _sync(self.path)

    def describe(self) -> Shard:
        return Shard(self.path.name, self.partition, self.count, self.bytes, self._sha.hexdigest())


class _TextFile:
    """A CSV file, appended in large pieces."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._buffer = io.StringIO(newline="")
        self._csv = csv.writer(self._buffer, lineterminator="\n")

    def row(self, values: Sequence[str]) -> None:
        self._csv.writerow(values)
        if self._buffer.tell() >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        _write_bytes(self._path, self._buffer.getvalue().encode(), append=True)
        self._buffer.seek(0)
        self._buffer.truncate()

    def close(self) -> None:
        self._flush()
        _sync(self._path)


def _write_bytes(path: Path, content: bytes, append: bool = False) -> None:
    with open(path, "ab" if append else "wb") as file:
        file.write(content)
        if not append:
            file.flush()
            os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}; nothing of it was kept") from error
