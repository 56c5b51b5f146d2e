"""ASAS variable stars: archives of V light curves and a table of classes to records: ``python -m data_tools.asas``.

Pojmanski 2002, Acta Astronomica 52, 397; the labelled set: Richards et al. 2012, ApJS 203, 32.

Times of the files are heliocentric Julian dates minus 2450000; a record holds HJD - 2400000.5. Magnitudes are Johnson
V (Vega): flux = 3636 Jy 10^(-0.4 V) (Bessell, Castelli & Plez 1998, A&A 333, 231), flux_err = 0.4 ln(10) flux mag_err.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.formats.label_table import LabelTable
from data_tools.formats.untrusted import Truncated, infinite_in_f4, number_rows, tar_members
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import Band, StaticColumn
from tfrecords.schema import FLAG_DETECTED, LightCurve, Record, sort_rows

SURVEY = "asas"
BANDS = (Band("V", ("v",), 5448.0),)
FLUX_UNIT = "mJy"
# AB magnitude of one millijansky: -2.5 log10(1e-3 Jy / 3631 Jy).
ZERO_POINT = 16.40
VEGA_MILLIJANSKY = 3.636e6
MJD_OF_EPOCH = 49999.5
_LATEST = 20000.0
# What the survey's tables put where nothing was measured.
_NO_MAGNITUDE = (29.999, 99.999)
_LARGEST_MEMBER = 16 << 20
_LARGEST_ARCHIVE = 4 << 30
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
_ID_COLUMNS, _CLASS_COLUMNS = ("filename", "file", "object_id", "name"), ("class",)


class _Entry(NamedTuple):
    """One object: its position in the archive (-1: it is not there), id, class, static values, what is wrong."""

    position: int
    object_id: str
    class_id: int
    static: tuple[float, ...]
    problem: str
    quarantined: bool = True


class AsasSource(PiecewiseSource):
    """Tar archives with one text file ``<id>.dat`` a star (time, magnitude, error) and a table of their classes.

    Parameters
    ----------
    paths : sequence of path
        Archives and at most one table (CSV: ``filename,class`` and further columns), or a folder with them. Of
        several tables in a folder the one with most columns counts. Without a table the stars are unlabelled.
    static_columns : sequence of str, optional
        Numeric columns of the table to keep; by default none.

    Raises
    ------
    UsageError
        If there is no archive, or a static column is not in the table.
    DataError
        If the table lacks a column or is damaged.
    """

    survey, bands, zero_point, flux_unit = SURVEY, BANDS, ZERO_POINT, FLUX_UNIT
    targets = ()

    def __init__(self, paths: Sequence[Path], static_columns: Sequence[str] | None = None) -> None:
        archives, tables = _find(paths)
        if not archives:
            received = ", ".join(Path(path).name for path in paths)
            raise UsageError(f"ASAS is archives ({', '.join(_ARCHIVES)}) and a table. Received: {received}")
        names = tuple(static_columns or ())
        self.static_columns = tuple(StaticColumn(name) for name in names)
        table = LabelTable.empty(names) if not tables else LabelTable(tables[0], _ID_COLUMNS, _CLASS_COLUMNS, names)
        self.classes = table.classes
        self.options = {"files": [path.name for path in (*archives, *tables)], "static_columns": list(names)}
        self._ids: list[str] = []
        self._class_ids: list[int] = []
        self._pieces: list[Piece] = []
        self._list(archives, table)

    def _list(self, archives: Sequence[Path], table: LabelTable) -> None:
        """List the objects: the stars of one archive after the other, then the stars that the table alone has."""
        seen: set[str] = set()
        for path in archives:
            self._add(path, _entries(path, table, seen), path.name)
        lacking = [
            _Entry(-1, row.object_id, row.class_id, row.static, "no light curve in the archives", False)
            for row in table.rows
            if row.object_id not in seen
        ]
        if lacking:
            self._add(archives[0], lacking, "stars without light curve")

    def _add(self, path: Path, entries: list[_Entry], name: str) -> None:
        start = len(self._ids)
        self._ids += [entry.object_id for entry in entries]
        self._class_ids += [entry.class_id for entry in entries]
        self._pieces.append(Piece(name, range(start, len(self._ids)), (str(path), tuple(entries))))

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_ids": [], "_class_ids": [], "_pieces": []}

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether the first file of the first archive is a light curve of three columns."""
        try:
            archives, _ = _find(paths)
            first = next((each for path in archives for each in tar_members(path, 1 << 20, 1 << 24)), None)
            return first is not None and first.name.endswith(".dat") and _is_light_curve(first.data)
        except (DataError, UsageError, OSError):
            return False

    def __len__(self) -> int:
        return len(self._ids)

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects in the order of the archives: ids and native classes (int64, -1 unlabelled)."""
        return self._ids, np.array(self._class_ids, np.int64)

    def pieces(self) -> Sequence[Piece]:
        """Give one piece an archive: a tar file can only be read from its beginning."""
        return self._pieces

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read the stars of one archive, one outcome a star."""
        path, entries = Path(piece.details[0]), piece.details[1]
        wanted = [entry.position for entry in entries if not entry.problem]
        members = _members(path, max(wanted) + 1) if wanted else iter(())
        for number, entry in enumerate(entries):
            row = piece.rows.start + number
            if chosen is not None and not chosen[number]:
                yield Outcome(entry.object_id, None, "not selected", row)
            elif entry.problem:
                yield Outcome(entry.object_id, None, entry.problem, row, entry.quarantined)
            else:
                data = next((data for position, data in members if position == entry.position), None)
                if data is None:
                    raise DataError(f"{path.name}: has changed since it was listed. Received: no {entry.object_id}")
                yield self._outcome(entry, data, row, path.name)

    def _outcome(self, entry: _Entry, data: bytes, row: int, archive: str) -> Outcome:
        try:
            if infinite_in_f4(entry.static):
                raise DataError("a static column is infinite")
            lc = light_curve(data)
        except DataError as error:
            reason = f"{archive}, {entry.object_id}: {error}"
            return Outcome(entry.object_id, None, reason, row, quarantined=True)
        if not len(lc):
            return Outcome(entry.object_id, None, "no observations", row)
        return Outcome(entry.object_id, Record(entry.object_id, SURVEY, entry.class_id, lc, entry.static), "", row)


def light_curve(data: bytes) -> LightCurve:
    """Read the text of one star (lines ``time,magnitude,error``) as fluxes in mJy.

    Raises
    ------
    DataError
        If a line is wrong, a time is no HJD - 2450000, a magnitude is infinite or an error not positive.
    """
    rows = number_rows(data, (0, 1, 2), ",")
    time, magnitude, error = rows.T
    for name, good, rule in (
        ("time", (time > 0) & (time < _LATEST), f"is HJD - 2450000, 0 to {_LATEST:g}"),
        ("magnitude", ~np.isinf(magnitude) & (np.abs(magnitude) < 100), "is below 100"),
        ("magnitude error", ~(error <= 0) & ~np.isinf(error), "is positive and finite"),
    ):
        if not good.all():
            line = int(np.argmin(good))
            value = {"time": time, "magnitude": magnitude, "magnitude error": error}[name][line]
            raise DataError(f"{name} {rule}; line {line + 1} has {value:g}")
    magnitude = np.where(np.isin(magnitude, _NO_MAGNITUDE), np.nan, magnitude)
    flux = VEGA_MILLIJANSKY * 10 ** (-0.4 * magnitude)
    flux_err = 0.4 * np.log(10) * flux * error
    if infinite_in_f4(flux) or infinite_in_f4(flux_err) or (flux_err.astype("f4") <= 0).any():
        raise DataError("a magnitude and its error give a flux that float32 cannot hold")
    flags = np.full(len(time), FLAG_DETECTED, "u1")
    return sort_rows(LightCurve(time + MJD_OF_EPOCH, np.zeros(len(time), "u1"), flux, flux_err, flags))


def _find(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Tell archives from tables; of the tables of a folder only the one with most columns is given."""
    paths = [Path(path) for path in paths]
    folder = len(paths) == 1 and paths[0].is_dir()
    files = sorted(path for path in paths[0].iterdir() if path.is_file()) if folder else paths
    archives = [path for path in files if path.name.lower().endswith(_ARCHIVES)]
    tables = [path for path in files if path not in archives]
    if folder:
        tables = [path for path in tables if LabelTable.recognises(path, _ID_COLUMNS, _CLASS_COLUMNS)]
        tables = sorted(tables, key=lambda path: (-len(LabelTable.header_of(path)), path.name))[:1]
    if len(tables) > 1:
        raise UsageError(f"one table of classes is read. Received: {', '.join(path.name for path in tables)}")
    return archives, tables


def _members(path: Path, stop: float = np.inf) -> Iterator[tuple[int, bytes | None]]:
    for position, member in enumerate(tar_members(path, _LARGEST_MEMBER, _LARGEST_ARCHIVE)):
        yield position, member.data
        if position + 1 >= stop:
            return


def _entries(path: Path, table: LabelTable, seen: set[str]) -> list[_Entry]:
    """List what an archive holds; a damaged one ends with an entry of its own name."""
    entries: list[_Entry] = []
    try:
        for position, member in enumerate(tar_members(path, _LARGEST_MEMBER, _LARGEST_ARCHIVE)):
            name = PurePosixPath(member.name).name
            object_id = table.key(name)
            row = table.get(object_id)
            problem = ""
            if not object_id.isprintable() or not object_id:
                object_id, problem = f"{path.name}#{position}", f"{path.name}: a member has the name {name!r}"
            elif object_id in seen:
                problem = f"{path.name}: two members have the name {name!r}"
                object_id = f"{object_id}#{path.name}#{position}"
            elif not name.endswith(".dat"):
                problem = f"{path.name}: a light curve has a name that ends in .dat. Received: {name!r}"
                object_id = name
            elif member.data is None:
                problem = f"{path.name}: {name!r} has at most {_LARGEST_MEMBER} bytes. Received: {member.size}"
            seen.add(object_id)
            entries.append(_Entry(position, object_id, row.class_id, row.static, problem))
    except Truncated as error:
        entries.append(_damage(path, table, seen, str(error)))
    except DataError as error:
        # A wrong checksum of the whole does not say which star is wrong.
        entries = [entry._replace(problem=str(error)) for entry in entries]
        entries.append(_damage(path, table, seen, str(error)))
    return entries


def _damage(path: Path, table: LabelTable, seen: set[str], problem: str) -> _Entry:
    name = path.name if path.name not in seen else f"{path.name}#file"
    seen.add(name)
    return _Entry(-1, name, -1, table.nothing.static, problem)


def _is_light_curve(data: bytes | None) -> bool:
    return data is not None and len(light_curve(data)) > 0


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "asas",
        "Convert ASAS variable stars (tar archives of light curves and a table of classes) to records.",
        "FILES",
        "archives and a table with the columns filename and class, or one folder with them",
    )
    parser.add_argument(
        "--static-columns", default="", metavar="A,B", help="numeric columns of the table to keep (default: none)"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    source = AsasSource(arguments.files, names_in(arguments.static_columns))
    run_conversion(source, arguments, "data_tools.asas")


if __name__ == "__main__":
    command.run(main)
