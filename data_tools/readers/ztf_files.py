"""The files of ZTF alerts: which they are, which alerts they hold, and the alerts of a list of places read again."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from data_tools.formats import alert_parquet, avro
from data_tools.formats.avro_schema import Readers, decode
from data_tools.formats.folders import files_below
from data_tools.formats.untrusted import is_tar, read_start, tar_members
from data_tools.readers.ztf_alert import INDEX_WANTS, WANTS, identify
from tfrecords.errors import DataError, UsageError

AVRO, TAR, TAR_GZ, PARQUET = "avro", "tar", "tar.gz", "parquet"
_SUFFIXES = (".avro", ".tar", ".tar.gz", ".tgz", ".parquet", ".pq")
MEMBER_BYTES = 64 << 20
# A night has some hundred thousand alerts of about 60 kB.
ARCHIVE_BYTES = 1 << 40
_START = 1 << 16
_PARQUET_ROWS = 64

# Made once for each schema in a process.
_readers, _index_readers = Readers(WANTS), Readers(INDEX_WANTS)


class Place(NamedTuple):
    """Where an alert stands: member of the archive or -1, offset of its block (parquet: row), offset in the block."""

    member: int
    block: int
    offset: int


class Entry(NamedTuple):
    """An alert in a file: its object, number, JD and place."""

    object_id: str
    candid: int
    jd: float
    place: Place


class Damage(NamedTuple):
    """A file, or what of a file cannot say which alerts it holds: its name, and why."""

    name: str
    reason: str


class AlertFile(NamedTuple):
    """A file of alerts: its path, its name below the given folder, and its kind."""

    path: Path
    name: str
    kind: str


def find_files(paths: Sequence[Path]) -> list[AlertFile]:
    """Find the files of alerts: those that are named, and those with a fitting suffix in folders, in a fixed order.

    Raises
    ------
    UsageError
        If there is none.
    """
    found: dict[Path, str] = {}
    for path in map(Path, paths):
        if path.is_dir():
            for each in files_below(path):
                if each.name.lower().endswith(_SUFFIXES):
                    found.setdefault(each, each.relative_to(path).as_posix())
        else:
            found.setdefault(path, path.name)
    if not found:
        raise UsageError(
            f"ZTF alerts are files {', '.join('*' + suffix for suffix in _SUFFIXES)}, or folders that hold such. "
            f"Received: {' '.join(map(str, paths))}"
        )
    taken: dict[str, int] = {}
    files = []
    for path, name in sorted(found.items(), key=lambda item: (item[1], str(item[0]))):
        taken[name] = taken.get(name, 0) + 1
        files.append(AlertFile(path, name if taken[name] == 1 else f"{name} ({taken[name]})", _kind(path)))
    return files


def _kind(path: Path) -> str:
    try:
        start, packed = read_start(path, 512)
    except OSError:
        return AVRO
    if start.startswith(alert_parquet.MAGIC):
        return PARQUET
    if is_tar(start) or packed or path.name.lower().endswith(".tar"):
        return TAR_GZ if packed else TAR
    return AVRO


def looks_like_alerts(path: Path) -> bool:
    """Say whether a file holds ZTF alerts, by its first bytes; never raises."""
    try:
        start, _ = read_start(path, _START)
        if is_tar(start):
            # The first member may be a folder.
            blocks = range(0, min(len(start), 8192), 512)
            start = next((start[at:] for at in blocks if start.startswith(avro.MAGIC, at)), b"")
        if start.startswith(avro.MAGIC):
            return b'"cutoutScience"' in start and b'"candidate"' in start
        if start.startswith(alert_parquet.MAGIC):
            return {"objectId", "candidate", "cutoutScience"} <= set(alert_parquet.read_names(path))
    except Exception:  # A file of any other kind, damaged or not, is none.
        return False
    return False


def list_alerts(file: AlertFile) -> tuple[list[Entry], list[Damage]]:
    """List the alerts of a file, and what of it cannot be read; never raises DataError."""
    entries: list[Entry] = []
    damages: list[Damage] = []
    try:
        if file.kind == PARQUET:
            for row, fields in _parquet_rows(file.path, INDEX_WANTS):
                _enter(entries, damages, fields, Place(-1, row, 0), f"{file.name}, row {row + 1}")
        elif file.kind == AVRO:
            with open(file.path, "rb") as stream:
                _list_stream(stream, -1, file.name, entries, damages)
        else:
            _list_archive(file, entries, damages)
    except (DataError, OSError) as error:
        damages.append(Damage(file.name if not entries else f"{file.name}, after {len(entries)} alerts", str(error)))
    if not entries and not damages:
        damages.append(Damage(file.name, "holds no alert"))
    return entries, damages


def _list_archive(file: AlertFile, entries: list[Entry], damages: list[Damage]) -> None:
    for number, member in enumerate(tar_members(file.path, MEMBER_BYTES, ARCHIVE_BYTES)):
        label = f"{file.name}, member {number}"
        if member.data is None:
            damages.append(Damage(label, f"a member has at most {MEMBER_BYTES} bytes. Received: {member.size}"))
        elif member.data.startswith(avro.MAGIC) or member.name.lower().endswith(".avro"):
            try:
                _list_stream(io.BytesIO(member.data), number, label, entries, damages)
            except DataError as error:
                damages.append(Damage(label, str(error)))


def _list_stream(stream: BinaryIO, member: int, label: str, entries: list[Entry], damages: list[Damage]) -> None:
    header = avro.read_header(stream.read(avro.HEADER_BYTES))
    reader = _index_readers.of(header.schema)
    stream.seek(header.size)
    for block, count, content in avro.blocks(stream, header):
        place = 0
        for number in range(count):
            start = place
            try:
                fields, place = decode(reader, content, place)
            except DataError as error:
                left = f" and {count - number - 1} after it in its block" if number + 1 < count else ""
                damages.append(Damage(f"{label}, byte {block}, record {number + 1}", f"{error}{left}"))
                break
            _enter(entries, damages, fields, Place(member, block, start), f"{label}, byte {block}, record {number + 1}")
        else:
            if place != len(content):
                problem = f"a block ends with its last record. Received: {len(content) - place} bytes more"
                damages.append(Damage(f"{label}, byte {block}", problem))


def _enter(entries: list[Entry], damages: list[Damage], fields: Mapping[str, Any], place: Place, label: str) -> None:
    try:
        object_id, candid, jd = identify(fields)
    except DataError as error:
        damages.append(Damage(label, str(error)))
    else:
        entries.append(Entry(object_id, candid, jd, place))


def load_alerts(file: AlertFile, places: Sequence[Place]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Read alerts again.

    Parameters
    ----------
    file : AlertFile
    places : sequence of Place
        As `list_alerts` gave them, sorted.

    Yields
    ------
    (Place, dict)
        The fields `data_tools.readers.ztf_alert.WANTS` of each alert that could be read.

    Raises
    ------
    DataError
        If the file is no longer what it was.
    """
    if file.kind == PARQUET:
        wanted = {place.block: place for place in places}
        for row, fields in _parquet_rows(file.path, WANTS, wanted):
            yield wanted[row], fields
        return
    try:
        if file.kind == AVRO:
            with open(file.path, "rb") as stream:
                yield from _load_stream(stream, places)
            return
        groups = {number: list(group) for number, group in itertools.groupby(places, key=lambda place: place.member)}
        last = max(groups)
        for number, member in enumerate(tar_members(file.path, MEMBER_BYTES, ARCHIVE_BYTES)):
            if number in groups and member.data is not None:
                yield from _load_stream(io.BytesIO(member.data), groups[number])
            if number >= last:
                return
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read: {error}") from error


def _load_stream(stream: BinaryIO, places: Sequence[Place]) -> Iterator[tuple[Place, dict[str, Any]]]:
    header = avro.read_header(stream.read(avro.HEADER_BYTES))
    reader = _readers.of(header.schema)
    for block, group in itertools.groupby(places, key=lambda place: place.block):
        stream.seek(block)
        found = next(avro.blocks(stream, header), None)
        if found is None:
            raise DataError(f"a block stands at byte {block}. Received: the end of the file")
        for place in group:
            yield place, decode(reader, found[2], place.offset)[0]


def _parquet_rows(
    path: Path, wants: Mapping[str, Any], chosen: Mapping[int, Any] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Go through the rows of a parquet table that has the layout of an alert's record."""
    for rows, batch in alert_parquet.read_batches(path, list(wants), _PARQUET_ROWS, chosen):
        for number, row in enumerate(rows):
            if chosen is None or row in chosen:
                yield row, batch.slice(number, 1).to_pylist()[0]
