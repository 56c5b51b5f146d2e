"""Merge directories of records of one survey: ``python -m tfrecords.merge DIR DIR ... --out DIR2``.

The first directory gives the order of bands and static columns; others are reordered where they differ in nothing else.
Partitions stay. Objects come in the order of the directories, and in each in that of its index.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.framing import read_frame
from tfrecords.info import Band, DatasetInfo, NativeClass
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.schema import LightCurve, Record
from tfrecords.transfer import Carried, Origin, carry_groups, refuse_same, rows_of, settings_of
from tfrecords.writer import DatasetWriter

ON_DUPLICATE = ("refuse", "skip")
_ROW_COLUMNS = tuple(column.name for column in dataclasses.fields(LightCurve))


@dataclass
class Merged:
    """What a merge did.

    Attributes
    ----------
    totals : dict of str to int
        Objects by outcome: written, skipped, quarantined.
    written : list of int
        Records taken from each directory.
    duplicates : list of str
        Ids of records that were left out as they stood in a directory before.
    carried : Carried
        Derived groups.
    """

    totals: dict[str, int] = field(default_factory=dict)
    written: list[int] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    carried: Carried = field(default_factory=Carried)


def merge(
    paths: Sequence[Path],
    out: Path,
    *,
    on_duplicate: str = "refuse",
    shards: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Merged:
    """Merge directories of records.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        At least two.
    out : pathlib.Path
    on_duplicate : {'refuse', 'skip'}
        What to do with an object that has records in two directories; ``skip`` takes the first one.
    shards : int, optional
        Of each partition; by default of about 256 MiB.
    overwrite, quiet : bool
        Replace records at `out`; no progress bar.

    Returns
    -------
    Merged

    Raises
    ------
    UsageError
        If an argument cannot be, or `out` exists and may not be replaced.
    DataError
        If a directory is damaged or of other records, or an object stands in two (``refuse``). Nothing stays at `out`.
    """
    if len(paths) < 2:
        raise UsageError(f"a merge takes at least two directories. Received: {len(paths)}")
    if on_duplicate not in ON_DUPLICATE:
        raise UsageError(f"on_duplicate is one of {', '.join(ON_DUPLICATE)}. Received: {on_duplicate!r}")
    for path in paths:
        refuse_same(path, out)
    directories = [RecordDirectory(path) for path in paths]
    info = directories[0].info
    for directory in directories[1:]:
        info = _join(info, directory.info, f"{directory.path} and {directories[0].path}")
    rows, duplicates = _rows(directories, on_duplicate)
    counts: Counter[str] = Counter()
    for directory in directories:
        numbers = np.bincount(directory.index["partition"], minlength=len(info.partitions)).tolist()
        counts.update(dict(zip(info.partitions, numbers, strict=True)))
    size = sum(int(directory.index["size"].sum()) for directory in directories)
    writer = DatasetWriter(
        out,
        **settings_of(info),
        source={"tool": "tfrecords.merge", "options": {"records": [each.info.source for each in directories]}},
        shards=shards,
        expected=counts,
        record_bytes=size // max(1, counts.total()) + 1,
        overwrite=overwrite,
    )
    found = Merged(written=[len(mine) for mine in rows], duplicates=duplicates)
    with writer:
        for directory, mine in zip(directories, rows, strict=True):
            _write(writer, directory, mine, info, quiet)
        _write_others(writer, directories, {object_id for mine in rows for object_id in mine})
        found.totals = writer.totals
    found.carried = carry_groups(out, [Origin(each, mine) for each, mine in zip(directories, rows, strict=True)])
    return found


def _rows(directories: Sequence[RecordDirectory], on_duplicate: str) -> tuple[list[dict[str, int]], list[str]]:
    """Give the rows to take of each directory, by id, and the ids left out. Raises DataError (``refuse``)."""
    rows, duplicates, owner = [], [], {}
    for number, directory in enumerate(directories):
        mine = rows_of(directory)
        again = [object_id for object_id in mine if object_id in owner]
        if again and on_duplicate == "refuse":
            first = directories[owner[again[0]]].path
            raise DataError(
                f"{directory.path}: an object has one record; --on-duplicate skip takes that of the directory named "
                f"first. Received: {len(again)} that stand in {first} or others as well, {again[0]!r} for instance"
            )
        for object_id in again:
            del mine[object_id]
        duplicates += again
        owner |= dict.fromkeys(mine, number)
        rows.append(mine)
    return rows, duplicates


def _write(
    writer: DatasetWriter, directory: RecordDirectory, rows: dict[str, int], info: DatasetInfo, quiet: bool
) -> None:
    order = _Order(directory.info, info)
    for object_id, row in command.progress(rows.items(), f"merging {directory.path.name}", len(rows), quiet):
        place = directory.index[row]
        partition = info.partitions[int(place["partition"])]
        if order.alike:
            buffer = directory.buffer(int(place["shard"]))
            payload = read_frame(buffer, int(place["offset"]), directory.where(row))
            writer.copy(payload, object_id, partition, int(place["length"]), int(place["class_id"]))
        else:
            writer.write(order(directory.record(row)), partition)


def _write_others(writer: DatasetWriter, directories: Sequence[RecordDirectory], written: set[str]) -> None:
    """Enter the objects without a record: quarantined anywhere counts before skipped."""
    others: dict[str, tuple[str, str]] = {}
    for directory in directories:
        for line in read_ledger(directory.path):
            object_id, outcome = line["object_id"], line["outcome"]
            if object_id in written or outcome == "written":
                continue
            if object_id not in others or (others[object_id][0], outcome) == ("skipped", "quarantined"):
                others[object_id] = (outcome, line["reason"])
    for object_id, (outcome, reason) in others.items():
        enter = writer.skip if outcome == "skipped" else writer.quarantine
        enter(object_id, reason)


class _Order:
    """Brings a record of one directory into the order of bands and static columns of another."""

    def __init__(self, mine: DatasetInfo, wanted: DatasetInfo) -> None:
        names = [band.name for band in wanted.bands]
        self._bands = np.array([names.index(band.name) for band in mine.bands], np.uint8)
        columns = [column.name for column in mine.static_columns]
        self._static = np.array([columns.index(column.name) for column in wanted.static_columns], np.int64)
        self._same_bands = np.array_equal(self._bands, np.arange(len(self._bands)))
        self.alike = self._same_bands and np.array_equal(self._static, np.arange(len(self._static)))

    def __call__(self, record: Record) -> Record:
        lc, targets = record.lc, record.targets
        if lc is not None and not self._same_bands:
            columns = {name: getattr(lc, name) for name in _ROW_COLUMNS} | {"band": self._bands[lc.band]}
            order = np.lexsort((columns["band"], columns["time"]))
            lc = LightCurve(*(columns[name][order] for name in _ROW_COLUMNS))
            targets = {name: value[order] if name in _ROW_COLUMNS else value for name, value in targets.items()}
        static = None if record.static is None else record.static[self._static]
        return dataclasses.replace(record, lc=lc, static=static, targets=targets)


def _join(one: DatasetInfo, two: DatasetInfo, where: str) -> DatasetInfo:
    """Describe the records of two directories. Raises DataError naming what keeps them apart."""

    def refuse(rule: str, *received: object) -> None:
        raise DataError(f"{where}: {rule}. Received: {' and '.join(map(repr, received))}")

    for name, rule in (
        ("survey", "directories of one survey are merged"),
        ("zero_point", "fluxes have one zero point"),
        ("flux_unit", "fluxes have one unit"),
        ("folds", "directories have the same partitions; data_tools.partition divides one anew"),
    ):
        if getattr(one, name) != getattr(two, name):
            refuse(rule, getattr(two, name), getattr(one, name))
    bands = {band.name: band for band in two.bands}
    wavelengths = [{band.name: band.wavelength_angstrom for band in info.bands} for info in (two, one)]
    if wavelengths[0] != wavelengths[1]:
        refuse("bands have the same names and wavelengths, in any order", *wavelengths)
    joined = tuple(
        Band(band.name, tuple(dict.fromkeys([*band.aliases, *bands[band.name].aliases])), band.wavelength_angstrom)
        for band in one.bands
    )
    columns = [{column.name: column for column in info.static_columns} for info in (two, one)]
    for name in [*columns[1], *columns[0]]:
        pair = [each.get(name) for each in columns]
        if pair[0] != pair[1]:
            refuse(f"static columns are the same, in any order, unit and missing values included; {name!r}", *pair)
    classes = _join_classes(one, two, where)
    changes: dict[str, object] = {"bands": joined, "classes": classes}
    changes["targets"] = tuple(dict.fromkeys([*one.targets, *two.targets]))
    # A directory without stamps goes with any.
    stamps = one if one.stamp_channels else two
    if one.stamp_channels and two.stamp_channels:
        for name in ("stamp_channels", "alert_columns"):
            if getattr(one, name) != getattr(two, name):
                refuse(f"{name} are the same, in the same order", getattr(two, name), getattr(one, name))
    changes |= {"stamp_channels": stamps.stamp_channels, "alert_columns": stamps.alert_columns}
    return dataclasses.replace(one, **changes)


def _join_classes(one: DatasetInfo, two: DatasetInfo, where: str) -> tuple[NativeClass, ...]:
    joined = list(one.classes)
    for native in two.classes:
        rivals = [each for each in joined if each != native and (each.id == native.id or each.name == native.name)]
        if rivals:
            raise DataError(f"{where}: a class has one number and one name. Received: {native} and {rivals[0]}")
        if native not in joined:
            joined.append(native)
    return tuple(joined)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords.merge", description="Merge directories of records of one survey; partitions stay."
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="directories of records, two or more")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory of records to make")
    parser.add_argument(
        "--on-duplicate",
        choices=ON_DUPLICATE,
        default="refuse",
        help="of an object with two records, skip all but the first (%(default)s)",
    )
    parser.add_argument("--shards", type=int, metavar="N", help="files a partition (default: of about 256 MiB)")
    parser.add_argument("--overwrite", action="store_true", help="replace records at --out")
    command.add_common_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.shards is not None and arguments.shards < 1:
        raise UsageError(f"--shards is at least 1. Received: {arguments.shards}")
    found = merge(
        arguments.directories,
        arguments.out,
        on_duplicate=arguments.on_duplicate,
        shards=arguments.shards,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    for path, count in zip(arguments.directories, found.written, strict=True):
        print(f"{path}: {count} records")
    if found.duplicates:
        shown = ", ".join(found.duplicates[:5])
        print(f"skipped as duplicates: {len(found.duplicates)} ({shown}{' ...' if len(found.duplicates) > 5 else ''})")
    if found.carried.names:
        print(f"derived groups merged: {', '.join(found.carried.names)}")
    for name, why in found.carried.dropped.items():
        print(f"derived group {name!r} is dropped: {why}")
    print(f"{arguments.out}: " + ", ".join(f"{count} {outcome}" for outcome, count in found.totals.items()))


if __name__ == "__main__":
    command.run(main)
