"""Arrays in ``.npy`` and ``.npz`` files, whole or some rows; sizes are checked first and nothing is unpickled."""

from __future__ import annotations

import math
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords.errors import DataError

_MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Place:
    """Where an array lies: a file, the array's name in an .npz file."""

    path: Path
    key: str = ""


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open an .npz file. Raises DataError."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(f"{path.name}: cannot be read (cut short or damaged?): {error}") from error


def shape_of(place: Place) -> tuple[int, ...]:
    """Read the shape of an array from its header, which is checked against what follows. Raises DataError."""
    if not place.key:
        return load_rows(place).shape
    try:
        with open_archive(place.path) as archive, archive.open(place.key) as file:
            return read_array_header(file, archive.getinfo(place.key).file_size, place.path.name)[0]
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{place.path.name}: cannot be read (cut short or damaged?): {error}") from error


def read_array_header(file: Any, size: int, where: str) -> tuple[tuple[int, ...], np.dtype, bool]:
    """Read the header of an array: shape, type, and whether its first axis is the fastest one.

    Parameters
    ----------
    file : binary file
        At its start; afterwards at the first value.
    size : int
        Bytes of the file.
    where : str
        For messages.

    Raises
    ------
    DataError
        If it is no array, holds Python objects, or has fewer bytes than its shape needs.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = read(file)
        count = math.prod(int(each) for each in shape)
    # NumPy parses the header as a literal of Python, whose tokenizer and parser have errors of many kinds.
    except Exception as error:
        raise DataError(f"{where}: no array of NumPy, or a damaged one: {error}") from error
    if dtype.hasobject:
        raise DataError(f"{where}: arrays hold numbers or text; nothing is unpickled. Received: {dtype}")
    if min(shape, default=0) < 0 or count * dtype.itemsize > min(_MAX_BYTES, size):
        raise DataError(
            f"{where}: an array has the bytes that its shape needs. Received: {list(shape)} in {size} bytes"
        )
    return shape, dtype, fortran


def load_rows(place: Place, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Give rows of an array; one of an .npy file is mapped, not read.

    Raises
    ------
    DataError
        If the file is cut short or damaged, or the rows have more than 1 GiB.
    """
    where = place.path.name
    try:
        if not place.key:
            with open(place.path, "rb") as file:
                shape, dtype, fortran = read_array_header(file, place.path.stat().st_size - file.tell(), where)
                offset = file.tell()
            if math.prod(shape) == 0:
                return np.zeros(shape, dtype)[start:stop]
            return np.memmap(place.path, dtype, "r", offset, shape, "F" if fortran else "C")[start:stop]
        with open_archive(place.path) as archive, archive.open(place.key) as file:
            shape, dtype, fortran = read_array_header(file, archive.getinfo(place.key).file_size, where)
            rows = shape[0] if shape else 0
            first, last = (0, rows) if fortran else slice(start, stop).indices(rows)[:2]
            row = math.prod(shape[1:]) * dtype.itemsize
            size = (last - first) * row
            if size > _MAX_BYTES:
                raise DataError(f"{where}: at most {_MAX_BYTES} bytes are read at once. Received: {size}")
            file.seek(first * row, 1)
            found = np.frombuffer(file.read(size), dtype)
            found = found.reshape((last - first, *shape[1:]), order="F" if fortran else "C")
            return found[start:stop] if fortran else found
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"{where}: cannot be read (cut short or damaged?): {error}") from error
