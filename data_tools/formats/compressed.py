"""Whole files read into memory, gzipped or not, never beyond a limit."""

from __future__ import annotations

import zlib
from pathlib import Path

from tfrecords.errors import DataError

try:
    from isal import isal_zlib
except ImportError:  # No wheel for this machine: the standard library gives the same bytes, more slowly.
    isal_zlib = zlib

GZIP_MAGIC = b"\x1f\x8b"
MAX_BYTES = 8 << 30
# Light curves shrink to a half or a third, tables full of sentinels to a fiftieth; bombs to a thousandth.
_MAX_RATIO = 200
_SMALL = 64 << 20
_STEP = 4 << 20


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a file; gzip is told by its first two bytes.

    Raises
    ------
    DataError
        If the file cannot be read, is cut short or damaged, or holds more than `limit` bytes or 200 times its size.
    """
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            if size > limit:
                raise DataError(f"{path.name}: holds at most {limit} bytes. Received: {size}")
            content = file.read()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read: {error.strerror or error}") from error
    return gunzip(content, path.name, limit) if content[:2] == GZIP_MAGIC else content


def gunzip(content: bytes, where: str, limit: int = MAX_BYTES) -> bytes:
    """Decompress gzip, one member or several, checksums included.

    Parameters
    ----------
    content : bytes
    where : str
        For the message of an error.
    limit : int
        Bytes.

    Raises
    ------
    DataError
        If the content is cut short or damaged, or grows beyond `limit` bytes or 200 times its size.
    """
    most = min(limit, max(_SMALL, _MAX_RATIO * len(content)))
    pieces: list[bytes] = []
    size = 0
    left = content
    try:
        while left[:2] == GZIP_MAGIC:
            stream = isal_zlib.decompressobj(wbits=31)
            while not stream.eof:
                piece = stream.decompress(left, min(_STEP, most - size + 1))
                size += len(piece)
                if size > most:
                    raise DataError(f"{where}: holds at most {most} bytes, after decompression. Received: more")
                pieces.append(piece)
                left = stream.unconsumed_tail
                if not piece and not left and not stream.eof:
                    raise DataError(f"{where}: the gzip data are cut short. Received: {len(content)} bytes")
            left = stream.unused_data
    except (zlib.error, isal_zlib.error) as error:
        raise DataError(f"{where}: the gzip data are damaged: {error}") from error
    if left.strip(b"\0"):
        raise DataError(f"{where}: the gzip data are followed by something else. Received: {len(left)} bytes")
    return b"".join(pieces)
