"""From directories of records to another one: what describes them, and their derived groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords.derived import DerivedGroup, DerivedWriter, derived_names
from tfrecords.errors import DataError, UsageError
from tfrecords.info import DatasetInfo
from tfrecords.reader import RecordDirectory

_CHUNK = 256


@dataclass(frozen=True)
class Origin:
    """Where records come from.

    Attributes
    ----------
    records : RecordDirectory
        Or what has its path, its info and its length, if the directory itself is damaged.
    rows : mapping of str to int
        Row in the derived groups by object id, of the objects that went over.
    """

    records: RecordDirectory
    rows: Mapping[str, int]


@dataclass
class Carried:
    """Which derived groups went over.

    Attributes
    ----------
    names : list of str
    dropped : dict of str to str
        Why others did not.
    """

    names: list[str] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)


def settings_of(info: DatasetInfo) -> dict[str, Any]:
    """Give what a `DatasetWriter` of the same kind of records is told: survey, bands ... folds, targets."""
    return {
        "survey": info.survey,
        "bands": info.bands,
        "zero_point": info.zero_point,
        "flux_unit": info.flux_unit,
        "static_columns": info.static_columns,
        "classes": info.classes,
        "folds": info.folds,
        "targets": info.targets,
        "stamp_channels": info.stamp_channels,
        "alert_columns": info.alert_columns,
    }


def rows_of(records: RecordDirectory) -> dict[str, int]:
    """Give the row of every object id, in the order of the index."""
    return {object_id: row for row, object_id in enumerate(records.ids(np.arange(len(records))))}


def refuse_same(source: Path, out: Path) -> None:
    """Raise UsageError if the output is the input."""
    if source.resolve() == out.resolve():
        raise UsageError(f"the output is a directory of its own, not the input. Received: {out}")


def carry_groups(out: Path, origins: Sequence[Origin]) -> Carried:
    """Write the derived groups of records beside the same records in another directory, in its order.

    A group goes over if every origin has it whole, with the same columns, days and version of its code.

    Parameters
    ----------
    out : pathlib.Path
        Directory of records, all of whose objects are in `origins`.
    origins : sequence of Origin

    Raises
    ------
    DataError
        If the disk fails.
    """
    target = RecordDirectory(out, verify=None)
    found = Carried()
    used = [origin for origin in origins if origin.rows]
    for name in sorted({name for origin in used for name in derived_names(origin.records.path)}):
        try:
            groups = [_intact(origin.records, name) for origin in used]
        except DataError as error:
            found.dropped[name] = str(error)
            continue
        kinds = {(group.columns, group.days, group.code_version) for group in groups}
        if len(kinds) > 1:
            versions = sorted({group.code_version for group in groups})
            found.dropped[name] = f"computed with other columns, days or code ({', '.join(versions)})"
            continue
        _carry(target, name, groups, [origin.rows for origin in used])
        found.names.append(name)
    return found


def _intact(records: RecordDirectory, name: str) -> DerivedGroup:
    group = DerivedGroup(records, name)
    if not group.is_intact():
        raise DataError(f"{group.path}: damaged (another SHA-256 than in its info file)")
    return group


def _carry(target: RecordDirectory, name: str, groups: list[DerivedGroup], rows: list[Mapping[str, int]]) -> None:
    first = groups[0]
    with DerivedWriter(target, name, first.columns, first.days, first.code_version) as writer:
        for start in range(0, len(target), _CHUNK):
            for object_id in target.ids(np.arange(start, min(start + _CHUNK, len(target)))):
                group, places = next(pair for pair in zip(groups, rows, strict=True) if object_id in pair[1])
                writer.append(object_id, group.values([places[object_id]])[0])
