"""Members of a tar file, plain or gzipped, one after the other in bounded memory; nothing is unpacked to the disk.

Only what can be wrong is checked: names are never used as paths, and a member is given as bytes. The format: POSIX.1
ustar; the entries of pax and GNU that carry long names are passed over.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tfrecords.errors import DataError

MEMBER_BYTES = 64 << 20
"""The most that a member may have; larger ones are given as None."""

_BLOCK = 512
_REGULAR = (b"0", b"\0", b"7")
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


def is_tar(start: bytes) -> bool:
    """Say whether a file that starts so (512 bytes, unpacked) is a tar file."""
    return len(start) >= _BLOCK and _checksum_fits(start[:_BLOCK])


def read_start(path: Path, size: int) -> tuple[bytes, bool]:
    """Give the first bytes of a file, unpacked if it is gzipped, and whether it is."""
    with open(path, "rb") as file:
        start = file.read(size)
    if not start.startswith(_GZIP):
        return start, False
    try:
        with gzip.open(path, "rb") as file:
            return file.read(size), True
    except (OSError, EOFError, zlib.error):
        return b"", True


def members(path: Path, packed: bool) -> Iterator[tuple[int, str, bytes | None]]:
    """Go through the regular files of a tar file.

    Parameters
    ----------
    path : pathlib.Path
    packed : bool
        It is gzipped.

    Yields
    ------
    (int, str, bytes or None)
        Number of the member (from 0, regular files only), its name without folders for messages, and its bytes.

    Raises
    ------
    DataError
        If the archive is cut short or damaged; what was given before is whole.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            while True:
                header = file.read(_BLOCK)
                if header == bytes(_BLOCK):
                    # To the end, where gzip's CRC-32 is checked.
                    while file.read(_CHUNK):
                        pass
                    return
                if len(header) < _BLOCK or not _checksum_fits(header):
                    raise DataError(
                        f"{path.name}: after member {number} a tar file has a header or ends with zeros (cut short or "
                        f"damaged?). Received: {len(header)} other bytes"
                    )
                size = _size(header[124:136], path.name, number)
                if header[156:157] not in _REGULAR:
                    _pass_over(file, size)
                    continue
                name = header[:100].split(b"\0")[0].rpartition(b"/")[2].decode("utf-8", "replace")
                if size > MEMBER_BYTES:
                    _pass_over(file, size)
                    content = None
                else:
                    content = file.read(size)
                    if len(content) != size:
                        raise DataError(
                            f"{path.name}: member {number} has {size} bytes (cut short?). Received: {len(content)}"
                        )
                    _pass_over(file, 0, -size % _BLOCK)
                yield number, name, content
                number += 1
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: cut short or damaged after {number} members: {error}") from error


def _pass_over(file: BinaryIO, size: int, padding: int | None = None) -> None:
    left = size + (-size % _BLOCK if padding is None else padding)
    while left:
        read = len(file.read(min(left, _CHUNK)))
        if not read:
            raise EOFError("the file ends inside a member")
        left -= read


def _size(field: bytes, name: str, number: int) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise DataError(f"{name}: the size of member {number} is octal. Received: {field!r}") from None


def _checksum_fits(header: bytes) -> bool:
    field = header[148:156].strip(b" \0")
    if not field or not field.isdigit():
        return False
    try:
        return int(field, 8) == sum(header[:148]) + 8 * 32 + sum(header[156:])
    except ValueError:
        return False
