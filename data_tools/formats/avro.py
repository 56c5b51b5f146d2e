"""Avro object container files: header and blocks, all of it within bounds.

The records inside are read by `data_tools.formats.avro_schema`. The format: Apache Avro specification 1.11, "Object
Container Files".
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from data_tools.formats.avro_schema import read_bytes, unsigned, varint
from tfrecords.errors import DataError

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
HEADER_BYTES = 1 << 20
BLOCK_BYTES = 64 << 20
"""The most that a header and a block (packed or not) may have."""

_MAX_ENTRIES = 1_000


@dataclass(frozen=True)
class Header:
    """What stands before the first block: the writer's schema (JSON), codec, sync marker, size of the header."""

    schema: bytes
    codec: str
    sync: bytes
    size: int


def read_header(start: bytes) -> Header:
    """Read the header of a container file from its first bytes (up to HEADER_BYTES of them).

    Raises
    ------
    DataError
        If it is no Avro container file, is cut short, or its codec is unknown.
    """
    if not start.startswith(MAGIC):
        raise DataError(f"not an Avro container file, which starts with {MAGIC!r}. Received: {start[:8]!r}")
    meta: dict[bytes, bytes] = {}
    try:
        count, place = varint(start, 4)
        while count:
            if count < 0:
                count, (_, place) = -count, varint(start, place)
            for _ in range(min(count, _MAX_ENTRIES)):
                key, place = read_bytes(start, place)
                meta[key], place = read_bytes(start, place)
            count, place = varint(start, place)
    except IndexError:
        raise DataError(f"the header of an Avro file is cut short. Received: {len(start)} bytes") from None
    sync = start[place : place + SYNC_BYTES]
    codec = meta.get(b"avro.codec", b"null").decode("ascii", "replace")
    if codec not in ("null", "deflate", "snappy"):
        raise DataError(f"codecs of Avro files are null, deflate, snappy. Received: {codec[:40]!r}")
    if len(sync) != SYNC_BYTES or b"avro.schema" not in meta:
        raise DataError(f"the header of an Avro file has a schema and a sync marker. Received: {sorted(meta)[:9]}")
    return Header(meta[b"avro.schema"], codec, sync, place + SYNC_BYTES)


def blocks(file: BinaryIO, header: Header) -> Iterator[tuple[int, int, bytes]]:
    """Go through the blocks from the file's position on.

    Yields
    ------
    (int, int, bytes)
        Offset in the file, number of records, and their bytes, unpacked.

    Raises
    ------
    DataError
        If a block is cut short, too large or damaged, or its end is not where the file says.
    """
    while True:
        offset = file.tell()
        start = file.read(20)
        if not start:
            return
        try:
            count, place = varint(start, 0)
            size, place = varint(start, place)
        except IndexError:
            raise DataError(f"the block at byte {offset} is cut short. Received: {len(start)} bytes") from None
        if not (0 < count <= BLOCK_BYTES and 0 <= size <= BLOCK_BYTES):
            raise DataError(
                f"the block at byte {offset} has at least one record and at most {BLOCK_BYTES} bytes. "
                f"Received: {count} records in {size} bytes"
            )
        file.seek(offset + place)
        packed = file.read(size + SYNC_BYTES)
        if len(packed) != size + SYNC_BYTES or packed[size:] != header.sync:
            raise DataError(
                f"the block at byte {offset} ends with the sync marker of the file (cut short or damaged?). "
                f"Received: {len(packed)} of {size + SYNC_BYTES} bytes"
            )
        yield offset, count, _unpack(packed[:size], header.codec, offset)


def _unpack(packed: bytes, codec: str, offset: int) -> bytes:
    if codec == "null":
        return packed
    try:
        if codec == "deflate":
            inflate = zlib.decompressobj(-15)
            block = inflate.decompress(packed, BLOCK_BYTES)
            if not inflate.eof:
                raise ValueError(f"cut short, or above {BLOCK_BYTES} bytes")
            return block
        import pyarrow as pa

        size, _ = unsigned(packed, 0)
        # A copy of 64 bytes takes three: what claims to be larger lies.
        if size > min(BLOCK_BYTES, 32 * len(packed)):
            raise ValueError(f"claims {size} bytes")
        block = pa.Codec("snappy").decompress(packed[:-4], size, asbytes=True)
        if len(block) != size or binascii.crc32(block) != int.from_bytes(packed[-4:], "big"):
            raise ValueError("CRC-32 is wrong")
    except (zlib.error, ValueError, OSError, IndexError) as error:
        where = f"the block at byte {offset} ({codec})"
        raise DataError(f"{where} is damaged: {error}. Received: {len(packed)} bytes") from error
    return block
