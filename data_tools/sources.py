"""What a data source is, and which sources there are; none of them is imported before it is used."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tfrecords.errors import DataError, UsageError
from tfrecords.info import Band, NativeClass, StaticColumn
from tfrecords.schema import Record

SOURCES = {
    "plasticc": "data_tools.plasticc:PlasticcSource",
    "snana": "data_tools.snana:SnanaSource",
    "table": "data_tools.table:TableSource",
    "grid": "data_tools.grid:GridSource",
    "stamps": "data_tools.stamps:StampSource",
    "records": "data_tools.records:RecordSource",
    "asas": "data_tools.asas:AsasSource",
    "lamost": "data_tools.lamost:LamostSource",
    "psm": "data_tools.psm:PsmSource",
    "spectra": "data_tools.spectra:SpectraSource",
    "elasticc_alerts": "data_tools.elasticc_alerts:ElasticcAlertSource",
    "ztf": "data_tools.ztf:ZtfSource",
}


@dataclass(frozen=True)
class Outcome:
    """What became of one input object.

    Attributes
    ----------
    object_id : str
    record : Record or None
        None if the object has nothing to give or was refused.
    reason : str
        Why there is no record.
    row : int
        Position of the object in the source's list of objects (`Source.labels`), -1 if it is not in it. A table in
        input order is sorted by it; a source yields in the order in which it can stream.
    quarantined : bool
        The object was refused for its values, not passed over.
    """

    object_id: str
    record: Record | None
    reason: str = ""
    row: int = -1
    quarantined: bool = False


@dataclass(frozen=True)
class Piece:
    """A part of a source that is read on its own, in any process.

    Attributes
    ----------
    name : str
        File, and which part of it, without folders: unique in the source.
    rows : range
        Positions of its objects in `Source.labels`; the pieces of a source follow one another without a gap.
    details : object
        What reading needs besides the source itself: plain values that can be sent to another process.
    """

    name: str
    rows: range
    details: Any = None


class Source(Protocol):
    """Files of one kind, read as records object by object in bounded memory."""

    survey: str
    bands: tuple[Band, ...]
    zero_point: float
    flux_unit: str
    static_columns: tuple[StaticColumn, ...]
    classes: tuple[NativeClass, ...]
    targets: tuple[str, ...]
    # A source of stamps also has `stamp_channels` (tuple of str) and `alert_columns` (tuple of StaticColumn).
    options: Mapping[str, Any]
    """Names of the files and options that matter for the records; plain JSON values without folders."""

    def __init__(self, paths: Sequence[Path], **options: Any) -> None: ...

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether these paths look like files of this source; never raises."""
        ...

    def __len__(self) -> int:
        """Give the number of listed objects."""
        ...

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects: ids and native classes (int64, -1 unlabelled), in input order."""
        ...

    def objects(self, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Go through the objects; `chosen` is a mask over `labels`, the others end as 'not selected'."""
        ...


class PiecewiseSource(abc.ABC):
    """A source whose files are read in pieces, which conversions deal to processes; it can be sent to them.

    The order of the objects is that of `labels`, piece after piece, whoever reads them. Attributes that only
    `labels` and `pieces` need are best dropped in ``__getstate__``.
    """

    @abc.abstractmethod
    def pieces(self) -> Sequence[Piece]:
        """List the pieces: about 100 to 5,000 objects each, the same list for the same files."""

    @abc.abstractmethod
    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read one piece, one outcome an object.

        Parameters
        ----------
        piece : Piece
        chosen : numpy.ndarray, optional
            Mask over the objects of the piece; the others end as 'not selected'.
        """

    def objects(self, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Go through the objects of all pieces; `chosen` is a mask over `labels`."""
        ids, _ = self.labels()
        for piece in self.pieces():
            part = slice(piece.rows.start, piece.rows.stop)
            yield from read_piece(self, piece, ids[part], None if chosen is None else chosen[part])


def read_piece(
    source: PiecewiseSource, piece: Piece, ids: Sequence[str], chosen: np.ndarray | None = None
) -> Iterator[Outcome]:
    """Read a piece so that each of its objects has one outcome, whatever happens to the file.

    Parameters
    ----------
    source : PiecewiseSource
    piece : Piece
    ids : sequence of str
        Of the objects of the piece.
    chosen : numpy.ndarray, optional
        Mask over the objects of the piece.
    """
    seen = np.zeros(len(ids), bool)
    reason = f"{piece.name}: listed, but not found when the file was read"
    try:
        for outcome in source.read(piece, chosen):
            if outcome.row >= 0:
                position = outcome.row - piece.rows.start
                if seen[position]:
                    raise DataError(f"{piece.name}: object {outcome.object_id!r} was read twice")
                seen[position] = True
            yield outcome
    except (DataError, OSError) as error:
        reason = str(error)
    for position in np.flatnonzero(~seen).tolist():
        yield Outcome(ids[position], None, reason, piece.rows.start + position, quarantined=True)


def source_class(name: str) -> type[Source]:
    """Import the class of a source. Raises UsageError listing the sources."""
    if name not in SOURCES:
        raise UsageError(f"data sources are {', '.join(SOURCES)}. Received: {name!r}")
    module, attribute = SOURCES[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def open_source(paths: Sequence[str | Path], name: str | None = None, **options: Any) -> Source:
    """Open files as a source.

    Parameters
    ----------
    paths : sequence of path
        Files, or one folder that holds them.
    name : str, optional
        Name of the source; by default the one that recognises the files.
    **options
        Of the source; ``static_columns`` (sequence of str) is known to all.

    Raises
    ------
    UsageError
        If no source, or more than one, recognises the files.
    DataError
        If a file is missing, cut short or wrong.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    if name is None:
        matching = [each for each in SOURCES if source_class(each).recognises(paths)]
        if len(matching) != 1:
            found = f"{len(matching)} sources recognise the files ({', '.join(matching)}); name one of them"
            unknown = f"no data source recognises the files; sources are {', '.join(SOURCES)}"
            received = " ".join(map(str, paths))
            raise UsageError(f"{found if matching else unknown}. Received: {received or 'no path'}")
        name = matching[0]
    return source_class(name)(paths, **options)
