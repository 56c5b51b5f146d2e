"""From a data source to a directory of records: what every converter does."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_tools.sources import Source
from data_tools.splits import Partitioning
from tfrecords import command
from tfrecords.errors import DataError
from tfrecords.info import partition_names
from tfrecords.writer import DatasetWriter

_NAMED = 5


@dataclass
class Summary:
    """What a conversion did.

    Attributes
    ----------
    totals : dict of str to int
        Objects by outcome: written, skipped, quarantined.
    counts : dict
        Written records by (partition, native class).
    skipped : Counter of str
        Skipped objects by reason.
    quarantined : list of (str, str)
        Id and reason of the first few.
    warnings : list of str
    """

    totals: dict[str, int] = field(default_factory=dict)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def convert(
    source: Source,
    out: Path,
    partitioning: Partitioning,
    *,
    tool: str,
    chosen: np.ndarray | None = None,
    options: dict | None = None,
    shards: int | None = None,
    overwrite: bool = False,
    strict: bool = False,
    quiet: bool = True,
) -> Summary:
    """Write the objects of a source as a directory of records.

    Parameters
    ----------
    source : Source
    out : pathlib.Path
    partitioning : Partitioning
    tool : str
        Name of the tool, for the info file.
    chosen : numpy.ndarray, optional
        bool mask over ``source.labels()``; the others end as skipped, 'not selected'.
    options : dict, optional
        What else the info file shall say about how the records were made.
    shards : int, optional
        Shards a partition; by default of about 256 MiB.
    overwrite, strict, quiet : bool
        Replace existing records; fail on the first quarantined object; no progress bar.

    Raises
    ------
    UsageError
        If `out` exists and may not be replaced.
    DataError
        If the source is damaged, nothing is left to write, or (strict) an object is refused. Nothing stays at `out`.
    """
    ids, classes = source.labels()
    used = np.ones(len(ids), bool) if chosen is None else chosen
    partitions = np.full(len(ids), "", dtype=object)
    positions = np.flatnonzero(used)
    partitions[positions] = partitioning.assign([ids[position] for position in positions], classes[positions])
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
        source={"tool": tool, "options": {**source.options, **(options or {})}},
        shards=shards,
        expected=Counter(partitions[positions].tolist()),
        seed=partitioning.seed,
        overwrite=overwrite,
    )
    summary = Summary()
    with writer:
        for outcome in command.progress(source.objects(chosen), "converting", len(ids), quiet):
            if outcome.record is not None:
                partition = partitions[outcome.row]
                writer.write(outcome.record, partition)
                summary.counts[partition, outcome.record.class_id] += 1
            elif outcome.quarantined:
                if strict:
                    raise DataError(f"object {outcome.object_id!r} is refused (--strict): {outcome.reason}")
                writer.quarantine(outcome.object_id, outcome.reason)
                if len(summary.quarantined) < _NAMED:
                    summary.quarantined.append((outcome.object_id, outcome.reason))
            else:
                writer.skip(outcome.object_id, outcome.reason)
                summary.skipped[outcome.reason] += 1
        summary.totals = writer.totals
        if not summary.totals["written"] and summary.quarantined:
            object_id, reason = summary.quarantined[0]
            raise DataError(
                f"no object is left to write to {out}: {summary.totals}; the first one is {object_id!r}: {reason}"
            )
    summary.warnings = _warn(source, summary, partitioning)
    return summary


def _warn(source: Source, summary: Summary, partitioning: Partitioning) -> list[str]:
    names = {native.id: f"{native.name} ({native.id})" for native in source.classes}
    present = sorted({native for _, native in summary.counts if native != -1})
    if not present:
        return ["no object is labelled: all are in split 'test', nothing can be trained on them"]
    warnings = []
    if len(present) == 1:
        warnings.append(f"all objects are of one class, {names[present[0]]}: a classifier needs at least two")
    for partition in partition_names(partitioning.folds):
        lacking = [names[native] for native in present if not summary.counts[partition, native]]
        if not any(name == partition for name, _ in summary.counts):
            warnings.append(f"split {partition!r} is empty")
        elif lacking:
            warnings.append(f"split {partition!r} has no object of {', '.join(lacking)}")
    return warnings


def report(summary: Summary, source: Source, partitioning: Partitioning, out: Path) -> None:
    """Print what a conversion did: counts on standard output, trouble on standard error."""
    partitions = partition_names(partitioning.folds)
    names = {native.id: native.name for native in source.classes} | {-1: "unlabelled"}
    natives = sorted({native for _, native in summary.counts})
    width = max(len(f"{names[native]} ({native})") for native in natives)
    print(f"{'class':{width}}" + "".join(f"{name:>{len(name) + 2}}" for name in partitions))
    for native in natives:
        print(
            _line(
                f"{names[native]} ({native})",
                width,
                partitions,
                [summary.counts[p, native] for p in partitions],
            )
        )
    sums = [sum(n for (name, _), n in summary.counts.items() if name == p) for p in partitions]
    print(_line("all", width, partitions, sums))
    total = sum(summary.totals.values())
    print(f"{out}: {total} objects: " + ", ".join(f"{count} {outcome}" for outcome, count in summary.totals.items()))
    for reason, count in summary.skipped.most_common():
        print(f"skipped: {count} {reason}")
    for object_id, reason in summary.quarantined:
        print(f"quarantined: object {object_id}: {reason}", file=sys.stderr)
    more = summary.totals["quarantined"] - len(summary.quarantined)
    if more:
        print(f"quarantined: {more} more, see ledger.csv", file=sys.stderr)
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _line(label: str, width: int, partitions: Sequence[str], counts: Sequence[int]) -> str:
    cells = (f"{count:>{len(name) + 2}}" for name, count in zip(partitions, counts, strict=True))
    return f"{label:{width}}" + "".join(cells)
