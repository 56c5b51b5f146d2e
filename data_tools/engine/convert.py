"""From a data source to a directory of records: what every converter does."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from data_tools.engine.distributed import over_scheduler
from data_tools.engine.piecewise import Converter, Work, alone_in, codes_of, list_work, parts_folder, prepare_folder
from data_tools.engine.processes import in_order
from data_tools.engine.splits import Partitioning
from data_tools.engine.summary import MaxBad, Summary, warnings_of
from data_tools.sources import Outcome, PiecewiseSource, Source
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import partition_names
from tfrecords.layout import Layout
from tfrecords.parts import Part
from tfrecords.writer import DatasetWriter


def convert(
    source: Source,
    out: Path,
    partitioning: Partitioning,
    *,
    tool: str,
    chosen: np.ndarray | None = None,
    options: dict | None = None,
    inputs: Sequence[Path] = (),
    shards: int | None = None,
    overwrite: bool = False,
    max_bad: MaxBad | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    quiet: bool = True,
) -> Summary:
    """Write the objects of a source as a directory of records.

    A source that is read in pieces is converted by several processes and can go on after it was killed; the bytes are
    the same however many processes there are.

    Parameters
    ----------
    source : Source
    out : pathlib.Path
    partitioning : Partitioning
        Unless the source has partitions of its own.
    tool : str
        Name of the tool, for the info file.
    chosen : numpy.ndarray, optional
        bool mask over ``source.labels()``; the others end as skipped, 'not selected'.
    options : dict, optional
        What else the info file shall say about how the records were made.
    inputs : sequence of pathlib.Path
        Files and folders of the source; a conversion that was killed goes on only if they are the same.
    shards : int, optional
        Shards a partition; by default of about 256 MiB.
    overwrite, quiet : bool
        Replace existing records; no progress bar.
    max_bad : MaxBad, optional
        How many objects may be quarantined; by default any number.
    workers : int
        Processes, for a source that is read in pieces.
    scheduler : str, optional
        Address of a Dask scheduler whose workers convert instead.

    Raises
    ------
    UsageError
        If `out` exists and may not be replaced, or the source is not read in pieces and `scheduler` is given.
    DataError
        If the source is damaged, nothing is left to write, or too many objects are refused. Nothing stays at `out`.
    """
    ids, classes = source.labels()
    used = np.ones(len(ids), bool) if chosen is None else chosen
    positions = np.flatnonzero(used)
    partitions = np.full(len(ids), "", dtype=object)
    partitions[positions] = _partitions_of(source, partitioning, ids, classes, positions)
    options = {**source.options, **(options or {})}
    writer = DatasetWriter(
        out,
        survey=source.survey,
        bands=source.bands,
        zero_point=source.zero_point,
        flux_unit=source.flux_unit,
        static_columns=source.static_columns,
        classes=source.classes,
        folds=partitioning.folds,
        targets=source.targets,
        stamp_channels=getattr(source, "stamp_channels", ()),
        alert_columns=getattr(source, "alert_columns", ()),
        source={"tool": tool, "options": options},
        shards=shards,
        expected=Counter(partitions[positions].tolist()),
        seed=partitioning.seed,
        overwrite=overwrite,
    )
    summary = Summary(limit=max_bad or MaxBad(), objects=len(ids))
    if isinstance(source, PiecewiseSource):
        codes = codes_of(ids, partitions, partition_names(partitioning.folds), used)
        work = list_work(source.pieces(), ids, codes)
        parts = _Parts(source, writer.layout, parts_folder(out), workers, scheduler)
        with alone_in(parts.folder):
            summary.resumed = prepare_folder(parts.folder, writer.layout, work, inputs, tool=tool, options=options)
            with parts, writer:
                for part in command.progress(parts.of(work), "converting", len(work), quiet):
                    writer.append(part)
                    summary.count_part(part, writer.layout)
                _finish(summary, writer, out)
    elif scheduler is not None:
        raise UsageError(f"{tool} reads its files in one go; leave out --scheduler. Received: {scheduler!r}")
    else:
        with writer:
            for outcome in command.progress(source.objects(chosen), "converting", len(ids), quiet):
                _write(writer, outcome, partitions, summary)
            _finish(summary, writer, out)
    summary.warnings = warnings_of(source, summary, partitioning)
    return summary


def _partitions_of(
    source: Source, partitioning: Partitioning, ids: Sequence[str], classes: np.ndarray, positions: np.ndarray
) -> np.ndarray:
    published = source.partitions() if hasattr(source, "partitions") else None
    if published is None:
        groups = source.groups() if hasattr(source, "groups") else None
        return partitioning.assign(
            [ids[position] for position in positions],
            classes[positions],
            None if groups is None else [groups[position] for position in positions],
        )
    if partitioning.folds:
        raise UsageError(
            "the source has published splits; leave out --folds (python -m data_tools.partition makes others of the "
            f"records). Received: --folds {partitioning.folds}"
        )
    return np.asarray(published, dtype=object)[positions]


def _write(writer: DatasetWriter, outcome: Outcome, partitions: np.ndarray, summary: Summary) -> None:
    if outcome.record is not None:
        partition = partitions[outcome.row]
        writer.write(outcome.record, partition)
        summary.counts[partition, outcome.record.class_id] += 1
    elif outcome.quarantined:
        writer.quarantine(outcome.object_id, outcome.reason)
        summary.count_bad(outcome.object_id, outcome.reason)
    else:
        writer.skip(outcome.object_id, outcome.reason)
        summary.skipped[outcome.reason] += 1


def _finish(summary: Summary, writer: DatasetWriter, out: Path) -> None:
    summary.totals = writer.totals
    if not summary.totals["written"] and summary.quarantined:
        object_id, reason = summary.quarantined[0]
        raise DataError(
            f"no object is left to write to {out}: {summary.totals}; the first one is {object_id!r}: {reason}"
        )


class _Parts:
    """The parts of a conversion, made by processes of this machine or by Dask's workers; removed unless killed."""

    def __init__(
        self, source: PiecewiseSource, layout: Layout, folder: Path, workers: int, scheduler: str | None
    ) -> None:
        self.folder = folder
        self._arguments = (source, layout, folder)
        self._workers, self._scheduler = workers, scheduler

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Exception):
            shutil.rmtree(self.folder, ignore_errors=True)

    def of(self, work: Sequence[Work]) -> Iterator[Part]:
        """Give the parts in the order of the pieces, as they are done."""
        failure = "a process that converts pieces"
        if self._scheduler is None:
            done = in_order(Converter, self._arguments, work, self._workers, failure)
        else:
            done = over_scheduler(Converter, self._arguments, work, self._scheduler, failure)
        with contextlib.closing(done):
            yield from map(Part, done)
