"""SNANA files (FITS pairs and text) to records: ``python -m data_tools.snana``.

Truth about a simulation never becomes an input; redshift and time of maximum are kept as targets.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.formats.fits_table import Table, read_table
from data_tools.readers.snana_events import PairReader, names_of_column, text_outcome
from data_tools.readers.snana_files import Files, find_files
from data_tools.readers.snana_survey import FLUX_UNIT, SURVEYS, ZERO_POINT, Survey, load_survey, recognise
from data_tools.readers.snana_text import TextEvent, read_text
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords import command
from tfrecords.errors import DataError, UsageError

_TEXTS = 500


class SnanaSource(PiecewiseSource):
    """SNANA's HEAD+PHOT pairs and text files; a piece is a pair, or 500 text files.

    Parameters
    ----------
    paths : sequence of path
        Folders, ``.LIST`` files, HEAD files or text files.
    static_columns : sequence of str, optional
        Columns of HEAD to keep as inputs; by default those that the survey's description names.
    survey : str, optional
        Name of a description in ``surveys/``; by default the one that fits the first HEAD file.

    Raises
    ------
    UsageError
        If there is no SNANA file, a static column is truth, or the files are of several surveys.
    """

    zero_point = ZERO_POINT
    flux_unit = FLUX_UNIT

    def __init__(
        self, paths: Sequence[Path], static_columns: Sequence[str] | None = None, survey: str | None = None
    ) -> None:
        files = find_files(paths)
        if not any(not each.problem for each in files):
            problem = f" ({files[0].name}: {files[0].problem})" if files else ""
            raise UsageError(
                "SNANA data are *_HEAD.FITS[.gz] and *_PHOT.FITS[.gz] pairs or text files. "
                f"Received: none{problem} in {' '.join(map(str, paths))}"
            )
        self._survey: Survey | None = load_survey(survey) if survey else None
        self._named = survey is not None
        self._ids: list[str] = []
        self._classes: list[np.ndarray] = []
        self._pieces: list[Piece] = []
        self._columns: set[str] = set()
        pairs = [each for each in files if each.text is None]
        texts = [each for each in files if each.text is not None]
        for each in pairs:
            self._list(each.name, each, *self._scan_pair(each))
        for start in range(0, len(texts), _TEXTS):
            batch = texts[start : start + _TEXTS]
            listed = [self._scan_text(each) for each in batch]
            self._list(f"{batch[0].name} and {len(batch) - 1} more", batch, *map(list, zip(*listed, strict=True)))
        if self._survey is None:
            self._survey = load_survey("generic")
        self.survey, self.bands = self._survey.name, self._survey.bands
        self.static_columns = self._survey.static_columns(static_columns)
        self.targets = tuple(self._survey.targets)
        self._all_classes = np.concatenate(self._classes)
        present = sorted(set(self._all_classes.tolist()) - {-1})
        self.classes = tuple(self._survey.describe(each) for each in present)
        self.options = {
            "survey": self.survey,
            "files": len(files),
            "static_columns": [column.name for column in self.static_columns],
        }

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether there are SNANA files, by their names and, for text, their first lines."""
        try:
            return any(not files.problem for files in find_files(paths))
        except (DataError, OSError):
            return False

    def __len__(self) -> int:
        return len(self._ids)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_ids": [], "_classes": [], "_pieces": [], "_columns": set(), "_all_classes": None}

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects, file after file: ids and native classes. A file without a readable list is one object."""
        return self._ids, self._all_classes

    def check_columns(self) -> None:
        """Raise UsageError if no file has one of the static columns. A model's columns may be missing, a user's not."""
        for column in self.static_columns:
            if not self._columns & set(names_of_column(column.name)):
                raise UsageError(
                    f"no HEAD has this static column; columns are {', '.join(sorted(self._columns))}. "
                    f"Received: {column.name!r}"
                )

    def pieces(self) -> Sequence[Piece]:
        """List the pairs and batches of text files."""
        return self._pieces

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read a pair or a batch of text files, one outcome an event."""
        if isinstance(piece.details, Files):
            if piece.details.problem:
                raise DataError(f"{piece.name}: {piece.details.problem}")
            head = read_table(piece.details.head)
            snids, classes = self._events(piece.details, head)
            ids = [self._survey.object_id(snid, each) for snid, each in zip(snids, classes.tolist(), strict=True)]
            if len(ids) != len(piece.rows):
                raise DataError(f"{piece.name}: {len(piece.rows)} events when it was listed. Received: {len(ids)}")
            if len(ids):
                reader = PairReader(self._survey, self.static_columns, head, piece.details.phot, ids, classes)
                yield from reader.outcomes(piece.rows.start, chosen)
                yield from reader.left_over()
            return
        for position, files in enumerate(piece.details):
            row = piece.rows.start + position
            object_id, native = self._scan_text(files)
            if chosen is not None and not chosen[position]:
                yield Outcome(object_id, None, "not selected", row)
            else:
                yield text_outcome(self._survey, self.static_columns, files.text, object_id, native, row)

    def _list(self, name: str, details: Any, ids: list[str], classes: Sequence[int] | np.ndarray) -> None:
        start = len(self._ids)
        self._ids += ids
        self._classes.append(np.asarray(classes, np.int64))
        self._pieces.append(Piece(name, range(start, len(self._ids)), details))

    def _scan_pair(self, files: Files) -> tuple[list[str], Sequence[int]]:
        """List the events of a pair; a HEAD that cannot be read is one object under its name."""
        if files.head is None:
            return [files.name], [-1]
        try:
            head = read_table(files.head)
            self._columns.update(head.columns)
            if self._survey is None:
                self._survey = recognise(files.head, head.keywords, head.columns)
            elif not self._named:
                other = recognise(files.head, head.keywords, head.columns)
                if other is not self._survey:
                    raise UsageError(
                        f"{files.name}: all files are of one survey, by the first {self._survey.name}; convert them "
                        f"apart or name the survey (--survey). Received: {other.name}"
                    )
            snids, classes = self._events(files, head)
            ids = [self._survey.object_id(snid, each) for snid, each in zip(snids, classes.tolist(), strict=True)]
        except DataError:
            return [files.name], [-1]
        return ids, classes

    def _events(self, files: Files, head: Table) -> tuple[list[str], np.ndarray]:
        survey = self._survey
        snids = head.text(head.find("SNID"))
        folder = survey.class_of_folder(files.head.resolve().parent.name)
        if folder is not None:
            return snids, np.full(len(snids), folder.id, np.int64)
        for column in survey.type_columns(_simulated(head)):
            if column in head.columns:
                return snids, survey.native_classes(head.numbers(column, "i8"), column)
        return snids, np.full(len(snids), -1, np.int64)

    def _scan_text(self, files: Files) -> tuple[str, int]:
        try:
            event = read_text(files.text)
            self._columns.update(event.values)
        except DataError:
            return files.name, -1
        if self._survey is None:
            self._survey = recognise(files.text, event.keywords, tuple(event.values))
        native = _text_class(self._survey, event)
        return self._survey.object_id(event.snid, native), native


def _simulated(head: Table) -> bool:
    if str(head.keywords.get("DATATYPE", "")).startswith("SIM"):
        return True
    return "FAKE" in head.columns and len(head) > 0 and bool((head.numbers("FAKE", "i8") == 2).all())


def _text_class(survey: Survey, event: TextEvent) -> int:
    if event.type_name:
        return survey.class_of_name(event.type_name)
    for column in survey.type_columns(event.values.get("FAKE") == 2):
        if column in event.values:
            return int(survey.native_classes(np.array([event.values[column]]), column)[0])
    return -1


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "snana",
        "Convert SNANA files to records: HEAD+PHOT FITS pairs and text files, plain or gzipped. "
        "'python -m data_tools.snana synth --help': make such files.",
        "PATH",
        "folders, .LIST files, HEAD files or text files, of one survey",
    )
    parser.add_argument(
        "--survey", metavar="NAME", help=f"description to read them by: {', '.join(SURVEYS)} (by the files)"
    )
    parser.add_argument(
        "--static-columns", metavar="A,B", help="columns of HEAD to keep as inputs (those the description names)"
    )
    return parser.parse_args(argv)


def _synthesise(argv: Sequence[str]) -> None:
    from data_tools.synthetic import snana_synth

    parser = argparse.ArgumentParser(
        prog="python -m data_tools.snana synth",
        description="Make a synthetic set of gzipped SNANA FITS pairs of 32 classes, like ELAsTiCC, of any size.",
    )
    snana_synth.add_arguments(parser)
    snana_synth.run(parser.parse_args(argv))


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    if argv and argv[0] == "synth":
        return _synthesise(argv[1:])
    arguments = parse_arguments(argv)
    names = None if arguments.static_columns is None else names_in(arguments.static_columns)
    source = SnanaSource(arguments.files, names, arguments.survey)
    if names is not None:
        source.check_columns()
    run_conversion(source, arguments, "data_tools.snana")


if __name__ == "__main__":
    command.run(main)
