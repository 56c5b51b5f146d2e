"""Members of a zip archive: where each lies, and its bytes read without the archive's directory.

The directory of an archive of half a million files takes seconds to read; it is read once, and what lies where is
handed to the processes that read.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

from tfrecords.errors import DataError

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 1


class ZipPlace(NamedTuple):
    """Where a member lies: offset of its header, method, sizes packed and unpacked, CRC-32, flags."""

    offset: int
    method: int
    packed: int
    size: int
    crc: int
    flags: int


def zip_places(path: Path) -> dict[str, ZipPlace]:
    """List the members of an archive by name (of several with one name the last).

    Raises
    ------
    DataError
        If the file is missing or no sound archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                each.filename: ZipPlace(
                    each.header_offset, each.compress_type, each.compress_size, each.file_size, each.CRC, each.flag_bits
                )
                for each in archive.infolist()
                if not each.is_dir()
            }
    except Exception as error:  # the standard library meets a damaged directory with errors of several kinds
        raise DataError(f"{path.name}: damaged, or no zip archive: {error}") from error


def read_member(path: Path, place: ZipPlace, limit: int) -> bytes:
    """Read one member, stored or deflated.

    Parameters
    ----------
    path : pathlib.Path
    place : ZipPlace
    limit : int
        Largest size in bytes, packed and unpacked.

    Raises
    ------
    DataError
        If the member is larger, damaged, encrypted or packed in another way.
    """
    if max(place.size, place.packed) > limit:
        raise DataError(f"a member has at most {limit} bytes. Received: {max(place.size, place.packed)}")
    if place.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or place.flags & _ENCRYPTED:
        raise DataError(f"a member is stored or deflated, not encrypted. Received: method {place.method}")
    try:
        with open(path, "rb") as file:
            file.seek(place.offset)
            header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            file.seek(header[9] + header[10], 1)
            packed = file.read(place.packed)
    except (OSError, ValueError, struct.error) as error:
        raise DataError(f"a member is not where the archive's directory says: {error}") from error
    data = packed
    if place.method == zipfile.ZIP_DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit + 1)
        except zlib.error as error:
            raise DataError(f"a member is damaged: {error}") from error
    if header[0] != b"PK\x03\x04" or len(data) != place.size or zlib.crc32(data) != place.crc:
        raise DataError(f"a member is damaged: it has {place.size} bytes with the stated checksum")
    return data
