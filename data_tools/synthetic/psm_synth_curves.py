"""The light curves of the synthetic trimodal set: shapes by kind, and how ASAS-SN would see them in V.

A shape gives the magnitude relative to the mean of the maximum and minimum of a star whose range is 1; it is turned by
the star's epoch. What changes from cycle to cycle (spots, semi-regular stars, the height of Mira maxima) depends on
time as well as on phase.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data_tools.synthetic.psm_synth_stars import Star

FIRST_HJD, LAST_HJD = 2456550.0, 2458450.0
YEAR = 365.25
# AB magnitude of one millijansky, as in the converter.
ZERO_POINT = 16.4
_LIMIT_SIGMA, _LIMIT = 5.0, 17.2
_TURN = 2 * np.pi


def light_curve(star: Star, random: np.random.Generator, points: float) -> np.ndarray:
    """Observe a star.

    Parameters
    ----------
    star : Star
    random : numpy.random.Generator
    points : float
        Median number of observations.

    Returns
    -------
    numpy.ndarray
        float64 [rows, 5], in no order: HJD, magnitude (5-sigma limit where it is not detected), its error (99.99 where
        it is not detected), flux and its error in mJy.
    """
    time = visits(star, random, points)
    magnitude = star.magnitude + star.amplitude * shape(star, time, random)
    flux = 10 ** (-0.4 * (magnitude - ZERO_POINT))
    # Moon and weather change the sky from night to night.
    depth = _LIMIT + 0.25 * random.standard_normal(len(time))
    sky = 10 ** (-0.4 * (depth - ZERO_POINT)) / _LIMIT_SIGMA
    sigma = np.sqrt(sky**2 + 0.0009 * flux + (0.012 * flux) ** 2)
    seen = flux + sigma * random.standard_normal(len(time))
    # Thin clouds and bad frames.
    wrong = random.random(len(time)) < 0.004
    seen = np.where(wrong, seen + 5 * sigma * random.standard_normal(len(time)), seen)
    detected = seen > _LIMIT_SIGMA * sky
    with np.errstate(invalid="ignore", divide="ignore"):
        mag = np.where(detected, ZERO_POINT - 2.5 * np.log10(seen), depth)
        error = np.where(detected, 2.5 / np.log(10) * sigma / seen, 99.99)
    return random.permutation(np.stack([time, mag, error, seen, sigma], axis=1))


def visits(star: Star, random: np.random.Generator, points: float) -> np.ndarray:
    """Draw the times of observations, HJD: every few nights while the star is far from the Sun, for five years."""
    count = int(np.clip(points * np.exp(0.35 * random.standard_normal()), 0.3 * points, 3 * points))
    nights = np.arange(FIRST_HJD, LAST_HJD)
    # The Sun stands at right ascension 0 on 20 March (JD 2456371.5); stars far north are seen for longer.
    sun = (nights - 2456371.5) / YEAR * 360
    apart = np.abs((star.ra - sun + 180) % 360 - 180)
    open_nights = nights[apart > 55 - 0.4 * star.dec]
    # Nights with bad weather come in rows.
    weather = np.convolve(random.standard_normal(len(open_nights) + 4), np.ones(5), "valid")
    order = np.argsort(weather + 4 * random.random(len(open_nights)))
    chosen = open_nights[np.sort(order[: max(2, min(count, len(open_nights)))])]
    return chosen + 0.3 + 0.35 * random.random(len(chosen))


def shape(star: Star, time: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Give the magnitude of a star relative to the middle of its range, in units of the range.

    Parameters
    ----------
    star : Star
    time : ndarray [rows]
        HJD.
    random : numpy.random.Generator
        For what is a star's own: widths of eclipses, second periods.
    """
    phase = (time - FIRST_HJD) / star.period + star.epoch
    return _SHAPES[star.kind](star, phase, time, random)


def _saw(phase: np.ndarray, rise: float, flat: float) -> np.ndarray:
    """Go from maximum (-0.5, phase 0) slowly to minimum (0.5) and within ``rise`` back."""
    phase = phase % 1
    warped = np.where(phase < 1 - rise, 0.5 * phase / (1 - rise), 0.5 + 0.5 * (phase - 1 + rise) / rise)
    return (0.5 - 0.5 * np.cos(_TURN * warped)) ** flat - 0.5


def _rrab(star, phase, time, random):
    # Blazhko effect: some stars' maxima rise and fall over weeks.
    depth = random.uniform(0.1, 0.3) if random.random() < 0.2 else 0.0
    change = 1 - depth * (0.5 + 0.5 * np.cos(_TURN * time / random.uniform(30, 120)))
    return 0.5 + (_saw(phase, random.uniform(0.13, 0.2), random.uniform(0.45, 0.6)) - 0.5) * change


def _rrc(star, phase, time, random):
    return _saw(phase, random.uniform(0.4, 0.46), 0.95)


def _hads(star, phase, time, random):
    return _saw(phase, random.uniform(0.26, 0.36), 0.8)


def _dsct(star, phase, time, random):
    second = random.uniform(0.1, 0.5)
    other = np.cos(_TURN * (phase / random.uniform(0.755, 0.8) + random.random()))
    return -0.5 * (np.cos(_TURN * phase) + second * other) / (1 + second)


def _ew(star, phase, time, random):
    depth, sharp = random.uniform(0.82, 1.0), random.uniform(1.0, 1.5)
    near = (0.5 + 0.5 * np.cos(2 * _TURN * phase)) ** sharp
    return near * np.where(np.cos(_TURN * phase) > 0, 1.0, depth) - 0.5


def _eb(star, phase, time, random):
    depth, sharp = random.uniform(0.3, 0.75), random.uniform(1.2, 2.2)
    near = (0.5 + 0.5 * np.cos(2 * _TURN * phase)) ** sharp
    return near * np.where(np.cos(_TURN * phase) > 0, 1.0, depth) - 0.5


def _ea(star, phase, time, random):
    depth = random.uniform(0.05, 1.0)
    # Wide pairs have narrow eclipses, and eccentric orbits.
    width = float(np.clip(0.05 * (star.period / 2) ** -0.4 * random.uniform(0.7, 1.3), 0.012, 0.08))
    second = 0.5 + (0.08 * random.standard_normal() if star.period > 3 else 0.0)
    flat = random.uniform(2, 6)
    light = np.zeros(len(phase))
    for middle, part in ((0.0, 1.0), (second, depth)):
        apart = np.abs((phase - middle + 0.5) % 1 - 0.5)
        light += part * np.exp(-((apart / width) ** flat))
    return light - 0.5 + random.uniform(0, 0.05) * np.cos(2 * _TURN * phase)


def _rot(star, phase, time, random):
    # Groups of spots come and go within months.
    light = np.zeros(len(phase))
    for _ in range(2):
        place, life, start = random.random(), random.uniform(200, 900), random.random()
        strength = 0.75 + 0.25 * np.sin(_TURN * ((time - FIRST_HJD) / life + start))
        light += random.uniform(0.4, 1) * strength * np.maximum(np.cos(_TURN * (phase - place)), -0.3)
    slow = 0.15 * np.sin(_TURN * (time / random.uniform(1500, 4000) + random.random()))
    return 0.5 * light / 1.2 + slow - 0.2


def _mira(star, phase, time, random):
    cycle = np.floor(phase).astype(int)
    heights = 1 + 0.12 * random.standard_normal(int(cycle.max() - cycle.min()) + 2)
    place = cycle - cycle.min()
    height = heights[place] + (heights[place + 1] - heights[place]) * (phase - cycle)
    return _saw(phase, random.uniform(0.38, 0.5), 0.85) * height


def _sr(star, phase, time, random):
    # The phase wanders, the amplitude beats with a second period, and a third of the stars has a long one.
    nights = np.linspace(FIRST_HJD, LAST_HJD, 200)
    steps = random.standard_normal(200) * 0.2 * np.sqrt((nights[1] - nights[0]) / (10 * star.period))
    phase = phase + np.interp(time, nights, np.cumsum(steps))
    second, ratio = random.uniform(0.3, 0.8), random.uniform(1.6, 2.2)
    light = np.cos(_TURN * phase) + second * np.cos(_TURN * (phase / ratio + random.random()))
    long = random.uniform(0.3, 1.0) if random.random() < 0.35 else 0.0
    light += long * np.cos(_TURN * (phase / random.uniform(6, 10) + random.random()))
    return -0.5 * light / (1 + 0.6 * (second + long))


_SHAPES: dict[str, Callable[..., np.ndarray]] = {
    "DSCT": _dsct, "EA": _ea, "EB": _eb, "EW": _ew, "HADS": _hads, "M": _mira, "ROT": _rot, "RRAB": _rrab,
    "RRC": _rrc, "SR": _sr,
}  # fmt: skip


def string_length(curve: np.ndarray, period: float) -> float:
    """Compute the statistic of Lafler & Kinman (1965, ApJS 11, 216): small where the period orders the magnitudes.

    T = (N - 1) / 2N * sum (m_i+1 - m_i)² / sum (m_i - mean)², over the detected rows in the order of phase, the last
    followed by the first. Shuffled magnitudes give 1. NaN if there are fewer than two rows.
    """
    seen = curve[curve[:, 2] < 99]
    if len(seen) < 2:
        return float("nan")
    magnitude = seen[np.argsort(seen[:, 0] / period % 1, kind="stable"), 1]
    steps = np.roll(magnitude, -1) - magnitude
    spread = ((magnitude - magnitude.mean()) ** 2).sum()
    return float((len(seen) - 1) / (2 * len(seen)) * (steps**2).sum() / max(spread, 1e-12))
