"""SNID template files (``.lnw``): the spectra of one supernova at several epochs on one logarithmic grid.

Blondin & Tonry 2007, ApJ 666, 1024. Header: number of epochs and of bins, first and last wavelength, number of spline
knots, name, delta m15 (-9.99: unknown), type and subtype as text and as two numbers. Then the knots of the continuum
that was divided out (a line with their numbers and the mean fluxes, then the knots), a line with the kind of age and
the ages, and a line a bin: wavelength and the fluxes of all epochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_tools.formats.compressed import read_file
from data_tools.formats.untrusted import infinite_in_f4, number_rows
from tfrecords.errors import DataError

LARGEST_FILE = 16 << 20
_MOST_EPOCHS, _MOST_KNOTS, _MOST_BINS = 1000, 200, 1 << 15
_AGE_KINDS = range(10)


@dataclass(frozen=True)
class Template:
    """The head of one file.

    Attributes
    ----------
    name : str
        Of the supernova.
    type_name : str
        Type and subtype, such as ``Ia-norm``.
    type_number, subtype_number : int
    delta_m15 : float
        Decline of the B magnitude in 15 days after maximum; -9.99 unknown.
    age_kind : int
        What ages count from: 0 the light curve's maximum, others an epoch that the source of the template names.
    ages : tuple of float
        Days, one an epoch.
    bins : int
    first_bin_line : int
        Lines before the table of fluxes.
    """

    name: str
    type_name: str
    type_number: int
    subtype_number: int
    delta_m15: float
    age_kind: int
    ages: tuple[float, ...]
    bins: int
    first_bin_line: int


def read_template(path: Path) -> tuple[Template, bytes]:
    """Read the head of a file; the bytes are for `read_fluxes`.

    Raises
    ------
    DataError
        If the file is damaged, too large, or no such template.
    """
    data = read_file(path, LARGEST_FILE)
    try:
        return _head(data.decode("ascii").splitlines()), data
    except (ValueError, IndexError) as error:
        raise DataError(f"{path.name}: not a SNID template (.lnw): {error}") from error


def read_fluxes(path: Path, template: Template, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Read the wavelengths in angstrom (f8 [bins]) and the fluxes of all epochs (f8 [bins, epochs]).

    Raises
    ------
    DataError
        If the table is cut short or damaged, a wavelength does not increase, or a flux is infinite.
    """
    epochs = len(template.ages)
    try:
        if not data.endswith(b"\n"):
            raise DataError("cut short: the last line has no end")
        rows = number_rows(data, range(epochs + 1), header_lines=template.first_bin_line)
        if len(rows) != template.bins:
            raise DataError(f"the header says {template.bins} bins. Received: {len(rows)}")
        wavelength, flux = rows[:, 0], rows[:, 1:]
        if infinite_in_f4(wavelength) or not (np.diff(wavelength.astype("<f4")) > 0).all() or not wavelength[0] > 0:
            raise DataError("wavelength is positive and increases. Received: values that do not")
        if infinite_in_f4(flux):
            raise DataError("flux is finite or NaN. Received: an infinite value")
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error
    return wavelength, flux


def _head(lines: list[str]) -> Template:
    words = lines[0].split()
    if len(words) != 10:
        raise ValueError(f"the first line has ten words. Received: {lines[0][:100]!r}")
    epochs, bins, knots = int(words[0]), int(words[1]), int(words[4])
    if not (1 <= epochs <= _MOST_EPOCHS and 2 <= bins <= _MOST_BINS and 0 <= knots <= _MOST_KNOTS):
        raise ValueError(f"the first line counts epochs, bins and knots. Received: {epochs}, {bins}, {knots}")
    name, type_name, type_number, subtype_number = words[5], words[7], int(words[8]), int(words[9])
    if not (name.isprintable() and type_name.isprintable() and 0 <= type_number < 100 and 0 <= subtype_number < 100):
        raise ValueError(f"the first line ends with the type and its two numbers. Received: {lines[0][:100]!r}")
    ages = lines[knots + 2].split()
    if len(ages) != epochs + 1 or int(ages[0]) not in _AGE_KINDS:
        raise ValueError(f"line {knots + 3} has the kind of age and {epochs} ages. Received: {lines[knots + 2][:99]!r}")
    values = tuple(float(age) for age in ages[1:])
    delta_m15 = float(words[6])
    if not np.isfinite([*values, delta_m15]).all() or max(map(abs, (*values, delta_m15))) > 1e5:
        raise ValueError(f"ages and delta m15 are finite. Received: {values}, {delta_m15}")
    return Template(name, type_name, type_number, subtype_number, delta_m15, int(ages[0]), values, bins, knots + 3)
