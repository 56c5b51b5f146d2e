"""Reading a directory of records: by index, in any order, without TensorFlow."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import itertools
import mmap
import os
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords.errors import DataError, UsageError
from tfrecords.framing import HEADER, OVERHEAD, read_frame
from tfrecords.info import INDEX_FILE, LEDGER_COLUMNS, LEDGER_FILE, DatasetInfo
from tfrecords.layout import INDEX_DTYPE
from tfrecords.schema import Record, decode, encode_id
from tfrecords.wire import decode_example

SPLITS = ("train", "validation", "test")
# What NumPy raises for a damaged .npy file: its header is Python text.
NOT_AN_ARRAY = (OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError, tokenize.TokenError)


class RecordDirectory:
    """A directory of records.

    Parameters
    ----------
    path : path
    verify : {'size', 'deep', None}
        ``size``: index and shards agree with the info file in their number and bytes. ``deep``: the SHA-256 of
        every shard as well (`tfrecords.check` names what exactly is damaged). None: trust the directory.

    Attributes
    ----------
    path : pathlib.Path
    info : DatasetInfo
    index : numpy.ndarray
        One row a record, in the order of the shards: ``shard``, ``partition`` (numbers), ``offset`` of the frame,
        ``size`` of the payload, ``length`` of the light curve, ``class_id``.

    Raises
    ------
    DataError
        If the directory is none of records, or info, index and shards disagree; the message names the file.
    """

    def __init__(self, path: str | os.PathLike, verify: str | None = "size") -> None:
        if verify not in ("size", "deep", None):
            raise UsageError(f"verify is 'size', 'deep' or None. Received: {verify!r}")
        self.path = Path(path)
        self.info = DatasetInfo.load(self.path)
        if verify:
            refuse(size_problems(self.path, self.info))
        self.index = load_index(self.path, self.info, verify is not None)
        if verify:
            refuse(index_problems(self.path, self.info, self.index))
        if verify == "deep":
            refuse(digest_problems(self.path, self.info))
        self._maps: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.index)

    def partition_indices(self, name: str) -> np.ndarray:
        """Give the records of a partition, int64, ascending. Raises UsageError naming the partitions."""
        if name not in self.info.partitions:
            raise UsageError(f"{self.path}: partitions are {', '.join(self.info.partitions)}. Received: {name!r}")
        return np.flatnonzero(self.index["partition"] == self.info.partitions.index(name))

    def split_indices(self, split: str, fold: int | None = None) -> np.ndarray:
        """Give the records of a split.

        Parameters
        ----------
        split : {'train', 'validation', 'test'}
        fold : int, optional
            In a directory with folds: the fold to validate on; the others are for training.

        Returns
        -------
        numpy.ndarray
            int64, ascending; may be empty.

        Raises
        ------
        UsageError
            If there is no such split or fold, or the fold is not given.
        """
        if split not in SPLITS:
            raise UsageError(f"splits are {', '.join(SPLITS)}. Received: {split!r}")
        folds = self.info.folds
        if fold is not None and not (isinstance(fold, (int, np.integer)) and 0 <= fold < folds):
            valid = f"folds are 0..{folds - 1}" if folds else "the data set has no folds"
            raise UsageError(f"{self.path}: {valid}. Received: fold {fold}")
        if split == "test" or not folds:
            return self.partition_indices(split)
        if fold is None:
            raise UsageError(f"{self.path}: split {split!r} needs a fold, 0..{folds - 1}. Received: none")
        names = [f"fold{n}" for n in range(folds) if (n == fold) == (split == "validation")]
        numbers = [self.info.partitions.index(name) for name in names]
        return np.flatnonzero(np.isin(self.index["partition"], numbers))

    def serialized(self, indices: Iterable[int] | np.ndarray) -> list[bytes]:
        """Give serialized records in the order asked for; checksums are not computed."""
        rows = self.index[np.asarray(indices, np.int64)]
        starts = rows["offset"] + np.uint64(HEADER)
        ends = starts + rows["size"]
        maps = {int(number): self.buffer(int(number)) for number in np.unique(rows["shard"])}
        return [
            maps[shard][start:end]
            for shard, start, end in zip(rows["shard"].tolist(), starts.tolist(), ends.tolist(), strict=True)
        ]

    def record(self, index: int) -> Record:
        """Read, check and decode one record. Raises DataError naming the shard and the record in it."""
        row = self.index[index]
        where = self.where(index)
        return decode(read_frame(self.buffer(int(row["shard"])), int(row["offset"]), where), where)

    def where(self, index: int) -> str:
        """Name a record by its shard and its number in it."""
        shard = int(self.index["shard"][index])
        first = int(np.searchsorted(self.index["shard"], shard))
        return f"{self.path / self.info.shards[shard].name}, record {index % len(self) - first}"

    def ids(self, indices: Iterable[int] | np.ndarray) -> list[str]:
        """Give the object ids of records."""
        return [_object_id(data) for data in self.serialized(indices)]

    def find(self, object_id: str) -> int:
        """Find an object.

        Raises
        ------
        DataError
            If it is not among the records; the message gives the ledger's reason, or the closest ids.
        """
        needle = encode_id(object_id)
        for shard in range(len(self.info.shards)):
            data, position = self.buffer(shard), -1
            first = int(np.searchsorted(self.index["shard"], shard))
            offsets = self.index["offset"][self.index["shard"] == shard]
            while (position := data.find(needle, position + 1)) >= 0:
                # The bytes of an id can also stand inside an array.
                index = first + int(np.searchsorted(offsets, position, "right")) - 1
                if self.ids([index])[0] == object_id:
                    return index
        raise DataError(f"{self.path}: {self._describe_missing(object_id)}. Received: {object_id!r}")

    def _describe_missing(self, object_id: str) -> str:
        ids = []
        for row in itertools.islice(read_ledger(self.path), 200_000):
            if row["object_id"] == object_id and row["outcome"] != "written":
                return f"this object was {row['outcome']} when the records were made ({row['reason']})"
            if row["outcome"] == "written":
                ids.append(row["object_id"])
        close = difflib.get_close_matches(object_id, ids, 5, 0.5) or ids[:5]
        return f"no such object; ids like it are {', '.join(close)}"

    def buffer(self, shard: int) -> Any:
        """Give the bytes of a shard, memory-mapped: bytes or mmap. Raises DataError if it cannot be read."""
        if shard not in self._maps:
            path = self.path / self.info.shards[shard].name
            try:
                with open(path, "rb") as file:
                    # An empty file cannot be mapped.
                    empty = os.fstat(file.fileno()).st_size == 0
                    self._maps[shard] = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError as error:
                raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        return self._maps[shard]


def _object_id(data: bytes) -> str:
    value = decode_example(data).get("object_id")
    try:
        return value.decode()
    except (AttributeError, UnicodeDecodeError) as error:
        raise DataError(f"key 'object_id' is UTF-8 text. Received: {value!r:.60}") from error


def read_ledger(directory: Path) -> Iterator[dict[str, str]]:
    """Go through the rows of ``ledger.csv``. Raises DataError if it is missing or its columns are wrong."""
    path = directory / LEDGER_FILE
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != LEDGER_COLUMNS:
                raise DataError(f"{path}: columns are {', '.join(LEDGER_COLUMNS)}. Received: {reader.fieldnames}")
            yield from reader
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def load_index(directory: Path, info: DatasetInfo, verify: bool = True) -> np.ndarray:
    """Load ``index.npy``, checked against its SHA-256 in the info file. Raises DataError naming the file."""
    path = directory / INDEX_FILE
    try:
        content = path.read_bytes()
        if verify and hashlib.sha256(content).hexdigest() != info.index_sha256:
            raise DataError(f"{path}: does not belong to the info file (another SHA-256), or is damaged")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        index = np.load(io.BytesIO(content), allow_pickle=False)
    except NOT_AN_ARRAY as error:
        raise DataError(f"{path}: not an index of records: {error}") from error
    if index.dtype != INDEX_DTYPE or index.ndim != 1:
        raise DataError(f"{path}: not an index of records. Received: {index.dtype}, shape {index.shape}")
    return index


def size_problems(directory: Path, info: DatasetInfo) -> list[tuple[str, str]]:
    """Compare the shards on the disk with the info file: pairs of shard and what is wrong with it."""
    problems = []
    for shard in info.shards:
        path = directory / shard.name
        if not path.is_file():
            problems.append((shard.name, f"{path}: missing; the info file lists it with {shard.count} records"))
        elif path.stat().st_size != shard.bytes:
            size = path.stat().st_size
            word = "cut short" if size < shard.bytes else "too long"
            problems.append(
                (
                    shard.name,
                    f"{path}: {word}; the info file says {shard.bytes} bytes. Received: {size} bytes",
                )
            )
    listed = {shard.name for shard in info.shards}
    for path in sorted(directory.glob("*.tfrecord")):
        if path.name not in listed:
            problems.append((path.name, f"{path}: not listed in the info file; move it away"))
    return problems


def index_problems(directory: Path, info: DatasetInfo, index: np.ndarray) -> list[tuple[str, str]]:
    """Compare the index with the info file: pairs of shard and what is wrong with it."""
    problems = []
    counts = np.bincount(index["shard"], minlength=len(info.shards))
    if len(counts) > len(info.shards) or (np.diff(index["shard"].astype(np.int64)) < 0).any():
        return [("", f"{directory / INDEX_FILE}: lists other shards than the info file, or in another order")]
    first = 0
    for shard, count in zip(info.shards, counts.tolist(), strict=True):
        rows = index[first : first + count]
        ends = np.concatenate([[0], rows["offset"] + rows["size"] + np.uint64(OVERHEAD)]).astype(np.int64)
        if count != shard.count:
            what = f"the info file says {shard.count} records. Received: {count} in {INDEX_FILE}"
        elif (rows["offset"] != ends[:-1]).any() or ends[-1] != shard.bytes:
            what = f"{INDEX_FILE} does not cover its {shard.bytes} bytes without gaps"
        elif (rows["partition"] != info.partitions.index(shard.partition)).any():
            what = f"the info file says partition {shard.partition}; {INDEX_FILE} says another"
        else:
            what = ""
        if what:
            problems.append((shard.name, f"{directory / shard.name}: {what}"))
        first += count
    return problems


def digest_problems(directory: Path, info: DatasetInfo) -> list[tuple[str, str]]:
    """Compare the SHA-256 of the shards with the info file: pairs of shard and what is wrong with it."""
    problems = []
    for shard in info.shards:
        path = directory / shard.name
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != shard.sha256:
                problems.append((shard.name, f"{path}: damaged or replaced (another SHA-256 than in the info file)"))
    return problems


def refuse(problems: list[tuple[str, str]]) -> None:
    """Raise DataError with the first of the problems, and how many more there are."""
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DataError(problems[0][1] + more)
