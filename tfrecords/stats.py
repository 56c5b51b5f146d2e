"""Summaries of the classes of a directory of records: ``python -m tfrecords.stats DIR [--out FILE] [--plots DIR]``."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import DatasetInfo
from tfrecords.reader import RecordDirectory
from tfrecords.sample import sample_path
from tfrecords.schema import FLAG_DETECTED, LightCurve, Record

SUFFIXES = (".csv", ".parquet", ".json")
_PERCENTILES = (10, 50, 90)


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


class Histogram:
    """Counts of signal-to-noise ratios in bins of 0.02 in their inverse hyperbolic sine.

    The bins are 2 % wide where a ratio is large and 0.02 where it is small; beyond 80,000 the last bin counts.

    Attributes
    ----------
    counts : numpy.ndarray
        int64 [bins].
    edges : numpy.ndarray
        f8 [bins + 1], of the ratios.
    """

    edges = np.sinh(np.linspace(-12, 12, 1201))

    def __init__(self) -> None:
        self.counts = np.zeros(1200, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Count values; NaN is left out."""
        places = np.floor((np.arcsinh(values[~np.isnan(values)]) + 12) / 0.02).astype(np.int64)
        np.add.at(self.counts, np.clip(places, 0, 1199), 1)

    def percentile(self, percent: float) -> float:
        """Give a percentile, as the middle of its bin; NaN without values."""
        total = self.counts.sum()
        if not total:
            return math.nan
        place = int(np.searchsorted(np.cumsum(self.counts), max(1, percent / 100 * total)))
        return float(np.sinh(-12 + 0.02 * (place + 0.5)))


class ClassStats:
    """What the records of one class have in common.

    Parameters
    ----------
    info : DatasetInfo

    Attributes
    ----------
    lengths : Counter of int
        Objects by number of observations.
    rows_in_band : numpy.ndarray
        int64 [bands], observations.
    snr : list of Histogram
        Flux over flux error of the observations, by band.
    peak_snr : Histogram
        The largest one of each object.
    """

    def __init__(self, info: DatasetInfo) -> None:
        self._sentinels = [np.array(column.missing, "<f4") for column in info.static_columns]
        self._columns = [column.name for column in info.static_columns]
        self._names = [band.name for band in info.bands]
        self._length, self._span, self._bands = _Range(), _Range(), _Range()
        self._objects_in_band = np.zeros(len(self._names), np.int64)
        self._missing = 0
        self._missing_by_column = np.zeros(len(self._columns), np.int64)
        self._nan, self._detected, self._spectra, self._stamps = np.zeros(2, np.int64), 0, 0, 0
        self.lengths: Counter[int] = Counter()
        self.rows_in_band = np.zeros(len(self._names), np.int64)
        self.snr = [Histogram() for _ in self._names]
        self.peak_snr = Histogram()

    def add(self, record: Record) -> None:
        """Count a record."""
        rows = 0 if record.lc is None else len(record.lc)
        self._length.add(rows)
        self.lengths[rows] += 1
        if rows:
            self._add_rows(record.lc)
        if self._sentinels:
            missing = np.ones(len(self._columns), bool)
            if record.static is not None:
                pairs = zip(record.static, self._sentinels, strict=True)
                missing[:] = [np.isnan(value) or (value == sentinels).any() for value, sentinels in pairs]
            self._missing += bool(missing.any())
            self._missing_by_column += missing
        self._spectra += record.spectrum is not None
        self._stamps += record.stamps is not None

    def _add_rows(self, lc: LightCurve) -> None:
        self._span.add(float(lc.time[-1] - lc.time[0]))
        counts = np.bincount(lc.band, minlength=len(self._names))
        self._bands.add(int((counts > 0).sum()))
        self._objects_in_band += counts > 0
        self.rows_in_band += counts
        self._detected += int(((lc.flags & FLAG_DETECTED) > 0).sum())
        self._nan += [int(np.isnan(lc.flux).sum()), int(np.isnan(lc.flux_err).sum())]
        ratios = lc.flux.astype(np.float64) / lc.flux_err
        for band in np.flatnonzero(counts).tolist():
            self.snr[band].add(ratios[lc.band == band])
        if not np.isnan(ratios).all():
            self.peak_snr.add(np.nanmax(ratios, keepdims=True))

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
        for name, number in zip(self._columns, self._missing_by_column.tolist(), strict=True):
            found[f"missing_{name}"] = number / count if count else math.nan
        found |= {"spectra": self._spectra, "stamps": self._stamps}
        return found | self._row_of_observations()

    def _row_of_observations(self) -> dict[str, Any]:
        rows = int(self.rows_in_band.sum())
        found: dict[str, Any] = {"observations": rows, "detected": self._detected / rows if rows else math.nan}
        found |= {"nan_flux": int(self._nan[0]), "nan_flux_err": int(self._nan[1])}
        every = Histogram()
        every.counts = sum((each.counts for each in self.snr), start=every.counts)
        for percent in _PERCENTILES:
            found[f"snr_p{percent}"] = every.percentile(percent)
        for percent in _PERCENTILES:
            found[f"peak_snr_p{percent}"] = self.peak_snr.percentile(percent)
        for name, number, snr in zip(self._names, self.rows_in_band.tolist(), self.snr, strict=True):
            found |= {f"observations_{name}": number, f"snr_p50_{name}": snr.percentile(50)}
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
        static value: NaN or the column's sentinel), ``missing_<column>``; ``spectra``, ``stamps`` (objects that have
        them); ``observations``; ``detected`` (share of these); ``nan_flux, nan_flux_err`` (observations); ``snr_p10,
        snr_p50, snr_p90`` (percentiles of flux over flux error) and ``peak_snr_p10, ...`` (of each object's largest),
        both within 0.01 (1 + x²)^½; ``observations_<band>, snr_p50_<band>``. NaN where nothing defines a number.

    Raises
    ------
    DataError
        If a record is damaged; the message names its shard.
    """
    records = directory if isinstance(directory, RecordDirectory) else RecordDirectory(directory)
    return _table(collect(records, quiet), records.info)


def collect(records: RecordDirectory, quiet: bool = True) -> dict[int, ClassStats]:
    """Read all records; gives the statistics by native class, in the order of `summarise`. Raises as that does."""
    info = records.info
    found = {native.id: ClassStats(info) for native in info.classes}
    for index in command.progress(range(len(records)), "reading", len(records), quiet):
        record = records.record(index)
        problems = info.problems_of(record)
        if problems:
            raise DataError(f"{records.where(index)}, object {record.object_id!r}: {problems[0]}")
        found.setdefault(record.class_id, ClassStats(info)).add(record)
    return found


def _table(found: dict[int, ClassStats], info: DatasetInfo) -> list[dict[str, Any]]:
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

    header = ("class", "objects", "observations", "span (days)", "bands", "empty", "S/N", "NaN", "static missing")
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
            "–" if math.isnan(row["snr_p50"]) else f"{row['snr_p10']:.1f} {row['snr_p50']:.1f} {row['snr_p90']:.1f}",
            str(row["nan_flux"] + row["nan_flux_err"]),
            "–" if math.isnan(row["static_missing"]) else f"{100 * row['static_missing']:.1f} %",
        )
    console = Console()
    if not console.is_terminal:
        # Whoever reads a file or a pipe has no width that names must be cut to.
        console.width = 160
    console.print(table)
    console.print(
        "Smallest–largest (mean). S/N: 10th, 50th, 90th percentile of flux over error. NaN: fluxes and errors. "
        "Static missing: objects that lack at least one static value."
    )
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
        description="Summarise the classes of a directory of records: objects, lengths, bands, S/N, what is missing.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=sample_path(), help="default: embedded sample")
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV, parquet or JSON by suffix")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="plots of the same as PNG files")
    command.add_common_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.out is not None and arguments.out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--out takes the name of a {', '.join(SUFFIXES)} file. Received: {arguments.out}")
    records = RecordDirectory(arguments.directory)
    found = collect(records, arguments.quiet)
    rows = _table(found, records.info)
    _print(rows, records.info)
    if arguments.out is not None:
        write(arguments.out, rows)
        print(f"table: {arguments.out}")
    if arguments.plots is not None:
        from tfrecords.stats_plots import draw

        for path in draw(arguments.plots, rows, found, records.info):
            print(f"plot: {path}")


if __name__ == "__main__":
    command.run(main)
