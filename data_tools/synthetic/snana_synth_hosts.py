"""Host galaxies of the synthetic set: brightness, colours, sizes, photometric and spectroscopic redshifts.

A host's colours redden with its redshift and mass. Photometric redshifts scatter by 2 to 10 % of 1 + z, and there are
outliers. Every fifth bright host and every twentieth faint one has a spectrum. In a third of the cases another galaxy
stands nearby and is the second match.
"""

from __future__ import annotations

import numpy as np

from data_tools.synthetic.resimulation import luminosity_distance
from data_tools.synthetic.snana_synth_survey import FILTERS, ZERO_POINT, Events

# Standard normal quantiles at 0, 10 ... 100 %; the outer two are the 0.5 and 99.5 % points.
_QUANTILES = np.array([-2.576, -1.2816, -0.8416, -0.5244, -0.2533, 0, 0.2533, 0.5244, 0.8416, 1.2816, 2.576])
# Magnitudes minus r of a blue galaxy nearby, and what is added at redshift 0.7 and beyond or for a red one.
_COLOURS = np.array([1.5, 0.55, 0.0, -0.22, -0.38, -0.45])
_REDDER = np.array([0.7, 0.9, 0.0, -0.55, -0.85, -1.0])
_DEPTH = np.array([26.0, 27.3, 27.4, 26.7, 26.0, 24.8])
_SPECTROSCOPIC_ERROR = 0.0005


def hosts(random: np.random.Generator, events: Events, known: np.ndarray) -> tuple[dict, dict, np.ndarray]:
    """Draw the first and the second host of events.

    Parameters
    ----------
    random : numpy.random.Generator
    events : Events
    known : bool ndarray [N]
        Which events have a host.

    Returns
    -------
    first, second : dict of str to ndarray [N]
        As `snana_synth_columns.head_table` takes them.
    surface : ndarray [N, 6]
        FLUXCAL of the first host a square arcsecond at the event; 0 where there is none.
    """
    first = _galaxies(random, events, events.redshift, known)
    neighbour = known & (random.random(len(events)) < 0.35)
    elsewhere = np.maximum(events.redshift * np.exp(0.5 * random.standard_normal(len(events))), 0.01)
    second = _galaxies(random, events, elsewhere, neighbour)
    # The nearest one, in units of its size, is the first.
    second["_DDLR"] = first["_DDLR"] + random.exponential(1.5, len(events))
    second["_SNSEP"] = first["_SNSEP"] + random.exponential(2.5, len(events))
    size = first["radius"]
    profile = np.exp(-np.minimum(first["_SNSEP"] / size, 20)) / (2 * np.pi * size**2)
    surface = first["flux"] * np.where(known, profile, 0)[:, None]
    return first, second, surface


def _galaxies(random: np.random.Generator, events: Events, redshift: np.ndarray, known: np.ndarray) -> dict:
    number = len(events)
    # Where there is no galaxy any redshift does.
    redshift = np.where(known, redshift, 0.5)
    absolute = -20.6 + 1.2 * random.standard_normal(number)
    mass = np.clip(10.2 - 0.42 * (absolute + 20.6) + 0.25 * random.standard_normal(number), 6.5, 12.2)
    red = np.clip(redshift / 0.7, 0, 1) * 0.8 + np.clip((mass - 9.5) / 2, -0.2, 0.8)
    r = absolute + 25 + 5 * np.log10(luminosity_distance(redshift)) + 1.1 * redshift
    colours = _COLOURS + _REDDER * red[:, None] + 0.08 * random.standard_normal((number, 6))
    magnitudes = r[:, None] + colours
    errors = np.minimum(np.hypot(0.015, 0.2 * 10 ** (0.4 * (magnitudes - _DEPTH))), 50)
    width = np.exp(np.log(0.035) + 0.5 * random.standard_normal(number)) * (1 + redshift)
    width *= 1 + np.clip((r - 22) / 3, 0, 2)
    outlier = random.random(number) < 0.05
    photometric = redshift + width * random.standard_normal(number) + outlier * random.normal(0, 0.4, number)
    photometric = np.maximum(photometric, 0.005)
    spectrum = random.random(number) < np.where(r < 21, 0.2, 0.05)
    # What the galaxy is called an error is not quite what it is.
    stated = width * np.exp(0.2 * random.standard_normal(number))
    quantiles = np.maximum(photometric[:, None] + stated[:, None] * _QUANTILES, 0.001)
    quantiles *= np.exp(0.02 * np.abs(random.standard_normal((number, 1))) * np.arange(11))
    radius = np.exp(np.log(0.9) + 0.35 * random.standard_normal(number)) * (0.3 + 0.35 / np.maximum(redshift, 0.03))
    radius = np.clip(radius, 0.2, 20)
    ratio = random.gamma(1.6, 0.5, number)
    separation, angle = ratio * radius, random.uniform(0, 2 * np.pi, number)
    dec = events.dec + separation * np.sin(angle) / 3600
    galaxy = {
        "known": known,
        "flux": 10 ** (0.4 * (ZERO_POINT - magnitudes)),
        "radius": radius,
        "SFR": -0.3 + 0.6 * (mass - 10) - 0.8 * np.clip(mass - 10.6, 0, 1) + 0.3 * random.standard_normal(number),
        "_OBJID": random.integers(10**9, 10**10, number),
        "_PHOTOZ": photometric,
        "_PHOTOZ_ERR": stated,
        "_SPECZ": np.where(spectrum, redshift + _SPECTROSCOPIC_ERROR * random.standard_normal(number), -9.0),
        "_SPECZ_ERR": np.where(spectrum, _SPECTROSCOPIC_ERROR, -9.0),
        "_RA": events.ra + separation * np.cos(angle) / 3600 / np.cos(np.radians(dec)),
        "_DEC": dec,
        "_SNSEP": separation,
        "_DDLR": ratio,
        "_LOGMASS": mass,
        "_ELLIPTICITY": np.clip(0.3 + 0.15 * random.standard_normal(number), 0.01, 0.9),
        "_SQRADIUS": 25 * radius,
    }
    galaxy |= {f"_ZPHOT_Q{10 * place:03d}": quantiles[:, place] for place in range(11)}
    measured = magnitudes + np.minimum(errors, 1) * random.standard_normal((number, 6))
    galaxy |= {f"_MAG_{band}": measured[:, place] for place, band in enumerate(FILTERS)}
    galaxy |= {f"_MAGERR_{band}": errors[:, place] for place, band in enumerate(FILTERS)}
    return galaxy
