"""Light curves of any survey in tables (CSV, parquet) or fixed-grid arrays: ``python -m data_tools.table``.

A mapping says what the columns mean (`data_tools.readers.table_mapping`).
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.formats.streams import Opener, Unit, list_units
from data_tools.readers.table_blocks import read_blocks
from data_tools.readers.table_listing import Entry, Listing
from data_tools.readers.table_mapping import MAPPINGS, TableMapping, key_of, load_mapping, mapping_files
from data_tools.readers.table_rows import Rows, row_columns
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.schema import Record

_MAX_OBJECTS, _MAX_ROWS = 1000, 1_000_000


@dataclass
class Part:
    """What reading a piece needs.

    Attributes
    ----------
    ids : list of str
    classes : numpy.ndarray
        int64.
    values : numpy.ndarray
        f8 [objects, static columns and targets].
    problems, skipped : dict of int to str
        Objects that are refused, or have nothing to give, by what is known beforehand.
    named : list of (Unit, str)
        Files whose names give an id, and the id.
    spans : list of (Unit, int, int or None)
        Parts of files that hold rows of these objects, and of others.
    """

    ids: list[str]
    classes: np.ndarray
    values: np.ndarray
    problems: dict[int, str] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)
    named: list[tuple[Unit, str]] = field(default_factory=list)
    spans: list[tuple[Unit, int, int | None]] = field(default_factory=list)


class TableSource(PiecewiseSource):
    """Light curves in tables; a piece is up to 1,000 objects.

    Parameters
    ----------
    paths : sequence of path
        Tables, tar archives of them, or folders; may hold the YAML file of the mapping.
    static_columns : sequence of str, optional
        Of those that the mapping names; by default all.
    mapping : str or path, optional
        Name of a ready mapping, or a YAML file; by default the one among the paths.

    Raises
    ------
    UsageError
        If there is no mapping, an entry of it is wrong, or no file fits it.
    DataError
        If the object table cannot be read.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        static_columns: Sequence[str] | None = None,
        mapping: str | Path | None = None,
    ) -> None:
        paths = [Path(path) for path in paths]
        found = mapping_files(paths, "light_curves")
        if mapping is None:
            if len(found) != 1:
                names = ", ".join(path.name for path in found)
                raise UsageError(
                    "a mapping says what the columns mean: one .yaml file among the files, or --mapping with a file "
                    f"or {', '.join(MAPPINGS)}. Received: {names or 'none'}"
                )
            mapping = found[0]
        self._mapping: TableMapping = load_mapping(mapping)
        units = [unit for unit in list_units(paths) if unit.path.suffix not in (".yaml", ".yml")]
        listing = Listing(self._mapping, units)
        self._units = listing.units
        self._entries = list(listing.entries.values())
        attributes = (*self._mapping.static, *self._mapping.targets)
        names = [each.name for each in self._mapping.static]
        chosen = names if static_columns is None else list(static_columns)
        if unknown := [each for each in chosen if each not in names]:
            raise UsageError(f"static columns of the mapping are {', '.join(names) or 'none'}. Received: {unknown}")
        if len(set(chosen)) != len(chosen):
            raise UsageError(f"a static column is named once. Received: {','.join(chosen)}")
        self._static = [names.index(each) for each in chosen]
        self._targets = range(len(names), len(attributes))
        self.survey, self.bands = self._mapping.survey, self._mapping.bands
        self.zero_point = self._mapping.zero_point
        self.flux_unit = f"flux ({self.zero_point:g} mag at 1)"
        self.static_columns = tuple(self._mapping.static[each].static for each in self._static)
        self.targets = tuple(each.name for each in self._mapping.targets)
        present = {entry.class_id for entry in self._entries}
        classes = self._mapping.classes
        self.classes = tuple(each for each in (classes.classes if classes else ()) if each.id in present)
        self.options = {
            "mapping": hashlib.sha256(repr(self._mapping).encode()).hexdigest()[:12],
            "files": len(self._units),
            "static_columns": chosen,
        }

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether there is one mapping among the files; columns alone do not tell what they mean."""
        return len(mapping_files([Path(path) for path in paths], "light_curves")) == 1

    def __len__(self) -> int:
        return len(self._entries)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_entries": [], "_units": []}

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects: ids and native classes. A file without a readable list is one object."""
        return [each.id for each in self._entries], np.array([each.class_id for each in self._entries], np.int64)

    def pieces(self) -> Sequence[Piece]:
        """List the pieces: objects one after another, as many as have a million rows."""
        pieces, start = [], 0
        while start < len(self._entries):
            stop, rows = start, 0
            while stop < len(self._entries) and stop - start < _MAX_OBJECTS and (rows < _MAX_ROWS or stop == start):
                rows += self._entries[stop].rows
                stop += 1
            entries = self._entries[start:stop]
            pieces.append(Piece(self._name(entries, start), range(start, stop), self._part(entries)))
            start = stop
        return pieces

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read the light curves of a piece, one outcome an object."""
        part: Part = piece.details
        used = np.ones(len(part.ids), bool) if chosen is None else chosen
        place = {
            object_id: row
            for row, object_id in enumerate(part.ids)
            if used[row] and row not in part.problems and row not in part.skipped
        }
        rows = Rows(self._mapping, place, dict(part.problems))
        with Opener() as opener:
            self._gather(opener, part, rows)
        for number, lc in enumerate(rows.light_curves(len(part.ids))):
            object_id, row = part.ids[number], piece.rows.start + number
            if not used[number]:
                yield Outcome(object_id, None, "not selected", row)
            elif number in rows.problems:
                yield Outcome(object_id, None, rows.problems[number], row, quarantined=True)
            elif number in part.skipped:
                yield Outcome(object_id, None, part.skipped[number], row)
            elif not len(lc):
                yield Outcome(object_id, None, "no observations that the mapping keeps", row)
            else:
                values = part.values[number]
                targets = {name: values[at] for name, at in zip(self.targets, self._targets, strict=True)}
                static = values[self._static].astype("<f4")
                yield Outcome(
                    object_id, Record(object_id, self.survey, int(part.classes[number]), lc, static, targets), "", row
                )

    def _gather(self, opener: Opener, part: Part, rows: Rows) -> None:
        mapping, columns = self._mapping, row_columns(self._mapping)
        for unit, object_id in part.named:
            if object_id not in rows.place:
                continue
            try:
                for block in read_blocks(opener, unit, mapping.layout, columns):
                    rows.add(block, unit.name, object_id, _band_of(mapping, unit))
            except DataError as error:
                rows.problems.setdefault(rows.place[object_id], str(error))
        if not rows.place:
            return
        for unit, start, end in part.spans:
            for block in read_blocks(opener, unit, mapping.layout, columns, start, end):
                rows.add(block, unit.name, None, _band_of(mapping, unit))

    def _name(self, entries: Sequence[Entry], start: int) -> str:
        used = sorted({number for each in entries for number in each.files})
        used += [each.first[0] for each in entries if each.first is not None][:1]
        name = self._units[used[0]].name if used else "objects without light curves"
        return f"{name}, objects {start + 1} to {start + len(entries)}"

    def _part(self, entries: Sequence[Entry]) -> Part:
        width = len(self._mapping.static) + len(self._mapping.targets)
        values = np.full((len(entries), width), np.nan)
        for row, entry in enumerate(entries):
            if entry.values:
                values[row] = entry.values
        part = Part([each.id for each in entries], np.array([each.class_id for each in entries], np.int64), values)
        part.problems = {row: each.problem for row, each in enumerate(entries) if each.problem}
        part.skipped = {row: each.skipped for row, each in enumerate(entries) if each.skipped and not each.problem}
        named = [(self._units[number], each.id) for each in entries for number in each.files]
        # In the order in which an archive is read.
        part.named = sorted(named, key=lambda pair: (str(pair[0].path), pair[0].offset))
        good = [each for row, each in enumerate(entries) if row not in part.problems and row not in part.skipped]
        spans = [(each.first, each.last) for each in good if each.first is not None]
        if spans:
            (first, start), (last, end) = min(each for each, _ in spans), max(each for _, each in spans)
            part.spans = [
                (self._units[number], start if number == first else 0, end if number == last else None)
                for number in range(first, last + 1)
                if f"{self._units[number].name}" not in self._broken
            ]
        return part

    @property
    def _broken(self) -> set[str]:
        return {each.id for each in self._entries if each.problem and each.first is None and not each.files}


def _band_of(mapping: TableMapping, unit: Unit) -> str | None:
    if mapping.band.file is None:
        return None
    match = mapping.band.file.fullmatch(unit.base)
    return key_of(match[1]) if match else unit.base


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "table",
        "Convert light curves of any survey in tables to records: CSV (gzipped or not, in tar archives or not) and "
        "parquet, described by a mapping; or arrays on a fixed grid (--grid).",
        "FILE",
        "tables, archives or folders; with --grid one .npz or .npy files",
    )
    parser.add_argument(
        "--mapping", metavar="NAME|YAML", help=f"what the columns mean: {', '.join(MAPPINGS)} or a file (among FILEs)"
    )
    parser.add_argument("--static-columns", metavar="A,B", help="of those that the mapping names (all)")
    parser.add_argument("--grid", action="store_true", help="the files are arrays [objects, times, bands]")
    grid = parser.add_argument_group("with --grid, what the arrays do not say themselves")
    grid.add_argument("--survey", metavar="NAME", help="name of the data set (grid)")
    grid.add_argument("--bands", metavar="A=W,B=W", help="bands with their wavelengths in angstrom, such as g=4827")
    grid.add_argument("--zero-point", type=float, metavar="MAG", help="AB magnitude of a flux of 1 (27.5)")
    grid.add_argument("--start", type=float, metavar="MJD", help="MJD of the first step, where no times are given (0)")
    grid.add_argument("--step", type=float, metavar="DAYS", help="between steps, where no times are given (1)")
    grid.add_argument("--flux-err", type=float, metavar="F", help="error of all fluxes, where no weights are given")
    grid.add_argument("--skip-steps", type=int, metavar="N", help="steps at the start that are no observations (0)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    names = None if arguments.static_columns is None else names_in(arguments.static_columns)
    grid = {
        key: getattr(arguments, key)
        for key in ("survey", "bands", "zero_point", "start", "step", "flux_err", "skip_steps")
    }
    grid = {key: value for key, value in grid.items() if value is not None}
    if arguments.grid:
        from data_tools.grid import GridSource

        if arguments.mapping:
            raise UsageError(f"--grid reads arrays, which have no columns. Received: --mapping {arguments.mapping}")
        source = GridSource(arguments.files, names, **grid)
    elif grid:
        raise UsageError(f"these options go with --grid. Received: {', '.join(sorted(grid))}")
    else:
        source = TableSource(arguments.files, names, arguments.mapping)
    run_conversion(source, arguments, "data_tools.table")


if __name__ == "__main__":
    command.run(main)
