"""Computed light-curve features of a directory of records, as a derived group beside them.

What is computed is stated in `data_tools.computed.feature_list`. Objects are dealt in pieces to processes and written
in the order of the records; memory does not grow with their number, and the bytes do not depend on the processes.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_tools.computed.feature_list import columns
from data_tools.computed.feature_values import FeatureExtractor, code_version
from data_tools.computed.published_features import join
from data_tools.engine.processes import cores, in_order
from tfrecords import command
from tfrecords.derived import DerivedGroup, DerivedWriter
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import Record

DAYS = tuple(float(2**power) for power in range(12))
_PIECE = 64

Piece = tuple[list[str], np.ndarray]


def compute(
    directory: str | os.PathLike,
    name: str = "features",
    days: Sequence[float] = DAYS,
    *,
    workers: int = 1,
    overwrite: bool = False,
    quiet: bool = True,
) -> Path:
    """Compute the features of all records and write them as a derived group.

    Parameters
    ----------
    directory : path
        A directory of records.
    name : str
        Of the derived group.
    days : sequence of float
        Days after the reference time; each row of the group is computed from the observations until then.
        Positive and increasing; infinity stands for the whole light curve.
    workers : int
        Processes; 1 computes in this one.
    overwrite : bool
        Replace a group of that name.
    quiet : bool
        No progress bar.

    Returns
    -------
    pathlib.Path
        Of the group.

    Raises
    ------
    UsageError
        If days, workers or name cannot be, or the group exists and may not be replaced.
    DataError
        If there are no records, one is damaged, or the `light-curve` package is missing. Nothing of the group stays.
    """
    days = check_days(days)
    if workers < 1:
        raise UsageError(f"--workers is at least 1. Received: {workers}")
    records = RecordDirectory(directory)
    bands = [band.name for band in records.info.bands]
    writer = DerivedWriter(records, name, columns(bands), days, code_version())
    if writer.path.exists() and not overwrite:
        raise UsageError(
            f"{writer.path}: exists already; --overwrite replaces it, --name gives the new one another name. "
            f"Received: --name {name}"
        )
    with writer, contextlib.closing(_pieces(records, days, workers)) as pieces:
        found = itertools.chain.from_iterable(zip(*piece, strict=True) for piece in pieces)
        for object_id, values in command.progress(found, "computing features", len(records), quiet):
            writer.append(object_id, values)
    return writer.path


def check_days(days: Sequence[float]) -> tuple[float, ...]:
    """Refuse days that are not positive and increasing, with UsageError."""
    days = tuple(float(day) for day in days)
    if not days or not all(day > 0 for day in days) or any(b <= a for a, b in itertools.pairwise(days)):
        received = ",".join(f"{day:g}" for day in days) or "no day"
        raise UsageError(f"--days are positive and increase, as in 1,2,4,8 or 30,inf. Received: {received}")
    return days


def _pieces(records: RecordDirectory, days: tuple[float, ...], workers: int) -> Iterator[Piece]:
    """Give ids and values of one piece of the records after the other."""
    starts = range(0, len(records), _PIECE)
    arguments = (os.fspath(records.path.resolve()), days)
    return in_order(_make_task, arguments, starts, workers, f"{records.path}: a process that computes features")


class _Task:
    """Computes a piece of the records."""

    def __init__(self, records: RecordDirectory, days: tuple[float, ...]) -> None:
        self._records, self._days = records, days
        self._extract = FeatureExtractor([band.name for band in records.info.bands])

    def __call__(self, start: int) -> Piece:
        ids, values = [], []
        for place in range(start, min(start + _PIECE, len(self._records))):
            record = self._records.record(place)
            ids.append(record.object_id)
            values.append(self._values(record, place))
        return ids, np.stack(values)

    def _values(self, record: Record, place: int) -> np.ndarray:
        try:
            return self._extract(record.lc, self._days)
        except DataError as error:
            raise DataError(f"{self._records.where(place)}, object {record.object_id!r}: {error}") from None


def _make_task(directory: str, days: tuple[float, ...]) -> _Task:
    return _Task(RecordDirectory(directory, verify=None), days)


def days_argument(text: str) -> list[float]:
    """Read days from a command line."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"days are numbers, as in 1,2,4,8. Received: {text!r}") from error


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.features",
        description="Compute light-curve features of a directory of records, as a derived group beside them.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="directory of records")
    parser.add_argument("--name", default="features", help="of the derived group (%(default)s)")
    parser.add_argument(
        "--days",
        type=days_argument,
        default=DAYS,
        metavar="A,B",
        help=f"days after the reference time, inf for all ({','.join(f'{day:g}' for day in DAYS)})",
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FOLDER",
        help="join published tables by id instead, one parquet file a day, such as features_0008.parquet",
    )
    parser.add_argument("--id-column", metavar="NAME", help="of the published tables (their index, object_id or SNID)")
    parser.add_argument("--workers", type=int, default=cores(), metavar="N", help="processes (one a core: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace a group of that name")
    command.add_common_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    if arguments.source is not None:
        path, counts = join(
            arguments.directory,
            arguments.source,
            arguments.name,
            id_column=arguments.id_column,
            overwrite=arguments.overwrite,
            quiet=arguments.quiet,
        )
        for what, count in counts.items():
            if count:
                print(f"{count} {'rows of objects that are no records' if what == 'unknown' else 'infinite values'}")
        return _report(arguments, path)
    path = compute(
        arguments.directory,
        arguments.name,
        arguments.days,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    return _report(arguments, path)


def _report(arguments: argparse.Namespace, path: Path) -> None:
    records = RecordDirectory(arguments.directory, verify=None)
    group = DerivedGroup(records, arguments.name)
    days = ", ".join(f"{day:g}" for day in group.days)
    print(f"{path}: {len(group.columns)} features ({group.code_version}) of {len(records)} objects at days {days}")


if __name__ == "__main__":
    command.run(main)
