"""Save what is intact of a damaged directory of records: ``python -m tfrecords.repair DIR --out DIR2``.

Every record whose own checksum is right and that keeps the rules goes into a new directory, with its shard, order,
partition and rows in the derived groups. What is lost stands in the new ledger as quarantined, with shard and byte.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import mmap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfrecords import command
from tfrecords.derived import derived_names
from tfrecords.errors import DataError, UsageError
from tfrecords.framing import OVERHEAD
from tfrecords.info import INFO_FILE, DatasetInfo
from tfrecords.inventory import Inventory, KnownShard, take_inventory
from tfrecords.reader import RecordDirectory
from tfrecords.salvage import Piece, salvage
from tfrecords.schema import Record, decode
from tfrecords.transfer import Carried, Origin, carry_groups, refuse_same, settings_of
from tfrecords.writer import DatasetWriter

_SHOWN = 20
_PLACES = 3


@dataclass(frozen=True)
class Loss:
    """One record, or one place with an unknown number of records, that could not be saved.

    Attributes
    ----------
    object_id : str
        As in the new ledger; of an unknown object a name made of shard and byte.
    shard : str
    offset : int
        Byte in the shard where it starts; -1 unknown.
    reason : str
    """

    object_id: str
    shard: str
    offset: int
    reason: str


@dataclass
class Report:
    """What a repair saved and what it could not.

    Attributes
    ----------
    path, out : str
    records, bytes : int
        Records saved; bytes of the shards read.
    lost : list of Loss
    damaged : dict of str to str
        Shards of which not everything was saved, and how many records of each were.
    notes : list of str
        What was wrong with info file, index, ledger and derived groups.
    derived : list of str
        Groups that were carried along.
    seconds : float
        For the records, without derived groups.
    """

    path: str
    out: str
    records: int = 0
    bytes: int = 0
    lost: list[Loss] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    derived: list[str] = field(default_factory=list)
    seconds: float = 0.0


class _Repair:
    """One repair: takes shards in their order; knows at the end what is missing."""

    def __init__(self, known: Inventory, report: Report, writer: DatasetWriter) -> None:
        self._known, self._report, self._writer = known, report, writer
        self.rows: dict[str, int] | None = {}
        self._saved: set[str] = set()
        self._misnamed: set[str] = set()
        self._losses: list[Loss] = []

    def run(self, quiet: bool) -> None:
        shards = self._known.shards
        for shard in command.progress(shards, "salvaging", len(shards), quiet):
            self._shard(shard)
        self._enter_ledger()

    def _shard(self, shard: KnownShard) -> None:
        buffer, trouble = _open(self._known.path / shard.name)
        self._report.bytes += len(buffer)
        positions = {object_id: place for place, object_id in enumerate(shard.ids or ())}
        places, ends, failed, saved = [-1], [0], [], 0
        others: dict[str, str] = {}
        for piece in salvage(buffer, shard.rows):
            record, problem = self._check(piece, trouble)
            if record is None:
                failed.append((piece, problem))
                continue
            self._writer.copy(
                piece.payload, record.object_id, shard.partition,
                0 if record.lc is None else len(record.lc), record.class_id, shard.number,
            )  # fmt: skip
            self._saved.add(record.object_id)
            place = piece.row if piece.row >= 0 else positions.get(record.object_id, -1)
            if place < 0 and shard.ids is None and not failed:
                place = saved
            if piece.row >= 0 and shard.ids is not None and shard.ids[piece.row] != record.object_id:
                others[shard.ids[piece.row]] = record.object_id
            if shard.rows is None and place <= places[-1]:
                # The ledger has another order than the shard: it says nothing of rows.
                place = -1
            if self.rows is not None and shard.first is not None and place >= 0:
                self.rows[record.object_id] = shard.first + place
            else:
                self.rows = None
            places.append(max(place, places[-1]))
            ends.append(piece.offset + len(piece.payload) + OVERHEAD)
            saved += 1
        self._compare_names(shard, others, saved)
        self._name_losses(shard, failed, np.array(places), ends)
        missing = 0 if shard.count is None else shard.count - saved
        if failed or missing:
            lost = f", {missing} lost" if missing > 0 else ""
            self._report.damaged[shard.name] = f"{saved} saved{lost}" + (f" ({trouble})" if trouble else "")

    def _compare_names(self, shard: KnownShard, others: dict[str, str], saved: int) -> None:
        """Deal with ids that the ledger has for saved records of other ids: few are damage, many another order."""
        if len(others) * 10 > saved:
            shard.ids = None
            return
        for wrong, right in others.items():
            self._misnamed.add(wrong)
            self._report.notes.append(f"ledger.csv names object {wrong!r} where {shard.name} holds {right!r}")

    def _check(self, piece: Piece, trouble: str) -> tuple[Record | None, str]:
        """Give the record of a piece, or why there is none."""
        if piece.payload is None:
            return None, trouble or "damaged"
        try:
            record = decode(piece.payload)
        except DataError as error:
            return None, str(error)
        problems = self._known.info.problems_of(record)
        if record.object_id in self._saved:
            problems.append(f"object {record.object_id!r} stands in the records twice")
        return (None, problems[0]) if problems else (record, "")

    def _name_losses(
        self, shard: KnownShard, failed: list[tuple[Piece, str]], places: np.ndarray, ends: list[int]
    ) -> None:
        """Find the ids of what failed in a shard: by row of the index, or by its neighbours in the ledger."""
        if shard.rows is not None:
            for piece, problem in failed:
                object_id = ""
                if piece.row >= 0 and shard.ids is not None:
                    object_id = shard.ids[piece.row]
                if piece.row >= 0 and object_id not in self._saved:
                    self._losses.append(Loss(object_id, shard.name, piece.offset, problem))
            return
        if shard.ids is None:
            if not failed and (shard.count or 0) >= len(ends):
                # Cut between two records, or away as a whole: only the number of records tells.
                failed = [(Piece(ends[-1], None), f"{shard.count} records expected, {len(ends) - 1} there")]
            self._losses += [Loss("", shard.name, piece.offset, problem) for piece, problem in failed]
            return
        reasons = {piece.offset: problem for piece, problem in failed}
        order = np.argsort(places, kind="stable")
        for place, object_id in enumerate(shard.ids):
            if object_id not in self._saved:
                offset = ends[order[np.searchsorted(places[order], place) - 1]]
                problem = reasons.get(offset, "cut short, or damaged")
                self._losses.append(Loss(object_id, shard.name, offset, problem))

    def _enter_ledger(self) -> None:
        """Write what happened to all others: as before, or lost."""
        done = self._saved | self._misnamed
        unnamed: dict[str, list[Loss]] = {}
        for loss in self._losses:
            if not loss.object_id:
                unnamed.setdefault(loss.shard.rsplit("-", 3)[0], []).append(loss)
            elif loss.object_id not in done:
                done.add(loss.object_id)
                self._lose(loss, loss.object_id, f"{_place(loss)}: {loss.reason}")
        taken: Counter[str] = Counter()
        for object_id, outcome, partition, reason in self._known.ledger:
            if object_id in done:
                continue
            done.add(object_id)
            if outcome == "skipped":
                self._writer.skip(object_id, reason)
            elif outcome == "quarantined":
                self._writer.quarantine(object_id, reason)
            else:
                # The object is in one of the places that have no name, but which?
                places = unnamed.get(partition, [])
                where = " or ".join(map(_place, places[:_PLACES])) + (" or others" if len(places) > _PLACES else "")
                shard = places[0].shard if len(places) == 1 else ""
                reason = where or f"a record of {partition}, in no damaged place that was found"
                self._lose(Loss(object_id, shard, -1, ""), object_id, reason)
                taken[partition] += 1
        for partition, places in unnamed.items():
            for loss in places[taken[partition] :]:
                self._lose(loss, _place(loss), f"{_place(loss)}: {loss.reason}")

    def _lose(self, loss: Loss, object_id: str, reason: str) -> None:
        loss = dataclasses.replace(loss, object_id=object_id, reason=f"lost: {reason}")
        self._writer.quarantine(object_id, loss.reason)
        self._report.lost.append(loss)


def _place(loss: Loss) -> str:
    return f"{loss.shard}, byte {loss.offset}"


def _open(path: Path) -> tuple[mmap.mmap | bytes, str]:
    """Map a shard; gives no bytes and says why where it cannot be read."""
    try:
        with open(path, "rb") as file:
            # An empty file cannot be mapped.
            empty = not path.stat().st_size
            return (b"", "empty file") if empty else (mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), "")
    except OSError as error:
        return b"", f"the file cannot be read: {error.strerror}"


def repair(path: Path, out: Path, template: Path | None = None, overwrite: bool = False, quiet: bool = True) -> Report:
    """Save the intact records of a directory into a new one.

    Parameters
    ----------
    path, out : pathlib.Path
    template : pathlib.Path, optional
        Info file of another directory converted from the same source, where that of `path` is missing or unreadable.
    overwrite, quiet : bool
        Replace records at `out`; no progress bar.

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        If `out` exists and may not be replaced, or is `path`.
    DataError
        If nothing says what the records are, or not one could be saved. Nothing stays at `out`.
    """
    refuse_same(path, out)
    known = take_inventory(path, template)
    report = Report(str(path), str(out), notes=known.notes)
    if not known.shards:
        raise DataError(f"{path}: no shard of records (<partition>-00000-of-00001.tfrecord) is there")
    old = known.info.source
    options = old.get("options") if isinstance(old.get("options"), dict) else {}
    writer = DatasetWriter(
        out,
        **settings_of(known.info),
        source={
            "tool": "tfrecords.repair",
            "options": {"records": old} | {key: options[key] for key in ("seed",) if key in options},
        },
        shards=known.sizes(),
        overwrite=overwrite,
    )
    start = time.perf_counter()
    with writer:
        work = _Repair(known, report, writer)
        work.run(quiet)
    report.seconds = time.perf_counter() - start
    report.records = writer.totals["written"]
    carried = _carry(known, out, work.rows)
    report.derived = carried.names
    report.notes += [f"derived group {name!r} is dropped: {why}" for name, why in carried.dropped.items()]
    return report


class _Ties:
    """What derived groups of a damaged directory are checked against."""

    def __init__(self, path: Path, info: DatasetInfo) -> None:
        self.path, self.info = path, info

    def __len__(self) -> int:
        return self.info.count


def _carry(known: Inventory, out: Path, rows: dict[str, int] | None) -> Carried:
    if rows is None:
        why = "without index, info file and ledger its rows cannot be told apart"
        return Carried(dropped=dict.fromkeys(derived_names(known.path), why))
    # Without its info file the old fingerprint is known only if nothing was lost: then it is the new one.
    info = known.info if known.whole else RecordDirectory(out, verify=None).info
    return carry_groups(out, [Origin(_Ties(known.path, info), rows)])


def _lines(report: Report) -> Iterator[str]:
    yield from (f"note: {note}" for note in report.notes)
    yield from (f"{shard}: {what}" for shard, what in report.damaged.items())
    yield from (f"object {loss.object_id}: {loss.reason}" for loss in report.lost[:_SHOWN])
    if len(report.lost) > _SHOWN:
        yield f"... and {len(report.lost) - _SHOWN} more, in ledger.csv"
    if report.derived:
        yield f"derived groups carried along: {', '.join(report.derived)}"


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords.repair",
        description="Save every intact record of a damaged directory into a new one, and report what is lost.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="damaged directory of records; it stays as it is")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory of records to make")
    parser.add_argument(
        "--info", type=Path, metavar="FILE", help=f"{INFO_FILE} of such records, where that of DIR is unreadable"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace records at --out")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    command.add_common_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.info is not None and not arguments.info.is_file():
        raise UsageError(f"--info names an info file. Received: {arguments.info}")
    report = repair(
        arguments.directory, arguments.out, arguments.info, arguments.overwrite, arguments.quiet or arguments.json
    )
    if arguments.json:
        print(json.dumps(dataclasses.asdict(report), indent=1))
        return
    for line in _lines(report):
        print(line)
    speed = f"{report.bytes / 1e6:.1f} MB read, {report.bytes / 1e6 / report.seconds:.0f} MB/s"
    print(f"{report.out}: {report.records} records saved, {len(report.lost)} lost, {speed}")


if __name__ == "__main__":
    command.run(main)
