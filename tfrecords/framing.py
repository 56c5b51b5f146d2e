"""The framing of a TFRecord file: length, masked CRC of the length, payload, masked CRC of the payload.

Format: https://www.tensorflow.org/tutorials/load_data/tfrecord (little-endian; CRC-32C, masked by a rotation and
an addition). A file cut between two frames reads as complete: counts kept elsewhere are the only truth.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

from google_crc32c import value as crc32c

from tfrecords.errors import DataError

HEADER = 12
FOOTER = 4
OVERHEAD = HEADER + FOOTER


class Buffer(Protocol):
    """Bytes or a memory map: has a length, and slices to bytes."""

    def __len__(self) -> int: ...

    def __getitem__(self, item: slice) -> bytes: ...


def masked_crc(data: bytes) -> int:
    """Compute the CRC-32C of some bytes, masked as the format wants it."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """Put a payload into a frame of ``len(payload) + OVERHEAD`` bytes."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc(length)) + payload + struct.pack("<I", masked_crc(payload))


def read_frame(buffer: Buffer, offset: int, where: str) -> bytes:
    """Read and check the frame that starts at an offset.

    Parameters
    ----------
    buffer : bytes or mmap
        The whole file.
    offset : int
        Where the frame starts.
    where : str
        File (and record), for the message of an error.

    Returns
    -------
    bytes
        The payload.

    Raises
    ------
    DataError
        If the frame is cut short or one of its two checksums is wrong.
    """
    header = buffer[offset : offset + HEADER]
    if len(header) < HEADER:
        raise DataError(f"{where}: cut short. Received: {len(header)} of {HEADER} header bytes at byte {offset}")
    length, crc = struct.unpack("<QI", header)
    if crc != masked_crc(header[:8]):
        raise DataError(f"{where}: damaged. Received: a wrong checksum of the length at byte {offset}")
    end = offset + HEADER + length
    if end + FOOTER > len(buffer):
        have = len(buffer) - offset - HEADER
        raise DataError(f"{where}: cut short. Received: {have} of {length + FOOTER} bytes at byte {offset}")
    payload = buffer[offset + HEADER : end]
    if struct.unpack("<I", buffer[end : end + FOOTER])[0] != masked_crc(payload):
        raise DataError(f"{where}: damaged. Received: a wrong checksum of the payload at byte {offset}")
    return payload


def read_frames(buffer: Buffer, where: str) -> Iterator[tuple[int, bytes]]:
    """Go through all frames of a file; pairs of offset and payload. Raises as `read_frame` does."""
    offset = number = 0
    while offset < len(buffer):
        payload = read_frame(buffer, offset, f"{where}, record {number}")
        yield offset, payload
        offset += len(payload) + OVERHEAD
        number += 1
