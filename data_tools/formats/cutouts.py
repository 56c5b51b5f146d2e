"""Cutouts of alerts: one image in a FITS file of one HDU, gzipped or plain, from bytes to a float32 array.

A small FITS image needs no general FITS machinery, but every check stays: CRC-32 and size of the gzip stream, the
mandatory keywords in their order, sizes, whole blocks, BSCALE, BZERO and BLANK. Headers of a night are few, and each
is parsed once. The format: FITS standard 4.0, sections 3 and 4.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import numpy as np
from isal import isal_zlib

from tfrecords.errors import DataError

UNPACKED_BYTES = 1 << 20
"""The most that a cutout may have; one of 63x63 pixels has 20,160 bytes."""
MAX_SIDE = 512

_BLOCK, _CARD = 2880, 80
_HEADER_BLOCKS = 10
_GZIP = b"\x1f\x8b"
_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([EDed][+-]?\d{1,3})?")


@dataclass(frozen=True)
class _Image:
    """Layout of an image: offset and type of its values, rows, columns, scale, zero, and the value that is none."""

    offset: int
    dtype: str
    shape: tuple[int, int]
    scale: float
    zero: float
    blank: int | None

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize


def decode_cutout(data: bytes) -> np.ndarray:
    """Decode a cutout.

    Parameters
    ----------
    data : bytes
        A FITS file of one image, gzipped or plain.

    Returns
    -------
    numpy.ndarray
        float32 [rows, columns] in native byte order; NaN pixels stay NaN.

    Raises
    ------
    DataError
        If the gzip stream is cut short, damaged (CRC-32) or too large, or the bytes are no FITS file of one image.
    """
    raw = _unzip(data) if data.startswith(_GZIP) else data
    if len(raw) < _BLOCK:
        raise DataError(f"a FITS file has blocks of {_BLOCK} bytes. Received: {len(raw)} bytes")
    image = _parse_header(raw[:_BLOCK])
    for blocks in range(2, _HEADER_BLOCKS + 1):
        if image is not None:
            break
        image = _parse_header(raw[: blocks * _BLOCK])
    if image is None:
        raise DataError(f"the header of a cutout ends within {_HEADER_BLOCKS} blocks. Received: no END")
    whole = image.offset + -(-image.size // _BLOCK) * _BLOCK
    if len(raw) != whole:
        raise DataError(
            f"an image of {image.shape[1]}x{image.shape[0]} pixels and its header have {whole} bytes in whole blocks "
            f"(cut short, or not one image?). Received: {len(raw)} bytes"
        )
    values = np.frombuffer(raw, image.dtype, image.shape[0] * image.shape[1], image.offset).reshape(image.shape)
    if image.dtype == ">f4" and image.scale == 1 and image.zero == 0:
        return values.astype(np.float32)
    with np.errstate(over="ignore"):
        scaled = values.astype(np.float64) * image.scale + image.zero
        if image.blank is not None:
            scaled[values == image.blank] = np.nan
        return scaled.astype(np.float32)


def _unzip(data: bytes) -> bytes:
    try:
        # 31: a window of 2^15 bytes, with the gzip header and trailer, whose CRC-32 and size are checked.
        inflate = isal_zlib.decompressobj(31)
        raw = inflate.decompress(data, UNPACKED_BYTES + 1)
    except isal_zlib.error as error:
        raise DataError(f"the gzip stream of a cutout is damaged: {error}. Received: {len(data)} bytes") from error
    if len(raw) > UNPACKED_BYTES:
        raise DataError(f"a cutout has at most {UNPACKED_BYTES} bytes. Received: a gzip stream of more")
    if not inflate.eof:
        raise DataError(f"the gzip stream of a cutout is cut short. Received: {len(data)} bytes")
    if inflate.unused_data.strip(b"\0"):
        raise DataError(f"a cutout is one gzip stream. Received: {len(inflate.unused_data)} bytes after its end")
    return raw


@functools.lru_cache(maxsize=1024)
def _parse_header(header: bytes) -> _Image | None:
    """Parse whole blocks of a header; None if its end is not in them."""
    try:
        text = header.decode("ascii")
    except UnicodeDecodeError as error:
        raise DataError(f"a FITS header is ASCII text. Received: {header[:_CARD]!r}") from error
    if not text.isprintable():
        raise DataError(f"a FITS header is printable text. Received: {header[:_CARD]!r}")
    cards = [text[start : start + _CARD] for start in range(0, len(text), _CARD)]
    for number, key in enumerate(("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2")):
        if cards[number][:10] != f"{key:8}= ":
            raise DataError(f"card {number + 1} of an image's FITS header is {key}. Received: {cards[number][:30]!r}")
    if _value(cards[0]) != "T":
        raise DataError(f"a FITS file starts with SIMPLE = T. Received: {cards[0][:30]!r}")
    bitpix, naxis, columns, rows = (_integer(card) for card in cards[1:5])
    if bitpix not in _TYPES:
        raise DataError(f"BITPIX is one of {sorted(_TYPES)}. Received: {bitpix}")
    if naxis != 2 or not (0 < columns <= MAX_SIDE and 0 < rows <= MAX_SIDE):
        raise DataError(
            f"a cutout has 2 axes of 1 to {MAX_SIDE} pixels. Received: NAXIS = {naxis}, {columns}x{rows} pixels"
        )
    scale, zero, blank = 1.0, 0.0, None
    for number, card in enumerate(cards[5:], 5):
        if card.rstrip() == "END":
            if text[(number + 1) * _CARD :].strip():
                raise DataError("blanks follow END to the end of the block. Received: other text")
            offset = -(-(number + 1) * _CARD // _BLOCK) * _BLOCK
            if offset != len(header):
                return None
            return _Image(offset, _TYPES[bitpix], (rows, columns), scale, zero, blank if bitpix > 0 else None)
        if card.startswith("BSCALE  = "):
            scale = _float(card)
        elif card.startswith("BZERO   = "):
            zero = _float(card)
        elif card.startswith("BLANK   = "):
            blank = _integer(card)
    return None


def _value(card: str) -> str:
    return card[10:].split("/")[0].strip()


def _integer(card: str) -> int:
    if not _INTEGER.fullmatch(_value(card)):
        raise DataError(f"{card[:8].strip()} is an integer. Received: {card[:30]!r}")
    return int(_value(card))


def _float(card: str) -> float:
    text = _value(card)
    number = float(text.upper().replace("D", "E")) if _FLOAT.fullmatch(text) else np.nan
    if not np.isfinite(number):
        raise DataError(f"{card[:8].strip()} is a finite number. Received: {card[:40]!r}")
    return number
