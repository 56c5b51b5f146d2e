"""Periods and curve statistics of variable stars, written as static columns: ``python -m data_tools.periods``.

What is computed is stated in `data_tools.computed.period_values`. The records come out as they went in, with the same
ids, partitions, classes and targets, and with more static columns. Objects are dealt in pieces to processes and
written in the order of the ledger; the bytes do not depend on the processes.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_tools.computed.period_values import VALUES, PeriodValues, columns
from data_tools.engine.processes import cores, in_order
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import StaticColumn
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.schema import Record
from tfrecords.transfer import Carried, Origin, carry_groups, refuse_same, rows_of, settings_of
from tfrecords.writer import DatasetWriter

_PIECE = 16
_CAUTION = "computed from the whole light curve, also from what comes after the day of a score"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is computed.

    Attributes
    ----------
    min_period : float
        Days.
    max_period : float, optional
        Days; by default the span of each light curve.
    values : {'magnitude', 'flux'}
    caution : bool
        Mark the columns: a run then uses them only where they are named.
    """

    min_period: float = 0.04
    max_period: float | None = None
    values: str = "magnitude"
    caution: bool = False

    def __post_init__(self) -> None:
        if not 1e-3 <= self.min_period < np.inf:
            raise UsageError(f"--min-period is at least 0.001 days. Received: {self.min_period:g}")
        if self.max_period is not None and not self.min_period < self.max_period < np.inf:
            raise UsageError(f"--max-period is above --min-period ({self.min_period:g}). Received: {self.max_period:g}")
        if self.values not in VALUES:
            raise UsageError(f"--values is one of {', '.join(VALUES)}. Received: {self.values!r}")

    def columns(self, flux_unit: str) -> tuple[StaticColumn, ...]:
        """Give the columns, with their caution."""
        caution = _CAUTION if self.caution else ""
        return tuple(dataclasses.replace(each, caution=caution) for each in columns(self.values, flux_unit))


class _Task:
    """Computes a piece of the records."""

    def __init__(self, directory: str, settings: Settings) -> None:
        # Only libraries that are loaded are found.
        import scipy.fft  # noqa: F401
        import scipy.ndimage  # noqa: F401
        from threadpoolctl import ThreadpoolController

        self._threads = ThreadpoolController()
        self._records = RecordDirectory(directory, verify=None)
        self._compute = PeriodValues(
            self._records.info.zero_point, settings.values, settings.min_period, settings.max_period
        )

    def __call__(self, rows: Sequence[int]) -> list[np.ndarray]:
        # A process is one core, and how many threads share a sum would show in its last digits.
        with self._threads.limit(limits=1):
            return [self._compute(self._records.record(row).lc) for row in rows]


def add_periods(
    directory: str | os.PathLike,
    out: str | os.PathLike,
    settings: Settings | None = None,
    *,
    workers: int = 1,
    seed: int = 0,
    overwrite: bool = False,
    quiet: bool = True,
) -> tuple[dict[str, int], Carried]:
    """Write records again with the computed static columns behind their own.

    Parameters
    ----------
    directory, out : path
        Directory of records to read, and the one to make.
    settings : Settings, optional
    workers : int
        Processes; 1 computes in this one.
    seed : int
        Of the hash that deals records to shards.
    overwrite, quiet : bool
        Replace records at `out`; no progress bar.

    Returns
    -------
    (dict of str to int, Carried)
        Number of records that have each of the columns, and the derived groups that went along.

    Raises
    ------
    UsageError
        If an argument cannot be, the records have a column of that name already, or `out` exists and may not be
        replaced.
    DataError
        If a record is damaged or the ledger does not fit the records. Nothing stays at `out`.
    """
    settings = settings or Settings()
    if workers < 1:
        raise UsageError(f"--workers is at least 1. Received: {workers}")
    records = RecordDirectory(directory)
    refuse_same(records.path, Path(out))
    info = records.info
    new = settings.columns(info.flux_unit)
    taken = [each.name for each in new if each.name in {column.name for column in info.static_columns}]
    if taken:
        raise UsageError(
            f"{records.path}: has static columns of these names already; take the records without them. "
            f"Received: {', '.join(taken)}"
        )
    numbers = np.bincount(records.index["partition"], minlength=len(info.partitions)).tolist()
    options = dataclasses.asdict(settings) | {"fingerprint": info.fingerprint, "records": info.source, "seed": seed}
    writer = DatasetWriter(
        out,
        **settings_of(info) | {"static_columns": (*info.static_columns, *new)},
        source={"tool": "data_tools.periods", "options": options},
        expected=dict(zip(info.partitions, numbers, strict=True)),
        seed=seed,
        overwrite=overwrite,
    )
    # The ledger's order is not that of the shards, and the rows are computed in the order in which they are written.
    rows = rows_of(records)
    lines = list(read_ledger(records.path))
    order = [rows.get(line["object_id"], -1) for line in lines if line["outcome"] == "written"]
    if sorted(order) != list(range(len(records))):
        raise DataError(
            f"{records.path}: ledger and records do not list the same objects. Received: {len(order)} lines"
        )
    pieces = in_order(
        _Task,
        (os.fspath(records.path.resolve()), settings),
        [order[start : start + _PIECE] for start in range(0, len(order), _PIECE)],
        workers,
        f"{records.path}: a process that computes periods",
    )
    known: Counter[str] = Counter()
    with writer, contextlib.closing(pieces):
        values = itertools.chain.from_iterable(pieces)
        row = iter(order)
        for line in command.progress(lines, "computing periods", len(lines), quiet):
            if line["outcome"] == "skipped":
                writer.skip(line["object_id"], line["reason"])
            elif line["outcome"] == "quarantined":
                writer.quarantine(line["object_id"], line["reason"])
            else:
                place, found = next(row), next(values)
                partition = info.partitions[int(records.index["partition"][place])]
                writer.write(_appended(records.record(place), found, len(info.static_columns)), partition)
                known.update(each.name for each, value in zip(new, found, strict=True) if np.isfinite(value))
    return {each.name: known[each.name] for each in new}, carry_groups(Path(out), [Origin(records, rows)])


def _appended(record: Record, found: np.ndarray, own: int) -> Record:
    """Give the record with the values behind its own static ones, which are NaN where it has none."""
    static = np.full(own, np.nan) if record.static is None else record.static
    return dataclasses.replace(record, static=np.concatenate([static, found]))


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.periods",
        description="Write records again with periods and curve statistics of variable stars as static columns.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="directory of records")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory of records to make")
    parser.add_argument("--min-period", type=float, default=0.04, metavar="DAYS", help="shortest (%(default)s)")
    parser.add_argument("--max-period", type=float, metavar="DAYS", help="longest (span of each light curve)")
    parser.add_argument(
        "--values", choices=VALUES, default=VALUES[0], help="what is analysed; flux for difference images (%(default)s)"
    )
    parser.add_argument(
        "--caution", action="store_true", help="mark the columns: runs use them only where they are named"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the hash that deals records to shards (%(default)s)")
    parser.add_argument("--workers", type=int, default=cores(), metavar="N", help="processes (one a core: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace records at --out")
    command.add_common_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    known, carried = add_periods(
        arguments.directory,
        arguments.out,
        Settings(arguments.min_period, arguments.max_period, arguments.values, arguments.caution),
        workers=arguments.workers,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    for name, number in known.items():
        print(f"{name:24}{number:>8}")
    if carried.names:
        print(f"derived groups carried along: {', '.join(carried.names)}")
    for name, why in carried.dropped.items():
        print(f"derived group {name!r} is dropped: {why}")
    total = len(RecordDirectory(arguments.out, verify=None))
    print(f"{arguments.out}: {total} records, {known['period']} of them with a period")


if __name__ == "__main__":
    command.run(main)
