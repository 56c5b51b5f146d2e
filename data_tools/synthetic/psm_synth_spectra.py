"""The spectra of the synthetic trimodal set: what LAMOST would see of a star at low resolution.

A black body behind dust and the instrument's response, with the lines and bands that tell temperatures and kinds
apart: Balmer lines (strongest at 9,000 K), Ca H and K, the G band, Mg b, Na D, the Ca triplet and many weak lines of
metals in cool stars, TiO bands below 4,000 K, hydrogen in emission in Miras, active stars' Ca H and K and H alpha
filled in. Lines are in vacuum, moved by the radial velocity and broadened by rotation; binaries show two sets.
"""

from __future__ import annotations

import functools

import numpy as np

from data_tools.synthetic.psm_synth_stars import KINDS, LIGHT_SPEED, Star

FIRST_LOG, STEP, COUNT = 3.5682, 1e-4, 3909
"""The grid: wavelength = 10^(FIRST_LOG + i STEP) angstrom, i below COUNT."""

BALMER = ((6564.61, 1.0), (4862.68, 1.0), (4341.68, 0.95), (4102.89, 0.9), (3971.20, 0.8), (3890.15, 0.7))
_CALCIUM, _SODIUM = (3934.78, 3969.59), (5891.58, 5897.56)
_MAGNESIUM, _TRIPLET = (5168.74, 5174.12, 5185.05), (8500.35, 8544.44, 8664.52)
# Heads of the bands, degraded to the red, and their lengths.
_TITANIUM = ((4761, 90), (4955, 100), (5168, 110), (5449, 120), (5848, 130), (6159, 150), (6652, 130), (7055, 170),
             (7590, 120), (8206, 130), (8432, 120), (8860, 130))  # fmt: skip
_VANADIUM = ((7334, 150), (7851, 130))
# Where air absorbs, after correction only in part.
_TELLURIC = ((6884, 25, 0.06), (7621, 35, 0.15), (8227, 60, 0.03))
_SKY_LINE = 5578.9


@functools.cache
def wavelengths() -> np.ndarray:
    """Give the grid in angstrom."""
    return 10 ** (FIRST_LOG + STEP * np.arange(COUNT))


@functools.cache
def _weak_lines() -> np.ndarray:
    """Transmission of the weak lines of metals at full strength: the same lines in every star."""
    random = np.random.default_rng(20241113)
    light = np.ones(COUNT)
    for place in random.uniform(3800, 6600, 260):
        light *= 1 - random.uniform(0.05, 0.4) * (5000 / place) ** 2 * _bell(place, 1.6)
    return light


def _bell(middle: float, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * ((wavelengths() - middle) / sigma) ** 2)


def black_body(wavelength: np.ndarray, temperature: float) -> np.ndarray:
    """Planck's law a unit of wavelength (angstrom), 1 at 5,500 angstrom."""

    def planck(value):
        return value**-5.0 / np.expm1(1.4387769e8 / (value * temperature))

    return planck(wavelength) / planck(5500.0)


def spectrum(star: Star, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Observe a star.

    Returns
    -------
    flux, ivar : ndarray [COUNT], float32
        Relative flux a unit of wavelength and its inverse variance, 0 where a pixel is lost.
    """
    wavelength = wavelengths()
    # A pulsating star is caught at any phase.
    phase = random.random()
    swing = {"RRAB": 450, "RRC": 250, "HADS": 250, "DSCT": 60, "M": 150}.get(star.kind, 0) * np.cos(2 * np.pi * phase)
    light = _photosphere(star, star.temperature + swing, star.radial_velocity, phase, random)
    if star.kind in ("EA", "EB", "EW"):
        turn = 200 * star.period ** (-1 / 3) * np.sin(2 * np.pi * phase)
        ratio = random.uniform(0.5, 1.0)
        second = _photosphere(star, star.temperature * ratio**0.5, star.radial_velocity - turn, phase, random)
        first = _photosphere(star, star.temperature, star.radial_velocity + turn * ratio, phase, random)
        light = (first + ratio**2.5 * second) / (1 + ratio**2.5)
    dust = 10 ** (-0.4 * star.dust * ((5500 / wavelength) ** 1.3 - 1))
    tilt = 1 + 0.12 * random.standard_normal() * (wavelength - 6200) / 2500
    response = (1 - np.exp(-(wavelength - 3550) / 280)) * np.exp(-(((wavelength - 6600) / 3800) ** 2)) * tilt
    level = 300 * 10 ** (0.4 * (15 - star.magnitude)) * np.exp(0.2 * random.standard_normal())
    flux = level * light * dust * np.maximum(response, 0.01)
    for middle, width, depth in _TELLURIC:
        flux *= 1 - depth * random.uniform(0.3, 1.0) * _bell(middle, width)
    # Signal to noise 30 a pixel at V = 15, worse at the blue end and where the arms of the instrument meet.
    variance = 0.25 * np.maximum(flux, 1) + 25 + 0.0001 * flux**2
    variance *= (1 + 3 * np.exp(-(wavelength - 3690) / 120)) * (1 + 2 * _bell(5900, 60))
    observed = flux + np.sqrt(variance) * random.standard_normal(COUNT)
    ivar = 1 / variance
    lost = (random.random(COUNT) < 0.002) | (np.abs(wavelength - _SKY_LINE) < 4)
    observed[lost] += level * random.standard_normal(int(lost.sum()))
    ivar[lost] = 0
    return observed.astype("f4"), ivar.astype("f4")


def partial(random: np.random.Generator) -> slice:
    """Draw the part of the grid that is left where an arm of the instrument failed."""
    if random.random() < 0.5:
        return slice(int(random.integers(700, 2000)), COUNT)
    return slice(0, int(random.integers(2000, 3500)))


def _photosphere(star: Star, temperature: float, velocity: float, phase: float, random: np.random.Generator):
    """Give a star's light before dust and instrument; about 1 at 5,500 angstrom."""
    shift = 1 + velocity / LIGHT_SPEED
    metals = (0.2 if KINDS[star.kind].halo else 1.0) / (1 + np.exp((temperature - 6400) / 600))
    spin = KINDS[star.kind].spin

    def line(middle, depth, width=0.0):
        middle *= shift
        # Resolving power 1,800, and rotation.
        sigma = np.sqrt((middle / 1800 / 2.355) ** 2 + (0.6 * middle * spin / LIGHT_SPEED) ** 2 + width**2)
        return 1 - depth * _bell(middle, sigma)

    light = black_body(wavelengths(), temperature)
    balmer = np.exp(-0.5 * (np.log(temperature / 9000) / 0.28) ** 2)
    active = 0.6 if star.kind == "ROT" else 0.0
    for place, relative in BALMER:
        core = 0.12 * active if place > 6000 else 0.0
        light *= line(place, 0.65 * relative * balmer - core, 6.0 * balmer) * line(place, 0.25 * balmer, 22 * balmer)
    calcium = 1 / (1 + np.exp((temperature - 7600) / 700))
    for place in _CALCIUM:
        light *= line(place, 0.75 * calcium, 1 + 7 * calcium)
        light *= line(place, -1.2 * active * calcium)
    for places, depth, width in ((_SODIUM, 0.75, 1.0), (_MAGNESIUM, 0.5, 1.5), (_TRIPLET, 0.45, 1.5)):
        strength = depth * metals * (np.clip((6500 - temperature) / 2000, 0.15, 1.2) if places is _SODIUM else 1.0)
        for place in places:
            light *= line(place, min(strength, 0.9), width)
    light *= line(4304.0, 0.35 * metals, 9.0)
    light *= np.interp(wavelengths() / shift, wavelengths(), _weak_lines()) ** metals
    cool = float(np.clip((4150 - temperature) / 900, 0, 1.5))
    if cool:
        for bands, strength in ((_TITANIUM, cool), (_VANADIUM, max(0.0, cool - 0.8))):
            for head, length in bands:
                behind = wavelengths() - head * shift
                band = np.where(behind > 0, np.exp(-np.maximum(behind, 0) / length), np.exp(np.minimum(behind, 0) / 4))
                light *= 1 - (1 - np.exp(-1.3 * strength)) * 0.8 * band
    if star.kind == "M":
        # Shocks near maximum; TiO above the shock hides much of H alpha.
        bright = random.uniform(0.2, 1.0) + max(0.0, float(np.cos(2 * np.pi * phase)))
        for (place, _), height in zip(BALMER, (0.5, 1.0, 2.0, 3.0, 0.3, 0.5), strict=True):
            light *= line(place, -3.0 * bright * height)
    return light
