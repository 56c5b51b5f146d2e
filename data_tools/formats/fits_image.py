"""Images in FITS files: every image HDU of a file, read whole and checked (FITS standard 4.0, sections 3 and 4.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_tools.formats.fits_table import data_bytes, integer, read_header
from tfrecords.errors import DataError

_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_MAX_HDUS = 100


def read_images(content: bytes, where: str) -> list[np.ndarray]:
    """Read the images of a FITS file.

    Parameters
    ----------
    content : bytes
        Decompressed.
    where : str
        For messages.

    Returns
    -------
    list of numpy.ndarray
        f4, in the order of the HDUs; axes as in NumPy: the fastest one of the file is the last. HDUs without data and
        tables are passed over.

    Raises
    ------
    DataError
        If the file is cut short, damaged, or no FITS file.
    """
    images, offset = [], 0
    for _ in range(_MAX_HDUS):
        header, size = read_header(content, offset, where)
        offset += size
        needed = data_bytes(header, where)
        if header.get("XTENSION", "IMAGE") in ("IMAGE", "IMAGE   ") and header["NAXIS"] and needed:
            images.append(_image(content, offset, header, where))
        offset += needed
        if offset >= len(content) or not content[offset:].strip(b"\0 "):
            return images
    raise DataError(f"{where}: at most {_MAX_HDUS} HDUs are read. Received: more")


def _image(content: bytes, offset: int, header: Mapping[str, Any], where: str) -> np.ndarray:
    bits = integer(header, "BITPIX", where, -64, 64)
    if bits not in _TYPES:
        raise DataError(f"{where}: BITPIX is one of {sorted(_TYPES)}. Received: {bits}")
    shape = [integer(header, f"NAXIS{axis}", where, 0, 1 << 40) for axis in range(header["NAXIS"], 0, -1)]
    dtype, count = np.dtype(_TYPES[bits]), math.prod(shape)
    if offset + count * dtype.itemsize > len(content):
        raise DataError(
            f"{where}: cut short: an image of {shape} needs {count * dtype.itemsize} bytes. "
            f"Received: {max(0, len(content) - offset)}"
        )
    values = np.frombuffer(content, dtype, count, offset).reshape(shape)
    scale, zero = header.get("BSCALE", 1), header.get("BZERO", 0)
    if not all(type(each) in (int, float) and math.isfinite(each) for each in (scale, zero)):
        raise DataError(f"{where}: BSCALE and BZERO are numbers. Received: {scale!r}, {zero!r}")
    blank = header.get("BLANK")
    # A value beyond float32 becomes infinite and is refused with its object.
    with np.errstate(over="ignore"):
        if bits < 0 and (scale, zero) == (1, 0):
            return values.astype(np.float32)
        found = values * float(scale) + float(zero)
        if bits > 0 and type(blank) is int:
            found[values == blank] = np.nan
        return found.astype(np.float32)
