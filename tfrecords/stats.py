"""Summaries of the classes of a directory of records: ``python -m tfrecords.stats DIR [--out FILE]``."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import DatasetInfo
from tfrecords.reader import RecordDirectory
from tfrecords.sample import sample_path
from tfrecords.schema import Record

SUFFIXES = (".csv", ".parquet", ".json")


@dataclasses.dataclass
class _Range:
    """Smallest, mean and largest of values that come one by one."""

    count: int = 0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.low, self.high = min(self.low, value), max(self.high, value)

    def values(self) -> tuple[float, float, float]:
        if not self.count:
            return (math.nan,) * 3
        return self.low, self.total / self.count, self.high


class ClassStats:
    """What the records of one class have in common.

    Parameters
    ----------
    info : DatasetInfo
    """

    def __init__(self, info: DatasetInfo) -> None:
        self._sentinels = [np.array(column.missing, "<f4") for column in info.static_columns]
        self._names = [band.name for band in info.bands]
        self._length, self._span, self._bands = _Range(), _Range(), _Range()
        self._objects_in_band = np.zeros(len(self._names), np.int64)
        self._missing = 0

    def add(self, record: Record) -> None:
        """Count a record."""
        rows = 0 if record.lc is None else len(record.lc)
        self._length.add(rows)
        if rows:
            self._span.add(float(record.lc.time[-1] - record.lc.time[0]))
            used = np.unique(record.lc.band)
            self._bands.add(len(used))
            self._objects_in_band[used] += 1
        if self._sentinels:
            self._missing += record.static is None or any(
                np.isnan(value) or (value == sentinels).any()
                for value, sentinels in zip(record.static, self._sentinels, strict=True)
            )

    def row(self) -> dict[str, Any]:
        """Give the columns of `summarise` behind the class's name."""
        count = self._length.count
        found: dict[str, Any] = {"objects": count}
        for name, part in (("length", self._length), ("span", self._span), ("bands", self._bands)):
            found |= dict(zip((f"{name}_min", f"{name}_mean", f"{name}_max"), part.values(), strict=True))
        for name, number in zip(self._names, self._objects_in_band.tolist(), strict=True):
            found[f"share_{name}"] = number / count if count else math.nan
        found["without_observations"] = count - self._span.count
        found["static_missing"] = self._missing / count if count and self._sentinels else math.nan
        return found


def summarise(directory: RecordDirectory | str | Path, quiet: bool = True) -> list[dict[str, Any]]:
    """Summarise the records of every class; reads them one by one.

    Parameters
    ----------
    directory : RecordDirectory or path
    quiet : bool
        No progress bar.

    Returns
    -------
    list of dict
        One row a class of the data set in its order, classes without objects too, then ``unlabelled`` if there are
        such: ``class``, ``class_id``, ``objects``; ``length_min, length_mean, length_max`` (observations an object,
        0 counted); ``span_min, ...`` (days from the first observation to the last, of objects that have any);
        ``bands_min, ...`` (bands in which such an object is observed); ``share_<band>`` (of the objects, observed in
        the band); ``without_observations`` (objects); ``static_missing`` (share of the objects that lack at least one
        static value: NaN or the column's sentinel). NaN where nothing defines a number.

    Raises
    ------
    DataError
        If a record is damaged; the message names its shard.
    """
    records = directory if isinstance(directory, RecordDirectory) else RecordDirectory(directory)
    info = records.info
    found = {native.id: ClassStats(info) for native in info.classes}
    for index in command.progress(range(len(records)), "reading", len(records), quiet):
        record = records.record(index)
        problems = info.problems_of(record)
        if problems:
            raise DataError(f"{records.where(index)}, object {record.object_id!r}: {problems[0]}")
        found.setdefault(record.class_id, ClassStats(info)).add(record)
    names = {native.id: native.name for native in info.classes} | {-1: "unlabelled"}
    return [{"class": names[number], "class_id": number} | stats.row() for number, stats in found.items()]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows as CSV, parquet or JSON by the suffix of the name; NaN is empty, or null."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"--out takes the name of a {', '.join(SUFFIXES)} file. Received: {path}")
    plain = [{key: None if value != value else value for key, value in row.items()} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".json":
        path.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", "utf-8")
    elif suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
        path.write_text(text.getvalue(), "utf-8")
    else:
        import pandas as pd

        pd.DataFrame(rows).to_parquet(path, index=False)


def _print(rows: list[dict[str, Any]], info: DatasetInfo) -> None:
    from rich.console import Console
    from rich.table import Table

    header = ("class", "objects", "observations", "span (days)", "bands", "empty", "static missing")
    table = Table(*header, box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
        column.justify = "left" if column is table.columns[0] else "right"
    for row in rows:
        table.add_row(
            f"{row['class']} ({row['class_id']})",
            str(row["objects"]),
            _range(row, "length"),
            _range(row, "span"),
            _range(row, "bands"),
            str(row["without_observations"]),
            "–" if math.isnan(row["static_missing"]) else f"{100 * row['static_missing']:.1f} %",
        )
    console = Console()
    if not console.is_terminal:
        # Whoever reads a file or a pipe has no width that names must be cut to.
        console.width = 160
    console.print(table)
    console.print("Smallest–largest (mean). Static missing: objects that lack at least one static value.")
    unseen = [band.name for band in info.bands if not any(row[f"share_{band.name}"] > 0 for row in rows)]
    if unseen:
        console.print(f"Bands without observations: {', '.join(unseen)}", markup=False)
    empty = [row["class"] for row in rows if not row["objects"]]
    if empty:
        console.print(f"Classes without objects: {', '.join(empty)}", markup=False)


def _range(row: dict[str, Any], name: str) -> str:
    low, mean, high = (row[f"{name}_{part}"] for part in ("min", "mean", "max"))
    if math.isnan(mean):
        return "–"
    return f"{low:.0f}–{high:.0f} ({mean:.1f})"


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords.stats",
        description="Summarise the classes of a directory of records: objects, light-curve lengths, spans, bands.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=sample_path(), help="default: embedded sample")
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV, parquet or JSON by suffix")
    command.add_common_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.out is not None and arguments.out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--out takes the name of a {', '.join(SUFFIXES)} file. Received: {arguments.out}")
    records = RecordDirectory(arguments.directory)
    rows = summarise(records, arguments.quiet)
    _print(rows, records.info)
    if arguments.out is not None:
        write(arguments.out, rows)
        print(f"table: {arguments.out}")


if __name__ == "__main__":
    command.run(main)
