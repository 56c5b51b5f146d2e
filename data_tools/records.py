"""A directory of records as a data source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_tools.sources import Outcome
from tfrecords.errors import DataError, UsageError
from tfrecords.info import INFO_FILE
from tfrecords.reader import RecordDirectory


class RecordSource:
    """A directory of records; objects come in the order of its index.

    Parameters
    ----------
    paths : sequence of path
        One directory.
    static_columns : sequence of str, optional
        Static columns to give, in this order; by default all.
    """

    def __init__(self, paths: Sequence[Path], static_columns: Sequence[str] | None = None) -> None:
        if len(paths) != 1:
            raise UsageError(f"a record source is one directory. Received: {len(paths)} paths")
        self.directory = RecordDirectory(paths[0])
        info = self.directory.info
        self.survey, self.bands, self.zero_point = info.survey, info.bands, info.zero_point
        self.flux_unit, self.classes, self.targets = info.flux_unit, info.classes, info.targets
        self.static_columns = info.static_columns
        self.options = {"files": [Path(paths[0]).name], "fingerprint": info.fingerprint}
        self._columns: list[int] | None = None
        if static_columns is not None:
            names = [column.name for column in info.static_columns]
            unknown = [name for name in static_columns if name not in names]
            if unknown:
                raise UsageError(f"{paths[0]}: static columns are {', '.join(names)}. Received: {unknown}")
            self._columns = [names.index(name) for name in static_columns]
            self.static_columns = tuple(info.static_columns[number] for number in self._columns)

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether this is one directory with an info file of records."""
        return len(paths) == 1 and (Path(paths[0]) / INFO_FILE).is_file()

    def __len__(self) -> int:
        return len(self.directory)

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects: ids and native classes (int64, -1 unlabelled)."""
        return self.directory.ids(np.arange(len(self))), self.directory.index["class_id"].astype(np.int64)

    def objects(self, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Go through the records; a damaged one ends quarantined under its place in the shard."""
        for row in range(len(self)):
            try:
                record = self.directory.record(row)
            except DataError as error:
                yield Outcome(self.directory.where(row), None, str(error), row, quarantined=True)
                continue
            if chosen is not None and not chosen[row]:
                yield Outcome(record.object_id, None, "not selected", row)
                continue
            if self._columns is not None and record.static is not None:
                record.static = record.static[self._columns]
            yield Outcome(record.object_id, record, "", row)
