"""The parquet files of ELAsTiCC alerts: which alerts they hold, and the rows and columns of chosen ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_tools.formats import alert_parquet
from data_tools.formats.folders import files_below
from data_tools.readers.elasticc_alerts_survey import (
    ALERT_ZERO_POINT,
    BANDS,
    COLUMNS,
    EARLY_COLUMN,
    TARGETS,
    ZERO_POINT,
)
from tfrecords.errors import DataError, UsageError

_SUFFIXES = (".parquet", ".pq")
_BATCH_ROWS = 256
_SOURCES = ("diaSource", "prvDiaSources", "prvDiaForcedSources")
_TYPE_COLUMN = "GENTYPE"
# What pyarrow and NumPy raise on columns of other types than an alert's.
_WRONG = (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError)


class Entry(NamedTuple):
    """An alert: its object, time, row, type of the simulation (-1 unknown), and the truth beside it (NaN unknown)."""

    object_id: int
    time: float
    row: int
    type: int
    truth: tuple[float, ...]


@dataclass(frozen=True)
class AlertRows:
    """What an alert knows of its object: rows (f8, but ``band`` i8 and ``detected`` bool), forced ones last."""

    time: np.ndarray
    band: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    detected: np.ndarray
    static: np.ndarray


def find_files(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Find parquet files, in a fixed order: path, and name below the given folder. UsageError if there is none."""
    found: dict[Path, str] = {}
    for path in map(Path, paths):
        if path.is_dir():
            for each in files_below(path):
                if each.name.lower().endswith(_SUFFIXES):
                    found.setdefault(each, each.relative_to(path).as_posix())
        else:
            found.setdefault(path, path.name)
    if not found:
        received = " ".join(map(str, paths))
        raise UsageError(f"ELAsTiCC alerts are parquet files, or folders that hold such. Received: {received}")
    taken: dict[str, int] = {}
    files = []
    for path, name in sorted(found.items(), key=lambda item: (item[1], str(item[0]))):
        taken[name] = taken.get(name, 0) + 1
        files.append((path, name if taken[name] == 1 else f"{name} ({taken[name]})"))
    return files


def looks_like_alerts(path: Path) -> bool:
    """Say whether a file is a parquet table of ELAsTiCC alerts; never raises."""
    try:
        with open(path, "rb") as file:
            if file.read(4) != alert_parquet.MAGIC:
                return False
        return {"diaSource", "diaObject"} <= set(alert_parquet.read_names(path))
    except (DataError, OSError):
        return False


def list_alerts(path: Path) -> tuple[list[Entry], bool]:
    """List the alerts of a file, and say whether the truth stands beside them.

    Raises
    ------
    DataError
        If the file is damaged, lacks a column, or an alert does not say of which object it is, and when.
    """
    names = alert_parquet.read_names(path)
    missing = [name for name in ("diaSource", "diaObject") if name not in names]
    if missing:
        raise DataError(f"alerts of ELAsTiCC have the columns {', '.join(missing)}. Received: {', '.join(names)[:200]}")
    entries: list[Entry] = []
    columns = ("diaSource", _TYPE_COLUMN, *TARGETS.values())
    for rows, batch in alert_parquet.read_batches(path, columns, 4096):
        try:
            source = batch.column("diaSource")
            ids = _field(source, "diaObjectId").cast("int64")
            times = _floats(_field(source, "midPointTai"))
            types = _optional(batch, _TYPE_COLUMN)
            truths = [_optional(batch, name) for name in TARGETS.values()]
        except _WRONG as error:
            raise DataError(f"diaSource has diaObjectId and midPointTai. Received: {error!s:.120}") from error
        for number, (row, object_id) in enumerate(zip(rows, ids.to_pylist(), strict=True)):
            if object_id is None or object_id < 0 or not np.isfinite(times[number]):
                raise DataError(
                    f"an alert has the id of its object and a time; row {row + 1}. Received: diaObjectId {object_id}, "
                    f"midPointTai {times[number]}"
                )
            kind = types[number]
            kind = int(kind) if np.isfinite(kind) and 0 <= kind < 1 << 31 else -1
            entries.append(Entry(object_id, float(times[number]), row, kind, tuple(float(t[number]) for t in truths)))
    return entries, all(name in names for name in TARGETS.values())


def load_alerts(path: Path, rows: Sequence[int], zero_point: float | None) -> Iterator[tuple[int, AlertRows]]:
    """Read alerts.

    Parameters
    ----------
    path : pathlib.Path
    rows : sequence of int
    zero_point : float or None
        Of the fluxes; by default 31.4 (nJy), for the early schema 27.5.

    Yields
    ------
    (int, AlertRows)
        Row of the file, and what it holds; fluxes have the zero point 27.5.

    Raises
    ------
    DataError
        If the file is damaged, or a column has another type.
    """
    chosen = set(rows)
    for found, batch in alert_parquet.read_batches(path, (*_SOURCES, "diaObject"), _BATCH_ROWS, rows):
        wanted = [number for number, row in enumerate(found) if row in chosen]
        if not wanted:
            continue
        try:
            about = batch.column("diaObject")
            fields = {field.name for field in about.type}
            scale = zero_point if zero_point is not None else _zero_point(fields)
            factor = 10 ** (-0.4 * (scale - ZERO_POINT))
            static = np.stack([_static(about, names, fields) for _, names in COLUMNS.values()], axis=1)
            tables = [_Table(batch, name, factor) for name in _SOURCES if name in batch.schema.names]
            for number in wanted:
                parts = [part for table in tables for part in table.rows_of(number)]
                columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
                yield found[number], AlertRows(*columns, static=static[number])
        except _WRONG as error:
            raise DataError(f"columns of an alert are nested as the survey's are. Received: {error!s:.200}") from error


def _zero_point(fields: set[str]) -> float:
    return ZERO_POINT if EARLY_COLUMN in fields else ALERT_ZERO_POINT


class _Table:
    """The measurements in one column of a batch: one a row (diaSource), or a list a row."""

    def __init__(self, batch: Any, name: str, factor: float) -> None:
        import pyarrow as pa
        import pyarrow.compute

        column = batch.column(name)
        self._valid = column.is_valid().to_numpy(zero_copy_only=False)
        self._columns: tuple[np.ndarray, ...] = ()
        # Where all lists of a file are empty, what is in them has no type.
        if pa.types.is_null(column.type) or (
            pa.types.is_list(column.type) and pa.types.is_null(column.type.value_type)
        ):
            self._valid = np.zeros(len(column), bool)
            return
        if pa.types.is_struct(column.type):
            rows, self._offsets = column, np.arange(len(column) + 1)
        else:
            rows, self._offsets = column.values, column.offsets.to_numpy()
        names = pa.array([band.name for band in BANDS])
        bands = pa.compute.index_in(_field(rows, "filterName").cast("string"), names).fill_null(-1)
        self._columns = (
            _floats(_field(rows, "midPointTai")),
            bands.to_numpy(zero_copy_only=False).astype(np.int64),
            _floats(_field(rows, "psFlux")) * factor,
            _floats(_field(rows, "psFluxErr")) * factor,
            np.full(len(rows), name != "prvDiaForcedSources"),
        )

    def rows_of(self, number: int) -> list[tuple[np.ndarray, ...]]:
        """Give the columns of one row of the batch, in a list that is empty where there are none."""
        if not self._valid[number]:
            return []
        part = slice(self._offsets[number], self._offsets[number + 1])
        return [tuple(column[part] for column in self._columns)]


def _field(struct: Any, name: str) -> Any:
    place = struct.type.get_field_index(name)
    if place < 0:
        raise KeyError(f"no {name}")
    return struct.field(place)


def _floats(array: Any) -> np.ndarray:
    return array.cast("float64").to_numpy(zero_copy_only=False)


def _optional(batch: Any, name: str) -> np.ndarray:
    if name not in batch.schema.names:
        return np.full(batch.num_rows, np.nan)
    return _floats(batch.column(name))


def _static(about: Any, names: Sequence[str], fields: set[str]) -> np.ndarray:
    name = next((each for each in names if each in fields), None)
    return np.full(len(about), np.nan) if name is None else _floats(_field(about, name))
