"""Classes of objects from a table of labels: a CSV file (plain or gzipped) or parquet of ids and names of classes."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path

from data_tools.formats import tables
from tfrecords.errors import DataError, UsageError

UNLABELLED = ("", "none", "nan", "null", "unknown")
"""Names, in lower case, that say that there is no class."""

_TABLE_BYTES = 1 << 30


def read_labels(
    path: Path, id_column: str | None, class_column: str | None, id_names: Sequence[str], class_names: Sequence[str]
) -> dict[str, str]:
    """Read a table of labels.

    Parameters
    ----------
    path : pathlib.Path
    id_column, class_column : str or None
        Columns; by default the first of `id_names` and of `class_names` that is there.
    id_names, class_names : sequence of str

    Returns
    -------
    dict of str to str
        Class by id, those of no class left out. An id that stands there with two classes has both, joined by ``|``.

    Raises
    ------
    UsageError
        If a column is not there.
    DataError
        If the table cannot be read.
    """
    header = tables.read_header(path)
    found = []
    for flag, named, names in (("--id-column", id_column, id_names), ("--class-column", class_column, class_names)):
        name = named if named is not None else next((each for each in names if each in header), None)
        if name is None or name not in header:
            raise UsageError(
                f"{path}: {flag} names a column of the table; columns are {', '.join(header)}. "
                f"Received: {name if named is not None else 'none of ' + ', '.join(names)}"
            )
        found.append(name)
    classes: dict[str, set[str]] = {}
    for object_id, name in zip(*_columns(path, header, found), strict=True):
        if name.strip().lower() not in UNLABELLED:
            classes.setdefault(object_id.strip(), set()).add(name.strip())
    return {object_id: "|".join(sorted(names)) for object_id, names in classes.items()}


def _columns(path: Path, header: Sequence[str], names: Sequence[str]) -> list[list[str]]:
    with open(path, "rb") as file:
        start = file.read(4)
    try:
        if start == b"PAR1":
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(path, columns=list(names), use_threads=False)
            return [["" if value is None else str(value) for value in table[name].to_pylist()] for name in names]
        with gzip.open(path, "rb") if start[:2] == b"\x1f\x8b" else open(path, "rb") as file:
            content = file.read(_TABLE_BYTES + 1)
        if len(content) > _TABLE_BYTES:
            raise DataError(f"{path}: a table of labels has at most {_TABLE_BYTES} bytes. Received: more")
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))[1:]
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise DataError(f"{path}: cannot be read (cut short or damaged?): {error}") from error
    for number, row in enumerate(rows):
        if row and len(row) != len(header):
            raise DataError(f"{path}: a row has {len(header)} values. Received: {len(row)} in data row {number + 1}")
    places = [list(header).index(name) for name in names]
    return [[row[place] for row in rows if row] for place in places]
