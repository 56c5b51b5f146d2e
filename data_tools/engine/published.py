"""Published splits: tables of object ids and the fold or split of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_tools.formats.tables import read_header, read_pieces
from tfrecords.errors import DataError, UsageError

ID_COLUMNS = ("object_id", "objectId", "diaObjectId", "SNID", "oid", "id", "ID", "name")
SPLIT_COLUMNS = ("partition", "split", "fold", "set")
GROUP_COLUMNS = ("group", "group_id", "cluster", "host")
_SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation",
    "test": "test", "testing": "test", "blind": "test",
}  # fmt: skip
_FOLD = re.compile(r"(?:fold|validation|valid|val)?[ _-]?(\d{1,3})(?:\.0)?")
_TRAINS = re.compile(r"(?:train|training)[ _-]?\d{1,3}")


@dataclass(frozen=True)
class Published:
    """Published splits.

    Attributes
    ----------
    partitions : dict of str to str
        Partition by object id.
    folds : int
        Number of folds; 0: train, validation, test.
    """

    partitions: dict[str, str]
    folds: int


def read_splits(
    sources: Sequence[str], id_column: str | None = None, split_column: str | None = None, folds: int = 0
) -> Published:
    """Read published splits.

    Parameters
    ----------
    sources : sequence of str
        ``FILE``: CSV or parquet with a column of ids and one of splits (``train, validation, test``, numbers of folds,
        ``fold3``, or ``validation_3``, beside which ``training_0 ...`` say nothing new). ``SPLIT=FILE``: a table of
        which all ids are in this split.
    id_column, split_column : str, optional
        By default the first of `ID_COLUMNS`, `SPLIT_COLUMNS` that is there.
    folds : int
        At least so many folds, where the table speaks of folds.

    Raises
    ------
    UsageError
        If a column is not there or cannot be told.
    DataError
        If an id stands in two splits, or a value names none; the message names file, id and both.
    """
    found: dict[str, str] = {}
    trained: dict[str, str] = {}
    for source in sources:
        fixed, path = _parts(source)
        ids = id_column or _column(path, ID_COLUMNS, "--id-column")
        splits = None if fixed else split_column or _column(path, SPLIT_COLUMNS, "--partition-column")
        for piece in read_pieces(path, {ids: str} | ({splits: str} if splits else {})):
            values = piece[splits] if splits else [fixed] * len(piece[ids])
            for object_id, value in zip(piece[ids], values, strict=True):
                partition = _partition(value, path, object_id)
                if partition is None:
                    trained[object_id] = value
                elif found.setdefault(object_id, partition) != partition:
                    raise DataError(
                        f"{path}: an object is in one split. "
                        f"Received: {object_id!r} in {found[object_id]} and {partition}"
                    )
    only = next((object_id for object_id in trained if object_id not in found), None)
    if only is not None:
        raise DataError(f"{sources[-1]}: object {only!r} is trained on ({trained[only]}), but in no fold of its own")
    return Published(found, _count_folds(found, folds, sources))


def _parts(source: str) -> tuple[str | None, Path]:
    """Split ``SPLIT=FILE``; a file whose name holds an equals sign is a file."""
    name, sign, rest = source.partition("=")
    if sign and not Path(source).exists():
        split = _partition(name, Path(rest), "")
        if split is None:
            raise UsageError(f"--from takes SPLIT=FILE with train, validation, test or a fold. Received: {source!r}")
        return split, Path(rest)
    return None, Path(source)


def _partition(value: str, path: Path, object_id: str) -> str | None:
    text = value.strip().lower()
    if text in _SPLITS:
        return _SPLITS[text]
    if match := _FOLD.fullmatch(text):
        return f"fold{int(match[1])}"
    if _TRAINS.fullmatch(text):
        return None
    raise DataError(
        f"{path}: splits are train, validation, test, or folds (3, fold3, validation_3). "
        f"Received: {value!r} for object {object_id!r}"
    )


def _column(path: Path, candidates: Sequence[str], flag: str) -> str:
    header = read_header(path)
    found = next((name for name in candidates if name in header), None)
    if found is None:
        raise UsageError(f"{path}: {flag} names one of its columns: {', '.join(header)}. Received: none")
    return found


def _count_folds(found: dict[str, str], folds: int, sources: Sequence[str]) -> int:
    names = set(found.values())
    if not names:
        raise DataError(f"{sources[0]}: the table names no object")
    numbers = {int(name[4:]) for name in names if name.startswith("fold")}
    if not numbers:
        if folds:
            raise UsageError(f"--folds goes with a table of folds. Received: {sorted(names)}")
        return 0
    if names & {"train", "validation"}:
        raise DataError(
            f"{sources[0]}: splits are folds and test, or train, validation and test. Received: {sorted(names)}"
        )
    return max(folds, max(numbers) + 1, 2)


def read_groups(path: Path, id_column: str | None = None, group_column: str | None = None) -> dict[str, str]:
    """Read a table of object ids and the group of each.

    Raises
    ------
    UsageError
        If a column is not there or cannot be told.
    DataError
        If an id stands in two groups, or the file is damaged.
    """
    ids = id_column or _column(path, ID_COLUMNS, "--id-column")
    column = group_column or _column(path, GROUP_COLUMNS, "--group-column")
    found: dict[str, str] = {}
    for piece in read_pieces(path, {ids: str, column: str}):
        for object_id, group in zip(piece[ids], piece[column], strict=True):
            if found.setdefault(object_id, group) != group:
                raise DataError(
                    f"{path}: an object is in one group. Received: {object_id!r} in {found[object_id]!r} and {group!r}"
                )
    return found
