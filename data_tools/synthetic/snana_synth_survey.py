"""How the synthetic survey looks at the sky: positions, dust, visits, noise, detections.

Visits are a simple picture of Rubin's main survey: an object is seen while it is more than some 65 degrees from the
Sun, in every fourth or fifth night, mostly twice a night in two bands half an hour apart; u and g when the Moon is
dark, z and Y when it is bright. The noise is that of point-source photometry,

    sigma² = 4 pi PSF² SKY² + F / GAIN + (ZEROPT_ERR ln 10 / 2.5 F)²    (in counts, F with host and star),

with the seeing, sky and zero points of the published set.
"""

from __future__ import annotations

import dataclasses

import numpy as np

FILTERS = "ugrizY"
FIRST_MJD, LAST_MJD = 60218, 61314
ZERO_POINT = 27.5
DETECTION = 5.0
DETECTED, TRIGGER, SATURATED = 4096, 2048, 1024

# Magnitudes a unit of E(B-V) (Schlafly & Finkbeiner 2011, ApJ 737, 103, LSST bands, R_V = 3.1).
EXTINCTION = np.array([4.145, 3.237, 2.273, 1.684, 1.323, 1.088])
_PSF = np.array([2.1, 2.05, 1.92, 1.86, 1.92, 1.93])
_SKY = np.array([5.0, 15.8, 26.0, 36.0, 54.0, 50.5])
_ZERO_POINTS = np.array([29.57, 31.52, 31.53, 31.33, 31.00, 30.10])
# Moonlight brightens the blue sky most.
_MOON = np.array([0.8, 0.6, 0.35, 0.2, 0.1, 0.05])
_SATURATION = np.array([14.7, 15.7, 15.8, 15.8, 15.3, 13.9])
# This much brighter nothing is left that could be subtracted, and nothing is detected.
_HOPELESS = 0.75
_ZERO_POINT_ERROR = 0.005
_GAIN, _READ_NOISE = 1.0, 0.25
# Chance of a visit in a night.
_LEVELS = (0.17, 0.30)
_PAIRS = ("gr", "ri", "ug", "iz", "zz", "rz", "iY", "zY", "YY")
_DARK = np.cumsum([0.22, 0.24, 0.16, 0.16, 0.04, 0.10, 0.04, 0.03, 0.01])
_BRIGHT = np.cumsum([0.04, 0.16, 0.0, 0.22, 0.12, 0.08, 0.10, 0.16, 0.12])
_PAIR_BANDS = np.array([[FILTERS.index(band) for band in pair] for pair in _PAIRS])


@dataclasses.dataclass
class Events:
    """Candidates of the simulation: arrays [N], and how they are seen.

    Attributes
    ----------
    ra, dec : ndarray
        Degrees.
    mwebv : ndarray
        E(B-V) of the Milky Way.
    redshift : ndarray
        True and heliocentric; 0 in the Milky Way.
    peak : ndarray
        MJD of maximum, or of what stands for it.
    """

    ra: np.ndarray
    dec: np.ndarray
    mwebv: np.ndarray
    redshift: np.ndarray
    peak: np.ndarray

    def __len__(self) -> int:
        return len(self.ra)


@dataclasses.dataclass
class Visits:
    """Observations of all events, sorted by event and time: arrays [R].

    Attributes
    ----------
    owner : ndarray
        Index of the event.
    mjd : ndarray
    band : ndarray
        Index into `FILTERS`.
    """

    owner: np.ndarray
    mjd: np.ndarray
    band: np.ndarray

    def take(self, chosen: np.ndarray) -> Visits:
        """Give a selection of the rows."""
        return Visits(self.owner[chosen], self.mjd[chosen], self.band[chosen])


def positions(random: np.random.Generator, number: int, galactic: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw positions in the survey's area and the dust before them.

    Returns
    -------
    tuple of ndarray [number]
        Right ascension and declination in degrees, E(B-V). Objects of the Milky Way gather at its plane.
    """
    shape = (number, 8)
    ra = random.uniform(0, 360, shape)
    dec = np.degrees(np.arcsin(random.uniform(np.sin(np.radians(-70)), np.sin(np.radians(5)), shape)))
    latitude = np.abs(_galactic_latitude(ra, dec))
    weight = np.exp(-latitude / 20) if galactic else np.clip((latitude - 10) / 10, 1e-3, 1)
    chosen = np.argmax(np.log(weight) + random.gumbel(size=shape), axis=1)
    ra, dec, latitude = (each[np.arange(number), chosen] for each in (ra, dec, latitude))
    dust = 0.025 / np.sin(np.radians(latitude + 1.5)) * np.exp(0.4 * random.standard_normal(number))
    return ra, dec, np.minimum(dust, 2.5)


def _galactic_latitude(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Give the galactic latitude in degrees; the north pole of the Milky Way is at (192.85948, 27.12825)."""
    ra, dec, pole = np.radians(ra - 192.85948), np.radians(dec), np.radians(27.12825)
    return np.degrees(np.arcsin(np.sin(dec) * np.sin(pole) + np.cos(dec) * np.cos(pole) * np.cos(ra)))


def visits(random: np.random.Generator, events: Events, window: tuple[float, float] | None) -> Visits:
    """Draw the survey's visits of events.

    Parameters
    ----------
    random : numpy.random.Generator
    events : Events
    window : (float, float) or None
        Days around the peak in the event's rest frame that are kept; None keeps all three years.
    """
    nights = np.arange(FIRST_MJD, LAST_MJD)
    chance = random.uniform(*_LEVELS, (len(events), 1))
    limit = random.uniform(58, 75, (len(events), 1))
    # The Sun is at right ascension 0 at the equinox of March 2024.
    sun = (nights - 60389) * 360 / 365.25
    apart = np.abs((events.ra[:, None] - sun + 180) % 360 - 180)
    seen = (apart > limit) & (random.random((len(events), len(nights))) < chance)
    if window is not None:
        since = (nights - events.peak[:, None]) / (1 + events.redshift[:, None])
        seen &= (since >= window[0]) & (since < window[1])
    owner, night = np.nonzero(seen)
    moon = _moon(nights[night])
    draw = random.random((2, len(owner)))
    pair = np.where(moon < 0.45, np.searchsorted(_DARK, draw[0]), np.searchsorted(_BRIGHT, draw[0]))
    pair = np.minimum(pair, len(_PAIRS) - 1)
    count = 1 + np.searchsorted([0.15, 0.7, 0.8], draw[1])
    start = nights[night] + random.uniform(0.02, 0.3, len(owner))
    row = np.repeat(np.arange(len(owner)), count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    # The third and fourth visit follow the first two at once.
    later = np.array([0.0, 0.0165, 0.017, 0.0335])[number] + 0.0003 * random.random(len(row))
    return Visits(owner[row], np.round(start[row] + later, 4), _PAIR_BANDS[pair[row], number % 2])


def _moon(mjd: np.ndarray) -> np.ndarray:
    """Give the lit share of the Moon, which was full at MJD 60213.4."""
    return 0.5 + 0.5 * np.cos(2 * np.pi * (mjd - 60213.4) / 29.530588)


def observe(
    random: np.random.Generator, seen: Visits, flux: np.ndarray, background: np.ndarray, star: np.ndarray
) -> dict[str, np.ndarray]:
    """Measure fluxes.

    Parameters
    ----------
    random : numpy.random.Generator
    seen : Visits
    flux : ndarray [R]
        True difference flux, FLUXCAL units, behind the Milky Way's dust.
    background : ndarray [R]
        Host's flux a square arcsecond.
    star : ndarray [R]
        Flux of the object itself in the template.

    Returns
    -------
    dict of str to ndarray [R]
        Columns of PHOT. The trigger is not set yet, see `set_trigger`.
    """
    band, rows = seen.band, len(flux)
    noise = random.standard_normal((4, rows))
    psf = np.round(_PSF[band] * np.exp(0.12 * noise[0]), 2)
    sky = np.round(_SKY[band] * (0.85 + _MOON[band] * _moon(seen.mjd)) * np.exp(0.1 * noise[1]), 2)
    zero_point = np.round(_ZERO_POINTS[band] + 0.03 * noise[2], 2)
    counts = 10 ** (0.4 * (zero_point - ZERO_POINT))
    area = 4 * np.pi * psf**2
    light = np.maximum(flux + star, 0)
    # Pixels are 0.2 arcsec wide.
    source = counts * (light + background * area * 0.04)
    error = np.sqrt(area * (sky**2 + _READ_NOISE**2) + source / _GAIN) / counts
    error = np.hypot(error, _ZERO_POINT_ERROR * np.log(10) / 2.5 * light)
    measured = (flux + error * noise[3]).astype("f4")
    error = error.astype("f4")
    over = 2.5 * np.log10(np.maximum(light, 1e-9)) - (ZERO_POINT - _SATURATION[band])
    detected = (measured.astype("f8") > DETECTION * error.astype("f8")) & (over < _HOPELESS)
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.where(flux > 0, ZERO_POINT - 2.5 * np.log10(flux), 99.0)
    return {
        "MJD": seen.mjd,
        "CCDNUM": np.full(rows, -9),
        "FIELD": np.full(rows, b"VOID"),
        "PHOTFLAG": DETECTED * detected + SATURATED * (over > 0),
        "PHOTPROB": np.full(rows, -9.0),
        "FLUXCAL": measured,
        "FLUXCALERR": error,
        "PSF_SIG1": psf,
        "SKY_SIG": sky,
        "RDNOISE": np.full(rows, _READ_NOISE),
        "ZEROPT": zero_point,
        "ZEROPT_ERR": np.full(rows, _ZERO_POINT_ERROR),
        "GAIN": np.full(rows, _GAIN),
        "XPIX": np.full(rows, -9.0),
        "YPIX": np.full(rows, -9.0),
        "SIM_MAGOBS": np.minimum(magnitude, 99.0),
    }


def set_trigger(flags: np.ndarray, owner: np.ndarray, number: int) -> np.ndarray:
    """Set the trigger bit in `flags` at every event's first detection that is not saturated.

    Parameters
    ----------
    flags, owner : ndarray [R]
        PHOTFLAG, changed in place for events with two such detections; index of the event, sorted.
    number : int
        N, how many events.

    Returns
    -------
    ndarray [N]
        bool: events with two detections that are not saturated, which the simulation writes.
    """
    good = np.flatnonzero(flags == DETECTED)
    accepted = np.bincount(owner[good], minlength=number) >= 2
    first = good[np.unique(owner[good], return_index=True)[1]]
    flags[first[accepted[owner[first]]]] |= TRIGGER
    return accepted
