"""Published per-day feature tables joined to records by id: ``python -m data_tools.features DIR --from FOLDER``.

One parquet file a day, the day at the end of its name (``features_20220817_0008.parquet``), one row an object.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords import command
from tfrecords.derived import DerivedWriter
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory

_DAY = re.compile(r"_(\d{1,6}|inf)\.(?:parquet|pq)$")
_BATCH = 4096
_NAMED = 5


def join(
    directory: str | os.PathLike,
    folder: str | os.PathLike,
    name: str = "features",
    *,
    id_column: str | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> tuple[Path, dict[str, int]]:
    """Write the published features of all records as a derived group.

    Parameters
    ----------
    directory : path
        A directory of records.
    folder : path
        Holds the tables; other files in it are passed over.
    name : str
        Of the derived group.
    id_column : str, optional
        Holds the object ids; by default the index that pandas wrote, else ``object_id`` or ``SNID``.
    overwrite, quiet : bool
        Replace a group of that name; no progress bar.

    Returns
    -------
    (pathlib.Path, dict of str to int)
        The group; how many rows belong to no record, and how many values were infinite (they become NaN).

    Raises
    ------
    UsageError
        If there is no table of a day, or the group exists and may not be replaced.
    DataError
        If a table is damaged or lacks an object, or tables differ in their columns. Nothing of the group stays.
    """
    records = RecordDirectory(directory)
    tables = _tables(Path(folder))
    columns = _columns(tables[0][1], id_column)
    version = "published " + hashlib.sha256(",".join(columns).encode()).hexdigest()[:12]
    writer = DerivedWriter(records, name, columns, [day for day, _ in tables], version)
    if writer.path.exists() and not overwrite:
        raise UsageError(f"{writer.path}: exists already; --overwrite replaces it. Received: --name {name}")
    ids = records.ids(np.arange(len(records)))
    counts = {"unknown": 0, "infinite": 0}
    shape = (len(records), len(tables), len(columns))
    # All days of an object stand together in the group, and in the tables all objects of a day: a file turns them.
    with tempfile.TemporaryFile(dir=records.path) as file, writer:
        file.truncate(max(1, int(np.prod(shape)) * 4))
        values = np.memmap(file, "<f4", "r+", shape=shape)
        for number, (_, path) in enumerate(command.progress(tables, "joining features", len(tables), quiet)):
            _fill(path, columns, id_column, ids, values[:, number], counts)
        for object_id, row in zip(ids, values, strict=True):
            writer.append(object_id, row)
    return writer.path, counts


def _tables(folder: Path) -> list[tuple[float, Path]]:
    found: dict[float, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _DAY.search(path.name)
        if match is None:
            continue
        day = float(match[1])
        if day <= 0 or day in found:
            raise UsageError(f"{folder}: one table a day, after day 0. Received: {path.name}")
        found[day] = path
    if not found:
        raise UsageError(
            f"--from is a folder of tables that end in their day, such as features_0008.parquet. Received: {folder}"
        )
    return sorted(found.items())


def _open(path: Path) -> Any:
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read (cut short or damaged?): {error}") from error


def _id_column(path: Path, table: Any, id_column: str | None) -> str:
    names = table.schema_arrow.names
    index = (table.schema_arrow.pandas_metadata or {}).get("index_columns", [])
    # An index without a name is stored under this pattern; a plain range is no column at all.
    candidates = [id_column] if id_column else [*(each for each in index if isinstance(each, str)), "object_id", "SNID"]
    for each in candidates:
        if each in names:
            return each
    raise DataError(f"{path}: a column holds the object ids (--id-column). Received: {', '.join(names[:12])}")


def _columns(path: Path, id_column: str | None) -> list[str]:
    table = _open(path)
    ids = _id_column(path, table, id_column)
    return [each for each in table.schema_arrow.names if each != ids]


def _fill(
    path: Path, columns: Sequence[str], id_column: str | None, ids: Sequence[str], values: np.ndarray, counts: dict
) -> None:
    place = {object_id: row for row, object_id in enumerate(ids)}
    seen = np.zeros(len(ids), bool)
    for found, batch in _batches(path, columns, id_column):
        rows = np.array([place.get(each, -1) for each in found])
        known = rows >= 0
        counts["unknown"] += int((~known).sum())
        rows, batch = rows[known], batch[known]
        twice = seen[rows] | (np.bincount(rows, minlength=len(ids))[rows] > 1)
        if twice.any():
            raise DataError(f"{path}: one row an object. Received: {ids[rows[int(np.argmax(twice))]]!r} twice")
        seen[rows] = True
        infinite = np.isinf(batch)
        counts["infinite"] += int(infinite.sum())
        values[rows] = np.where(infinite, np.nan, batch)
    if not seen.all():
        missing = [ids[row] for row in np.flatnonzero(~seen)[:_NAMED]]
        raise DataError(
            f"{path}: a row for each of the {len(ids)} records. "
            f"Received: none for {int((~seen).sum())}, such as {', '.join(missing)}"
        )


def _batches(path: Path, columns: Sequence[str], id_column: str | None) -> Iterator[tuple[list[str], np.ndarray]]:
    import pyarrow

    table = _open(path)
    names = table.schema_arrow.names
    id_name = _id_column(path, table, id_column)
    other = sorted(set(columns) ^ (set(names) - {id_name}))
    if other:
        raise DataError(f"{path}: all tables have the same columns. Received: a difference in {', '.join(other[:5])}")
    try:
        for batch in table.iter_batches(_BATCH, columns=[id_name, *columns]):
            by_name = dict(zip(batch.schema.names, batch.columns, strict=True))
            ids = [_text(each) for each in by_name[id_name].to_pylist()]
            numbers = [by_name[each].cast("float32", safe=False).to_numpy(zero_copy_only=False) for each in columns]
            yield ids, np.stack(numbers, axis=1)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: cannot be read (cut short or damaged?): {error}") from error


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
