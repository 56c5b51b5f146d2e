"""The conversion of one piece of a source to a part of a directory, in any process; what it needs is sent once.

Data's path: the list of objects and their partitions (one process) -> a piece read, checked, encoded and written as a
part (any process) -> parts appended to the shards in the order of the pieces (one process). Parts lie in a hidden
folder beside the output under a key of everything that they depend on, so that a conversion that was killed goes on
with those that it has.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.formats.folders import files_below
from data_tools.sources import Outcome, Piece, PiecewiseSource, read_piece
from tfrecords.errors import DataError, UsageError
from tfrecords.layout import Layout
from tfrecords.parts import Part, PartWriter

# Codes of objects beside the numbers of partitions.
NOT_CHOSEN, DUPLICATE = 255, 254
_KEY_FILE, _LOCK_FILE = "key.json", "lock"


@dataclass(frozen=True)
class Work:
    """One piece to convert.

    Attributes
    ----------
    part : str
        Name of its part.
    piece : Piece
    ids : list of str
        Of its objects, in the order of ``source.labels()``.
    codes : numpy.ndarray
        u1, one an object: number of the partition, NOT_CHOSEN or DUPLICATE.
    """

    part: str
    piece: Piece
    ids: list[str]
    codes: np.ndarray


class Converter:
    """Converts pieces; made once in every process (`data_tools.engine.processes.in_order`).

    Parameters
    ----------
    source : PiecewiseSource
    layout : Layout
    folder : pathlib.Path
        Where the parts go; every process reaches it under this name.
    """

    def __init__(self, source: PiecewiseSource, layout: Layout, folder: Path) -> None:
        self._source, self._layout, self._folder = source, layout, folder

    def __call__(self, work: Work) -> Path:
        """Convert a piece, unless its part is there already. Returns the place of the part."""
        place = self._folder / work.part
        if place.with_suffix(".npz").exists():
            with contextlib.suppress(DataError, OSError):
                if Part(place).is_whole():
                    return place
        piece = work.piece
        part = PartWriter(place, self._layout)
        for outcome in read_piece(self._source, piece, work.ids, work.codes < DUPLICATE):
            code = work.codes[outcome.row - piece.rows.start] if outcome.row >= 0 else NOT_CHOSEN
            self._enter(part, outcome, code, piece.name)
        part.close()
        return place

    def _enter(self, part: PartWriter, outcome: Outcome, code: int, name: str) -> None:
        if code == DUPLICATE:
            again = f"{outcome.object_id} (again: {name}, row {outcome.row})"
            part.quarantine(again, f"{name}: the id {outcome.object_id!r} stands in the input before")
        elif outcome.record is not None:
            try:
                part.write(outcome.record, self._layout.info.partitions[code])
            except DataError as error:
                part.quarantine(outcome.object_id, f"{name}: {error}")
        elif outcome.quarantined:
            part.quarantine(outcome.object_id, outcome.reason)
        else:
            part.skip(outcome.object_id, outcome.reason)


def codes_of(ids: Sequence[str], partitions: np.ndarray, names: Sequence[str], used: np.ndarray) -> np.ndarray:
    """Give the codes of `Job`; of several objects with one id the first one counts.

    Parameters
    ----------
    ids : sequence of str
    partitions : numpy.ndarray
        Names, one an object.
    names : sequence of str
        Of all partitions.
    used : numpy.ndarray
        bool, objects to convert.
    """
    codes = np.full(len(ids), NOT_CHOSEN, np.uint8)
    for number, name in enumerate(names):
        codes[used & (partitions == name)] = number
    _, first = np.unique(np.array(ids, dtype=str), return_index=True)
    again = np.ones(len(ids), bool)
    again[first] = False
    codes[again] = DUPLICATE
    return codes


def parts_folder(out: Path) -> Path:
    """Give the hidden folder of the parts of an output."""
    out = Path(os.path.abspath(out))
    return out.parent / f".{out.name}.parts"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder of the parts and keep other conversions out of it for as long as this process lives.

    Raises
    ------
    UsageError
        If another conversion works in it.
    DataError
        If the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        # Some network file systems have no locks.
        with contextlib.suppress(OSError):
            _lock(lock, folder)
        yield
    finally:
        os.close(lock)


def _lock(file: int, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"another conversion is making this output; wait for its end, or name another --out. Received: {folder}"
        ) from error


def list_work(pieces: Sequence[Piece], ids: Sequence[str], codes: np.ndarray) -> list[Work]:
    """Give every piece what belongs to it. Raises DataError if the pieces do not hold each object once."""
    work, start = [], 0
    for number, piece in enumerate(pieces):
        rows = piece.rows
        if rows.start != start or rows.step != 1:
            raise DataError(f"{piece.name}: pieces follow one another from object {start} on. Received: {rows}")
        start = rows.stop
        work.append(Work(f"{number:06d}", piece, list(ids[rows.start : rows.stop]), codes[rows.start : rows.stop]))
    if start != len(ids):
        raise DataError(f"the pieces of a source hold its {len(ids)} objects. Received: {start}")
    return work


def prepare_folder(folder: Path, layout: Layout, work: Sequence[Work], inputs: Sequence[Path], **made_by: Any) -> int:
    """Empty the folder of the parts, or keep what a killed conversion of the same input left in it.

    Its key is of names, sizes and times of the input files, layout, pieces, partitions and `made_by`.

    Returns
    -------
    int
        Number of parts that are there already.
    """
    digest = hashlib.sha256()
    for each in work:
        digest.update(f"{each.piece.name} {each.piece.rows} ".encode() + each.codes.tobytes())
    content = [
        [*map(list, _describe(inputs, folder))],
        [json.loads(layout.info.to_json()), list(layout.shards), layout.seed],
        digest.hexdigest(),
        made_by,
    ]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    place = folder / _KEY_FILE
    with contextlib.suppress(OSError, ValueError):
        if json.loads(place.read_text()) == key:
            return _clear_unfinished(folder)
    try:
        for path in folder.iterdir():
            if path.name != _LOCK_FILE:
                path.unlink()
        place.write_text(json.dumps(key))
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}") from error
    return 0


def _clear_unfinished(folder: Path) -> int:
    """Remove what killed processes left behind and count the whole parts."""
    whole = {path.stem for path in folder.glob("*.npz") if path.name.count(".") == 1}
    for path in folder.iterdir():
        if path.name not in (_KEY_FILE, _LOCK_FILE) and (path.name.count(".") > 1 or path.stem not in whole):
            path.unlink()
    return len(whole)


def _describe(inputs: Sequence[Path], folder: Path) -> list[tuple[str, int, int]]:
    """Give names, sizes and times of the input's files, less what this conversion itself leaves among them."""
    found = []
    own = folder.name.removesuffix("parts")
    for path in inputs:
        files = files_below(path) if path.is_dir() else [path]
        for each in files:
            if path.is_dir() and any(part.startswith(own) for part in each.relative_to(path).parts):
                continue
            stat = each.stat() if each.exists() else each.lstat()
            found.append((str(each), stat.st_size, stat.st_mtime_ns))
    return found
