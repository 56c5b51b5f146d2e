"""The Milky Way's dust: how much flux of a band it takes away.

Law of Fitzpatrick 1999, PASP 111, 63, with R_V = 3.1: a band's extinction in magnitudes is its coefficient times
E(B−V).
"""

from __future__ import annotations

import numpy as np

from tfrecords.errors import DataError

R_V = 3.1
WAVELENGTHS = {"u": 3569.5, "g": 4766.5, "r": 6214.5, "i": 7544.5, "z": 8707.5, "y": 10039.5, "Y": 10039.5}
"""Wavelengths in angstrom at which RAPID's original takes the law, by the name of the band."""

LIMITS = (910.0, 60000.0)
"""Wavelengths in angstrom between which the law is defined."""


def coefficients(wavelengths) -> tuple[float, ...]:
    """Give A_λ / E(B−V) of wavelengths in angstrom.

    In the ultraviolet, below 2,700 angstrom, the formula of Fitzpatrick & Massa 1990; above, a natural cubic spline
    through the points of the paper against the inverse wavelength.

    Raises
    ------
    DataError
        If a wavelength is outside of `LIMITS`.
    """
    wavelengths = np.asarray(wavelengths, "float64")
    outside = [value for value in wavelengths if not LIMITS[0] <= value <= LIMITS[1]]
    if outside:
        raise DataError(
            "the extinction law needs the wavelength of every band in the data set's band table. "
            f"Valid: {LIMITS[0]:g} to {LIMITS[1]:g} angstrom. Received: {outside[0]:g}"
        )
    inverse = 1e4 / wavelengths
    knots = 1e4 / np.array([np.inf, 26500, 12200, 6000, 5470, 4670, 4110, 2700, 2600])
    powers = R_V ** np.arange(5)
    optical = [
        0.0,
        0.26469 * R_V / 3.1,
        0.82925 * R_V / 3.1,
        np.dot([-0.422809, 1.00270, 2.13572e-4], powers[:3]),
        np.dot([-5.13540e-2, 1.00216, -7.35778e-5], powers[:3]),
        np.dot([0.700127, 1.00184, -3.32598e-5], powers[:3]),
        np.dot([1.19456, 1.01707, -5.46959e-3, 7.97809e-4, -4.45636e-5], powers),
    ]
    values = np.array([*optical, *_ultraviolet(knots[7:])])
    found = np.where(wavelengths < 2700, _ultraviolet(inverse), _spline(knots, values, inverse))
    return tuple(float(value) for value in found)


def _spline(knots, values, wanted):
    """Give the natural cubic spline through (knots, values), without bend at its ends, at wanted places."""
    step = np.diff(knots)
    system, right = np.eye(len(knots)), np.zeros(len(knots))
    for place in range(1, len(knots) - 1):
        before, after = step[place - 1], step[place]
        system[place, place - 1 : place + 2] = before, 2 * (before + after), after
        right[place] = 6 * ((values[place + 1] - values[place]) / after - (values[place] - values[place - 1]) / before)
    bend = np.linalg.solve(system, right)
    left = np.clip(np.searchsorted(knots, wanted, side="right") - 1, 0, len(knots) - 2)
    width, share = step[left], (wanted - knots[left]) / step[left]
    line = (1 - share) * values[left] + share * values[left + 1]
    curve = ((1 - share) ** 3 - (1 - share)) * bend[left] + (share**3 - share) * bend[left + 1]
    return line + curve * width**2 / 6


def _ultraviolet(inverse):
    """Give A_λ / E(B−V) at inverse wavelengths in 1 / micron, above 3.7."""
    second = -0.824 + 4.717 / R_V
    first = 2.030 - 3.007 * second
    square = inverse**2
    bump = square / ((square - 4.596**2) ** 2 + (0.99 * inverse) ** 2)
    far = np.maximum(inverse - 5.9, 0.0)
    return R_V + first + second * inverse + 3.23 * bump + 0.41 * (0.5392 * far**2 + 0.05644 * far**3)
