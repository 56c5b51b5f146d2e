"""PLAsTiCC: the CSV pair (metadata, light curves) to records: ``python -m data_tools.plasticc``.

Truth about the simulation never becomes an input; redshift and time of maximum may be stored as targets.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.formats import tables
from data_tools.readers.plasticc_files import find_files, objects_of, require_row_columns, row_problem
from data_tools.readers.plasticc_survey import (
    BANDS,
    DEFAULT_STATIC_COLUMNS,
    FLUX_UNIT,
    STATIC_COLUMNS,
    SURVEY,
    TARGETS,
    ZERO_POINT,
    check_static_columns,
    native_class,
)
from data_tools.sources import Outcome
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.schema import FLAG_DETECTED, LightCurve, Record, sort_rows


class PlasticcSource:
    """The PLAsTiCC pair: a metadata table, and light curves with the rows of an object one after another.

    Parameters
    ----------
    paths : sequence of path
        Metadata and light curves (several files of light curves are read as one), or a folder that holds them.
        Files are told apart by their columns.
    static_columns : sequence of str, optional
        Columns of the metadata to keep as inputs.

    Raises
    ------
    UsageError
        If the files are not one table of metadata and at least one of light curves, or a static column is truth
        about the simulation or unknown.
    DataError
        If a file is damaged, lacks a column, or an id stands in the metadata twice.
    """

    survey = SURVEY
    bands = BANDS
    zero_point = ZERO_POINT
    flux_unit = FLUX_UNIT

    def __init__(self, paths: Sequence[Path], static_columns: Sequence[str] | None = None) -> None:
        names = DEFAULT_STATIC_COLUMNS if static_columns is None else tuple(static_columns)
        check_static_columns(names)
        self.static_columns = tuple(STATIC_COLUMNS[name] for name in names)
        self.metadata, self.light_curves = find_files(paths)
        self.options = {
            "files": [path.name for path in (self.metadata, *self.light_curves)],
            "static_columns": list(names),
        }
        self._read_metadata(names)
        for path in self.light_curves:
            require_row_columns(path)

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether the paths are a PLAsTiCC pair, by their columns."""
        try:
            metadata, light_curves = find_files(paths)
            header = tables.read_header(metadata)
            return "object_id" in header and any(name in header for name in STATIC_COLUMNS) and bool(light_curves)
        except (DataError, UsageError, OSError):
            return False

    def __len__(self) -> int:
        return len(self._ids)

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects in the order of the metadata: ids and native classes (int64, -1 unlabelled)."""
        return [str(each) for each in self._ids.tolist()], self._classes

    def objects(self, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Go through the objects in the order of the light curves; those without a row follow at the end.

        Raises
        ------
        DataError
            If a file is cut short or damaged, or the rows of an object are not together.
        """
        order = np.argsort(self._ids)
        ordered = self._ids[order]
        seen = np.zeros(len(self), bool)
        unlisted: set[int] = set()
        for object_id, rows, where in objects_of(self.light_curves):
            place = int(np.searchsorted(ordered, object_id))
            listed = place < len(ordered) and ordered[place] == object_id
            position = int(order[place]) if listed else -1
            if seen[position] if listed else object_id in unlisted:
                raise DataError(
                    f"{where}: the rows of an object stand together. Received: rows of object {object_id} "
                    "that was complete before"
                )
            if not listed:
                unlisted.add(object_id)
                yield Outcome(str(object_id), None, "not in the metadata")
                continue
            seen[position] = True
            if chosen is not None and not chosen[position]:
                yield Outcome(str(object_id), None, "not selected", position)
            else:
                yield self._outcome(position, rows, where)
        for position in np.flatnonzero(~seen).tolist():
            reason = "no observations" if chosen is None or chosen[position] else "not selected"
            yield Outcome(str(self._ids[position]), None, reason, position)

    def _outcome(self, position: int, rows: dict[str, np.ndarray], where: str) -> Outcome:
        object_id = str(self._ids[position])
        static = self._static[position]
        problem = row_problem(rows)
        if problem:
            problem = f"{where}: {problem}"
        elif np.isinf(static).any():
            name = self.static_columns[int(np.argmax(np.isinf(static)))].name
            problem = f"{self.metadata.name}: column {name!r} is infinite"
        if problem:
            return Outcome(object_id, None, problem, position, quarantined=True)
        lc = LightCurve(
            time=rows["mjd"],
            band=rows["passband"].astype("u1"),
            flux=rows["flux"],
            flux_err=rows["flux_err"],
            flags=rows["detected"].astype("u1") * FLAG_DETECTED,
        )
        targets = {name: values[position] for name, values in self._targets.items()}
        record = Record(object_id, SURVEY, int(self._classes[position]), sort_rows(lc), static, targets)
        return Outcome(object_id, record, "", position)

    def _read_metadata(self, names: Sequence[str]) -> None:
        header = tables.read_header(self.metadata)
        tables.require_columns(self.metadata, header, ("object_id", *names))
        optional = [name for name in ("target", *TARGETS) if name in header]
        columns: dict[str, type] = {"object_id": int} | {name: float for name in (*names, *optional)}
        pieces = list(tables.read_pieces(self.metadata, columns))
        table = {name: np.concatenate([piece[name] for piece in pieces]) for name in columns} if pieces else {}
        if not table or not len(table["object_id"]):
            raise DataError(f"{self.metadata}: holds no object. Received: a header only")
        self._ids = table["object_id"]
        self._refuse_duplicates()
        self._classes = self._read_classes(table.get("target"))
        # A value beyond float32 becomes infinite and is refused with its object.
        with np.errstate(over="ignore"):
            static = np.stack([table[name] for name in names], axis=1) if names else np.zeros((len(self._ids), 0))
            self._static = static.astype("<f4")
        self._targets = {target: table[name] for name, target in TARGETS.items() if name in table}
        self.targets = tuple(self._targets)
        present = sorted(set(self._classes.tolist()) - {-1})
        self.classes = tuple(native_class(each) for each in present)

    def _refuse_duplicates(self) -> None:
        values, counts = np.unique(self._ids, return_counts=True)
        twice = values[counts > 1]
        if len(twice):
            rows = [row + 1 for row in np.flatnonzero(self._ids == twice[0]).tolist()]
            more = f" and {len(twice) - 1} more ids" if len(twice) > 1 else ""
            raise DataError(
                f"{self.metadata}: an object_id stands there once. Received: {twice[0]} in data rows {rows}{more}"
            )

    def _read_classes(self, target: np.ndarray | None) -> np.ndarray:
        if target is None:
            return np.full(len(self._ids), -1, np.int64)
        labelled = ~np.isnan(target) & (target != -1)
        bad = labelled & ((target != np.floor(target)) | (target < 0) | (np.abs(target) > 1e9))
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"{self.metadata}: object {self._ids[row]}: column 'target' is the number of a class, or -1 or empty "
                f"without label. Received: {target[row]}"
            )
        return np.where(labelled, target, -1).astype(np.int64)


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "plasticc",
        "Convert a PLAsTiCC pair (metadata and light curves: CSV, gzipped CSV or parquet) to records.",
        "METADATA LIGHTCURVES",
        "or one folder with both",
    )
    parser.add_argument(
        "--static-columns",
        default=",".join(DEFAULT_STATIC_COLUMNS),
        metavar="A,B",
        help=f"of {', '.join(STATIC_COLUMNS)} (%(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    source = PlasticcSource(arguments.files, names_in(arguments.static_columns))
    run_conversion(source, arguments, "data_tools.plasticc")


if __name__ == "__main__":
    command.run(main)
