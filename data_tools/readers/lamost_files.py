"""One low-resolution spectrum of LAMOST: a FITS file in either published layout, plain or gzipped.

- Old releases: one image, row 0 the flux, row 1 the inverse variance, wavelength = 10^(COEFF0 + i COEFF1) angstrom.
- New releases: a binary table in the first extension, whose first row holds flux, inverse variance and wavelength.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.formats.compressed import read_file
from data_tools.formats.fits_table import BLOCK, data_bytes
from data_tools.formats.fits_table import read_header as fits_header
from data_tools.formats.folders import files_below
from data_tools.formats.untrusted import infinite_in_f4, open_stream
from tfrecords.errors import DataError
from tfrecords.schema import Spectrum

SUFFIXES = (".fits", ".fit", ".fits.gz", ".fit.gz")
# A published file has 0.1 to 0.3 MB.
LARGEST_FILE = 8 << 20
LONGEST_SPECTRUM = 1 << 17
_HEADER_BYTES = 2880 * 40
_COLUMNS = ("FLUX", "IVAR", "WAVELENGTH")
_FIXED_FORMAT = re.compile(r"\d*[EDIJK]$")


def spectrum_files(folder: Path, deep: bool = True) -> Iterator[Path]:
    """Give the FITS files of a folder, those of its folders too (`deep`), sorted by name."""
    found = files_below(folder) if deep else sorted(path for path in folder.iterdir() if path.is_file())
    yield from (path for path in found if path.name.lower().endswith(SUFFIXES))


def looks_like_spectrum(path: Path) -> bool:
    """Say by the first headers of a FITS file whether it holds a spectrum in one of the layouts; never raises."""
    try:
        with open_stream(path) as stream:
            start = stream.read(_HEADER_BYTES)
    except DataError:
        return False
    cards = {start[place : place + 8].rstrip(): start[place : place + 80] for place in range(0, len(start), 80)}
    if not start.startswith(b"SIMPLE  ="):
        return False
    image = b"COEFF0" in cards and b"COEFF1" in cards
    names = [card for place in range(0, len(start), 80) if (card := start[place : place + 80]).startswith(b"TTYPE")]
    table = all(any(f"'{column}".encode() in name for name in names) for column in _COLUMNS)
    return image or table


def read_spectrum(path: Path) -> tuple[Mapping[str, Any], Spectrum]:
    """Read one file.

    Returns
    -------
    header : mapping
        The primary header's values by keyword.
    spectrum : tfrecords.schema.Spectrum
        Values as they are in the file.

    Raises
    ------
    DataError
        If the file is damaged, cut short, too large or in another layout, or a value has no place in a record: a
        wavelength that does not increase, an infinite value, a negative inverse variance.
    """
    return _checked(path, with_data=True)


def read_header(path: Path) -> Mapping[str, Any]:
    """Read the primary header of a file, values by keyword. Raises DataError as `read_spectrum`."""
    return _checked(path, with_data=False)[0]


def _checked(path: Path, with_data: bool) -> tuple[Mapping[str, Any], Any]:
    data = read_file(path, LARGEST_FILE)
    try:
        with warnings.catch_warnings():
            # What the library would only warn of (a file cut short, say) is checked here.
            warnings.simplefilter("ignore")
            header, columns = _read(data, with_data)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error
    except Exception as error:  # the library meets damaged headers with errors of any kind
        kind, text = type(error).__name__, (str(error).splitlines() or [""])[0]
        raise DataError(f"{path.name}: damaged, or no FITS file: {kind}: {text[:200]}") from error
    if not with_data:
        return header, None
    try:
        return header, _spectrum(*columns)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error


def _read(data: bytes, with_data: bool) -> tuple[dict[str, Any], Sequence[np.ndarray] | None]:
    from astropy.io import fits

    if not data.startswith(b"SIMPLE  ="):
        raise DataError(f"a FITS file starts with SIMPLE. Received: {data[:9]!r}")
    _require_sound_headers(data)
    with fits.open(io.BytesIO(data), memmap=False, lazy_load_hdus=True, ignore_missing_simple=False) as units:
        header = {card.keyword: card.value for card in units[0].header.cards if isinstance(card.keyword, str)}
        if not with_data:
            return header, None
        # Not len(): the units of a hostile file are not to be counted to their end.
        count = sum(1 for _ in zip(range(3), _units(units), strict=False))
        if count == 1:
            return header, _image(units[0], header, len(data))
        if count == 2:
            return header, _table(units[1], len(data))
        raise DataError("a spectrum has one unit (image) or two (table). Received: three or more")


def _require_sound_headers(data: bytes) -> None:
    """Refuse headers with impossible numbers, such as a million axes, before the library counts through them."""
    offset = 0
    for number in range(2):
        header, size = fits_header(data, offset, f"header {number + 1}")
        offset += size + data_bytes(header, f"header {number + 1}")
        if len(data) - offset < BLOCK:
            return


def _units(units: Any) -> Iterator[Any]:
    for number in range(3):
        try:
            yield units[number]
        except IndexError:
            return


def _require_size(unit: Any, available: int) -> None:
    """Refuse a unit whose header claims more bytes than the file has, before anything is allocated."""
    size, start = int(unit.size), unit.fileinfo()["datLoc"]
    if size < 0 or start + size > available:
        raise DataError(f"cut short: data of {size} bytes start at byte {start}. Received: {available} bytes in all")


def _image(unit: Any, header: Mapping[str, Any], available: int) -> Sequence[np.ndarray]:
    _require_size(unit, available)
    shape = unit.shape
    if len(shape) != 2 or shape[0] < 2 or not 2 <= shape[1] <= LONGEST_SPECTRUM:
        raise DataError(f"an image has a row of fluxes and one of inverse variances. Received: shape {shape}")
    steps = [header.get(name) for name in ("COEFF0", "COEFF1")]
    if not all(isinstance(step, int | float) and not isinstance(step, bool) for step in steps):
        raise DataError(f"COEFF0 and COEFF1 of the header are numbers. Received: {steps}")
    with np.errstate(all="ignore"):
        wavelength = 10.0 ** (steps[0] + steps[1] * np.arange(shape[1]))
    return unit.data[0], unit.data[1], wavelength


def _table(unit: Any, available: int) -> Sequence[np.ndarray]:
    header = unit.header
    if header.get("XTENSION") != "BINTABLE":
        raise DataError(f"the second unit is a binary table. Received: {header.get('XTENSION')!r}")
    _require_size(unit, available)
    names = [str(name).upper() for name in unit.columns.names]
    places = [names.index(name) for name in _COLUMNS] if set(_COLUMNS) <= set(names) else [0, 1, 2]
    if header["NAXIS2"] < 1 or len(names) < 3:
        raise DataError(f"the table has a row and three columns. Received: {header['NAXIS2']} rows, columns {names}")
    for place in places:
        # A column of variable length points anywhere in the file.
        if not _FIXED_FORMAT.match(str(unit.columns[place].format)):
            raise DataError(f"column {names[place]} holds numbers. Received: format {unit.columns[place].format!r}")
    first = unit.data[0]
    columns = [np.asarray(first.field(place), "f8").ravel() for place in places]
    if not 2 <= len(columns[0]) <= LONGEST_SPECTRUM:
        raise DataError(f"the first row of the table holds the whole spectrum. Received: {len(columns[0])} values")
    return columns


def _spectrum(flux: np.ndarray, ivar: np.ndarray, wavelength: np.ndarray) -> Spectrum:
    shapes = [each.shape for each in (flux, ivar, wavelength)]
    if len(set(shapes)) != 1:
        raise DataError(f"flux, inverse variance and wavelength have one length. Received: {shapes}")
    for name, values in (("flux", flux), ("inverse variance", ivar), ("wavelength", wavelength)):
        if infinite_in_f4(values):
            raise DataError(f"{name} is finite or NaN. Received: an infinite value")
    if not (np.diff(wavelength.astype("<f4")) > 0).all() or not wavelength[0] > 0:
        raise DataError("wavelength is positive and increases. Received: values that do not")
    if (ivar < 0).any():
        raise DataError(f"inverse variance is not negative. Received: {np.nanmin(ivar):g}")
    with np.errstate(invalid="ignore"):
        return Spectrum(wavelength, flux, ivar)
