"""ELAsTiCC alerts in parquet to records of light curves: ``python -m data_tools.elasticc_alerts``.

One record an object: the union of what its alerts know, forced photometry included. Truth about the simulation never
becomes an input; redshift and time of maximum are kept as targets where they stand beside the alerts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.formats.alert_labels import read_labels
from data_tools.readers.elasticc_alerts_files import AlertRows, Entry, find_files, list_alerts, load_alerts
from data_tools.readers.elasticc_alerts_files import looks_like_alerts as _looks_like_alerts
from data_tools.readers.elasticc_alerts_survey import (
    BANDS,
    COLUMNS,
    FLUX_UNIT,
    MODELS,
    SURVEY,
    TARGETS,
    ZERO_POINT,
    check_static_columns,
)
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import NativeClass
from tfrecords.schema import FLAG_DETECTED, LightCurve, Record, sort_rows

_ID_COLUMNS = ("diaObjectId", "object_id", "SNID")
_CLASS_COLUMNS = ("class", "GENTYPE", "model")
_CONFLICT = "conflicting labels"
_PIECE_ALERTS = 2000
# The first number for classes that a table of labels names and the survey does not.
_OTHER_CLASSES = 1000


class _Object(NamedTuple):
    """What reading an object needs: id, class, its alerts' files and rows in the order of time, truth, a problem."""

    object_id: str
    class_id: int
    places: tuple[tuple[int, int], ...]
    truth: tuple[float, ...] = ()
    reason: str = ""


class ElasticcAlertSource(PiecewiseSource):
    """ELAsTiCC alerts in parquet files.

    Parameters
    ----------
    paths : sequence of path
        Files, or folders that are searched.
    static_columns : sequence of str, optional
        Columns of an object, under the names of the survey's SNANA files; values of its latest alert.
    labels : path, optional
        Table of diaObjectId and names (or numbers) of the simulation models, for alerts without GENTYPE.
    id_column, class_column : str, optional
        Its columns.
    alert_zero_point : float, optional
        AB magnitude of a psFlux of 1; by default 31.4 (nJy), and 27.5 for the early schema.

    Raises
    ------
    UsageError
        If there is no file, or a column is unknown.
    DataError
        If the table of labels cannot be read.
    """

    survey = SURVEY
    bands = BANDS
    zero_point = ZERO_POINT
    flux_unit = FLUX_UNIT

    def __init__(
        self,
        paths: Sequence[Path],
        static_columns: Sequence[str] | None = None,
        labels: Path | None = None,
        id_column: str | None = None,
        class_column: str | None = None,
        alert_zero_point: float | None = None,
    ) -> None:
        names = tuple(COLUMNS) if static_columns is None else tuple(static_columns)
        check_static_columns(names)
        if alert_zero_point is not None and not 0 < alert_zero_point < 50:
            raise UsageError(f"--alert-zero-point is a magnitude. Received: {alert_zero_point}")
        self.static_columns = tuple(COLUMNS[name][0] for name in names)
        self._static = [list(COLUMNS).index(name) for name in names]
        self._alert_zero_point = alert_zero_point
        self.files = find_files(paths)
        self.options = {
            "files": len(self.files),
            "static_columns": list(names),
            "labels": Path(labels).name if labels is not None else None,
            "alert_zero_point": alert_zero_point,
        }
        table = read_labels(Path(labels), id_column, class_column, _ID_COLUMNS, _CLASS_COLUMNS) if labels else {}
        self._list_objects(table)

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether there is a parquet file of ELAsTiCC alerts."""
        try:
            return any(_looks_like_alerts(path) for path, _ in find_files(paths))
        except (UsageError, OSError):
            return False

    def __len__(self) -> int:
        return len(self._objects)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_objects"}

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects in the order of their first alerts; a file that cannot be read is one under its name."""
        return [each.object_id for each in self._objects], np.array([each.class_id for each in self._objects], np.int64)

    def pieces(self) -> Sequence[Piece]:
        """List the pieces, of about 2,000 alerts."""
        pieces: list[Piece] = []
        start = alerts = 0
        for row, each in enumerate(self._objects):
            alerts += max(1, len(each.places))
            if alerts >= _PIECE_ALERTS or row + 1 == len(self._objects):
                details = tuple(self._objects[start : row + 1])
                first = details[0]
                name = Path(self.files[first.places[0][0]][1]).name if first.places else first.object_id
                pieces.append(Piece(f"{name}, objects {start} to {row}", range(start, row + 1), details))
                start, alerts = row + 1, 0
        return pieces

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read one piece, one outcome an object."""
        used = [chosen is None or bool(chosen[number]) for number in range(len(piece.rows))]
        wanted: dict[int, list[int]] = {}
        for each, use in zip(piece.details, used, strict=True):
            for number, row in each.places if use else ():
                wanted.setdefault(number, []).append(row)
        alerts: dict[tuple[int, int], AlertRows] = {}
        problems: dict[int, str] = {}
        for number, rows in sorted(wanted.items()):
            path, name = self.files[number]
            problems[number] = f"{name}: listed, but not found when the file was read"
            try:
                for row, found in load_alerts(path, sorted(rows), self._alert_zero_point):
                    alerts[number, row] = found
            except (DataError, OSError) as error:
                problems[number] = f"{name}: {error}"
        for row, each, use in zip(piece.rows, piece.details, used, strict=True):
            if not use:
                yield Outcome(each.object_id, None, "not selected", row)
            elif each.reason:
                yield Outcome(each.object_id, None, each.reason, row, quarantined=not each.places)
            else:
                missing = next((number for number, place in each.places if (number, place) not in alerts), None)
                if missing is not None:
                    yield Outcome(each.object_id, None, problems[missing], row, quarantined=True)
                else:
                    yield self._outcome(row, each, [alerts[place] for place in each.places])

    def _outcome(self, row: int, each: _Object, alerts: list[AlertRows]) -> Outcome:
        problem = next(filter(None, map(_row_problem, alerts)), "")
        with np.errstate(over="ignore"):
            static = alerts[-1].static[self._static].astype(np.float32)
        if not problem and np.isinf(static).any():
            problem = (
                f"column {self.static_columns[int(np.argmax(np.isinf(static)))].name} is finite. Received: infinity"
            )
        if problem:
            return Outcome(each.object_id, None, f"{self.files[each.places[0][0]][1]}: {problem}", row, True)
        targets = dict(zip(TARGETS, each.truth, strict=True)) if self.targets else {}
        record = Record(each.object_id, SURVEY, each.class_id, _merge(alerts), static, targets)
        return Outcome(each.object_id, record, "", row)

    def _list_objects(self, table: dict[str, str]) -> None:
        groups: dict[int, list[tuple[int, Entry]]] = {}
        damages: list[_Object] = []
        truth_stands_there = False
        for number, (path, name) in enumerate(self.files):
            try:
                entries, with_truth = list_alerts(path)
                truth_stands_there |= with_truth
                if not entries:
                    raise DataError("holds no alert")
            except (DataError, OSError) as error:
                damages.append(_Object(name, -1, (), (), f"{name}: {error}"))
                continue
            for entry in entries:
                groups.setdefault(entry.object_id, []).append((number, entry))
        self.targets = tuple(TARGETS) if truth_stands_there else ()
        numbers = {name: number for number, name in MODELS.items()} | {str(number): number for number in MODELS}
        other = {name for names in table.values() for name in names.split("|")} - set(numbers)
        numbers |= {name: _OTHER_CLASSES + place for place, name in enumerate(sorted(other))}
        names_of = {number: name for name, number in numbers.items() if not name.isdigit()}
        self._objects: list[_Object] = []
        for object_id, members in groups.items():
            members.sort(key=lambda each: (each[1].time, each[0], each[1].row))
            found = {entry.type for _, entry in members} - {-1}
            found |= {numbers[name] for name in table.get(str(object_id), "").split("|") if name}
            reason = ""
            if len(found) > 1:
                reason = f"{_CONFLICT}: {', '.join(sorted(names_of.get(each, str(each)) for each in found))}"
            truth = next(
                (entry.truth for _, entry in reversed(members) if np.isfinite(entry.truth).all()),
                (np.nan,) * len(TARGETS),
            )
            places = tuple((number, entry.row) for number, entry in members)
            class_id = next(iter(found)) if len(found) == 1 else -1
            self._objects.append(_Object(str(object_id), class_id, places, truth, reason))
        self._objects += damages
        self.unused_labels = len(set(table) - set(map(str, groups)))
        present = sorted({each.class_id for each in self._objects} - {-1})
        self.classes = tuple(NativeClass(each, names_of.get(each, f"type {each}")) for each in present)


def _row_problem(rows: AlertRows) -> str:
    """Say what is wrong with the first bad row of an alert, or nothing."""
    with np.errstate(over="ignore"):
        flux, error = rows.flux.astype("f4"), rows.flux_err.astype("f4")
    for name, good, rule in (
        ("midPointTai", np.isfinite(rows.time), "is a finite time"),
        ("filterName", rows.band >= 0, f"is one of {', '.join(band.name for band in BANDS)}"),
        ("psFlux", np.isfinite(flux), "is finite"),
        ("psFluxErr", np.isfinite(error) & (error > 0), "is finite and positive"),
    ):
        if not good.all():
            place = int(np.argmin(good))
            return f"{name} {rule}. Received: another value in row {place + 1} of an alert, at {rows.time[place]}"
    return ""


def _merge(alerts: list[AlertRows]) -> LightCurve:
    """Put the rows of alerts, in the order of their times, together: one a time and band.

    Of a detection that forced photometry measured too the forced flux counts, of several alerts the latest one; a row
    is detected if it stands among the detections of any alert.
    """
    time, band, flux, error, detected = (
        np.concatenate([getattr(alert, name) for alert in alerts])
        for name in ("time", "band", "flux", "flux_err", "detected")
    )
    # Forced rows after detections, later alerts after earlier ones: the last of a time and band counts.
    order = np.lexsort((~detected, band, np.round(time * 1e5)))
    key = np.stack([np.round(time[order] * 1e5), band[order]])
    last = np.append((key[:, 1:] != key[:, :-1]).any(axis=0), True)
    group = np.cumsum(np.append(True, last[:-1])) - 1
    ever = np.bincount(group, detected[order]) > 0
    kept = order[last]
    return sort_rows(
        LightCurve(time[kept], band[kept].astype("u1"), flux[kept], error[kept], ever.astype("u1") * FLAG_DETECTED)
    )


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "elasticc_alerts",
        "Convert ELAsTiCC alerts (parquet) to records of light curves.",
        "FILES",
        "parquet files, or folders that are searched",
    )
    parser.add_argument("--labels", type=Path, metavar="TABLE", help="CSV or parquet of diaObjectId and model")
    parser.add_argument("--id-column", metavar="NAME", help=f"of the table (first of {', '.join(_ID_COLUMNS)})")
    parser.add_argument("--class-column", metavar="NAME", help=f"of the table (first of {', '.join(_CLASS_COLUMNS)})")
    parser.add_argument(
        "--alert-zero-point", type=float, metavar="MAG", help="of psFlux (31.4: nJy; early schema 27.5)"
    )
    parser.add_argument(
        "--static-columns", metavar="A,B", help="of an object, SNANA's names, such as MWEBV,HOSTGAL_PHOTOZ (all)"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    source = ElasticcAlertSource(
        arguments.files,
        None if arguments.static_columns is None else names_in(arguments.static_columns),
        labels=arguments.labels,
        id_column=arguments.id_column,
        class_column=arguments.class_column,
        alert_zero_point=arguments.alert_zero_point,
    )
    run_conversion(source, arguments, "data_tools.elasticc_alerts")
    if source.unused_labels:
        print(f"warning: {source.unused_labels} labels are of no object here", file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
