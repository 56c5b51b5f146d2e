"""The tables of an export: their columns, and their files, written in row groups of bounded size."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tfrecords.info import DatasetInfo
from tfrecords.schema import FLAG_DETECTED, FLAG_SATURATED, FLAG_TRIGGER, FLAG_UNKNOWN, LightCurve, Record

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("parquet", "csv")
TABLES = ("light_curves", "objects", "targets", "spectra", "stamps")
INFO_NAME = "export_info.json"
_FLAGS = {
    "detected": FLAG_DETECTED,
    "trigger": FLAG_TRIGGER,
    "saturated": FLAG_SATURATED,
    "unknown": FLAG_UNKNOWN,
}
_OBJECT_COLUMNS = ("object_id", "survey", "class_id", "class_name", "partition", "rows")
_STAMP_COLUMNS = ("object_id", "mjd", "height", "width", "channels", "image", "file")
_ROW_COLUMNS = tuple(column.name for column in dataclasses.fields(LightCurve))
_GROUP_ROWS, _GROUP_BYTES = 1 << 17, 32 << 20


def static_names(info: DatasetInfo) -> list[str]:
    """Give the names of the static columns in the table of objects."""
    taken = {*_OBJECT_COLUMNS, *(f"target_{name}" for name in info.targets)}
    return _free([column.name for column in info.static_columns], taken, "static_")


def alert_names(info: DatasetInfo) -> list[str]:
    """Give the names of the alert columns in the table of stamps."""
    return _free([column.name for column in info.alert_columns], set(_STAMP_COLUMNS), "alert_")


def _free(names: Sequence[str], taken: set[str], prefix: str) -> list[str]:
    found: list[str] = []
    for name in names:
        while name in taken:
            name = prefix + name
        taken.add(name)
        found.append(name)
    return found


class _Table:
    """One file: parts of columns are collected and written as a row group when there are enough of them.

    Parameters
    ----------
    path : pathlib.Path
        With the suffix of its format. The file is made with the first row.
    columns : dict of str to (pyarrow.DataType, str or None)
        Type by column. Columns come as parts of NumPy arrays, or lists with None for what is empty.
    metadata : str
        Text for parquet's metadata.
    """

    def __init__(self, path: Path, columns: dict[str, pa.DataType], metadata: str) -> None:
        self._path, self._columns, self._metadata = path, columns, metadata
        self._parts: dict[str, list] = {name: [] for name in columns}
        self._pending = self._bytes = self.rows = 0
        self._writer: Any = None

    def add(self, count: int, size: int = 0, **values: Any) -> None:
        """Add rows: a column is an array (or list) of them, or one value for all."""
        if not count:
            return
        for name, parts in self._parts.items():
            parts.append((values[name], count))
        self._pending += count
        self._bytes += size
        if self._pending >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        schema = pa.schema(list(self._columns.items()), {"export_info": self._metadata})
        columns = [_join(self._parts[name], kind) for name, kind in self._columns.items()]
        if self._writer is None:
            self._writer = _writer(self._path, schema)
        self._writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        self.rows += self._pending
        self._pending = self._bytes = 0
        for parts in self._parts.values():
            parts.clear()

    def close(self, empty: bool) -> None:
        """Write what is left; a table without rows has a file only if `empty` says so."""
        if self._pending or (empty and self._writer is None):
            self._flush()
        if self._writer is not None:
            self._writer.close()


def _writer(path: Path, schema: pa.Schema) -> Any:
    if path.suffix == ".csv":
        import pyarrow.csv

        return pyarrow.csv.CSVWriter(path, schema.remove_metadata())
    import pyarrow.parquet

    return pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")


def _join(parts: list[tuple[Any, int]], kind: pa.DataType) -> pa.Array:
    """Join the parts of a column; a single value stands for all rows of its part."""
    import pyarrow as pa

    if not parts:
        return pa.array([], kind)
    if isinstance(kind, pa.ListType):
        values = [value for value, _ in parts]
        return pa.ListArray.from_arrays(
            np.cumsum([0, *(len(value) for value in values)]).astype(np.int32),
            pa.array(np.concatenate(values), kind.value_type),
        )
    if all(isinstance(value, np.ndarray) for value, _ in parts):
        return pa.array(np.concatenate([value for value, _ in parts]), kind, from_pandas=False)
    if all(not isinstance(value, (np.ndarray, list)) for value, _ in parts):
        once = pa.array([value for value, _ in parts], kind, from_pandas=False)
        return once.take(np.repeat(np.arange(len(parts)), [count for _, count in parts]))
    pieces = [
        pa.array(value, kind, from_pandas=False)
        if isinstance(value, (np.ndarray, list))
        else pa.array([value] * count, kind, from_pandas=False)
        for value, count in parts
    ]
    return pa.concat_arrays(pieces)


class Exporter:
    """Writes records into the tables of an export; a context manager.

    Parameters
    ----------
    folder : pathlib.Path
    info : DatasetInfo
    to : {'parquet', 'csv'}
    stamps_as : {'list', 'npy'}
    tables : sequence of str
        Tables to write.

    Attributes
    ----------
    rows : dict of str to int
        Rows written, by table.
    """

    def __init__(self, folder: Path, info: DatasetInfo, to: str, stamps_as: str, tables: Sequence[str]) -> None:
        self._folder, self._info, self._lists = folder, info, to == "parquet"
        self._stamps_as = stamps_as
        self._classes = {native.id: native.name for native in info.classes}
        self._bands = np.array([band.name for band in info.bands], dtype=object)
        self._row_targets = [name for name in info.targets if name in _ROW_COLUMNS]
        self._targets = [name for name in info.targets if name not in _ROW_COLUMNS]
        self._static, self._alert = static_names(info), alert_names(info)
        self._number = 0
        metadata = json.dumps(self._describe(), indent=1, ensure_ascii=False)
        (folder / INFO_NAME).write_text(metadata + "\n", encoding="utf-8")
        self._tables = {
            name: _Table(folder / f"{name}.{to}", columns, metadata)
            for name, columns in self._columns().items()
            if name in tables
        }
        self.rows = dict.fromkeys(self._tables, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for name, table in self._tables.items():
            if kind is None:
                table.close(empty=name in ("light_curves", "objects"))
                self.rows[name] = table.rows

    def add(self, record: Record, partition: str) -> None:
        """Write one record."""
        fill: dict[str, Callable] = {
            "light_curves": self._add_light_curve,
            "objects": lambda table, record: self._add_object(table, record, partition),
            "targets": self._add_targets,
            "spectra": self._add_spectrum,
            "stamps": self._add_stamps,
        }
        for name, table in self._tables.items():
            fill[name](table, record)
        self._number += 1

    def _columns(self) -> dict[str, dict[str, pa.DataType]]:
        import pyarrow as pa

        text, f4, f8, whole = pa.string(), pa.float32(), pa.float64(), pa.int64()
        curve = {"object_id": text, "mjd": f8, "band": text, "flux": f4, "flux_err": f4}
        curve |= dict.fromkeys(_FLAGS, pa.bool_()) | {f"target_{name}": f8 for name in self._row_targets}
        objects = {"object_id": text, "survey": text, "class_id": whole, "class_name": text, "partition": text}
        objects |= {"rows": whole} | dict.fromkeys(self._static, f4)
        objects |= {f"target_{name}": f8 for name in self._targets}
        pixel = pa.list_(f4) if self._lists else f4
        stamps = {"object_id": text, "mjd": f8} | dict.fromkeys(self._alert, f4)
        stamps |= {"height": whole, "width": whole, "channels": whole}
        stamps |= {"file": text} if self._stamps_as == "npy" else {"image": pa.list_(f4)}
        return {
            "light_curves": curve,
            "objects": objects,
            "targets": {"object_id": text, "target": text, "position": whole, "value": f8},
            "spectra": {"object_id": text, "wavelength": pixel, "flux": pixel, "ivar": pixel},
            "stamps": stamps,
        }

    def _describe(self) -> dict[str, Any]:
        info = self._info
        return {
            "survey": info.survey,
            "bands": [dataclasses.asdict(band) for band in info.bands],
            "zero_point": info.zero_point,
            "flux_unit": info.flux_unit,
            "classes": [dataclasses.asdict(native) for native in info.classes],
            "static_columns": [
                {"table_name": name} | dataclasses.asdict(column)
                for name, column in zip(self._static, info.static_columns, strict=True)
            ],
            "alert_columns": [
                {"table_name": name} | dataclasses.asdict(column)
                for name, column in zip(self._alert, info.alert_columns, strict=True)
            ],
            "stamp_channels": list(info.stamp_channels),
            "targets": list(info.targets),
            "fingerprint": info.fingerprint,
        }

    def _add_light_curve(self, table: _Table, record: Record) -> None:
        lc = record.lc
        if lc is None or not len(lc):
            return
        values = {"object_id": record.object_id, "mjd": lc.time, "band": self._bands[lc.band]}
        values |= {"flux": lc.flux, "flux_err": lc.flux_err}
        values |= {name: (lc.flags & bit) != 0 for name, bit in _FLAGS.items()}
        values |= {f"target_{name}": record.targets.get(name) for name in self._row_targets}
        table.add(len(lc), 64 * len(lc), **values)

    def _add_object(self, table: _Table, record: Record, partition: str) -> None:
        values = {"object_id": record.object_id, "survey": record.survey, "class_id": record.class_id}
        values |= {"class_name": self._classes.get(record.class_id), "partition": partition}
        values["rows"] = None if record.lc is None else len(record.lc)
        static = [None] * len(self._static) if record.static is None else record.static.tolist()
        values |= dict(zip(self._static, static, strict=True))
        for name in self._targets:
            value = record.targets.get(name)
            values[f"target_{name}"] = float(value[0]) if value is not None and len(value) == 1 else None
        table.add(1, **values)

    def _add_targets(self, table: _Table, record: Record) -> None:
        for name in self._targets:
            value = record.targets.get(name)
            if value is not None and len(value) > 1:
                places = np.arange(len(value))
                table.add(len(value), object_id=record.object_id, target=name, position=places, value=value)

    def _add_spectrum(self, table: _Table, record: Record) -> None:
        spectrum = record.spectrum
        if spectrum is None:
            return
        values = {name: getattr(spectrum, name) for name in ("wavelength", "flux", "ivar")}
        count = len(spectrum.wavelength)
        table.add(1 if self._lists else count, 12 * count, object_id=record.object_id, **values)

    def _add_stamps(self, table: _Table, record: Record) -> None:
        stamps = record.stamps
        if stamps is None:
            return
        alerts, height, width, channels = stamps.images.shape
        file = f"stamps/{self._number:08d}.npy"
        if self._stamps_as == "npy":
            (self._folder / "stamps").mkdir(exist_ok=True)
            np.save(self._folder / file, stamps.images, allow_pickle=False)
        for alert in range(alerts):
            values = {"object_id": record.object_id, "mjd": float(stamps.time[alert])}
            values |= dict(zip(self._alert, stamps.metadata[alert].tolist(), strict=True))
            values |= {"height": height, "width": width, "channels": channels, "file": file}
            image = stamps.images[alert].ravel()
            table.add(1, image.nbytes, **values, image=image)
