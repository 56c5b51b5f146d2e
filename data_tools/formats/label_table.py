"""A CSV table that names the class of each object, and may hold further numbers of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from data_tools.formats.compressed import read_file
from data_tools.formats.tables import require_columns
from data_tools.formats.untrusted import open_stream
from tfrecords.errors import DataError, UsageError
from tfrecords.info import NativeClass

LARGEST_TABLE = 1 << 30
# Of files; an id is a file's name without them.
SUFFIXES = (".gz", ".fits", ".fit", ".dat", ".txt", ".csv")


class LabelRow(NamedTuple):
    """One object of the table: id, native class (-1: the field is empty), values of the static columns."""

    object_id: str
    class_id: int
    static: tuple[float, ...]


def read_text_table(path: Path, limit: int = LARGEST_TABLE) -> tuple[list[str], list[list[str]]]:
    """Read a CSV table, plain or gzipped, as text: names of the columns, and rows of as many fields.

    Raises
    ------
    DataError
        If the file is missing, damaged, no text, empty, too large, or a row has more or fewer fields.
    """
    try:
        text = read_file(path, limit).decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name}: not a CSV table: {error}") from error
    if not rows:
        raise DataError(f"{path.name}: a table starts with the names of its columns. Received: an empty file")
    header = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], 1):
        if len(row) != len(header):
            raise DataError(f"{path.name}: rows have {len(header)} fields. Received: {len(row)} in data row {number}")
    return header, rows[1:]


def number_in(text: str, path: Path, row: int, column: str) -> float:
    """Read a field as a number, an empty one as NaN. Raises DataError naming file, row and column."""
    try:
        return float(text) if text.strip() else float("nan")
    except ValueError as error:
        raise DataError(f"{path.name}: data row {row}: column {column!r} holds numbers. Received: {text!r}") from error


class LabelTable:
    """The table, read into memory; classes are numbered in the alphabetical order of their names.

    Parameters
    ----------
    path : pathlib.Path
    id_columns, class_columns : sequence of str
        Names that these columns may have; the first that the table has counts.
    static_columns : sequence of str
        Numeric columns to keep.

    Raises
    ------
    UsageError
        If a static column is not in the table, or named twice.
    DataError
        If the table lacks its columns, is damaged, or names an object twice.
    """

    def __init__(
        self,
        path: Path,
        id_columns: Sequence[str],
        class_columns: Sequence[str],
        static_columns: Sequence[str] = (),
    ) -> None:
        header, rows = read_text_table(path)
        self.id_column = self._column(path, header, id_columns)
        class_column = self._column(path, header, class_columns)
        require_columns(path, header, (self.id_column, class_column))
        free = [name for name in header if name not in (self.id_column, class_column)]
        unknown = [name for name in static_columns if name not in free]
        if unknown or len(set(static_columns)) != len(static_columns):
            raise UsageError(
                f"static columns are columns of {path.name} ({', '.join(free) or 'which has none'}), each named once. "
                f"Received: {','.join(static_columns)}"
            )
        ids, names = header.index(self.id_column), header.index(class_column)
        places = [(header.index(name), name) for name in static_columns]
        present = sorted({row[names].strip() for row in rows} - {""})
        self.classes = tuple(NativeClass(number, name) for number, name in enumerate(present))
        numbers = {name: number for number, name in enumerate(present)} | {"": -1}
        self._rows: dict[str, LabelRow] = {}
        for line, row in enumerate(rows, 1):
            object_id = self.key(row[ids])
            if not object_id or not object_id.isprintable():
                raise DataError(f"{path.name}: data row {line}: an id is printable. Received: {row[ids]!r}")
            if object_id in self._rows:
                raise DataError(f"{path.name}: an object stands there once. Received: {object_id!r} in data row {line}")
            static = tuple(number_in(row[place], path, line, name) for place, name in places)
            self._rows[object_id] = LabelRow(object_id, numbers[row[names].strip()], static)
        self.nothing = LabelRow("", -1, (float("nan"),) * len(places))

    @classmethod
    def empty(cls, static_columns: Sequence[str] = ()) -> Self:
        """Make a table without rows; static columns are missing for every object."""
        table = cls.__new__(cls)
        table.id_column, table.classes, table._rows = "", (), {}
        table.nothing = LabelRow("", -1, (float("nan"),) * len(static_columns))
        return table

    @staticmethod
    def _column(path: Path, header: Sequence[str], names: Sequence[str]) -> str:
        found = [name for name in names if name in header]
        if not found:
            raise DataError(f"{path.name}: a column {' or '.join(names)} is needed. Received: {', '.join(header[:20])}")
        return found[0]

    @staticmethod
    def header_of(path: Path) -> list[str]:
        """Give the names of the columns, or nothing for a file that is no table."""
        try:
            with open_stream(path) as stream:
                line = stream.readline(1 << 16).decode("utf-8-sig")
            return [name.strip() for name in next(csv.reader([line]), [])]
        except (DataError, UnicodeDecodeError, csv.Error):
            return []

    @classmethod
    def recognises(cls, path: Path, id_columns: Sequence[str], class_columns: Sequence[str]) -> bool:
        """Say whether a file is a CSV table with such columns; never raises."""
        header = cls.header_of(path)
        return any(name in header for name in id_columns) and any(name in header for name in class_columns)

    @staticmethod
    def key(name: str) -> str:
        """Give the id that belongs to the name of a file: without folders and suffixes."""
        name = name.strip().rsplit("/", 1)[-1]
        while name.lower().endswith(SUFFIXES):
            name = name[: name.rindex(".")]
        return name

    @property
    def rows(self) -> list[LabelRow]:
        """All objects, in the order of the table."""
        return list(self._rows.values())

    def get(self, object_id: str) -> LabelRow:
        """Give the row of an object, an unlabelled one without values if it is not there."""
        return self._rows.get(object_id, self.nothing)
