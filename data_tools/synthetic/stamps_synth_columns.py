"""Columns of a synthetic alert, under the names that ``data_tools.ztf`` writes, measured on its images where it can be.

Measured on the difference are ``magpsf, sigmapsf, isdiffpos`` (least squares by the profile of a point), ``fwhm``
(√(sum / (1.133 peak)), as a Gaussian has it), ``elong`` (ratio of the axes from second moments), ``nneg`` and ``nbad``
(pixels of the inner 5x5 below 0, and without a value). ``classtar`` follows from ``fwhm``. The columns of the nearest
catalogued sources are those of the stars and galaxies that are drawn. ``rb`` and ``drb`` are drawn: lower for what is
bogus, and not always.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from data_tools.readers.ztf_survey import ALERT_NAMES, coordinates, split_candid
from data_tools.synthetic.stamps_synth_images import PIXEL, ZERO_POINT, Psf, draw_points

_MISSING = -999.0
_RADIUS = 30.0
_FAINTEST = 23.0


class Photometry(NamedTuple):
    """Flux of a point source and its standard deviation, both in ADU."""

    flux: float
    error: float


class Neighbour(NamedTuple):
    """A catalogued source: x and y in pixels, magnitude in the alert's band, whether it is a galaxy."""

    x: float
    y: float
    magnitude: float
    galaxy: bool


def measure(difference: np.ndarray, noise: np.ndarray, psf: Psf, x: float, y: float) -> Photometry:
    """Fit a point source at (x, y) to a difference [size, size] with the variance of every pixel: F = Σ P D / Σ P²."""
    size = len(difference)
    profile = draw_points(size, psf, [x], [y], [1.0])
    along = np.arange(size) - size // 2
    near = np.hypot(along - x, along[:, None] - y) <= 3 * psf.fwhm
    use = near & np.isfinite(difference)
    weight = profile[use]
    total = (weight**2).sum()
    if not total > 0:
        return Photometry(0.0, 1.0)
    flux = (weight * difference[use]).sum() / total
    return Photometry(float(flux), float(math.sqrt((weight**2 * noise[use]).sum()) / total))


def shape_columns(difference: np.ndarray, negative: bool, seeing: float) -> dict[str, float]:
    """Give ``fwhm, elong, nneg, nbad`` of a difference [size, size] around its middle."""
    middle, half = len(difference) // 2, 4
    inner = difference[middle - 2 : middle + 3, middle - 2 : middle + 3]
    found = {"nbad": float(np.isnan(inner).sum()), "nneg": float((inner < 0).sum())}
    window = difference[middle - half : middle + half + 1, middle - half : middle + half + 1]
    values = np.nan_to_num(-window if negative else window)
    # Noise around a faint source would count more than the source.
    values = np.where(values > 0.1 * values.max(), values, 0.0)
    total, peak = values.sum(), values.max()
    if not peak > 0:
        return found | {"fwhm": seeing, "elong": 1.0}
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    mean_x, mean_y = (values * x).sum() / total, (values * y).sum() / total
    xx, yy, xy = (
        (values * first * second).sum() / total
        for first, second in ((x - mean_x, x - mean_x), (y - mean_y, y - mean_y), (x - mean_x, y - mean_y))
    )
    # 1/12 is the second moment of a pixel.
    root = math.hypot((xx - yy) / 2, xy)
    major, minor = (xx + yy) / 2 + root + 1 / 12, max((xx + yy) / 2 - root, 0.0) + 1 / 12
    return found | {"fwhm": math.sqrt(total / (1.133 * peak)), "elong": math.sqrt(major / minor)}


def catalogue(rng: np.random.Generator, neighbours: list[Neighbour]) -> dict[str, float]:
    """Give what does not change of the nearest catalogued sources: ``sgscore*, distpsnr*``, nearest first.

    A score is near 1 for a star and near 0 for a galaxy, and uncertain for a faint source.
    """
    near = sorted(neighbours, key=lambda each: math.hypot(each.x, each.y))
    near = [each for each in near if math.hypot(each.x, each.y) * PIXEL <= _RADIUS][:3]
    found = {}
    for place in range(3):
        score, distance = _MISSING, _MISSING
        if place < len(near):
            each = near[place]
            distance = math.hypot(each.x, each.y) * PIXEL + abs(rng.normal(0, 0.1))
            doubt = float(np.clip((each.magnitude - 18.5) / 4, 0.03, 0.9))
            score = float(np.clip((not each.galaxy) + (1 if each.galaxy else -1) * doubt * rng.random(), 0, 1))
        found |= {f"sgscore{place + 1}": score, f"distpsnr{place + 1}": distance}
    return found


def nearest_in_template(rng: np.random.Generator, neighbours: list[Neighbour]) -> dict[str, float]:
    """Give ``distnr`` (in pixels), ``magnr, chinr, sharpnr`` of the nearest source, of one at the limit without any."""
    near = min(neighbours, key=lambda each: math.hypot(each.x, each.y), default=None)
    if near is None:
        near = Neighbour(rng.uniform(4, 12), 0.0, _FAINTEST - rng.exponential(0.5), False)
    # Of a galaxy the fit by a point is bad, and wider than it.
    chi = rng.lognormal(math.log(1.8 if near.galaxy and near.magnitude < 20 else 0.7), 0.4)
    sharp = rng.normal(0.15 if near.galaxy else -0.03, 0.12)
    return {
        "distnr": math.hypot(near.x, near.y) + abs(rng.normal(0, 0.1)), "magnr": near.magnitude,
        "chinr": float(chi), "sharpnr": float(sharp),
    }  # fmt: skip


def photometric(found: Photometry, error: float) -> dict[str, float]:
    """Give ``magpsf, sigmapsf, isdiffpos, diffmaglim``; `error` is that of a flux of 0, in ADU."""
    flux = max(abs(found.flux), found.error)
    return {
        "magpsf": ZERO_POINT - 2.5 * math.log10(flux), "sigmapsf": 2.5 / math.log(10) * found.error / flux,
        "isdiffpos": float(found.flux < 0), "diffmaglim": ZERO_POINT - 2.5 * math.log10(5 * error),
    }  # fmt: skip


def scores(rng: np.random.Generator, bogus: bool, fwhm: float, seeing: float) -> dict[str, float]:
    """Give ``rb, drb, classtar``."""
    rb, drb = (rng.beta(2, 3), rng.beta(0.5, 4)) if bogus else (rng.beta(6, 2.2), rng.beta(12, 0.5))
    unlike = abs(math.log(max(fwhm, 0.1) / seeing))
    return {"rb": rb, "drb": drb, "classtar": float(np.clip(1.02 - 0.6 * unlike**2 - rng.exponential(0.03), 0, 1))}


def position_columns(ra: float, dec: float) -> dict[str, float]:
    """Give ``ra, dec`` and the ecliptic and galactic coordinates, in degrees."""
    names = ("ra", "dec", "ecl_lat", "ecl_long", "gal_lat", "gal_long")
    return dict(zip(names, (ra, dec, *coordinates(ra, dec)), strict=True))


def row(columns: Mapping[str, float], candid: int) -> np.ndarray:
    """Give the columns of an alert, f4, in the order of ``ztf_survey.ALERT_NAMES``."""
    parts = dict(zip(("candid_high", "candid_middle", "candid_low"), split_candid(candid), strict=True))
    whole = {**columns, **parts, "non_detections": columns["ncovhist"] - columns["ndethist"]}
    return np.array([whole[name] for name in ALERT_NAMES], np.float32)
