"""Images of the sky by a simple camera: point sources, galaxies, trails, noise, saturation.

Images are in ADU, one value a pixel, and positions in pixels from the centre of the stamp, x along columns and y along
rows. The camera is one like ZTF's: pixels of 1.01 arcsec, exposures of 30 s, 26.3 mag at 1 ADU.

- A point source is a Moffat (1969) profile, f(r) = (β − 1) / (π α²) (1 + r²/α²)^−β with the full width at half maximum
  2 α √(2^(1/β) − 1).
- A galaxy is a Sérsic (1963) profile, I(r) ∝ exp(−b ((r/Re)^(1/n) − 1)) with b = 2n − 1/3 + 0.009876/n (Prugniel &
  Simien 1997) on ellipses, convolved with that of a point.
- Every pixel is the mean of 3x3 points in it.
- A pixel of I ADU has a Poisson number of electrons with the mean I · gain, and normal read noise. The template is the
  mean of 20 such exposures.
- Electrons beyond saturation flow along their column, half of them up and half of them down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PIXEL = 1.01
"""Side of a pixel in arcsec."""

GAIN = 6.2
"""Electrons an ADU."""

READ_NOISE = 10.0
"""Standard deviation in electrons."""

SATURATION = 50000.0
"""Most ADU that a pixel holds."""

ZERO_POINT = 26.3
"""AB magnitude of a source of 1 ADU."""

COADDED = 20
"""Exposures of which a template is the mean."""

_FINE = 3
_KERNEL = 12
_SOFTENING = 0.15


class Psf(NamedTuple):
    """Profile of a point source: full width at half maximum in pixels, and Moffat's exponent."""

    fwhm: float
    beta: float = 3.0

    @property
    def noise_area(self):
        """Area in pixels whose noise is that of a flux by this profile: 1 / ∫ f² = π α² (2β − 1) / (β − 1)²."""
        return math.pi * self._squared_alpha * (2 * self.beta - 1) / (self.beta - 1) ** 2

    @property
    def _squared_alpha(self):
        return self.fwhm**2 / (4 * (2 ** (1 / self.beta) - 1))

    def density(self, squared_radius):
        """Give the share of the flux in a square pixel at squared distances in pixels."""
        share = (self.beta - 1) / (math.pi * self._squared_alpha)
        return share * (1 + squared_radius / self._squared_alpha) ** -self.beta


class Galaxy(NamedTuple):
    """A Sérsic profile: place, flux in ADU, half-light radius in pixels, index, ratio of the axes, angle in radians."""

    x: float
    y: float
    flux: float
    radius: float
    index: float
    ratio: float
    angle: float


def flux_of(magnitude):
    """Give the flux in ADU of a magnitude."""
    return 10 ** (0.4 * (ZERO_POINT - np.asarray(magnitude, float)))


def _coordinates(size: int) -> np.ndarray:
    return (np.arange(size * _FINE) + 0.5) / _FINE - size / 2


def _binned(fine: np.ndarray) -> np.ndarray:
    size = len(fine) // _FINE
    return fine.reshape(size, _FINE, size, _FINE).sum(axis=(1, 3))


def draw_points(size: int, psf: Psf, x: Sequence[float], y: Sequence[float], flux: Sequence[float]) -> np.ndarray:
    """Draw point sources (source,) of some fluxes in ADU; gives an image [size, size], f8."""
    along, fine = _coordinates(size), np.zeros((size * _FINE, size * _FINE))
    for column, row, value in zip(x, y, flux, strict=True):
        if value:
            fine += value * psf.density((along[:, None] - row) ** 2 + (along - column) ** 2)
    return _binned(fine) / _FINE**2


def draw_trail(size: int, psf: Psf, x: float, y: float, flux: float, length: float, angle: float) -> np.ndarray:
    """Draw a source that moves evenly along `length` pixels at an angle from the x axis, its middle at (x, y)."""
    steps = 1 + 2 * math.ceil(length)
    offsets = length * (np.arange(steps) - (steps - 1) / 2) / steps
    return draw_points(
        size, psf, x + offsets * math.cos(angle), y + offsets * math.sin(angle), np.full(steps, flux / steps)
    )


class Galaxies:
    """Galaxies of a stamp, ready to be seen through any atmosphere.

    Parameters
    ----------
    size : int
        Pixels of a side of the stamp.
    galaxies : sequence of Galaxy
        Their fluxes are those inside the stamp.
    """

    def __init__(self, size: int, galaxies: Sequence[Galaxy]) -> None:
        self._size, self._empty = size, not galaxies
        along = _coordinates(size)
        fine = np.zeros((size * _FINE, size * _FINE))
        for each in galaxies:
            dx, dy = along - each.x, along[:, None] - each.y
            major = dx * math.cos(each.angle) + dy * math.sin(each.angle)
            minor = (dy * math.cos(each.angle) - dx * math.sin(each.angle)) / each.ratio
            # At the very centre the profile has no finite slope, which no grid could follow.
            radius = np.sqrt(major**2 + minor**2 + _SOFTENING**2) / each.radius
            b = 2 * each.index - 1 / 3 + 0.009876 / each.index
            profile = np.exp(-b * (radius ** (1 / each.index) - 1))
            fine += each.flux * profile / profile.sum()
        self._shape = (_fast_length(len(fine) + 2 * _KERNEL * _FINE),) * 2
        self._transform = None if self._empty else np.fft.rfft2(fine, self._shape)

    def draw(self, psf: Psf, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        """Draw them, moved by (x, y) pixels; gives an image [size, size], f8."""
        if self._empty:
            return np.zeros((self._size, self._size))
        half = _KERNEL * _FINE
        along = np.arange(-half, half + 1) / _FINE
        kernel = psf.density((along[:, None] - shift[1]) ** 2 + (along - shift[0]) ** 2) / _FINE**2
        found = np.fft.irfft2(self._transform * np.fft.rfft2(kernel, self._shape), self._shape)
        width = self._size * _FINE
        return _binned(found[half : half + width, half : half + width])


def _fast_length(least: int) -> int:
    """Give a length of at least so many points that has no prime factor above 5."""
    length = least
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def expose(rng: np.random.Generator, image: np.ndarray, exposures: int = 1) -> np.ndarray:
    """Take an image in ADU, sky included, with a camera: the mean of some exposures with their noise, in ADU."""
    electrons = rng.poisson(np.maximum(image, 0.0) * GAIN * exposures).astype(float)
    electrons += rng.normal(0.0, READ_NOISE * math.sqrt(exposures), image.shape)
    return electrons / (GAIN * exposures)


def saturate(image: np.ndarray) -> np.ndarray:
    """Let what is above saturation flow along the columns; gives a new image."""
    image = image.copy()
    for column in np.flatnonzero((image > SATURATION).any(axis=0)):
        line = image[:, column]
        full = np.flatnonzero(line > SATURATION)
        excess = (line[full] - SATURATION).sum() / 2
        line[full] = SATURATION
        for rows in (range(full[-1] + 1, len(line)), range(full[0] - 1, -1, -1)):
            left = excess
            for row in rows:
                room = SATURATION - line[row]
                line[row] += min(room, left)
                left -= room
                if left <= 0:
                    break
    return image


def variance(image: np.ndarray) -> np.ndarray:
    """Give the variance in ADU² of the noise of one exposure of an image in ADU."""
    return np.maximum(image, 0.0) / GAIN + (READ_NOISE / GAIN) ** 2
