"""Files from outside, read within limits: bytes, members of tar archives, rows of numbers.

Whatever such a file holds, reading it ends in values or in DataError, and takes no more memory than the limits say.
Nothing is written to the disk, and a name that a file holds is never used as a path.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tfrecords.errors import DataError

_GZIP = b"\x1f\x8b"
_BLOCK = 512
_LARGEST_NAME = 1 << 16
_SKIPPED_AT_ONCE = 1 << 20
_PLAIN_FILES = (b"0", b"\0", b"7")


class Truncated(DataError):
    """A file ends too early; what was read before its end is sound."""


@contextlib.contextmanager
def open_stream(path: Path) -> Iterator[BinaryIO]:
    """Open a file, plain or gzipped (told apart by content); what fails while it is read becomes DataError.

    Raises
    ------
    Truncated
        If a gzip file is cut short.
    DataError
        If the file is missing, no file or damaged.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == _GZIP
            file.seek(0)
            with gzip.open(file, "rb") if zipped else file as stream:
                yield stream
    except EOFError as error:
        raise Truncated(f"{path.name}: cut short: {error}") from error
    except (OSError, zlib.error) as error:
        raise DataError(f"{path.name}: cannot be read (damaged?): {error}") from error


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name there, its size, and its bytes (None if it is larger than allowed)."""

    name: str
    size: int
    data: bytes | None


def tar_members(path: Path, limit: int, total: int) -> Iterator[Member]:
    """Go through the files in a tar archive, plain or gzipped, in their order.

    Unlike the reader of the standard library this one does not take a damaged header for the end of the archive.

    Parameters
    ----------
    path : pathlib.Path
    limit : int
        Largest member in bytes that is read; a larger one is skipped, and comes without its bytes.
    total : int
        Largest size of the whole archive after decompression.

    Raises
    ------
    Truncated
        If the archive ends within a member or without its end mark.
    DataError
        If it is damaged (a wrong checksum, the one of gzip after the last member included) or too large.
    """
    with open_stream(path) as stream:
        used, long_name = 0, ""
        while True:
            header = _read(stream, _BLOCK, path)
            used += _BLOCK
            if not any(header):
                break
            kind, size = header[156:157], _checked_size(header, path)
            used += -(-size // _BLOCK) * _BLOCK
            if used > total:
                raise DataError(f"{path.name}: holds at most {total} bytes, after decompression. Received: more")
            keep = size <= (limit if kind in _PLAIN_FILES else _LARGEST_NAME)
            data = _read(stream, size, path) if keep else _skip(stream, size, path)
            _skip(stream, -size % _BLOCK, path)
            if kind in b"Lx" and data is not None:
                long_name = _long_name(kind, data) or long_name
            elif kind in _PLAIN_FILES:
                yield Member(long_name or _name(header), size, data)
            if kind not in b"LxgK":
                long_name = ""
        # Reading on to the end makes gzip compare its checksum; a header overwritten by zeros is no end.
        while rest := stream.read(_SKIPPED_AT_ONCE):
            used += len(rest)
            if rest.count(0) < len(rest):
                raise DataError(f"{path.name}: only zeros follow the end of an archive. Received: other bytes")
            if used > total:
                raise DataError(f"{path.name}: holds at most {total} bytes, after decompression. Received: more")


def is_tar(start: bytes) -> bool:
    """Say whether a file that starts so (512 bytes, decompressed) is a tar archive."""
    try:
        return len(start) >= _BLOCK and _checked_size(start[:_BLOCK], Path()) >= 0
    except DataError:
        return False


def read_start(path: Path, size: int) -> tuple[bytes, bool]:
    """Give the first bytes of a file, decompressed if it is gzipped, and whether it is. Raises OSError."""
    with open(path, "rb") as file:
        start = file.read(size)
    if not start.startswith(_GZIP):
        return start, False
    try:
        with gzip.open(path, "rb") as file:
            return file.read(size), True
    except (OSError, EOFError, zlib.error):
        return b"", True


def _read(stream: BinaryIO, size: int, path: Path) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Truncated(f"{path.name}: cut short: an archive ends with an empty block")
    return data


def _skip(stream: BinaryIO, size: int, path: Path) -> None:
    while size:
        size -= len(_read(stream, min(size, _SKIPPED_AT_ONCE), path))


def _checked_size(header: bytes, path: Path) -> int:
    """Give the size in a member's header after comparing the header's checksum."""
    try:
        expected = int(header[148:156].split(b"\0")[0] or b"x", 8)
        size = int(header[124:136].split(b"\0")[0] or b"0", 8)
    except ValueError:
        expected = size = -1
    if expected != sum(header[:148]) + 8 * 0x20 + sum(header[156:]) or size < 0:
        raise DataError(f"{path.name}: the header of a member is damaged, or this is no tar archive")
    return size


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0] if header[257:262] == b"ustar" else b""
    return (prefix + b"/" + name if prefix else name).decode(errors="replace")


def _long_name(kind: bytes, data: bytes) -> str:
    """Give the name in a member that holds that of the next one: GNU's, or the ``path`` of a pax header."""
    if kind == b"L":
        return data.split(b"\0")[0].decode(errors="replace")
    for line in data.split(b"\n"):
        if b" path=" in line:
            return line.split(b" path=", 1)[1].decode(errors="replace")
    return ""


def number_rows(data: bytes, columns: Sequence[int], delimiter: str | None = None, header_lines: int = 0) -> np.ndarray:
    """Read columns of numbers from the text of a table.

    Parameters
    ----------
    data : bytes
    columns : sequence of int
        Positions of the columns.
    delimiter : str, optional
        Blanks by default.
    header_lines : int
        Lines to leave out.

    Returns
    -------
    numpy.ndarray
        f8, shape (rows, columns); without rows for an empty table. An empty field is an error, not NaN.

    Raises
    ------
    DataError
        If a line lacks a column or a value is no number.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise DataError(f"a table of numbers is plain text. Received: {error}") from error
    lines = text.splitlines()[header_lines:]
    if not any(line.strip() for line in lines):
        return np.empty((0, len(columns)))
    try:
        return np.loadtxt(
            io.StringIO("\n".join(lines)), delimiter=delimiter, usecols=tuple(columns), ndmin=2, comments=None
        )
    except (ValueError, IndexError) as error:
        raise DataError(f"a table of numbers has a wrong line: {error}") from error


def infinite_in_f4(values: np.ndarray) -> bool:
    """Say whether a value is infinite, or would be as float32."""
    # Invalid: a NaN whose bits say "signalling".
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isinf(np.asarray(values, "f8").astype("<f4")).any())
