"""Low-resolution spectra of LAMOST: FITS files to records: ``python -m data_tools.lamost``.

Cui et al. 2012, RAA 12, 1197. A record holds one spectrum with the values of its file: nothing is resampled,
normalised or cleaned. Fluxes are relative, wavelengths in vacuum; the inverse variance is that of the flux.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.formats.label_table import LabelTable
from data_tools.formats.untrusted import infinite_in_f4
from data_tools.readers.lamost_files import SUFFIXES, looks_like_spectrum, read_header, read_spectrum, spectrum_files
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import NativeClass, StaticColumn
from tfrecords.schema import Record

SURVEY = "lamost"
FLUX_UNIT = "relative, per angstrom (spectra only)"
_PIPELINE = "found by the survey's pipeline from this spectrum; where labels come from it too, it tells the class"
_MISSING = (-9999.0,)
# Codes: class 0 STAR, 1 GALAXY, 2 QSO; subclass 10 a spectral type, O0 = 0, G2 = 42, M9 = 69; others missing.
STATIC_COLUMNS = {
    "ra": StaticColumn("ra", "deg"),
    "dec": StaticColumn("dec", "deg"),
    **{name: StaticColumn(name, "", _MISSING) for name in ("snru", "snrg", "snrr", "snri", "snrz")},
    "z": StaticColumn("z", "", _MISSING, _PIPELINE),
    "z_err": StaticColumn("z_err", "", _MISSING, _PIPELINE),
    "class": StaticColumn("class", "code", (), _PIPELINE),
    "subclass": StaticColumn("subclass", "code", (), _PIPELINE),
}
# Names that releases have used for one keyword.
_KEYWORDS = {"snru": ("SNRU", "SN_U"), "snrg": ("SNRG", "SN_G"), "snrr": ("SNRR", "SN_R"), "snri": ("SNRI", "SN_I"),
             "snrz": ("SNRZ", "SN_Z")}  # fmt: skip
CLASSES = ("STAR", "GALAXY", "QSO")
_TYPES = "OBAFGKM"
_SPECTRAL_TYPE = re.compile(rf"([dg]?)([{_TYPES}])(\d)")
_ID_COLUMNS = ("spec_filename", "filename", "file", "object_id", "obsid")
_CLASS_COLUMNS = ("class", "target", "label", "variable_type")
_FILES_A_PIECE = 500


class _Entry(NamedTuple):
    path: str
    object_id: str
    class_id: int
    problem: str
    quarantined: bool = True


class LamostSource(PiecewiseSource):
    """FITS files of one low-resolution spectrum each; an object is one spectrum, its id the file's name without suffix.

    Parameters
    ----------
    paths : sequence of path
        Files, or folders that are searched with the folders in them.
    static_columns : sequence of str, optional
        Of `STATIC_COLUMNS`, by default all.
    labels : path, optional
        CSV with the column spec_filename, filename, file, object_id or obsid, and one of class, target, label or
        variable_type. By default the class is that of the header (CLASS).

    Raises
    ------
    UsageError
        If there is no FITS file, or a static column is unknown.
    DataError
        If the table of labels is damaged.
    """

    survey, flux_unit, zero_point = SURVEY, FLUX_UNIT, 0.0
    bands = ()
    targets = ("redshift",)

    def __init__(
        self, paths: Sequence[Path], static_columns: Sequence[str] | None = None, labels: Path | None = None
    ) -> None:
        names = tuple(STATIC_COLUMNS if static_columns is None else static_columns)
        if set(names) - set(STATIC_COLUMNS) or len(set(names)) != len(names):
            raise UsageError(f"static columns are {', '.join(STATIC_COLUMNS)}, each once. Received: {','.join(names)}")
        self.static_columns = tuple(STATIC_COLUMNS[name] for name in names)
        files = _find(paths)
        if not files:
            received = ", ".join(Path(path).name for path in paths)
            raise UsageError(f"spectra are files with the suffix {', '.join(SUFFIXES)}. Received: {received}")
        table = None if labels is None else LabelTable(Path(labels), _ID_COLUMNS, _CLASS_COLUMNS)
        self.classes = (
            tuple(NativeClass(number, name) for number, name in enumerate(CLASSES)) if table is None else table.classes
        )
        self.options = {
            "files": [Path(path).name for path in paths],
            "static_columns": list(names),
            "labels": None if labels is None else Path(labels).name,
        }
        self._entries = _list(files, table)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_entries": []}

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether the first FITS file, of a folder the first directly in it, is a spectrum."""
        try:
            paths = [Path(path) for path in paths]
            files = [f for path in paths for f in (spectrum_files(path, deep=False) if path.is_dir() else [path])]
            return bool(files) and files[0].name.lower().endswith(SUFFIXES) and looks_like_spectrum(files[0])
        except OSError:
            return False

    def __len__(self) -> int:
        return len(self._entries)

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the spectra in the order of the files' names: ids and native classes (int64, -1 unlabelled)."""
        classes = np.array([entry.class_id for entry in self._entries], np.int64)
        return [entry.object_id for entry in self._entries], classes

    def pieces(self) -> Sequence[Piece]:
        """Give pieces of 500 files."""
        found = []
        for start in range(0, len(self), _FILES_A_PIECE):
            part = tuple(self._entries[start : start + _FILES_A_PIECE])
            found.append(Piece(f"spectra {start}", range(start, start + len(part)), part))
        return found

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read the files of a piece, one outcome a file."""
        for number, entry in enumerate(piece.details):
            row = piece.rows.start + number
            if chosen is not None and not chosen[number]:
                yield Outcome(entry.object_id, None, "not selected", row)
            elif entry.problem:
                yield Outcome(entry.object_id, None, entry.problem, row, entry.quarantined)
            else:
                yield self._outcome(entry, row)

    def _outcome(self, entry: _Entry, row: int) -> Outcome:
        path = Path(entry.path)
        try:
            header, spectrum = read_spectrum(path)
            values = static_values(header)
            static = np.array([values[column.name] for column in self.static_columns])
            if infinite_in_f4(static):
                raise DataError(f"{path.name}: a value of the header is infinite")
        except DataError as error:
            return Outcome(entry.object_id, None, str(error), row, quarantined=True)
        redshift = np.nan if values["z"] in _MISSING or not np.isfinite(values["z"]) else values["z"]
        record = Record(
            entry.object_id, SURVEY, entry.class_id, static=static, targets={"redshift": redshift}, spectrum=spectrum
        )
        return Outcome(entry.object_id, record, "", row)


def static_values(header: Mapping[str, Any]) -> dict[str, float]:
    """Give the values of all static columns from a header; NaN where it has no number (or no such class)."""
    values = {}
    for name in STATIC_COLUMNS:
        found = [header[key] for key in _KEYWORDS.get(name, (name.upper(),)) if key in header]
        number = found[0] if found else np.nan
        is_number = isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e300
        values[name] = float(number) if is_number else np.nan
    spectral_type = _SPECTRAL_TYPE.match(_text(header, "SUBCLASS"))
    if spectral_type:
        values["subclass"] = 10.0 * _TYPES.index(spectral_type[2]) + float(spectral_type[3])
    values["class"] = float(CLASSES.index(_text(header, "CLASS"))) if _text(header, "CLASS") in CLASSES else np.nan
    return values


def _text(header: Mapping[str, Any], key: str) -> str:
    return str(header.get(key, "")).strip()


def _find(paths: Sequence[Path]) -> list[Path]:
    files = []
    for path in map(Path, paths):
        files += list(spectrum_files(path)) if path.is_dir() else [path]
    return sorted(files, key=lambda path: (path.name, str(path)))


def _list(files: Sequence[Path], table: LabelTable | None) -> list[_Entry]:
    """List the files, then the rows of the table that have none."""
    entries, seen, used = [], set(), set()
    for path in files:
        object_id, class_id, problem = LabelTable.key(path.name), -1, ""
        if not object_id.isprintable() or not object_id:
            object_id, problem = f"file {len(entries)}", f"a file has the name {path.name!r}"
        elif object_id in seen:
            object_id, problem = f"{object_id}#{len(entries)}", f"{path.name}: two files have this name"
        if not problem:
            try:
                class_id = _class_of(path, object_id, table, used)
            except DataError as error:
                problem = str(error)
        seen.add(object_id)
        entries.append(_Entry(str(path), object_id, class_id, problem))
    for row in [] if table is None else table.rows:
        if row.object_id not in used:
            name = row.object_id if row.object_id not in seen else f"{row.object_id}#label"
            entries.append(_Entry("", name, row.class_id, "no spectrum in the files", False))
    return entries


def _class_of(path: Path, object_id: str, table: LabelTable | None, used: set[str]) -> int:
    """Give the class of a file by its header, or by the table; `used` collects the ids of the table."""
    if table is None:
        name = _text(read_header(path), "CLASS")
        return CLASSES.index(name) if name in CLASSES else -1
    key = _text(read_header(path), "OBSID") if table.id_column == "obsid" else object_id
    used.add(key)
    return table.get(key).class_id


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "lamost",
        "Convert low-resolution LAMOST spectra (FITS, plain or gzipped, both published layouts) to records.",
        "FILES",
        "FITS files, or folders that are searched with those in them",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE.csv", help="classes by name of the file or obsid (default: CLASS)"
    )
    parser.add_argument(
        "--static-columns",
        default=",".join(STATIC_COLUMNS),
        metavar="A,B",
        help="values of the header to keep (%(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    source = LamostSource(arguments.files, names_in(arguments.static_columns), arguments.labels)
    run_conversion(source, arguments, "data_tools.lamost")


if __name__ == "__main__":
    command.run(main)
