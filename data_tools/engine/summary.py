"""What a conversion did: counts, the limit on refused objects, and the printed report."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_tools.engine.splits import Partitioning
from data_tools.sources import Source
from tfrecords.errors import DataError
from tfrecords.info import partition_names
from tfrecords.layout import Layout
from tfrecords.parts import Part

_NAMED = 5


@dataclass(frozen=True)
class MaxBad:
    """How many objects of a source may be quarantined before the conversion is given up.

    Attributes
    ----------
    number : int, optional
    share : float, optional
        Of the objects of the source, instead.
    flag : str
        What asked for it, for the message.
    """

    number: int | None = None
    share: float | None = None
    flag: str = "--max-bad"

    @classmethod
    def parse(cls, text: str) -> MaxBad:
        """Read ``20`` or ``1.5%``. Raises ValueError."""
        bad = cls(share=float(text[:-1]) / 100) if text.endswith("%") else cls(number=int(text))
        if (bad.number or 0) < 0 or not 0 <= (bad.share or 0) <= 1:
            raise ValueError(text)
        return bad

    def of(self, objects: int) -> float:
        """Give the limit for so many objects."""
        if self.share is not None:
            return self.share * objects
        return float("inf") if self.number is None else self.number


STRICT = MaxBad(number=0, flag="--strict")


@dataclass
class Summary:
    """What a conversion did.

    Attributes
    ----------
    limit : MaxBad
    objects : int
        That the source lists.
    totals : dict of str to int
        Objects by outcome: written, skipped, quarantined.
    counts : dict
        Written records by (partition, native class).
    skipped : Counter of str
        Skipped objects by reason.
    quarantined : list of (str, str)
        Id and reason of the first few.
    bad : int
        Number of quarantined objects.
    resumed : int
        Pieces that a killed conversion of the same input had done.
    warnings : list of str
    """

    limit: MaxBad = field(default_factory=MaxBad)
    objects: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    bad: int = 0
    resumed: int = 0
    warnings: list[str] = field(default_factory=list)

    def count_bad(self, object_id: str, reason: str) -> None:
        """Count a quarantined object. Raises DataError if there are more than the limit."""
        self.bad += 1
        if len(self.quarantined) < _NAMED:
            self.quarantined.append((object_id, reason))
        if self.bad > self.limit.of(self.objects):
            if self.limit == STRICT:
                raise DataError(f"object {object_id!r} is refused (--strict): {reason}")
            raise DataError(
                f"at most {self.limit.of(self.objects):g} of {self.objects} objects may be refused "
                f"({self.limit.flag}). Received: one more, object {object_id!r}: {reason}"
            )

    def count_part(self, part: Part, layout: Layout) -> None:
        """Count the objects of a part. Raises DataError if more were refused than the limit."""
        names = layout.info.partitions
        for (partition, native), count in Counter(part.rows[["partition", "class_id"]].tolist()).items():
            self.counts[names[partition], native] += count
        for line in part.ledger:
            if line.outcome == "skipped":
                self.skipped[line.reason] += 1
            elif line.outcome == "quarantined":
                self.count_bad(line.object_id, line.reason)


def warnings_of(source: Source, summary: Summary, partitioning: Partitioning) -> list[str]:
    """List what training on the records would stumble over: missing classes, empty splits."""
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
    if summary.resumed:
        print(f"went on with {summary.resumed} pieces of a conversion that was killed", file=sys.stderr)
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _line(label: str, width: int, partitions: Sequence[str], counts: Sequence[int]) -> str:
    cells = (f"{count:>{len(name) + 2}}" for name, count in zip(partitions, counts, strict=True))
    return f"{label:{width}}" + "".join(cells)
