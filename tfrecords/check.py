"""Check a directory of records: ``python -m tfrecords.check DIR [--deep] [--json]``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfrecords import command, reader
from tfrecords.derived import DerivedGroup, derived_names
from tfrecords.errors import DataError
from tfrecords.framing import read_frame
from tfrecords.info import INDEX_FILE, INFO_FILE, LEDGER_FILE, OUTCOMES, DatasetInfo
from tfrecords.sample import sample_path
from tfrecords.schema import decode

_SHOWN = 20


@dataclass(frozen=True)
class Violation:
    """One broken rule: the file, the record's number in it (-1: the whole file), the object if known, and what."""

    file: str
    record: int
    object_id: str
    message: str


@dataclass
class Report:
    """What a check found."""

    path: str
    deep: bool
    records: int = 0
    bytes: int = 0
    violations: list[Violation] = field(default_factory=list)
    seconds: float = 0.0


def check(path: Path, deep: bool = False, quiet: bool = True) -> Report:
    """Check a directory of records and list every violation.

    Parameters
    ----------
    path : pathlib.Path
    deep : bool
        False: info file, sizes and counts of shards, index and ledger. True: every checksum, every record against
        the schema and the info file (light curves, spectra, stamps, targets), ids, order of rows, the index against
        the shards, and derived groups as well.
    quiet : bool
        No progress bar.

    Returns
    -------
    Report
        Without violations if all is well.
    """
    start = time.perf_counter()
    report = Report(str(path), deep)
    _check(path, report, quiet)
    report.seconds = time.perf_counter() - start
    return report


def _check(path: Path, report: Report, quiet: bool) -> None:
    try:
        info = DatasetInfo.load(path)
    except DataError as error:
        report.violations.append(Violation(INFO_FILE, -1, "", str(error)))
        return
    report.records, report.bytes = info.count, sum(shard.bytes for shard in info.shards)
    problems = reader.size_problems(path, info)
    index = None
    try:
        index = reader.load_index(path, info)
        problems += reader.index_problems(path, info, index)
    except DataError as error:
        problems.append((INDEX_FILE, str(error)))
    report.violations += [Violation(file or INDEX_FILE, -1, "", message) for file, message in problems]
    report.violations += _check_ledger(path, info)
    # Without shards and an index that agree, each record would only repeat the same complaint.
    if report.deep and not problems:
        digests = reader.digest_problems(path, info)
        report.violations += [Violation(file, -1, "", message) for file, message in digests]
        report.violations += _check_records(path, info, index, quiet)
        report.violations += _check_derived(path)


def _check_ledger(path: Path, info: DatasetInfo) -> list[Violation]:
    try:
        totals = Counter(row["outcome"] for row in reader.read_ledger(path))
    except DataError as error:
        return [Violation(LEDGER_FILE, -1, "", str(error))]
    expected = dataclasses.asdict(info.ledger)
    expected.pop("input")
    found = {name: totals.pop(name, 0) for name in OUTCOMES}
    if found == expected and not totals:
        return []
    message = f"{path / LEDGER_FILE}: the info file says {expected}. Received: {found | dict(totals)}"
    return [Violation(LEDGER_FILE, -1, "", message)]


def _check_records(path: Path, info: DatasetInfo, index: np.ndarray, quiet: bool) -> Iterator[Violation]:
    directory = reader.RecordDirectory(path, verify=None)
    partitions: dict[str, str] = {}
    for number in command.progress(range(len(index)), "checking", len(index), quiet):
        row = index[number]
        shard = info.shards[int(row["shard"])]
        where = directory.where(number)
        in_shard = int(where.rsplit(" ", 1)[1])
        try:
            record = decode(read_frame(directory.buffer(int(row["shard"])), int(row["offset"]), where), where)
        except DataError as error:
            yield Violation(shard.name, in_shard, "", str(error))
            continue
        problems = info.problems_of(record)
        length = len(record.lc) if record.lc is not None else 0
        if (length, record.class_id) != (int(row["length"]), int(row["class_id"])):
            problems.append(
                f"{INDEX_FILE} says {row['length']} rows, class {row['class_id']}. Received: {length}, "
                f"{record.class_id}"
            )
        if record.object_id in partitions:
            problems.append(f"object ids are unique in a data set. Received: {record.object_id!r} twice")
        partitions[record.object_id] = shard.partition
        for problem in problems:
            yield Violation(shard.name, in_shard, record.object_id, f"{where}, object {record.object_id!r}: {problem}")
    yield from _compare_ledger(path, partitions)


def _compare_ledger(path: Path, partitions: dict[str, str]) -> Iterator[Violation]:
    try:
        for row in reader.read_ledger(path):
            object_id = row["object_id"]
            partition = partitions.pop(object_id, None)
            if partition != (row["partition"] if row["outcome"] == "written" else None):
                message = f"object {object_id!r} is {row['outcome']} {row['partition']}. Received: {partition}"
                yield Violation(LEDGER_FILE, -1, object_id, f"{path / LEDGER_FILE}: {message}")
    except DataError:
        return
    for object_id in partitions:
        message = f"{path / LEDGER_FILE}: object {object_id!r} of the records is not in it"
        yield Violation(LEDGER_FILE, -1, object_id, message)


def _check_derived(path: Path) -> Iterator[Violation]:
    for name in derived_names(path):
        try:
            group = DerivedGroup(path, name)
            if not group.is_intact():
                raise DataError(f"{group.path}: damaged (another SHA-256 than in its info file)")
        except DataError as error:
            yield Violation(f"derived/{name}", -1, "", str(error))


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 without violations, 1 with."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords.check",
        description="Check a directory of records: sizes and counts, or (--deep) every checksum and every rule.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=sample_path(), help="default: embedded sample")
    parser.add_argument("--deep", action="store_true", help="read everything: checksums, schema, ids, order, index")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_common_flags(parser)
    arguments = parser.parse_args(argv)
    report = check(arguments.directory, arguments.deep, arguments.quiet or arguments.json)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(report), indent=1))
        return int(bool(report.violations))
    for violation in report.violations[:_SHOWN]:
        print(violation.message)
    if len(report.violations) > _SHOWN:
        print(f"... and {len(report.violations) - _SHOWN} more (--json lists all)")
    verdict = f"{len(report.violations)} violations" if report.violations else "no violation"
    speed = f"{report.bytes / 1e6 / max(report.seconds, 1e-9):.0f} MB/s"
    how = f"every record read ({speed})" if report.deep else "sizes and counts"
    print(f"{report.path}: {report.records} records, {report.bytes / 1e6:.1f} MB, {how}: {verdict}")
    return int(bool(report.violations))


if __name__ == "__main__":
    command.run(main)
