"""What is on synthetic stamps: the object of an alert by class, what lies around it, and when it is seen.

- AGN: a galaxy with a nucleus whose magnitude is a damped random walk, exp(−Δt/τ) the correlation and SF∞/√2 the
  standard deviation (MacLeod et al. 2010), 100 ≤ τ/d ≤ 600, 0.15 ≤ SF∞/mag ≤ 0.5. The template is one more draw of it.
- SN: a rise and fall by the function of Bazin et al. (2009), off the centre of a galaxy, on it, or without one that is
  seen. The template is free of it.
- VS: a star whose magnitude is periodic: a sine, a sawtooth (fast rise) or eclipses, periods 0.2 to 100 days. The
  template has its mean, so that the difference has both signs.
- asteroid: a source of one night, of which one in four leaves a trail of 2 to 15 pixels. The template is free of it.
- bogus: nothing but stars and galaxies that do not vary, see `stamps_synth_artefacts`.

Amplitudes are larger in g than in r, by 1.25. All of this is plausible, not fitted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from data_tools.bazin import PEAK, bazin
from data_tools.readers.ztf_survey import CLASSES, coordinates
from data_tools.synthetic.stamps_synth_images import COADDED, GAIN, PIXEL, Galaxy, Psf, flux_of, variance

DETECTION = 5.0
"""Least signal-to-noise ratio of the difference for an alert."""

BANDS = 2
_AGN, _SN, _VS, _ASTEROID, _BOGUS = range(len(CLASSES))
_SKY = (160.0, 230.0)
_G_FACTOR = 1.25


class Visits(NamedTuple):
    """Exposures of the field, in the order of time.

    Attributes
    ----------
    time : numpy.ndarray
        f8 (visit,), MJD.
    band : numpy.ndarray
        0 for g, 1 for r.
    seeing : numpy.ndarray
        Full width at half maximum of a point in pixels.
    sky : numpy.ndarray
        ADU a pixel.
    """

    time: np.ndarray
    band: np.ndarray
    seeing: np.ndarray
    sky: np.ndarray


class Scene(NamedTuple):
    """What does not vary.

    Attributes
    ----------
    stars : numpy.ndarray
        f8 (star, 4): x, y in pixels, flux in g and in r in ADU.
    galaxies : tuple of (Galaxy, float)
        With their flux in r, and the flux in g over that in r.
    """

    stars: np.ndarray
    galaxies: tuple[tuple[Galaxy, float], ...]

    def in_band(self, band: int) -> list[Galaxy]:
        """Give the galaxies as they are in a band."""
        return [each._replace(flux=each.flux * (colour if band == 0 else 1.0)) for each, colour in self.galaxies]


class Target(NamedTuple):
    """The source of the alerts.

    Attributes
    ----------
    x, y : float
        In pixels from the centre of the stamp.
    template : numpy.ndarray
        f8 (band,), its flux in the template, ADU.
    flux : numpy.ndarray
        f8 (visit,), its flux in the exposures, ADU.
    trail : (float, float)
        Length in pixels and angle in radians.
    """

    x: float
    y: float
    template: np.ndarray
    flux: np.ndarray
    trail: tuple[float, float] = (0.0, 0.0)


def draw_visits(rng: np.random.Generator, start: float, days: float) -> Visits:
    """Draw the exposures of a field over some days from an MJD on: every few nights, often in both bands."""
    nights = start + np.cumsum(
        rng.choice([1.0, 2.0, 3.0, 4.0, 7.0], size=max(2, int(days / 2)), p=[0.1, 0.2, 0.4, 0.2, 0.1])
    )
    nights = nights[nights <= start + days]
    nights = nights if len(nights) else np.array([start + 1.0])
    time = nights + rng.uniform(0.15, 0.45, len(nights))
    both = rng.random(len(nights)) < 0.4
    band = rng.integers(0, BANDS, len(nights))
    time = np.concatenate([time, time[both] + rng.uniform(0.02, 0.08, both.sum())])
    band = np.concatenate([band, 1 - band[both]])
    order = np.argsort(time, kind="stable")
    time, band = time[order], band[order]
    seeing = np.clip(rng.lognormal(math.log(2.0 / PIXEL), 0.2, len(time)), 1.3, 4.5)
    sky = np.array(_SKY)[band] * rng.lognormal(0.0, 0.35, len(time))
    return Visits(time, band, seeing, sky)


def flux_error(visits: Visits, under) -> np.ndarray:
    """Give the standard deviation (visit,) in ADU of a flux in the difference, of a source with ``under`` ADU in both.

    That of a fit by the profile of a point to the noise of sky and template, and the Poisson noise of the flux itself.
    """
    area = Psf(visits.seeing).noise_area
    return np.sqrt(area * variance(visits.sky) * (1 + 1 / COADDED) + np.maximum(under, 0.0) / GAIN)


def draw_position(rng: np.random.Generator, kind: int) -> tuple[float, float]:
    """Draw right ascension and declination in degrees: stars near the Milky Way, asteroids near the ecliptic."""
    while True:
        ra, dec = rng.uniform(0, 360), math.degrees(math.asin(rng.uniform(-0.5, 1.0)))
        ecliptic, _, galactic, _ = coordinates(ra, dec)
        chance = {
            _AGN: abs(galactic) > 8, _SN: abs(galactic) > 8, _VS: math.exp(-abs(galactic) / 20),
            _ASTEROID: math.exp(-abs(ecliptic) / 8), _BOGUS: 1.0,
        }[kind]  # fmt: skip
        if rng.random() < chance:
            return ra, dec


def draw_scene(rng: np.random.Generator, kind: int, size: int, crowding: float) -> Scene:
    """Draw stars and galaxies that have nothing to do with the alert.

    Parameters
    ----------
    rng : numpy.random.Generator
    kind : int
        Class, whose place on the sky has more or fewer stars.
    size : int
        Pixels of a side of the stamp.
    crowding : float
        Mean number of stars on a stamp of 63x63 pixels.
    """
    count = rng.poisson(crowding * (size / 63) ** 2)
    places = rng.uniform(-size / 2, size / 2, (count, 2))
    far = np.hypot(*places.T) > 4
    # Twice as many a magnitude fainter, down to 21.5.
    magnitude = 21.5 - np.minimum(rng.exponential(1 / math.log(2), count), 6.5)
    red = flux_of(magnitude)
    stars = np.column_stack([places, red * 10 ** (-0.4 * rng.uniform(0.2, 1.2, count)), red])[far]
    galaxies = []
    for _ in range(rng.poisson(0.6 * (size / 63) ** 2)):
        galaxies.append(draw_galaxy(rng, *rng.uniform(-size / 2, size / 2, 2), rng.uniform(18.5, 21.5)))
    return Scene(stars, tuple(galaxies))


def draw_galaxy(rng: np.random.Generator, x: float, y: float, magnitude: float) -> tuple[Galaxy, float]:
    """Draw a galaxy of a magnitude in r at a place, larger if brighter, and its flux in g over that in r."""
    radius = float(np.clip(rng.lognormal(math.log(2.0), 0.3) * 10 ** (-0.1 * (magnitude - 19)), 0.8, 8.0))
    shape = rng.uniform(0.7, 3.0), rng.uniform(0.4, 1.0), rng.uniform(0, math.pi)
    return Galaxy(x, y, float(flux_of(magnitude)), radius, *shape), 10 ** (-0.4 * rng.uniform(0.4, 0.9))


def damped_walk(rng: np.random.Generator, time: np.ndarray, tau: float, sigma: float) -> np.ndarray:
    """Draw a damped random walk of mean 0 at ascending times: an autoregression exact for any gap between them."""
    walk, kept = np.empty(len(time)), np.exp(-np.diff(time) / tau)
    noise = rng.normal(0.0, sigma, len(time))
    walk[0] = noise[0]
    for place, share in enumerate(kept, start=1):
        walk[place] = share * walk[place - 1] + math.sqrt(1 - share**2) * noise[place]
    return walk


def periodic(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Draw a periodic magnitude of mean 0 and amplitude 1 from bright to faint."""
    period = 10 ** rng.uniform(math.log10(0.2), 2)
    phase = (time / period + rng.random()) % 1
    kind = rng.integers(3)
    if kind == 0:
        return 0.5 * np.sin(2 * math.pi * phase)
    if kind == 1:
        return np.where(phase < 0.15, 0.5 - phase / 0.15, -0.5 + (phase - 0.15) / 0.85)
    width = rng.uniform(0.08, 0.2)
    depth = rng.uniform(0.3, 1.0)
    first, second = (np.exp(-0.5 * ((phase - at) / (width / 2.355)) ** 2) for at in (0.25, 0.75))
    share = (1 + depth) * width / 2.355 * math.sqrt(2 * math.pi)
    return np.maximum(first, depth * second) - share


def draw_target(
    rng: np.random.Generator, kind: int, visits: Visits, brighter: float
) -> tuple[Target, tuple[tuple[Galaxy, float], ...]]:
    """Draw the source of an object's alerts, with the galaxy it belongs to if any.

    Parameters
    ----------
    rng : numpy.random.Generator
    kind : int
        Class, not bogus.
    visits : Visits
    brighter : float
        Magnitudes by which it is brighter than it would be, at most up to 13.5.
    """
    factor = np.where(visits.band == 0, _G_FACTOR, 1.0)
    if kind == _AGN:
        magnitude = max(rng.uniform(16.5, 20.0) - brighter, 13.5)
        sigma, tau = 10 ** rng.uniform(-0.8, -0.3) / math.sqrt(2), 10 ** rng.uniform(2.0, 2.8)
        host = draw_galaxy(rng, 0.0, 0.0, magnitude + rng.uniform(-1.0, 1.5))
        colour = 10 ** (-0.4 * rng.uniform(-0.1, 0.5))
        walk = damped_walk(rng, visits.time, tau, sigma)
        mean = flux_of(magnitude) * np.array([colour, 1.0])
        before = mean * 10 ** (-0.4 * rng.normal(0.0, sigma) * np.array([_G_FACTOR, 1.0]))
        return Target(0.0, 0.0, before, mean[visits.band] * 10 ** (-0.4 * factor * walk)), (host,)
    if kind == _SN:
        peak = visits.time[0] + rng.uniform(0.5, 0.95) * np.ptp(visits.time)
        magnitude = max(rng.uniform(16.5, 19.8) - brighter, 13.5)
        rise, fall = rng.uniform(2, 6), rng.uniform(12, 45)
        shape = bazin(visits.time - peak + PEAK, 1.0, rise, fall)
        top = bazin(np.linspace(0, 3 * PEAK, 1000), 1.0, rise, fall).max()
        fade = 10 ** (-0.4 * np.clip((visits.time - peak) / 30, 0, 2) * (visits.band == 0))
        flux = flux_of(magnitude) * shape / top * fade
        galaxies: tuple[tuple[Galaxy, float], ...] = ()
        if rng.random() > 0.15:
            galaxy, colour = draw_galaxy(rng, 0.0, 0.0, rng.uniform(15.5, 20.5))
            distance, angle = galaxy.radius * abs(rng.normal(0, 1.0)), rng.uniform(0, 2 * math.pi)
            place = {"x": distance * math.cos(angle), "y": distance * math.sin(angle)}
            galaxies = ((galaxy._replace(**place), colour),)
        return Target(0.0, 0.0, np.zeros(BANDS), flux), galaxies
    if kind == _VS:
        magnitude = max(rng.uniform(13.5, 18.8) - brighter, 13.5)
        amplitude = min(10 ** rng.uniform(-0.7, 0.1) * 1.1 ** (4 * brighter), 2.5)
        colour = 10 ** (-0.4 * rng.uniform(0.1, 1.2))
        mean = flux_of(magnitude) * np.array([colour, 1.0])
        change = factor * amplitude * periodic(rng, visits.time)
        return Target(0.0, 0.0, mean, mean[visits.band] * 10 ** (-0.4 * change)), ()
    magnitude = max(rng.uniform(16.5, 20.0) - brighter, 13.5)
    trail = (rng.uniform(2, 15), rng.uniform(0, math.pi)) if rng.random() < 0.25 else (0.0, 0.0)
    return Target(0.0, 0.0, np.zeros(BANDS), np.full(len(visits.time), flux_of(magnitude)), trail), ()
