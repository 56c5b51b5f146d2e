"""Copies of labelled light curves at other redshifts, brightnesses and noise, as a directory of records of their own.

The physics is in `data_tools.synthetic.resimulation`. Copies stand in the partition of their object, so that a fold
that validates knows nothing of the folds that train; objects of the test split and unlabelled ones get none. Objects
are dealt in pieces to processes and written in the order of the records; the bytes do not depend on the processes.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_tools.engine.processes import cores, in_order
from data_tools.synthetic.copies import Columns, Resimulator
from data_tools.synthetic.resimulation import Settings
from tfrecords import command
from tfrecords.errors import UsageError
from tfrecords.info import DatasetInfo
from tfrecords.reader import RecordDirectory
from tfrecords.schema import Record
from tfrecords.writer import DatasetWriter

_PIECE = 16
_TEST = "test"


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """What became of an object: its copies by number, and why others are lacking."""

    object_id: str
    class_id: int
    partition: str
    copies: list[Record | None]
    reason: str


class _Task:
    """Copies a piece of the records."""

    def __init__(self, directory: str, make: tuple) -> None:
        # Only libraries that are loaded are found.
        import scipy.linalg  # noqa: F401
        from threadpoolctl import ThreadpoolController

        self._threads = ThreadpoolController()
        self._records = RecordDirectory(directory, verify=None)
        self._make = Resimulator(self._records.info, *make)

    def __call__(self, start: int) -> list[_Outcome]:
        places = range(start, min(start + _PIECE, len(self._records)))
        # A process is one core, and how many threads share a sum would show in its last digits.
        with self._threads.limit(limits=1):
            return [self._outcome(place) for place in places]

    def _outcome(self, place: int) -> _Outcome:
        record = self._records.record(place)
        partition = self._records.info.partitions[int(self._records.index["partition"][place])]
        reason = "unlabelled" if record.class_id == -1 else "test split" if partition == _TEST else ""
        copies, reason = ([], reason) if reason else self._make(record)
        return _Outcome(record.object_id, record.class_id, partition, copies, reason)


def resimulate(
    directory: str | os.PathLike,
    out: str | os.PathLike,
    copies: int,
    settings: Settings | None = None,
    *,
    columns: dict[str, str] | None = None,
    seed: int = 0,
    workers: int = 1,
    overwrite: bool = False,
    quiet: bool = True,
) -> dict[str, Counter]:
    """Write copies of the labelled objects outside the test split.

    Parameters
    ----------
    directory, out : path
        Directory of records to read, and the one to make.
    copies : int
        Of each object, at least 1.
    settings : Settings, optional
    columns : dict, optional
        ``redshift``, ``redshift_error``, ``true_redshift``: see `Columns.settle`.
    seed : int
    workers : int
        Processes; 1 computes in this one.
    overwrite, quiet : bool
        Replace records at `out`; no progress bar.

    Returns
    -------
    dict of str to Counter
        ``written``: copies by native class; ``skipped``: objects, and single copies, by reason.

    Raises
    ------
    UsageError
        If an argument cannot be, or `out` exists and may not be replaced.
    DataError
        If a record is damaged or no copy came out. Nothing stays at `out`.
    """
    settings = check(settings or Settings(), copies, workers)
    records = RecordDirectory(directory)
    info = records.info
    if Path(out).resolve() == records.path.resolve():
        raise UsageError(f"copies stand in a directory of their own, not in that of their objects. Received: {out}")
    named = {"redshift": None, "redshift_error": None, "true_redshift": None} | (columns or {})
    settled = Columns.settle(info, **named)
    numbers = np.bincount(records.index["partition"], minlength=len(info.partitions)).tolist()
    options = {"fingerprint": info.fingerprint, "copies": copies, "seed": seed}
    options |= {"columns": dataclasses.asdict(settled)}
    options |= {
        name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(settings).items()
    }
    writer = DatasetWriter(
        out,
        survey=info.survey,
        bands=info.bands,
        zero_point=info.zero_point,
        flux_unit=info.flux_unit,
        static_columns=info.static_columns,
        classes=info.classes,
        folds=info.folds,
        targets=settled.targets(info),
        source={"tool": "data_tools.resimulate", "options": options},
        expected={
            name: number * copies for name, number in zip(info.partitions, numbers, strict=True) if name != _TEST
        },
        seed=seed,
        overwrite=overwrite,
    )
    written, skipped = Counter(), Counter()
    pieces = in_order(
        _Task,
        (os.fspath(records.path.resolve()), (settled, settings, copies, seed)),
        range(0, len(records), _PIECE),
        workers,
        f"{records.path}: a process that makes copies",
    )
    with writer, contextlib.closing(pieces):
        outcomes = itertools.chain.from_iterable(pieces)
        for outcome in command.progress(outcomes, "making copies", len(records), quiet):
            _write(writer, outcome, written, skipped)
    return {"written": written, "skipped": skipped}


def _write(writer: DatasetWriter, outcome: _Outcome, written: Counter, skipped: Counter) -> None:
    if not any(outcome.copies):
        writer.skip(outcome.object_id, outcome.reason)
        skipped[outcome.reason] += 1
        return
    for number, record in enumerate(outcome.copies, start=1):
        if record is None:
            writer.skip(f"{outcome.object_id}+{number}", outcome.reason)
            skipped[f"single copies: {outcome.reason}"] += 1
        else:
            writer.write(record, outcome.partition)
            written[outcome.class_id] += 1


def check(settings: Settings, copies: int, workers: int) -> Settings:
    """Refuse what cannot be, with UsageError naming the flag."""
    low, high = settings.redshift_range
    if not 0 < low <= 1 <= high < np.inf:
        raise UsageError(f"--redshift-range is LOW,HIGH with 0 < LOW <= 1 <= HIGH. Received: {low:g},{high:g}")
    low, high = settings.brightness_range
    if not 0 < low <= high < np.inf:
        raise UsageError(f"--brightness-range is LOW,HIGH with 0 < LOW <= HIGH. Received: {low:g},{high:g}")
    for flag, value, most in (
        ("--shift-days", settings.shift_days, 1000.0),
        ("--drop-fraction", settings.drop_fraction, 0.95),
        ("--block-fraction", settings.block_fraction, 1.0),
        ("--noise", settings.noise, 3.0),
    ):
        if not 0 <= value <= most:
            raise UsageError(f"{flag} is between 0 and {most:g}. Received: {value:g}")
    for flag, value in (("--copies", copies), ("--workers", workers)):
        if value < 1:
            raise UsageError(f"{flag} is at least 1. Received: {value}")
    return settings


def _pair(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a range is two numbers, as in 0.6,1.6. Received: {text!r}") from error
    return low, high


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.resimulate",
        description="Re-simulate labelled light curves at other redshifts, brightnesses and noise, as records.",
    )
    default = Settings()
    parser.add_argument("directory", type=Path, metavar="DIR", help="directory of records")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory of records to make")
    parser.add_argument("--copies", type=int, default=5, metavar="N", help="of each object (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn (%(default)s)")
    for flag, kind, meaning in (
        ("--redshift-range", _pair, "new redshift over old, log-uniform"),
        ("--brightness-range", _pair, "factor on the flux of objects in our Galaxy, log-uniform"),
        ("--shift-days", float, "observations move by at most so many days"),
        ("--drop-fraction", float, "observations dropped: a share between 0 and this"),
        ("--block-fraction", float, "copies that lose all observations of 20 to 120 days"),
        ("--noise", float, "spread of the logarithm of the factor on flux errors"),
    ):
        value = getattr(default, flag[2:].replace("-", "_"))
        text = ",".join(f"{each:g}" for each in value) if isinstance(value, tuple) else f"{value:g}"
        metavar = "LOW,HIGH" if kind is _pair else "X"
        parser.add_argument(flag, type=kind, default=value, metavar=metavar, help=f"{meaning} ({text})")
    parser.add_argument(
        "--redshift-column",
        metavar="NAME",
        help="static column; 0 or below: in our Galaxy. none: all are (hostgal_photoz)",
    )
    parser.add_argument(
        "--redshift-error-column", metavar="NAME", help="static column with its error, or none (hostgal_photoz_err)"
    )
    parser.add_argument(
        "--true-redshift-column",
        metavar="NAME",
        help="target or static column with a better redshift, or none (redshift, else hostgal_specz)",
    )
    parser.add_argument("--workers", type=int, default=cores(), metavar="N", help="processes (one a core: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace records at --out")
    command.add_common_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    names = [field.name for field in dataclasses.fields(Settings)]
    counts = resimulate(
        arguments.directory,
        arguments.out,
        arguments.copies,
        Settings(**{name: getattr(arguments, name) for name in names}),
        columns={
            name: getattr(arguments, f"{name}_column") for name in ("redshift", "redshift_error", "true_redshift")
        },
        seed=arguments.seed,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    info = DatasetInfo.load(arguments.out)
    for line in _lines(info, counts):
        print(line)
    print(f"{arguments.out}: {info.count} copies of objects of {arguments.directory}")


def _lines(info: DatasetInfo, counts: dict[str, Counter]) -> Iterator[str]:
    for native in info.classes:
        yield f"{f'{native.name} ({native.id})':20}{counts['written'][native.id]:>8}"
    for reason, number in counts["skipped"].most_common():
        yield f"skipped: {number} {reason}"


if __name__ == "__main__":
    command.run(main)
