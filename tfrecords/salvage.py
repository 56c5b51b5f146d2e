"""Finding intact frames in a damaged shard.

A frame is found again by its own checksums: eight bytes whose masked CRC-32C stands behind them, and a payload of that
length whose masked CRC-32C stands behind it. By chance the first holds once in 2^32 places.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfrecords.framing import FOOTER, HEADER, OVERHEAD, Buffer, masked_crc

_BLOCK_BYTES = 1 << 20
# A payload without a length of its own is looked for up to this size.
_LONGEST_GUESS = 1 << 28
_MASK_DELTA = 0xA282EAD8


class Piece(NamedTuple):
    """A part of a shard: an intact record, or (payload None) a place where one or more are damaged.

    Attributes
    ----------
    offset : int
        Where it starts.
    payload : bytes or None
    row : int
        Number of the record in the shard by the index; -1 unknown.
    """

    offset: int
    payload: bytes | None
    row: int = -1


def salvage(buffer: Buffer, rows: np.ndarray | None = None) -> Iterator[Piece]:
    """Go through a shard: every intact record in the order of the bytes, and every damaged place.

    Parameters
    ----------
    buffer : bytes or mmap
    rows : numpy.ndarray, optional
        Rows of the index of this shard. Where they are given, a record with a damaged length is saved as well, bytes
        between intact records are searched only where a row failed, and each failed row is one piece.

    Yields
    ------
    Piece
    """
    if rows is None:
        yield from scan(buffer, 0, len(buffer))
        return
    position, failed = 0, []
    for number, (offset, size) in enumerate(zip(rows["offset"].tolist(), rows["size"].tolist(), strict=True)):
        payload = _payload(buffer, offset, size, len(buffer))
        if payload is None:
            failed.append(Piece(offset, None, number))
            continue
        if failed:
            yield from _moved(buffer, position, offset, failed)
            failed = []
        yield Piece(offset, payload, number)
        position = offset + size + OVERHEAD
    if failed or position < len(buffer):
        yield from _moved(buffer, position, len(buffer), failed)


def _moved(buffer: Buffer, start: int, end: int, failed: list[Piece]) -> Iterator[Piece]:
    """Give the failed rows, then what stands in their bytes at other offsets than the index says."""
    yield from failed
    for piece in scan(buffer, start, end):
        if piece.payload is not None:
            yield piece


def scan(buffer: Buffer, start: int, end: int) -> Iterator[Piece]:
    """Go through bytes of which nothing is known but that a frame should start at the first one."""
    position = start
    while position < end:
        payload = _framed(buffer, position, end)
        if payload is not None:
            yield Piece(position, payload)
            position += len(payload) + OVERHEAD
            continue
        following = _search(buffer, position + 1, end)
        # With only its length damaged, a payload reaches to the next frame.
        size = following - position - OVERHEAD
        payload = _payload(buffer, position, size, end) if size <= _LONGEST_GUESS else None
        yield Piece(position, payload)
        position = following


def _framed(buffer: Buffer, offset: int, end: int) -> bytes | None:
    """Give the payload of the frame at an offset, None if there is no intact one."""
    header = buffer[offset : offset + HEADER]
    if len(header) < HEADER:
        return None
    length, crc = struct.unpack("<QI", header)
    return _payload(buffer, offset, length, end) if crc == masked_crc(header[:8]) else None


def _payload(buffer: Buffer, offset: int, size: int, end: int) -> bytes | None:
    """Give a payload of known size, None if its own checksum is wrong; that of its length is not looked at."""
    start = offset + HEADER
    stop = start + size
    if size <= 0 or stop + FOOTER > end:
        return None
    payload = buffer[start:stop]
    return payload if struct.unpack("<I", buffer[stop : stop + FOOTER])[0] == masked_crc(payload) else None


def _search(buffer: Buffer, start: int, end: int) -> int:
    """Find the first intact frame at or after an offset; the end if there is none."""
    for first in range(start, end, _BLOCK_BYTES):
        block = np.frombuffer(buffer[first : min(first + _BLOCK_BYTES + HEADER - 1, end)], np.uint8)
        for place in _headers(block, first, end).tolist():
            if _framed(buffer, first + place, end) is not None:
                return first + place
    return end


def _headers(block: np.ndarray, first: int, end: int) -> np.ndarray:
    """Give the places in a block where a length below 2^32 stands before its own checksum."""
    count = len(block) - HEADER + 1
    if count <= 0:
        return np.zeros(0, np.int64)
    zero = block == 0
    pairs = zero[:-1] & zero[1:]
    places = np.flatnonzero(pairs[4 : 4 + count] & pairs[6 : 6 + count])
    lengths = _words(block, places)
    fits = (lengths > 0) & (lengths + (places + first + OVERHEAD) <= end)
    places = places[fits]
    crc = np.full(len(places), 0xFFFFFFFF, np.uint32)
    for number in range(8):
        crc = _TABLE[(crc ^ block[places + number]) & 0xFF] ^ (crc >> 8)
    crc ^= np.uint32(0xFFFFFFFF)
    masked = ((crc >> 15) | (crc << 17)) + np.uint32(_MASK_DELTA)
    return places[masked == _words(block, places + 8)]


def _words(block: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Read unsigned 32-bit integers that stand anywhere; int64."""
    return sum(block[places + number].astype(np.int64) << 8 * number for number in range(4))


def _table() -> np.ndarray:
    """Give the 256 steps of CRC-32C (polynomial 0x1EDC6F41, reflected) for one byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(0x82F63B78), np.uint32(0))
    return table


_TABLE = _table()
