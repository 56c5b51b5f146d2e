"""Spectra of supernovae: SNID templates (``.lnw``) to records: ``python -m data_tools.spectra``.

A record is one spectrum; its id is supernova and age, ``sn1994S@+20.3``. Spectra of one supernova belong together:
`SpectraSource.groups` names the supernova of each, so that no two splits share one.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.readers.spectra_files import Template, read_fluxes, read_template
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import NativeClass, StaticColumn
from tfrecords.schema import Record, Spectrum

SURVEY = "snid"
SUFFIX = ".lnw"
FLUX_UNIT = "flux over continuum, minus 1 (spectra only)"
_LIGHT_CURVE = "needs the time of maximum, which a light curve gives"
STATIC_COLUMNS = {
    "age": StaticColumn("age", "d", (), _LIGHT_CURVE),
    "delta_m15": StaticColumn("delta_m15", "mag", (-9.99,), _LIGHT_CURVE),
}
_FILES_A_PIECE = 50


class _Entry(NamedTuple):
    """One file: its path, ids of its spectra, its class, and what is wrong with it."""

    path: str
    object_ids: tuple[str, ...]
    class_id: int
    group: str
    problem: str


class SpectraSource(PiecewiseSource):
    """SNID templates: one file a supernova, one record a spectrum.

    Native classes are types with subtypes, numbered 100 · type + subtype by the two numbers of the file (``Ia-norm``
    is 102). Fluxes are the file's: the continuum is divided out, and bins without observation are 0. The inverse
    variance, which the files lack, is NaN, and 0 in the bins before the first and after the last flux that is not 0.

    Parameters
    ----------
    paths : sequence of path
        Files, or folders with files.
    static_columns : sequence of str, optional
        Of age and delta_m15, by default both; a run uses them only where they are named.

    Raises
    ------
    UsageError
        If there is no such file, or a static column is unknown.
    """

    survey, flux_unit, zero_point = SURVEY, FLUX_UNIT, 0.0
    bands = ()
    targets = ("age", "age_kind")

    def __init__(self, paths: Sequence[Path], static_columns: Sequence[str] | None = None) -> None:
        names = tuple(STATIC_COLUMNS if static_columns is None else static_columns)
        if set(names) - set(STATIC_COLUMNS) or len(set(names)) != len(names):
            raise UsageError(f"static columns are {', '.join(STATIC_COLUMNS)}, each once. Received: {','.join(names)}")
        self.static_columns = tuple(STATIC_COLUMNS[name] for name in names)
        files = _find(paths)
        if not files:
            received = ", ".join(Path(path).name for path in paths)
            raise UsageError(f"SNID templates are files with the suffix {SUFFIX}. Received: {received}")
        self.options = {"files": [Path(path).name for path in paths], "static_columns": list(names)}
        self._entries, classes = _list(files)
        self.classes = tuple(NativeClass(number, name) for number, name in sorted(classes.items()))

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_entries": []}

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether the first file with the suffix is a template."""
        try:
            files = _find(paths)
            if not files or (len(paths) > 1 and len(files) < len(paths)):
                return False
            read_template(files[0])
            return True
        except (DataError, OSError):
            return False

    def __len__(self) -> int:
        return sum(len(entry.object_ids) for entry in self._entries)

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the spectra by file and epoch: ids and native classes (int64)."""
        ids = [each for entry in self._entries for each in entry.object_ids]
        return ids, np.array([entry.class_id for entry in self._entries for _ in entry.object_ids], np.int64)

    def groups(self) -> np.ndarray:
        """Name the supernova of each object of `labels` (array of str): one supernova belongs into one split."""
        return np.array([entry.group for entry in self._entries for _ in entry.object_ids], dtype=object)

    def pieces(self) -> Sequence[Piece]:
        """Give pieces of 50 files."""
        found, start = [], 0
        for first in range(0, len(self._entries), _FILES_A_PIECE):
            part = tuple(self._entries[first : first + _FILES_A_PIECE])
            end = start + sum(len(entry.object_ids) for entry in part)
            found.append(Piece(f"templates {first}", range(start, end), part))
            start = end
        return found

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read the files of a piece, one outcome a spectrum."""
        row = piece.rows.start
        for entry in piece.details:
            count = len(entry.object_ids)
            wanted = None if chosen is None else chosen[row - piece.rows.start : row - piece.rows.start + count]
            yield from self._outcomes(entry, row, wanted)
            row += count

    def _outcomes(self, entry: _Entry, row: int, wanted: np.ndarray | None) -> Iterator[Outcome]:
        path, problem = Path(entry.path), entry.problem
        if not problem and (wanted is None or wanted.any()):
            try:
                template, data = read_template(path)
                wavelength, flux = read_fluxes(path, template, data)
            except DataError as error:
                problem = str(error)
        for epoch, object_id in enumerate(entry.object_ids):
            if wanted is not None and not wanted[epoch]:
                yield Outcome(object_id, None, "not selected", row + epoch)
            elif problem:
                yield Outcome(object_id, None, problem, row + epoch, quarantined=True)
            else:
                record = self._record(entry, object_id, template, epoch, wavelength, flux[:, epoch])
                yield Outcome(object_id, record, "", row + epoch)

    def _record(
        self, entry: _Entry, object_id: str, template: Template, epoch: int, wavelength: np.ndarray, flux: np.ndarray
    ) -> Record:
        values = {"age": template.ages[epoch], "delta_m15": template.delta_m15}
        ivar = np.full(len(flux), np.nan)
        observed = np.flatnonzero(flux)
        first, last = (observed[0], observed[-1]) if len(observed) else (len(flux), len(flux))
        ivar[:first] = ivar[last + 1 :] = 0
        return Record(
            object_id,
            SURVEY,
            entry.class_id,
            static=np.array([values[column.name] for column in self.static_columns]),
            targets={"age": template.ages[epoch], "age_kind": template.age_kind},
            spectrum=Spectrum(wavelength, flux, ivar),
        )


def _find(paths: Sequence[Path]) -> list[Path]:
    files = []
    for path in map(Path, paths):
        files += [each for each in path.iterdir() if each.is_file()] if path.is_dir() else [path]
    return sorted((path for path in files if path.name.endswith(SUFFIX)), key=lambda path: (path.name, str(path)))


def _list(files: Sequence[Path]) -> tuple[list[_Entry], dict[int, str]]:
    """List files with the ids of their spectra; a file that cannot say them is one object of its own name."""
    entries: list[_Entry] = []
    classes: dict[int, str] = {}
    seen: set[str] = set()
    for number, path in enumerate(files):
        try:
            template, _ = read_template(path)
            class_id = 100 * template.type_number + template.subtype_number
            if template.name in seen:
                raise DataError(f"{path.name}: another file has the supernova {template.name}")
            if classes.get(class_id, template.type_name) != template.type_name or (
                class_id not in classes and template.type_name in classes.values()
            ):
                raise DataError(
                    f"{path.name}: a type has one name and one pair of numbers in all files. Received: "
                    f"{template.type_name} for {template.type_number}, {template.subtype_number}"
                )
        except DataError as error:
            name = path.name if path.name.isprintable() else f"file {number}"
            name = f"{name}#{number}" if name in seen else name
            seen.add(name)
            entries.append(_Entry(str(path), (name,), -1, name, str(error)))
            continue
        classes[class_id] = template.type_name
        seen.add(template.name)
        entries.append(_Entry(str(path), _ids(template), class_id, template.name, ""))
    return entries, classes


def _ids(template: Template) -> tuple[str, ...]:
    """Name the spectra; of several at one age the second ends in ``#2``."""
    found, names = Counter(), []
    for age in template.ages:
        name = f"{template.name}@{age:+.10g}"
        found[name] += 1
        names.append(name if found[name] == 1 else f"{name}#{found[name]}")
    return tuple(names)


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "spectra",
        f"Convert supernova spectra (SNID templates, {SUFFIX}) to records, one a spectrum.",
        "FILES",
        "templates, or a folder with them",
    )
    parser.add_argument(
        "--static-columns",
        default=",".join(STATIC_COLUMNS),
        metavar="A,B",
        help=f"of {', '.join(STATIC_COLUMNS)} (%(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    source = SpectraSource(arguments.files, names_in(arguments.static_columns))
    run_conversion(source, arguments, "data_tools.spectra")


if __name__ == "__main__":
    command.run(main)
