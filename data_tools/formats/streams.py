"""Files and members of tar archives read forward in bounded memory, gzipped or not; names in archives are only names.

A limit holds for everything that is decompressed; no member of an archive is written to disk.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from data_tools.formats.compressed import GZIP_MAGIC, gunzip
from data_tools.formats.folders import files_below
from tfrecords.errors import DataError

try:
    from isal import isal_zlib
except ImportError:  # No wheel for this machine: the standard library gives the same bytes, more slowly.
    isal_zlib = zlib

MAX_MEMBER = 1 << 30
MAX_MEMBERS = 5_000_000
_MAX_RATIO = 200
_SMALL = 64 << 20
_STEP = 1 << 20
_BLOCK = 512
StreamKind = TypeVar("StreamKind", bound="Stream")
# Nobody asks for more than a header, a name or a block of lines at once.
_MAX_READ = 64 << 20


@dataclass(frozen=True)
class Unit:
    """A file, or a member of an archive.

    Attributes
    ----------
    name : str
        Its path from the folder that was given on, or archive and path in it: for patterns and messages only.
    path : pathlib.Path
        The file, or the archive.
    offset, size : int
        Where the member lies in the decompressed archive; -1 for a file of its own.
    problem : str
        Why it cannot be read.
    """

    name: str
    path: Path
    offset: int = -1
    size: int = -1
    problem: str = ""

    @property
    def base(self) -> str:
        """The last part of the name."""
        return self.name.rsplit("/", 1)[-1]


class Stream:
    """Bytes of a file from its start on, decompressed if they are gzipped; only forward.

    Parameters
    ----------
    file : binary file
    size : int
        Of the file in bytes; the decompressed content has at most 200 times as many, or 64 MiB.
    name : str
        For messages.
    """

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self.name, self.position = name, 0
        self._file = file
        self._most = max(_SMALL, _MAX_RATIO * size)
        start = file.read(2)
        self._pending = start
        self._decoder = isal_zlib.decompressobj(wbits=31) if start == GZIP_MAGIC else None
        self._buffer = bytearray()
        self._ended = False

    def read(self, count: int) -> bytes:
        """Read up to `count` bytes, fewer only at the end.

        Raises
        ------
        DataError
            If the data are damaged, cut short or grow beyond their limit.
        """
        if not 0 <= count <= _MAX_READ:
            raise DataError(f"{self.name}: damaged: a part claims {count} bytes")
        while len(self._buffer) < count and not self._ended:
            self._fill()
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        self.position += len(found)
        return found

    def seek(self, position: int) -> int:
        """Go forward to a position. Raises DataError if it lies behind."""
        if position < self.position:
            raise DataError(f"{self.name}: damaged: a part lies before the one that leads to it")
        if self._decoder is None and not self._buffer and not self._pending:
            self._file.seek(position)
            self.position = position
        while self.position < position:
            if not self.read(min(_STEP, position - self.position)):
                break
        return self.position

    def tell(self) -> int:
        """Give the position in the decompressed content."""
        return self.position

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _fill(self) -> None:
        try:
            content = self._pending or self._file.read(_STEP)
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read: {error.strerror or error}") from error
        self._pending = b""
        if self._decoder is None:
            self._buffer += content
            self._ended = not content
            return
        try:
            self._decode(content)
        except (zlib.error, isal_zlib.error) as error:
            raise DataError(f"{self.name}: the gzip data are damaged: {error}") from error

    def _decode(self, content: bytes) -> None:
        if not content:
            if not self._decoder.eof:
                raise DataError(f"{self.name}: the gzip data are cut short")
            self._ended = True
            return
        if self._decoder.eof:
            self._decoder = isal_zlib.decompressobj(wbits=31)
            if content[:1] == b"\0" and not content.strip(b"\0"):
                self._ended = True
                return
        piece = self._decoder.decompress(content, _STEP)
        self._buffer += piece
        self._pending = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
        if self.position + len(self._buffer) > self._most:
            raise DataError(f"{self.name}: grows beyond {self._most} bytes when it is decompressed; refused")


class Opener:
    """Opens units one after another; of an archive the next member is read without starting anew."""

    def __init__(self) -> None:
        self._archive: Stream | None = None
        self._path: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()

    def open(self, unit: Unit) -> Stream:
        """Open a unit. Raises DataError if it cannot be read."""
        if unit.problem:
            raise DataError(f"{unit.name}: {unit.problem}")
        if unit.offset < 0:
            return open_stream(unit.path, unit.name)
        content = self.content(unit)
        return Stream(io.BytesIO(content), len(content), unit.name)

    def content(self, unit: Unit) -> bytes:
        """Read a unit whole as it is, at most 1 GiB. Raises DataError."""
        if unit.problem:
            raise DataError(f"{unit.name}: {unit.problem}")
        if unit.offset < 0:
            return _read_raw(unit)
        if self._archive is None or self._path != unit.path or self._archive.position > unit.offset:
            if self._archive is not None:
                self._archive.close()
            self._archive, self._path = open_stream(unit.path, unit.path.name), unit.path
        self._archive.seek(unit.offset)
        parts, left = [], unit.size
        while left:
            part = self._archive.read(min(_STEP, left))
            if not part:
                raise DataError(f"{unit.name}: cut short in its archive. Received: {unit.size - left} bytes")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def whole(self, unit: Unit) -> bytes:
        """Read a unit whole and decompressed, at most 1 GiB. Raises DataError."""
        content = self.content(unit)
        return gunzip(content, unit.name, MAX_MEMBER) if content[:2] == GZIP_MAGIC else content


def open_stream(path: Path, name: str, kind: type[StreamKind] = Stream) -> StreamKind:
    """Open a file as a stream. Raises DataError."""
    try:
        size = path.stat().st_size
        return kind(open(path, "rb"), size, name)
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror or error}") from error


def _read_raw(unit: Unit) -> bytes:
    try:
        size = unit.path.stat().st_size
        if size > MAX_MEMBER:
            raise DataError(f"{unit.name}: at most {MAX_MEMBER} bytes are read. Received: {size}")
        return unit.path.read_bytes()
    except OSError as error:
        raise DataError(f"{unit.name}: cannot be read: {error.strerror or error}") from error


def list_units(paths: Sequence[Path]) -> list[Unit]:
    """List files and members of archives; folders are searched, hidden files passed over.

    An archive that cannot be read to its end is one more unit with a problem.

    Returns
    -------
    list of Unit
        Sorted by name within every path that was given.
    """
    units: list[Unit] = []
    for path in map(Path, paths):
        for file, name in _files(path):
            if is_tar(file):
                units += members(file, name)
            else:
                units.append(Unit(name, file))
    return units


def _files(path: Path) -> Iterable[tuple[Path, str]]:
    if not path.is_dir():
        return [(path, path.name)]
    names = ((each, f"{path.resolve().name}/{each.relative_to(path).as_posix()}") for each in files_below(path))
    return sorted(
        ((file, name) for file, name in names if not _hidden(name.split("/", 1)[1])), key=lambda pair: pair[1]
    )


def _hidden(name: str) -> bool:
    return any(part.startswith(".") and part.strip(".") for part in name.split("/"))


def is_tar(path: Path) -> bool:
    """Say whether a file is a tar archive, plain or gzipped, by its first block."""
    try:
        stream = open_stream(path, path.name)
    except DataError:
        return False
    try:
        block = stream.read(_BLOCK)
    except DataError:
        return path.name.endswith((".tar", ".tar.gz", ".tgz"))
    finally:
        stream.close()
    return len(block) == _BLOCK and block[257:262] == b"ustar"


def members(path: Path, name: str) -> list[Unit]:
    """List the regular files in an archive, sorted by name; a damaged end is a unit with a problem."""
    units: list[Unit] = []
    problem = ""
    try:
        stream = open_stream(path, path.name, _Watched)
        try:
            for member in _walk(stream):
                if member.isreg() and not _hidden(member.name.removeprefix("./")):
                    units.append(_unit(member, path, name))
                if len(units) > MAX_MEMBERS:
                    raise DataError(f"{path.name}: an archive has at most {MAX_MEMBERS} members. Received: more")
            problem = stream.end_problem()
        finally:
            stream.close()
    except DataError as error:
        problem = str(error).removeprefix(f"{path.name}: ")
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError, IndexError) as error:
        problem = f"the archive is damaged: {error}"
    units.sort(key=lambda unit: (unit.name, unit.offset))
    return [*units, Unit(name, path, problem=problem)] if problem else units


def _walk(stream: _Watched) -> Iterator[tarfile.TarInfo]:
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        while (member := archive.next()) is not None:
            yield member
            archive.members = []


def _unit(member: tarfile.TarInfo, path: Path, name: str) -> Unit:
    label = f"{name}/{member.name.removeprefix('./')}"
    if not label.isprintable():
        label = ascii(label)
    if member.issparse():
        return Unit(label, path, problem="a sparse member of an archive is not read")
    if member.size > MAX_MEMBER:
        return Unit(label, path, problem=f"a member has at most {MAX_MEMBER} bytes. Received: {member.size}")
    return Unit(label, path, member.offset_data, member.size)


class _Watched(Stream):
    """A stream that remembers what it gave last: tarfile takes a damaged header for the end of the archive."""

    _last = b""

    def read(self, count: int) -> bytes:
        found = super().read(count)
        self._last = found
        return found

    def end_problem(self) -> str:
        """Read to the end and say what is wrong with it; checksums are checked on the way."""
        last = self._last
        while super().read(_STEP):
            pass
        if len(last) < _BLOCK:
            return "the archive ends without its end mark (cut short?)"
        return "" if not last.strip(b"\0") else "the archive is damaged: a header after its last readable member"
