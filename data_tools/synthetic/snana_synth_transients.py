"""Light curves of the synthetic set's transients: one law of brightness and colour, with each model's parameters.

At rest-frame day t from maximum the spectrum is a black body that cools, scaled to the light curve s(t) at 5500
angstrom,

    L(wavelength, t) = s(t) B(wavelength, T(t)) / B(5500, T(t)) 10^(-0.4 (blanketing + dust)),
    T(t) = T_cool + (T_hot - T_cool) exp(-max(t, -10 d) / cooling),

and is seen as f = (1 + z) L(wavelength / (1 + z), t / (1 + z)) / 4 pi D². The shapes of s are

- ``burst``: exp(-t / fall) / (1 + exp(-t / rise)), Bazin et al. 2009, with a radioactive tail of 100 days, and if
  asked for a second maximum in the red (SNe Ia) or a first one of shock cooling (SNe IIb);
- ``plateau``: a rise, a slow decline over the plateau's length, a drop and the tail (SNe II);
- ``disruption``: a Gaussian rise and (1 + t / fall)^(-5/3) (tidal disruption events).

Numbers are of the order that is known of the kinds of events, and overlap as they do; none is fitted.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from data_tools.readers.plasticc_survey import BANDS
from data_tools.synthetic.resimulation import luminosity_distance
from data_tools.synthetic.snana_synth_survey import ZERO_POINT, Events, Visits

WAVELENGTHS = np.array([band.wavelength_angstrom for band in BANDS])
"""Effective wavelengths of ugrizY in angstrom."""

_VISUAL = 5500.0
_TAIL_DAYS = 100.0
_PARAMETERS = ("rise", "fall", "hot", "cool", "cooling", "blanketing", "plateau", "bump")


@dataclasses.dataclass(frozen=True)
class Transient:
    """What kind of event a model makes.

    Attributes
    ----------
    magnitude, spread : float
        Absolute AB magnitude at 5500 angstrom and maximum, and its standard deviation.
    rise, fall : float
        Time scales in days of the rest frame.
    hot, cool : float
        Temperatures in kelvin at maximum and late.
    cooling : float
        Days.
    redshift : float
        Largest one of the simulation.
    blanketing : float
        Magnitudes lost every 1000 angstrom below 4200.
    shape : {"burst", "plateau", "disruption"}
    plateau : float
        Length in days.
    bump : float
        Height of the second maximum at 25 days in the red; negative: of a first one before the rise.
    tail : float
        Share of the peak's light in the radioactive tail.
    dust : float
        Mean of the host's visual extinction (exponential).
    scatter : float
        Standard deviation of the logarithm of all time scales and temperatures (temperatures: a third).
    window : (float, float)
        Days of the rest frame around maximum that are observed.
    """

    magnitude: float
    spread: float
    rise: float
    fall: float
    hot: float
    cool: float
    cooling: float
    redshift: float
    blanketing: float = 1.0
    shape: str = "burst"
    plateau: float = 1.0
    bump: float = 0.0
    tail: float = 0.04
    dust: float = 0.2
    scatter: float = 0.2
    window: tuple[float, float] = (-50.0, 150.0)

    def draw_redshifts(self, random: np.random.Generator, number: int) -> np.ndarray:
        """Draw true redshifts, by a little less than the volume."""
        return np.maximum(self.redshift * random.random(number) ** (1 / 2.4), 0.002)

    def __call__(
        self, random: np.random.Generator, events: Events, seen: Visits, truth: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the light of events.

        Parameters
        ----------
        random : numpy.random.Generator
        events : Events
        seen : Visits
        truth : dict of str to ndarray
            Takes the columns SIM_AV, SIM_RV and SIM_MAGSMEAR_COH.

        Returns
        -------
        flux, star : ndarray [R]
            FLUXCAL before the Milky Way's dust, and 0: there was nothing before.
        """
        number = len(events)
        smear = self.spread * random.standard_normal(number)
        spread = np.array([self.scatter] * 2 + [self.scatter / 3] * 2 + [self.scatter] * 4)
        means = np.array([getattr(self, name) for name in _PARAMETERS])
        drawn = means * np.exp(spread * random.standard_normal((number, len(means))))
        # Brighter ones are slower, as SNe Ia are.
        drawn[:, 1] *= np.exp(-0.15 * smear)
        dust = random.exponential(self.dust, number)
        truth |= {"SIM_AV": dust, "SIM_RV": np.full(number, 3.1), "SIM_MAGSMEAR_COH": smear}
        rise, fall, hot, cool, cooling, blanketing, plateau, bump = drawn[seen.owner].T
        redshift = events.redshift[seen.owner]
        wavelength = WAVELENGTHS[seen.band] / (1 + redshift)
        t = (seen.mjd - events.peak[seen.owner]) / (1 + redshift)
        light = _SHAPES[self.shape](t, rise, fall, plateau, self.tail)
        if self.bump > 0:
            light += bump * np.clip((wavelength - 5500) / 2500, 0, 1.2) * np.exp(-(((t - 25) / 9) ** 2))
        elif self.bump < 0:
            light -= bump * np.exp(-(((t + 4 * rise) / (0.5 * rise)) ** 2))
        temperature = cool + (hot - cool) * np.exp(-np.maximum(t, -10) / cooling)
        light *= black_body(wavelength, temperature) / black_body(_VISUAL, temperature)
        lost = np.minimum(blanketing * np.maximum(4200 - wavelength, 0) / 1000, 3.5)
        lost += dust[seen.owner] * (_VISUAL / wavelength) ** 1.2
        modulus = 25 + 5 * np.log10(luminosity_distance(events.redshift)) - 2.5 * np.log10(1 + events.redshift)
        magnitude = (self.magnitude + smear + modulus)[seen.owner] + lost
        return light * 10 ** (0.4 * (ZERO_POINT - magnitude)), np.zeros(len(t))


def black_body(wavelength, temperature) -> np.ndarray:
    """Compute Planck's law per frequency, in arbitrary units, for angstrom and kelvin; arguments broadcast."""
    return (1e4 / wavelength) ** 3 / np.expm1(1.43878e8 / (wavelength * temperature))


def _burst(t, rise, fall, _plateau, tail) -> np.ndarray:
    # Maximum at t = 0, and of height 1.
    at = -rise * np.log(np.maximum(fall / rise - 1, 0.05))
    late = np.maximum(t - at, -50 * rise)
    rising = 1 / (1 + np.exp(-late / rise))
    top = 1 / (1 + np.exp(at / rise)) * np.exp(at / fall)
    return (1 - tail) * rising * np.exp(-late / fall) / top + tail * rising * np.exp(-np.maximum(t, 0) / _TAIL_DAYS)


def _plateau(t, rise, fall, length, tail) -> np.ndarray:
    rising = 1 / (1 + np.exp(-np.clip(t / rise + 3, -500, None)))
    slope = np.exp(-np.maximum(t, 0) / fall)
    drop = 1 / (1 + np.exp(np.clip((t - length) / 5, None, 500)))
    return rising * ((1 - tail) * slope * drop + tail * np.exp(-np.maximum(t, 0) / _TAIL_DAYS))


def _disruption(t, rise, fall, _plateau, _tail) -> np.ndarray:
    return np.where(t < 0, np.exp(-0.5 * (t / rise) ** 2), (1 + np.maximum(t, 0) / fall) ** (-5 / 3))


_SHAPES = {"burst": _burst, "plateau": _plateau, "disruption": _disruption}
