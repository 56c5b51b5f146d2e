"""ZTF alerts (Avro, or parquet of the same layout) to records of stamps: ``python -m data_tools.ztf``.

One record an object: its alerts in the order of time as stamps with columns of each alert, and the detections of all
alerts as a light curve. What becomes of every alert stands in the ledger.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.formats.alert_labels import read_labels
from data_tools.readers.ztf_alert import Alert, decode_alert, light_curve
from data_tools.readers.ztf_files import TAR_GZ, AlertFile, Damage, Entry, Place, find_files, list_alerts, load_alerts
from data_tools.readers.ztf_files import looks_like_alerts as _looks_like_alerts
from data_tools.readers.ztf_survey import (
    ALERT_COLUMNS,
    ALERT_NAMES,
    BANDS,
    CHANNELS,
    CLASSES,
    DEFAULT_STATIC_COLUMNS,
    FLUX_UNIT,
    STATIC_NAMES,
    SURVEY,
    ZERO_POINT,
    check_static_columns,
    column,
)
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import NativeClass
from tfrecords.schema import Record, Stamps

_ID_COLUMNS = ("candid", "objectId", "oid", "object_id", "file")
_CLASS_COLUMNS = ("class", "weak_class", "class_name", "classALeRCE", "label")
_CONFLICT = "conflicting labels"
# Of a gzipped archive every piece needs a way through it from the start, so its pieces are larger.
_PIECE_ALERTS, _PIECE_ALERTS_GZ = 1000, 4000


class _Object(NamedTuple):
    """What reading an object needs: id, class, places by number of the file, or why there is nothing to read.

    ``name`` is that of the source on the sky, which several alerts may be of.
    """

    object_id: str
    class_id: int
    places: tuple[tuple[int, Place], ...]
    reason: str = ""
    name: str = ""


class ZtfSource(PiecewiseSource):
    """ZTF alerts in Avro files, tar files of such, or parquet.

    Parameters
    ----------
    paths : sequence of path
        Files, or folders that are searched.
    static_columns : sequence of str, optional
        Columns of an object: values of its latest alert that is kept.
    labels : path, optional
        Table of ids (number of an alert, name of an object or of a file) and names of classes.
    id_column, class_column : str, optional
        Its columns.
    group : {"object", "alert"}
        One record an object, or one an alert (its id is the alert's number).
    on_bad_shape : {"drop", "pad"}
        What becomes of alerts whose cutouts are smaller than 63x63 pixels: dropped, or filled up with NaN.

    Raises
    ------
    UsageError
        If there is no file, or a column or option is unknown.
    DataError
        If the table of labels cannot be read, or no row of it is of an alert here.
    """

    survey = SURVEY
    bands = BANDS
    zero_point = ZERO_POINT
    flux_unit = FLUX_UNIT
    targets: tuple[str, ...] = ()
    stamp_channels = CHANNELS
    alert_columns = ALERT_COLUMNS

    def __init__(
        self,
        paths: Sequence[Path],
        static_columns: Sequence[str] | None = None,
        labels: Path | None = None,
        id_column: str | None = None,
        class_column: str | None = None,
        group: str = "object",
        on_bad_shape: str = "drop",
    ) -> None:
        names = DEFAULT_STATIC_COLUMNS if static_columns is None else tuple(static_columns)
        check_static_columns(names)
        for flag, value, valid in (
            ("--group", group, ("object", "alert")),
            ("--on-bad-shape", on_bad_shape, ("drop", "pad")),
        ):
            if value not in valid:
                raise UsageError(f"{flag} is one of {', '.join(valid)}. Received: {value!r}")
        self.static_columns = tuple(column(name) for name in names)
        self._static = [ALERT_NAMES.index(name) for name in names]
        self._by_alert, self._pad = group == "alert", on_bad_shape == "pad"
        self.files = find_files(paths)
        self.unused_labels = 0
        table: dict[str, str] = {}
        if labels is not None:
            table = read_labels(Path(labels), id_column, class_column, _ID_COLUMNS, _CLASS_COLUMNS)
        extra = sorted({name for names in table.values() for name in names.split("|")} - set(CLASSES))
        self.classes = tuple(NativeClass(number, name) for number, name in enumerate((*CLASSES, *extra)))
        self.options = {
            "files": _summary([file.name for file in self.files]),
            "static_columns": list(names),
            "labels": Path(labels).name if labels is not None else None,
            "group": group,
            "on_bad_shape": on_bad_shape,
        }
        self._list_objects(table, labels)

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether the paths hold ZTF alerts in Avro, or nothing but parquet of them."""
        try:
            files = find_files(paths)
        except (DataError, UsageError, OSError):
            return False
        packed = [file for file in files if file.kind != "parquet"]
        if packed:
            return any(_looks_like_alerts(file.path) for file in packed[:8])
        return all(_looks_like_alerts(file.path) for file in files)

    def __len__(self) -> int:
        return len(self._objects)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_objects"}

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects in the order of their first alerts; what cannot be read is one under its file's name."""
        return [each.object_id for each in self._objects], np.array([each.class_id for each in self._objects], np.int64)

    def groups(self) -> list[str]:
        """Name the source on the sky of each object: its alerts go to one split, with or without a record each."""
        return [each.name or each.object_id for each in self._objects]

    def pieces(self) -> Sequence[Piece]:
        """List the pieces: of about 1,000 alerts, 4,000 in gzipped archives."""
        pieces: list[Piece] = []
        start = alerts = 0
        for row, each in enumerate(self._objects):
            alerts += max(1, len(each.places))
            packed = any(self.files[number].kind == TAR_GZ for number, _ in each.places)
            if alerts >= (_PIECE_ALERTS_GZ if packed else _PIECE_ALERTS) or row + 1 == len(self._objects):
                rows = range(start, row + 1)
                first = self._objects[start].places
                name = self.files[first[0][0]].name.rpartition("/")[2] if first else self._objects[start].object_id
                details = tuple(self._objects[start : row + 1])
                pieces.append(Piece(f"{name}, objects {start} to {row}", rows, details))
                start, alerts = row + 1, 0
        return pieces

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read one piece: an outcome an object, and before it one for each of its alerts that is not in its record."""
        used = [chosen is None or bool(chosen[number]) for number in range(len(piece.rows))]
        places = [place for each, use in zip(piece.details, used, strict=True) if use for place in each.places]
        alerts = self._load(places)
        for row, each, use in zip(piece.rows, piece.details, used, strict=True):
            if not use:
                yield Outcome(each.object_id, None, "not selected", row)
            elif not each.places:
                yield Outcome(each.object_id, None, each.reason, row, quarantined=True)
            elif each.reason:
                yield Outcome(each.object_id, None, each.reason, row)
            else:
                yield from self._outcomes(row, each, [alerts.pop(place) for place in each.places])

    def _load(self, places: Iterable[tuple[int, Place]]) -> dict[tuple[int, Place], tuple[int, Alert] | str]:
        """Read the alerts at these places: number and alert, or why there is none."""
        by_file: dict[int, list[Place]] = {}
        for number, place in sorted(places):
            by_file.setdefault(number, []).append(place)
        loaded: dict[tuple[int, Place], tuple[int, Alert] | str] = {}
        for number, wanted in by_file.items():
            file = self.files[number]
            problem = "listed, but not found when the file was read"
            try:
                for place, fields in load_alerts(file, wanted):
                    try:
                        candid = fields.get("candid", fields["candidate"].get("candid"))
                        loaded[number, place] = candid, decode_alert(fields, self._pad)
                    except DataError as error:
                        loaded[number, place] = f"{file.name}: {error}"
            except DataError as error:
                problem = str(error)
            for place in wanted:
                loaded.setdefault((number, place), f"{file.name}: {problem}")
        return loaded

    def _outcomes(self, row: int, each: _Object, loaded: list[tuple[int, Alert] | str]) -> Iterator[Outcome]:
        kept: dict[int, Alert] = {}
        usable: list[Alert] = []
        left: list[tuple[str, str, bool]] = []
        for number, found in enumerate(loaded):
            if isinstance(found, str):
                left.append((f"file {number + 1}", found, True))
                continue
            candid, alert = found
            if alert.refused:
                file = self.files[each.places[number][0]].name
                left.append((str(candid), f"{file}: {alert.problem}", True))
                continue
            usable.append(alert)
            if alert.images is None:
                left.append((str(candid), alert.problem, False))
            elif candid in kept:
                left.append((str(candid), "alert dropped: it was read before", False))
            else:
                kept[candid] = alert
        single = self._by_alert and not kept
        if single:
            # The alert is the object.
            _, reason, refused = left.pop(0)
            yield Outcome(each.object_id, None, reason, row, refused)
        counts: dict[str, int] = {}
        for name, reason, refused in left:
            counts[name] = counts.get(name, 0) + 1
            again = f" ({counts[name]})" if counts[name] > 1 or self._by_alert else ""
            yield Outcome(f"{each.object_id}/{name}{again}", None, reason, quarantined=refused)
        if kept:
            yield Outcome(each.object_id, self._record(each, list(kept.values()), usable), "", row)
        elif not single:
            refused = any(bad for _, _, bad in left)
            yield Outcome(each.object_id, None, "no alert is left", row, refused)

    def _record(self, each: _Object, alerts: list[Alert], usable: list[Alert]) -> Record:
        alerts = sorted(alerts, key=lambda alert: alert.time)
        return Record(
            object_id=each.object_id,
            survey=SURVEY,
            class_id=each.class_id,
            lc=light_curve(usable),
            static=alerts[-1].values[self._static],
            stamps=Stamps(
                images=np.stack([alert.images for alert in alerts]),
                time=np.array([alert.time for alert in alerts]),
                metadata=np.stack([alert.values for alert in alerts]),
            ),
        )

    def _list_objects(self, table: dict[str, str], labels: Path | None) -> None:
        numbers = {native.name: native.id for native in self.classes}
        groups: dict[str, list[tuple[int, Entry]]] = {}
        damages: list[tuple[int, Damage]] = []
        for number, file in enumerate(self.files):
            entries, damaged = list_alerts(file)
            damages += [(number, each) for each in damaged]
            for entry in entries:
                groups.setdefault(str(entry.candid) if self._by_alert else entry.object_id, []).append((number, entry))
        self._objects: list[_Object] = []
        used: set[str] = set()
        for object_id, members in groups.items():
            members.sort(key=lambda each: (each[1].jd, each[1].candid, each[0], each[1].place))
            names: set[str] = set()
            for number, entry in members:
                for key in self._keys(self.files[number], entry):
                    if key in table:
                        used.add(key)
                        names.update(table[key].split("|"))
            places = tuple((number, entry.place) for number, entry in members)
            reason = f"{_CONFLICT}: {', '.join(sorted(names))}" if len(names) > 1 else ""
            class_id = numbers[next(iter(names))] if len(names) == 1 else -1
            self._objects.append(_Object(object_id, class_id, places, reason, members[0][1].object_id))
        taken = set(groups)
        for _, damage in damages:
            name = damage.name
            while name in taken:
                name += "+"
            taken.add(name)
            reason = damage.reason if name.split(",")[0] in damage.reason else f"{damage.name}: {damage.reason}"
            self._objects.append(_Object(name, -1, (), reason))
        self.unused_labels = len(table) - len(used)
        if table and not used:
            raise DataError(
                f"{labels}: no id of the table is one of an alert, an object or a file here. "
                f"Received: {', '.join(list(table)[:3])} ..."
            )

    @staticmethod
    def _keys(file: AlertFile, entry: Entry) -> tuple[str, ...]:
        keys = (str(entry.candid), entry.object_id)
        return keys if entry.place.member >= 0 else (*keys, file.name, file.path.name, file.path.stem)


def _summary(names: Sequence[str]) -> list[str]:
    return list(names) if len(names) <= 20 else [*names[:19], f"... and {len(names) - 19} more"]


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "ztf",
        "Convert ZTF alerts (Avro files, tar or tar.gz of them, parquet of the same layout) to records of stamps.",
        "FILES",
        "files, or folders that are searched",
    )
    parser.add_argument("--labels", type=Path, metavar="TABLE", help="CSV or parquet of ids and names of classes")
    parser.add_argument("--id-column", metavar="NAME", help=f"of the table (first of {', '.join(_ID_COLUMNS)})")
    parser.add_argument("--class-column", metavar="NAME", help=f"of the table (first of {', '.join(_CLASS_COLUMNS)})")
    parser.add_argument("--group", default="object", metavar="X", help="object or alert: one record each (%(default)s)")
    parser.add_argument("--on-bad-shape", default="drop", metavar="X", help="drop or pad such alerts (%(default)s)")
    parser.add_argument(
        "--static-columns",
        default=",".join(DEFAULT_STATIC_COLUMNS),
        metavar="A,B",
        help=f"of the latest alert: of {', '.join(STATIC_NAMES)} (%(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    source = ZtfSource(
        arguments.files,
        names_in(arguments.static_columns),
        labels=arguments.labels,
        id_column=arguments.id_column,
        class_column=arguments.class_column,
        group=arguments.group,
        on_bad_shape=arguments.on_bad_shape,
    )
    run_conversion(source, arguments, "data_tools.ztf")
    if source.unused_labels:
        print(f"warning: {source.unused_labels} labels are of no alert here", file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
