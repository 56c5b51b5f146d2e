"""Binary tables of FITS files, read whole and checked before anything is made of them.

Headers are parsed by astropy. Sizes are compared with the file before an array is made, because a header may lie.
Format: the FITS standard 4.0, sections 4.4 and 7.3.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.formats.compressed import MAX_BYTES, read_file
from tfrecords.errors import DataError

BLOCK = 2880
_MAX_HEADER_BLOCKS = 200
_MAX_COLUMNS = 999
_FORMATS = {"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
# A string without quotes in it, an integer or a logical value in the fixed format of the standard, section 4.2.
_PLAIN = re.compile(
    rb"(?=.{8}= )([A-Z0-9_-]{1,8}) *= (?:'([ -&(-~]*)'| {0,19}(-?[0-9]{1,18})| {19}([TF])) *(?:/[ -~]*)?$", re.DOTALL
)
_COMMENTS = (b"        ", b"COMMENT ", b"HISTORY ")
_END = re.compile(rb"END {77}")


@dataclass(frozen=True)
class Table:
    """A binary table.

    Attributes
    ----------
    name : str
        Of the file, for messages.
    keywords : mapping
        Header of the first HDU.
    rows : numpy.ndarray
        Structured and big-endian, as in the file.
    scaling : dict of str to (float, float)
        Scale and zero of the columns that have them.
    """

    name: str
    keywords: Mapping[str, Any]
    rows: np.ndarray
    scaling: dict[str, tuple[float, float]]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return self.rows.dtype.names or ()

    def find(self, *names: str) -> str:
        """Give the first of several names that the table has. Raises DataError if it has none."""
        for name in names:
            if name in self.columns:
                return name
        raise DataError(
            f"{self.name}: the table has a column {' or '.join(names)}. Received: {list(self.columns)[:12]}"
        )

    def numbers(self, name: str, dtype: str) -> np.ndarray:
        """Give a column as contiguous numbers of this machine. Raises DataError if it holds text."""
        values = self.rows[name]
        if values.dtype.kind in "SV" or values.ndim != 1:
            raise DataError(f"{self.name}: column {name!r} holds one number a row. Received: {values.dtype}")
        if name in self.scaling:
            scale, zero = self.scaling[name]
            # Unsigned integers are stored as signed ones with a zero: exact in 64 bits.
            whole = values.dtype.kind in "iu" and isinstance(zero, int) and scale == 1
            values = values.astype("i8") + zero if whole else values * float(scale) + float(zero)
        if np.dtype(dtype).kind in "iu" and values.dtype.kind == "f":
            raise DataError(f"{self.name}: column {name!r} holds integers. Received: {values.dtype}")
        # A value beyond float32 becomes infinite and is refused with its object.
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(values, dtype)

    def text(self, name: str) -> list[str]:
        """Give a column as text without padding (blanks, NULs); integers are written out. Raises DataError."""
        values = self.rows[name]
        if values.dtype.kind in "iu" and values.ndim == 1:
            return [str(each) for each in values.tolist()]
        if values.dtype.kind != "S":
            raise DataError(f"{self.name}: column {name!r} holds text or integers. Received: {values.dtype}")
        return [each.replace(b"\0", b" ").decode("ascii", "replace").strip() for each in values.tolist()]


def read_table(path: Path, limit: int = MAX_BYTES) -> Table:
    """Read the binary table in extension 1 of a FITS file, gzipped or not.

    Raises
    ------
    DataError
        If the file is cut short, damaged, no FITS file, or the header does not fit what follows it.
    """
    content = read_file(path, limit)
    keywords, size = read_header(content, 0, path.name)
    offset = size + data_bytes(keywords, path.name)
    header, size = read_header(content, offset, path.name)
    if header.get("XTENSION", "").strip() != "BINTABLE":
        raise DataError(f"{path.name}: extension 1 is a binary table. Received: {header.get('XTENSION')!r}")
    start, needed = offset + size, data_bytes(header, path.name)
    width, count = header["NAXIS1"], header["NAXIS2"]
    if start + width * count > len(content):
        raise DataError(
            f"{path.name}: cut short: the table has {count} rows of {width} bytes. "
            f"Received: {len(content) - start} of {needed} bytes"
        )
    dtype, scaling = _columns(header, path.name)
    return Table(path.name, keywords, np.frombuffer(content, dtype, count, start), scaling)


def read_header(content: bytes, offset: int, where: str) -> tuple[Any, int]:
    """Read the header at an offset: values by keyword, and its size in bytes. Raises DataError."""
    end = None
    for number in range(_MAX_HEADER_BLOCKS):
        block = content[offset + number * BLOCK : offset + (number + 1) * BLOCK]
        if len(block) < BLOCK:
            raise DataError(f"{where}: cut short, or no FITS file: a header has no end. Received: {len(content)} bytes")
        if number == 0 and block[:9] not in (b"SIMPLE  =", b"XTENSION="):
            raise DataError(f"{where}: a FITS header starts with SIMPLE or XTENSION. Received: {block[:9]!r}")
        if any(found.start() % 80 == 0 for found in _END.finditer(block)):
            end = (number + 1) * BLOCK
            break
    if end is None:
        raise DataError(f"{where}: a header has at most {_MAX_HEADER_BLOCKS} blocks. Received: more")
    text = content[offset : offset + end]
    return _plain_values(text) or _values(text, where), end


def _plain_values(text: bytes) -> dict[str, Any] | None:
    """Read the values of a header whose cards are all of the common kinds; None if one is not.

    Tables have hundreds of cards, and astropy's general way takes longer for them than everything else for the table.
    """
    values: dict[str, Any] = {}
    for start in range(0, len(text), 80):
        card = text[start : start + 80]
        if card[:8] == b"END     ":
            return values
        if match := _PLAIN.match(card):
            name, string, integer_text, truth = match.groups()
            if string is not None:
                values[name.decode()] = string.decode().rstrip(" ")
            else:
                values[name.decode()] = int(integer_text) if truth is None else truth == b"T"
        elif card[:8] not in _COMMENTS:
            return None
    return None


def _values(text: bytes, where: str) -> dict[str, Any]:
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = fits.Header.fromfile(io.BytesIO(text), endcard=True, padding=True)
            return {card.keyword: card.value for card in header.cards if card.keyword}
    except Exception as error:
        raise DataError(f"{where}: a damaged FITS header: {type(error).__name__}: {error}") from error


def data_bytes(header: Mapping[str, Any], where: str) -> int:
    """Give the size of the data after a header, padding included."""
    axes = integer(header, "NAXIS", where, 0, 999)
    if axes == 0:
        return 0
    count = 1
    for axis in range(axes):
        count *= integer(header, f"NAXIS{axis + 1}", where, 0, 1 << 40)
        if count > 1 << 50:
            raise DataError(f"{where}: the sizes of the axes belong to a file. Received: NAXIS{axis + 1} {count}")
    bits = integer(header, "BITPIX", where, -64, 64)
    groups = integer(header, "PCOUNT", where, 0, 1 << 40, 0)
    size = abs(bits) // 8 * (count + groups)
    return -(-size // BLOCK) * BLOCK


def integer(header: Mapping[str, Any], key: str, where: str, least: int, most: int, default: int | None = None) -> int:
    """Give a keyword's integer. Raises DataError if it is none or beyond its limits."""
    value = header.get(key, default)
    if type(value) is not int or not least <= value <= most:
        raise DataError(f"{where}: key {key} is an integer from {least} to {most}. Received: {value!r}")
    return value


def _columns(header: Mapping[str, Any], where: str) -> tuple[np.dtype, dict[str, tuple[float, float]]]:
    fields, scaling = [], {}
    for number in range(1, integer(header, "TFIELDS", where, 0, _MAX_COLUMNS) + 1):
        name, form = header.get(f"TTYPE{number}"), header.get(f"TFORM{number}")
        match = re.fullmatch(r"(\d{0,9})([A-Z])(?:\(.*\))?\w*", form.strip()) if isinstance(form, str) else None
        if match is None or not isinstance(name, str) or not name.strip():
            raise DataError(f"{where}: column {number} has a name and a format. Received: {name!r}, {form!r}")
        repeat, kind = int(match[1] or 1), match[2]
        if kind == "A":
            form = f"S{repeat}"
        elif kind in _FORMATS:
            form = _FORMATS[kind] if repeat == 1 else (_FORMATS[kind], (repeat,))
        elif kind in ("P", "Q"):
            form = f"V{(8 if kind == 'P' else 16) * repeat}"
        elif kind in ("C", "M", "X"):
            form = f"V{-(-repeat // 8) if kind == 'X' else (8 if kind == 'C' else 16) * repeat}"
        else:
            raise DataError(f"{where}: column {name!r} has a format of the standard. Received: {form!r}")
        fields.append((name.strip(), form))
        scale, zero = header.get(f"TSCAL{number}", 1), header.get(f"TZERO{number}", 0)
        if not all(isinstance(each, int | float) for each in (scale, zero)):
            raise DataError(f"{where}: column {name!r} has a numeric scale and zero. Received: {scale!r}, {zero!r}")
        if (scale, zero) != (1, 0):
            scaling[name.strip()] = (scale, zero)
    try:
        dtype = np.dtype(fields)
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: the columns make no table: {error}") from error
    if dtype.itemsize != header["NAXIS1"]:
        raise DataError(f"{where}: rows have {dtype.itemsize} bytes by their columns. Received: {header['NAXIS1']}")
    return dtype, scaling
