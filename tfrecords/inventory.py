"""What is still known of a damaged directory of records: its description, shards, index rows and ids in their order."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfrecords.errors import DataError
from tfrecords.framing import OVERHEAD
from tfrecords.info import INDEX_FILE, INFO_FILE, LEDGER_FILE, OUTCOMES, DatasetInfo, partition_names
from tfrecords.layout import shard_name, stable_hash
from tfrecords.reader import load_index, read_ledger

_SHARD_NAME = re.compile(r"(test|train|validation|fold\d+)-(\d{5})-of-(\d{5})\.tfrecord")


class Line(NamedTuple):
    """One row of the ledger."""

    object_id: str
    outcome: str
    partition: str
    reason: str


@dataclass
class KnownShard:
    """What is known of one shard.

    Attributes
    ----------
    name, partition : str
    number : int
        Within its partition.
    rows : numpy.ndarray or None
        Its rows of the index, if they can be trusted.
    ids : list of str or None
        Ids of its records in their order, by the ledger, if that can be said.
    count : int or None
        Number of its records, by info file, index or ledger.
    first : int or None
        Row of its first record in the index and in derived groups.
    """

    name: str
    partition: str
    number: int
    rows: np.ndarray | None = None
    ids: list[str] | None = None
    count: int | None = None
    first: int | None = None


@dataclass
class Inventory:
    """What is known of a damaged directory.

    Attributes
    ----------
    path : pathlib.Path
    info : DatasetInfo
        Of which the description holds; the rest as well if `whole`.
    whole : bool
        The info file itself is in order.
    shards : list of KnownShard
        In the order of the index.
    ledger : list of Line
        Rows of the ledger that can be read.
    notes : list of str
        What is wrong with info file, index and ledger.
    """

    path: Path
    info: DatasetInfo
    whole: bool
    shards: list[KnownShard] = field(default_factory=list)
    ledger: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return self.info.count

    def sizes(self) -> dict[str, int]:
        """Give the number of shards of each partition."""
        return dict(Counter(shard.partition for shard in self.shards))


def take_inventory(path: Path, template: Path | None = None) -> Inventory:
    """Find out what is known of a directory.

    Parameters
    ----------
    path : pathlib.Path
    template : pathlib.Path, optional
        Info file that describes such records, where that of the directory is missing or unreadable.

    Raises
    ------
    DataError
        If nothing says what the records are; the message says what is needed.
    """
    found = _load_info(path, template)
    if found.whole:
        for shard in found.info.shards:
            known = found.sizes().get(shard.partition, 0)
            found.shards.append(KnownShard(shard.name, shard.partition, known))
    else:
        found.shards = _shards_on_disk(path, found.info)
    _read_ledger(found)
    counts = _attach_index(found)
    _attach_ids(found, counts)
    first: int | None = 0
    for shard, count in zip(found.shards, counts, strict=True):
        if count is None and shard.ids is not None:
            count = len(shard.ids)
        shard.first, shard.count = first, count
        first = None if first is None or count is None else first + count
    return found


def _load_info(path: Path, template: Path | None) -> Inventory:
    try:
        return Inventory(path, DatasetInfo.load(path), True)
    except DataError as error:
        trouble = str(error)
    if not path.is_dir():
        raise DataError(f"{path}: not a directory")
    place = template or path / INFO_FILE
    try:
        info = DatasetInfo.description(place.read_text(encoding="utf-8"), str(place))
    except (OSError, UnicodeDecodeError, DataError) as error:
        raise DataError(
            f"{trouble}. Records do not say what their bands, columns and classes are: --info FILE names the "
            f"{INFO_FILE} of another directory converted from the same source (its shards do not matter). "
            f"Received: {error}"
        ) from error
    folds = {int(match[1][4:]) for match in _matches(path) if match[1].startswith("fold")}
    if folds:
        info = _with_folds(info, max(info.folds, max(folds) + 1, 2))
    elif any(match[1] in ("train", "validation") for match in _matches(path)):
        info = _with_folds(info, 0)
    taken = f"its description is that of {place}" if template else "its description is taken as it stands: look at it"
    return Inventory(path, info, False, notes=[f"{trouble}; {taken}"])


def _with_folds(info: DatasetInfo, folds: int) -> DatasetInfo:
    return dataclasses.replace(info, folds=folds)


def _matches(path: Path) -> list[re.Match]:
    return [match for entry in sorted(path.glob("*.tfrecord")) if (match := _SHARD_NAME.fullmatch(entry.name))]


def _shards_on_disk(path: Path, info: DatasetInfo) -> list[KnownShard]:
    counts: dict[str, int] = {}
    for match in _matches(path):
        # A name that lies about the number of files must not make 99,999 of them.
        count = min(int(match[3]), 0xFFFF)
        counts[match[1]] = max(counts.get(match[1], 0), count)
    return [
        KnownShard(shard_name(partition, number, counts[partition]), partition, number)
        for partition in partition_names(info.folds)
        for number in range(counts.get(partition, 0))
    ]


def _read_ledger(found: Inventory) -> None:
    try:
        for row in read_ledger(found.path):
            if row["object_id"] and row["outcome"] in OUTCOMES and None not in row and None not in row.values():
                # Of millions of rows most have the same words but for the id.
                words = (sys.intern(row[name]) for name in ("outcome", "partition", "reason"))
                found.ledger.append(Line(row["object_id"], *words))
            else:
                found.notes.append(f"{found.path / LEDGER_FILE}: a row is damaged. Received: {str(row)[:100]}")
    except (DataError, UnicodeDecodeError, ValueError) as error:
        found.notes.append(f"{found.path / LEDGER_FILE}: {error}")
    totals = Counter(line.outcome for line in found.ledger)
    expected = {name: getattr(found.info.ledger, name) for name in OUTCOMES}
    if found.whole and {name: totals[name] for name in OUTCOMES} != expected:
        found.notes.append(f"{found.path / LEDGER_FILE}: the info file says {expected}. Received: {dict(totals)}")


def _attach_index(found: Inventory) -> list[int | None]:
    """Give each shard its rows of the index where these are consistent; returns the shards' numbers of records."""
    counts: list[int | None] = [None] * len(found.shards)
    if found.whole:
        counts = [shard.count for shard in found.info.shards]
    try:
        index = load_index(found.path, found.info, verify=False)
    except DataError as error:
        found.notes.append(str(error))
        return counts
    digest = hashlib.sha256((found.path / INDEX_FILE).read_bytes()).hexdigest()
    if found.whole and digest != found.info.index_sha256:
        found.notes.append(f"{found.path / INDEX_FILE}: damaged (another SHA-256 than in the info file)")
    if len(index) and int(index["shard"].max()) >= len(found.shards):
        found.notes.append(f"{found.path / INDEX_FILE}: lists more shards than there are; it is not used")
        return counts
    for number, shard in enumerate(found.shards):
        rows = index[index["shard"] == number]
        ends = np.cumsum(rows["size"].astype(np.int64) + OVERHEAD)
        offsets = np.concatenate([[0], ends[:-1]]) if len(rows) else np.zeros(0, np.int64)
        partition = found.info.partitions.index(shard.partition)
        fits = (rows["offset"] == offsets).all() and (rows["partition"] == partition).all()
        if fits and counts[number] in (None, len(rows)):
            shard.rows, counts[number] = rows, len(rows)
        else:
            found.notes.append(f"{found.path / INDEX_FILE}: its rows of {shard.name} are damaged; they are not used")
    return counts


def _attach_ids(found: Inventory, counts: list[int | None]) -> None:
    """Give each shard the ids of its records: the ledger's order within a partition, dealt by hash to its shards."""
    options = found.info.source.get("options")
    seeds = [0]
    if isinstance(options, dict) and isinstance(options.get("seed"), int):
        seeds.insert(0, options["seed"])
    for partition, size in found.sizes().items():
        ids = [line.object_id for line in found.ledger if (line.outcome, line.partition) == ("written", partition)]
        mine = [number for number, shard in enumerate(found.shards) if shard.partition == partition]
        for seed in seeds:
            dealt: list[list[str]] = [[] for _ in range(size)]
            for object_id in ids:
                dealt[stable_hash(object_id, seed) % size if size > 1 else 0].append(object_id)
            if all(counts[number] in (None, len(dealt[part])) for part, number in enumerate(mine)):
                for part, number in enumerate(mine):
                    found.shards[number].ids = dealt[part]
                break
