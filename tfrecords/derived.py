"""Derived groups: arrays computed from the records, kept beside them in ``derived/<name>/``.

A group holds one row a record, in the order of the index, for each of some days: ``values.npy``, f4 [records, days,
columns], and ``derived_info.json``. It is tied to the fingerprint of the records and to the version of the code
that computed it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tfrecords.errors import DataError, UsageError
from tfrecords.reader import NOT_AN_ARRAY, RecordDirectory

_INFO, _VALUES, _FOLDER = "derived_info.json", "values.npy", "derived"
_KEYS = {"name", "columns", "days", "code_version", "fingerprint", "count", "sha256"}
_FLUSH_ROWS = 256


class DerivedWriter:
    """Writes a derived group; use as a context manager. It stands under its name only when it is whole.

    Parameters
    ----------
    directory : RecordDirectory or path
    name : str
        Name of the group; a group of that name is replaced.
    columns : sequence of str
    days : sequence of float
        Days after the reference time up to which each row was computed; infinity for the whole light curve.
    code_version : str
        Version of the code that computes the values.

    Raises
    ------
    UsageError
        If the name is no folder name, or columns or days are empty or not unique.
    """

    def __init__(
        self,
        directory: RecordDirectory | str | os.PathLike,
        name: str,
        columns: Sequence[str],
        days: Sequence[float],
        code_version: str,
    ) -> None:
        self._records = _open(directory)
        if not name or Path(name).name != name or name.startswith("."):
            raise UsageError(f"the name of a derived group is a folder name. Received: {name!r}")
        for what, values in (("columns", list(columns)), ("days", list(days))):
            if not values or len(set(values)) != len(values):
                raise UsageError(f"derived group {name!r}: {what} are not empty and unique. Received: {values}")
        self._info = {
            "name": name,
            "columns": list(columns),
            # JSON knows no infinity.
            "days": ["inf" if math.isinf(day) else float(day) for day in days],
            "code_version": code_version,
            "fingerprint": self._records.info.fingerprint,
            "count": len(self._records),
        }
        self.path = self._records.path / _FOLDER / name
        self._temporary = self.path.with_name(f".{name}.partial-{os.getpid()}")
        self._shape = (len(days), len(columns))
        self._pending: list[tuple[str, np.ndarray]] = []
        self._written = 0

    def __enter__(self) -> Self:
        try:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary.mkdir(parents=True)
            self._file = open(self._temporary / _VALUES, "wb")
            header = {"descr": "<f4", "fortran_order": False, "shape": (len(self._records), *self._shape)}
            np.lib.format.write_array_header_1_0(self._file, header)
        except OSError as error:
            shutil.rmtree(self._temporary, ignore_errors=True)
            raise self._failed(error) from error
        return self

    def append(self, object_id: str, values: np.ndarray) -> None:
        """Append the values of the next record.

        Parameters
        ----------
        object_id : str
            Of the next record in the order of the index; checked.
        values : numpy.ndarray
            f4 [days, columns]; NaN where a value cannot be computed.

        Raises
        ------
        DataError
            If the object is not the next one (found within the following records at the latest), the shape is
            another one, a value is infinite, or the disk fails.
        """
        values = np.ascontiguousarray(values, "<f4")
        if values.shape != self._shape:
            raise DataError(
                f"{self.path}: object {object_id!r} needs values of shape [days, columns] = {list(self._shape)}. "
                f"Received: {list(values.shape)}"
            )
        if np.isinf(values).any():
            column = self._info["columns"][int(np.argwhere(np.isinf(values))[0][1])]
            raise DataError(f"{self.path}: object {object_id!r}: column {column!r} is finite or NaN. Received: inf")
        self._pending.append((object_id, values))
        if len(self._pending) >= _FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        end = self._written + len(self._pending)
        expected = self._records.ids(np.arange(self._written, min(end, len(self._records))))
        for number, (object_id, _) in enumerate(self._pending):
            if number >= len(expected) or object_id != expected[number]:
                wanted = repr(expected[number]) if number < len(expected) else "nothing: all records are there"
                raise DataError(
                    f"{self.path}: rows come in the order of the records; row {self._written + number} is {wanted}. "
                    f"Received: {object_id!r}"
                )
        try:
            for _, values in self._pending:
                self._file.write(values)
        except OSError as error:
            raise self._failed(error) from error
        self._written = end
        self._pending.clear()

    def _failed(self, error: OSError) -> DataError:
        return DataError(f"cannot write {self.path}: {error.strerror or error}; nothing of it was kept")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._finish()
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _finish(self) -> None:
        if self._written != len(self._records):
            raise DataError(
                f"{self.path}: a derived group has a row for each of {len(self._records)} records. "
                f"Received: {self._written}"
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        with open(self._temporary / _VALUES, "rb") as file:
            self._info["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        with open(self._temporary / _INFO, "w", encoding="utf-8") as file:
            file.write(json.dumps(self._info, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(self.path, ignore_errors=True)
        os.rename(self._temporary, self.path)


class DerivedGroup:
    """A derived group of a directory of records.

    Parameters
    ----------
    directory : RecordDirectory or path
    name : str
    code_version : str, optional
        Version that the group must have been computed with.

    Attributes
    ----------
    columns : tuple of str
    days : tuple of float
        Infinity stands for the whole light curve.
    code_version : str

    Raises
    ------
    DataError
        If there is no such group (the message lists those there are), it was computed from other records or by
        another version, or its files are damaged.
    """

    def __init__(
        self, directory: RecordDirectory | str | os.PathLike, name: str, code_version: str | None = None
    ) -> None:
        records = _open(directory)
        self.path = records.path / _FOLDER / name
        self.name = name
        available = derived_names(records.path)
        if name not in available:
            known = ", ".join(available) or "none"
            raise DataError(f"{records.path}: derived groups are: {known}. Received: {name!r}")
        info = self._load_info()
        for key, expected, what in (
            ("fingerprint", records.info.fingerprint, "computed from other records; compute it again"),
            ("count", len(records), "of another number of records; compute it again"),
            ("code_version", code_version or info["code_version"], "computed by another version of the code"),
        ):
            if info[key] != expected:
                raise DataError(f"{self.path}: {what}: {key} is {expected!r}. Received: {info[key]!r}")
        self.columns: tuple[str, ...] = tuple(info["columns"])
        self.days: tuple[float, ...] = tuple(float(day) for day in info["days"])
        self.code_version: str = info["code_version"]
        self._sha256 = info["sha256"]
        shape = (len(records), len(self.days), len(self.columns))
        try:
            self._values = np.load(self.path / _VALUES, mmap_mode="r", allow_pickle=False)
        except NOT_AN_ARRAY as error:
            raise DataError(f"{self.path / _VALUES}: missing, cut short or damaged: {error}") from error
        if self._values.shape != shape or self._values.dtype != np.dtype("<f4"):
            received = f"{self._values.dtype} {self._values.shape}"
            raise DataError(f"{self.path / _VALUES}: holds <f4 values of shape {shape}. Received: {received}")

    def _load_info(self) -> dict[str, Any]:
        path = self.path / _INFO
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: missing, cut short or damaged: {error}") from error
        if not isinstance(info, dict) or set(info) != _KEYS:
            received = sorted(info) if isinstance(info, dict) else type(info).__name__
            raise DataError(f"{path}: has the keys {sorted(_KEYS)}. Received: {received}")
        return info

    def __len__(self) -> int:
        return len(self._values)

    def values(self, indices: Iterable[int] | np.ndarray) -> np.ndarray:
        """Give the values of records: f4 [n, days, columns], in the order asked for."""
        return np.asarray(self._values[np.asarray(indices, np.int64)])

    def day_index(self, day: float) -> int:
        """Give the position of a day. Raises UsageError listing the days of the group."""
        if float(day) not in self.days:
            raise UsageError(f"{self.path}: days are {', '.join(f'{d:g}' for d in self.days)}. Received: {day:g}")
        return self.days.index(float(day))

    def is_intact(self) -> bool:
        """Compare the SHA-256 of the values with the one written beside them; reads the whole file."""
        with open(self.path / _VALUES, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self._sha256


def derived_names(directory: Path) -> list[str]:
    """List the derived groups of a directory of records."""
    folder = directory / _FOLDER
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _open(directory: RecordDirectory | str | os.PathLike) -> RecordDirectory:
    return RecordDirectory(directory) if isinstance(directory, (str, os.PathLike)) else directory
