"""Copies of a labelled light curve as the survey would have seen it at another redshift, brightness and noise.

An object outside our Galaxy, at redshift z, is described by a Gaussian process over time and wavelength
(`data_tools.computed.gaussian_process`), m(t, λ), and seen again at z'. With s = (1 + z') / (1 + z), reference time t0
(`tfrecords.times`) and luminosity distance D,

    f'(t, λ) = s (D(z) / D(z'))² m(t0 + (t - t0) / s, λ / s).

Fluxes are flux densities per frequency (AB magnitudes), f_ν(ν) = (1 + z) L_ν((1 + z) ν) / 4π D²: the same photons of
the rest frame come from λ / s, which leaves the factor s besides the distances. At z' = z a copy without noise is m.
Distances are those of a flat universe with H0 = 70 km/s/Mpc and Ωm = 0.3.

Observations are the object's own (its cadence), moved in time by some days against the object, thinned out and with a
block taken away. Rows are dropped, not invented, where the object was not seen: outside its span of time and a margin,
and where the process knows little. The process's uncertainty is noise that the copy has already: as much is added in
quadrature as it lacks to the survey's error, and the stated error is the larger one of both. (Noise of the survey's
full size on top of it leaves copies at z' = z with peaks of a fifth to a third less signal-to-noise than the objects.)

An object in our Galaxy keeps its own observations, which are scaled in brightness, made noisier and thinned out: a
smooth process would take away what makes eclipses, pulsations and flares. The few objects that vary at random outside
the Galaxy (AGN) vary over months, which the process follows; nothing here knows the class of an object.
"""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np

from data_tools.computed.gaussian_process import GaussianProcess
from tfrecords.layout import stable_hash
from tfrecords.schema import FLAG_DETECTED, FLAG_TRIGGER, FLAG_UNKNOWN, LightCurve
from tfrecords.times import reference_time

LEAST_ROWS = 10
LEAST_DETECTIONS = 2
ATTEMPTS = 10
# Bands of the copy look at rest-frame light at most this factor outside the bands that were observed.
_STRETCH = 1.25
_MARGIN_DAYS = 10.0
_BLOCK_DAYS = (20.0, 120.0)
# The chance of a detection against |flux / error|, a normal distribution of 99 % at most. Fitted on 60,000 rows of
# PLAsTiCC with the flux of the process instead of the noisy one: half at 5.43, 1.40 wide, and 1 row in 10,000 below 1.
# (With noisy fluxes, 1.1 million rows: 5.58 and 1.41; but noise at 3 sigma far from the event is never a detection.)
_HALF_SNR, _SNR_WIDTH, _MOST_DETECTED = 5.43, 1.40, 0.99


@dataclasses.dataclass(frozen=True)
class Settings:
    """How copies differ from their object.

    Attributes
    ----------
    redshift_range : tuple of float
        Smallest and largest z' / z; log-uniform between them.
    brightness_range : tuple of float
        Of the factor on the flux of objects in our Galaxy; log-uniform.
    shift_days : float
        Observations move by at most so many days, earlier or later.
    drop_fraction : float
        Observations dropped: a share drawn between 0 and this.
    block_fraction : float
        Share of copies that lose all observations of 20 to 120 days.
    noise : float
        Standard deviation of the logarithm of the factor on the flux errors, one factor a copy.
    """

    redshift_range: tuple[float, float] = (0.6, 1.6)
    brightness_range: tuple[float, float] = (0.5, 2.0)
    shift_days: float = 15.0
    drop_fraction: float = 0.4
    block_fraction: float = 0.2
    noise: float = 0.2


@dataclasses.dataclass
class Copy:
    """A copy: its light curve, its true redshift, and the stretch (1 + z') / (1 + z) (1 within our Galaxy)."""

    lc: LightCurve
    redshift: float
    stretch: float


def generator(seed: int, object_id: str, number: int) -> np.random.Generator:
    """Give the random numbers of one copy, the same in whatever order and process copies are made."""
    return np.random.default_rng(stable_hash(f"{object_id}+{number}", seed))


@cache
def _distances() -> tuple[np.ndarray, np.ndarray]:
    from astropy.cosmology import FlatLambdaCDM

    redshift = np.geomspace(1e-5, 20.0, 4096)
    return np.log(redshift), np.log(FlatLambdaCDM(H0=70, Om0=0.3).luminosity_distance(redshift).value)


def luminosity_distance(redshift):
    """Give the luminosity distance in Mpc, f8, for a redshift or redshifts between 1e-5 and 20."""
    return np.exp(np.interp(np.log(redshift), *_distances()))


def flux_factor(old: float, new: float) -> float:
    """Give the factor on a flux per frequency when an object moves from one redshift to another."""
    return (1 + new) / (1 + old) * (luminosity_distance(old) / luminosity_distance(new)) ** 2


def photometric_redshift(photometric: float, old: float, new: float) -> float:
    """Move a photometric redshift with the true one: its error grows as 1 + z."""
    return new + (photometric - old) * (1 + new) / (1 + old)


def usable(lc: LightCurve) -> LightCurve:
    """Leave the rows whose flux and error are known."""
    return _take(lc, np.flatnonzero(np.isfinite(lc.flux) & np.isfinite(lc.flux_err)))


class Extragalactic:
    """Draws copies of an object outside our Galaxy.

    Parameters
    ----------
    lc : LightCurve
        Usable rows.
    wavelengths : numpy.ndarray
        Of the bands, in angstrom.
    redshift : float
        Known or estimated, above 0.
    photometric : float
        Photometric redshift, above 0.
    settings : Settings
    """

    def __init__(
        self, lc: LightCurve, wavelengths: np.ndarray, redshift: float, photometric: float, settings: Settings
    ) -> None:
        self._lc, self._wavelengths = lc, wavelengths
        self._redshift, self._photometric, self._settings = redshift, photometric, settings
        self.process = GaussianProcess(lc.time, wavelengths[lc.band], lc.flux, lc.flux_err)
        self._reference = reference_time(lc.time, lc.flags)

    def draw(self, rng: np.random.Generator) -> Copy | None:
        """Draw a copy; None where too little of it is left or detected."""
        new = self.draw_redshift(rng)
        lc = self._lc
        rows, time = _observe(lc, self._settings, rng)
        mean, std, known = self.at(new, time, lc.band[rows])
        error = lc.flux_err[rows] * rng.lognormal(0.0, self._settings.noise)
        # Where the process falls back to its prior nothing is known, unless that prior hides in the noise anyway.
        amplitude = self.process.amplitude * flux_factor(self._redshift, new)
        known &= std <= np.maximum(0.5 * amplitude, error)
        flux = mean + rng.normal(size=len(rows)) * np.sqrt(np.maximum(error**2 - std**2, 0))
        error = np.maximum(error, std)
        detected = rng.random(len(rows)) < detection_chance(mean / error)
        curve = _curve(lc, rows, time, flux, error, detected)
        stretch = (1 + new) / (1 + self._redshift)
        return _complete(Copy(_take(curve, np.flatnonzero(known)), new, stretch))

    def at(self, redshift: float, time: np.ndarray, band: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give flux and standard deviation at another redshift, times and bands, and which rows lie in the span."""
        stretch = (1 + redshift) / (1 + self._redshift)
        then = self._reference + (time - self._reference) / stretch
        known = (then >= self._lc.time.min() - _MARGIN_DAYS) & (then <= self._lc.time.max() + _MARGIN_DAYS)
        mean, std = self.process.predict(then, self._wavelengths[band] / stretch)
        factor = flux_factor(self._redshift, redshift)
        return mean * factor, std * factor, known

    def draw_redshift(self, rng: np.random.Generator) -> float:
        """Draw a redshift that keeps bands near what was observed, and the photometric redshift outside the Galaxy."""
        low, high = self._settings.redshift_range
        least = [self._redshift * low, (1 + self._redshift) / _STRETCH - 1]
        if self._photometric < self._redshift:
            # One far below the true redshift would else become 0, which says "in our Galaxy".
            least.append((1 + self._redshift) * (1 + low * self._photometric) / (1 + self._photometric) - 1)
        most = min(self._redshift * high, (1 + self._redshift) * _STRETCH - 1)
        # Rounding can leave a limit on the wrong side of the redshift itself.
        bounds = min(max(least), self._redshift), max(most, self._redshift)
        return float(np.exp(rng.uniform(*np.log(bounds))))


class Galactic:
    """Draws copies of an object in our Galaxy from its own observations."""

    def __init__(self, lc: LightCurve, settings: Settings) -> None:
        self._lc, self._settings = lc, settings

    def draw(self, rng: np.random.Generator) -> Copy | None:
        """Draw a copy; None where too little of it is left or detected."""
        lc = self._lc
        rows, time = _observe(lc, self._settings, rng)
        factor = np.exp(rng.uniform(*np.log(self._settings.brightness_range)))
        wanted = lc.flux_err[rows].astype(np.float64) * rng.lognormal(0.0, self._settings.noise)
        scaled = lc.flux_err[rows].astype(np.float64) * factor
        # The scaled observations carry scaled noise already; only what lacks can be added.
        added = np.sqrt(np.maximum(wanted**2 - scaled**2, 0))
        flux = lc.flux[rows] * factor + rng.normal(size=len(rows)) * added
        error = np.maximum(wanted, scaled)
        # Signal-to-noise only falls, and with it some of the detections; an unchanged row stays what it was.
        before = detection_chance(lc.flux[rows] / lc.flux_err[rows])
        after = detection_chance(lc.flux[rows] * factor / error)
        kept = rng.random(len(rows)) * before <= after * (1 + 1e-6)
        detected = ((lc.flags[rows] & FLAG_DETECTED) > 0) & kept
        return _complete(Copy(_curve(lc, rows, time, flux, error, detected), 0.0, 1.0))


def _observe(lc: LightCurve, settings: Settings, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Choose rows to observe again, and their new times."""
    kept = rng.random(len(lc)) >= rng.uniform(0, settings.drop_fraction)
    block, start, length = rng.random(), rng.random(), rng.uniform(*_BLOCK_DAYS)
    if block < settings.block_fraction:
        first = lc.time.min() - length + start * (np.ptp(lc.time) + length)
        kept &= (lc.time < first) | (lc.time > first + length)
    rows = np.flatnonzero(kept)
    return rows, lc.time[rows] + rng.uniform(-settings.shift_days, settings.shift_days)


def detection_chance(snr: np.ndarray) -> np.ndarray:
    """Give the chance of a detection for flux over error of either sign."""
    from scipy.special import ndtr

    return _MOST_DETECTED * ndtr((np.abs(snr) - _HALF_SNR) / _SNR_WIDTH)


def _curve(
    lc: LightCurve, rows: np.ndarray, time: np.ndarray, flux: np.ndarray, error: np.ndarray, detected: np.ndarray
) -> LightCurve:
    """Make a light curve of new values; rows that never said whether they were detected go on not saying it."""
    flags = np.where(detected, FLAG_DETECTED, 0)
    flags = np.where(lc.flags[rows] & FLAG_UNKNOWN, FLAG_UNKNOWN, flags).astype("u1")
    if (lc.flags & FLAG_TRIGGER).any() and (flags & FLAG_DETECTED).any():
        flags[np.argmax(flags & FLAG_DETECTED)] |= FLAG_TRIGGER
    return LightCurve(time, lc.band[rows], flux, error, flags)


def _complete(copy: Copy) -> Copy | None:
    flags = copy.lc.flags
    detected = ((flags & FLAG_DETECTED) > 0).sum() >= LEAST_DETECTIONS
    return copy if len(flags) >= LEAST_ROWS and (detected or (flags & FLAG_UNKNOWN).all()) else None


def _take(lc: LightCurve, rows: np.ndarray) -> LightCurve:
    return LightCurve(lc.time[rows], lc.band[rows], lc.flux[rows], lc.flux_err[rows], lc.flags[rows])
