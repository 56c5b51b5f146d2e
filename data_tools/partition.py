"""Divide a directory of records anew, or say which of its splits share objects: ``python -m data_tools.partition``.

Data's path: groupings of the objects (`data_tools.engine.groups`) are joined; whole groups are dealt to partitions,
stratified by class (`data_tools.engine.splits`), or a published table says where each object goes
(`data_tools.engine.published`); records are copied as their bytes are, in the order of the ledger, with their derived
groups.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_tools.engine import groups
from data_tools.engine.conversion import names_in
from data_tools.engine.published import Published, read_splits
from data_tools.engine.splits import Partitioning
from data_tools.engine.summary import Summary
from data_tools.engine.summary import report as print_counts
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.framing import read_frame
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.transfer import Carried, Origin, carry_groups, refuse_same, rows_of, settings_of
from tfrecords.writer import DatasetWriter

_SHOWN = 10


def leaks(records: RecordDirectory, found: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Give, by grouping, the groups (rows of the index) whose members stand in different partitions."""
    return {kind: groups.spanning(labels, records.index["partition"]) for kind, labels in found.items()}


def divide(
    records: RecordDirectory,
    out: Path,
    partitions: np.ndarray,
    folds: int,
    options: dict,
    *,
    shards: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    quiet: bool = True,
) -> tuple[Summary, Carried]:
    """Copy records to other partitions.

    Parameters
    ----------
    records : RecordDirectory
    out : pathlib.Path
    partitions : numpy.ndarray
        Names, one a row of the index.
    folds : int
        Of the new directory.
    options : dict
        What the info file shall say about how this was done.
    shards : int, optional
    seed : int
        Of the hash that deals records to shards.
    overwrite, quiet : bool

    Returns
    -------
    (Summary, Carried)
        Counts, and the derived groups that went along.

    Raises
    ------
    UsageError
        If `out` exists and may not be replaced, or is the input.
    DataError
        If a record is damaged or the ledger does not fit the records. Nothing stays at `out`.
    """
    refuse_same(records.path, out)
    info, index, rows = records.info, records.index, rows_of(records)
    writer = DatasetWriter(
        out,
        **settings_of(info) | {"folds": folds},
        source={"tool": "data_tools.partition", "options": options | {"seed": seed, "records": info.source}},
        shards=shards,
        expected=Counter(partitions.tolist()),
        seed=seed,
        overwrite=overwrite,
    )
    summary = Summary()
    with writer:
        # In the order of the input, the files are those that a conversion with these partitions makes.
        for line in command.progress(read_ledger(records.path), "copying", info.ledger.input, quiet):
            object_id = line["object_id"]
            if line["outcome"] == "skipped":
                writer.skip(object_id, line["reason"])
                summary.skipped[line["reason"]] += 1
                continue
            if line["outcome"] == "quarantined":
                writer.quarantine(object_id, line["reason"])
                continue
            row = rows.get(object_id)
            if row is None:
                raise DataError(f"{records.path}: the ledger lists object {object_id!r}, the records do not hold it")
            place, partition = index[row], partitions[row]
            payload = read_frame(records.buffer(int(place["shard"])), int(place["offset"]), records.where(row))
            writer.copy(payload, object_id, partition, int(place["length"]), int(place["class_id"]))
            summary.counts[partition, int(place["class_id"])] += 1
        summary.totals = writer.totals
        if summary.totals["written"] != len(records):
            raise DataError(f"{records.path}: {len(records)} records. Received: {summary.totals} in the ledger")
    return summary, carry_groups(out, [Origin(records, rows)])


def _published(
    records: RecordDirectory, ids: Sequence[str], published: Published, found: dict[str, np.ndarray]
) -> np.ndarray:
    """Give the partitions of a published table; unknown objects are for the blind test. Refuses split groups."""
    known = np.array([object_id in published.partitions for object_id in ids])
    if not known.any():
        raise DataError(f"{records.path}: no object of the table is among the records, for instance {ids[0]!r}")
    partitions = np.array([published.partitions.get(object_id, "test") for object_id in ids], dtype=object)
    numbers = np.unique(partitions.astype(str), return_inverse=True)[1]
    for kind, labels in found.items():
        split = groups.spanning(labels, numbers)
        if split:
            pair = split[0][[0, int(np.argmax(partitions[split[0]] != partitions[split[0][0]]))]]
            names = " and ".join(f"{ids[row]} ({partitions[row]})" for row in pair.tolist())
            raise DataError(f"the table divides {len(split)} groups of objects that share {kind}. Received: {names}")
    print(f"{known.sum()} objects by the table, {(~known).sum()} unknown to it: for the blind test")
    absent = len(published.partitions) - int(known.sum())
    if absent:
        print(f"{absent} objects of the table are not among the records")
    return partitions


def _print_leaks(records: RecordDirectory, ids: Sequence[str], found: dict[str, np.ndarray]) -> int:
    """Print which groups stand in several partitions; returns their number."""
    names, numbers = records.info.partitions, records.index["partition"]
    total = 0
    for kind, split in leaks(records, found).items():
        labels = found[kind]
        members = np.bincount(labels[labels >= 0]) if (labels >= 0).any() else np.zeros(0)
        total += len(split)
        several = int((members > 1).sum())
        print(f"{kind}: {several} groups of several objects, {len(split)} of them in more than one split")
        pairs: Counter[str] = Counter()
        for group in split:
            pairs[" + ".join(names[number] for number in np.unique(numbers[group]).tolist())] += 1
        for pair, count in pairs.most_common(_SHOWN):
            print(f"  {pair}: {count}")
        for group in split[:_SHOWN]:
            print("  " + ", ".join(f"{ids[row]} ({names[int(numbers[row])]})" for row in group[:_SHOWN].tolist()))
    return total


def _write_leaks(path: Path, records: RecordDirectory, ids: Sequence[str], found: dict[str, np.ndarray]) -> None:
    names, numbers = records.info.partitions, records.index["partition"]
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("shared", "group", "object_id", "partition"))
        for kind, split in leaks(records, found).items():
            for number, group in enumerate(split):
                table.writerows((kind, number, ids[row], names[int(numbers[row])]) for row in group.tolist())


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command. Raises UsageError for flags that do not go together."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.partition",
        description="Divide a directory of records anew, or (--report) list what its splits share.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="directory of records")
    parser.add_argument("--out", type=Path, metavar="DIR", help="directory of records to make")
    parser.add_argument("--report", action="store_true", help="only say what splits share; exit code 1 if anything")
    parser.add_argument("--table", type=Path, metavar="FILE.csv", help="with --report: every object concerned")
    parser.add_argument("--folds", type=int, default=0, metavar="K", help="K folds instead of train and validation")
    test = parser.add_mutually_exclusive_group()
    test.add_argument("--test-fraction", type=float, metavar="F", help="of each class (0.2)")
    test.add_argument("--test-per-class", type=int, metavar="N", help="so many objects, at most half of a class")
    parser.add_argument("--validation-fraction", type=float, metavar="F", help="of each class, without folds (0.1)")
    parser.add_argument(
        "--from", dest="tables", nargs="+", metavar="[SPLIT=]FILE", help="published splits; unknown ids: blind test"
    )
    parser.add_argument("--id-column", metavar="NAME", help="of tables (default: object_id, diaObjectId ...)")
    parser.add_argument("--partition-column", metavar="NAME", help="of --from (default: partition, split, fold, set)")
    parser.add_argument("--by-position", metavar="RA,DEC", help="keep neighbours together: two static columns, degrees")
    parser.add_argument("--radius", type=float, default=1.0, metavar="ARCSEC", help="of --by-position (%(default)g)")
    parser.add_argument("--by-photometry", action="store_true", help="keep identical light curves together")
    parser.add_argument("--by-id", metavar="REGEX", help="keep equal parts of ids together, as in '^([^+]+)'")
    parser.add_argument(
        "--group-by", action="append", default=[], metavar="NAME|FILE", help="a static column, or a table of groups"
    )
    parser.add_argument("--group-column", metavar="NAME", help="of such a table (default: group, host ...)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")
    parser.add_argument("--shards", type=int, metavar="N", help="files a partition (default: of about 256 MiB)")
    parser.add_argument("--overwrite", action="store_true", help="replace records at --out")
    command.add_common_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.report == (arguments.out is not None):
        raise UsageError("either --out DIR or --report. Received: " + ("both" if arguments.report else "neither"))
    fractions = (arguments.test_fraction, arguments.test_per_class, arguments.validation_fraction)
    if (arguments.report or arguments.tables) and any(each is not None for each in fractions):
        raise UsageError("fractions are for splits that are drawn here, not for --from or --report")
    if arguments.folds and arguments.validation_fraction is not None:
        raise UsageError("with --folds each fold validates in its turn; leave out --validation-fraction")
    if arguments.shards is not None and arguments.shards < 1:
        raise UsageError(f"--shards is at least 1. Received: {arguments.shards}")
    if arguments.table is not None and not arguments.report:
        raise UsageError(f"--table goes with --report. Received: {arguments.table}")
    return arguments


def _grouping(arguments: argparse.Namespace) -> groups.Grouping:
    position = None
    if arguments.by_position is not None:
        position = tuple(names_in(arguments.by_position))
        if len(position) != 2:
            raise UsageError(f"--by-position takes two static columns, RA,DEC. Received: {arguments.by_position!r}")
    # A report on nothing in particular looks at what every directory has.
    unspecific = position is None and arguments.by_id is None and not arguments.group_by
    return groups.Grouping(
        position, arguments.radius, arguments.by_photometry or (arguments.report and unspecific), arguments.by_id,
        tuple(arguments.group_by), arguments.id_column, arguments.group_column,
    )  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Run the command; 1 if a report finds that splits share something."""
    arguments = parse_arguments(argv)
    grouping = _grouping(arguments)
    records = RecordDirectory(arguments.directory)
    ids = records.ids(np.arange(len(records)))
    if arguments.report:
        found = grouping.find(records, ids, arguments.quiet)
        if arguments.table is not None:
            _write_leaks(arguments.table, records, ids, found)
        return int(bool(_print_leaks(records, ids, found)))
    classes = records.index["class_id"].astype(np.int64)
    options = {"fingerprint": records.info.fingerprint, "folds": arguments.folds}
    published, partitioning = None, None
    if arguments.tables:
        published = read_splits(arguments.tables, arguments.id_column, arguments.partition_column, arguments.folds)
        options |= {"folds": published.folds, "from": [Path(each.split("=")[-1]).name for each in arguments.tables]}
    else:
        fraction = 0.2 if arguments.test_fraction is None else arguments.test_fraction
        validation = 0.1 if arguments.validation_fraction is None else arguments.validation_fraction
        number = arguments.test_per_class
        partitioning = Partitioning(
            arguments.folds, fraction if number is None else 0.0, validation, arguments.seed, number
        )
        options |= {"test_fraction": fraction} if number is None else {"test_per_class": number}
        options |= {} if arguments.folds else {"validation_fraction": validation}
    found = grouping.find(records, ids, arguments.quiet)
    options["groups"] = list(found)
    if published is not None:
        partitions = _published(records, ids, published, found)
    else:
        partitions = partitioning.assign(ids, classes, groups.connect(len(ids), found.values()) if found else None)
    summary, carried = divide(
        records, arguments.out, partitions, options["folds"], options,
        shards=arguments.shards, seed=arguments.seed, overwrite=arguments.overwrite, quiet=arguments.quiet,
    )  # fmt: skip
    _print(arguments, RecordDirectory(arguments.out), summary, carried, found)
    return 0


def _print(arguments, records: RecordDirectory, summary: Summary, carried: Carried, found: dict) -> None:
    info = records.info
    print_counts(summary, info, info, arguments.out)
    for kind, labels in found.items():
        members = np.bincount(labels[labels >= 0]) if (labels >= 0).any() else np.zeros(0)
        print(f"kept together by {kind}: {int((members > 1).sum())} groups of several objects")
    if arguments.test_per_class:
        for native in info.classes:
            count = sum(number for (_, each), number in summary.counts.items() if each == native.id)
            tests = summary.counts["test", native.id]
            if count and tests < arguments.test_per_class:
                print(f"warning: {native.name} ({native.id}) has {count} objects, {tests} of them for the test")
    if carried.names:
        print(f"derived groups carried along: {', '.join(carried.names)}")
    for name, why in carried.dropped.items():
        print(f"derived group {name!r} is dropped: {why}")


if __name__ == "__main__":
    command.run(main)
