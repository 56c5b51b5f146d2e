"""The stars of the synthetic trimodal set: their kind, what they are physically, and what catalogues say of them.

Periods, temperatures and luminosities follow the kinds' known relations in round numbers: period and luminosity of
Delta Scuti stars (Jayasinghe et al. 2020, MNRAS 493, 4186), of contact binaries (Jayasinghe et al. 2020, MNRAS 493,
4045) and of Miras (Whitelock et al. 2008, MNRAS 386, 313), the main sequence (Pecaut & Mamajek 2013, ApJS 208, 9) for
detached binaries and spotted dwarfs, and a common magnitude of RR Lyrae stars. Distance follows from the magnitude,
colours from the temperature and the dust on the way, and errors from the magnitude.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from data_tools.readers.psm_tables import META_COLUMNS

LIGHT_SPEED = 299792.458
"""km/s."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """One class, in the distributions of its stars.

    Attributes
    ----------
    count : int
        Stars of the published set.
    period : (float, float, float, float)
        Median in days, standard deviation in dex, smallest, largest.
    amplitude : (float, float, float, float)
        Median in V magnitudes, standard deviation of the logarithm, smallest, largest.
    temperature : (float, float, float, float, float)
        Kelvin at the median period, change a dex of period, standard deviation, smallest, largest.
    magnitude : (float, float)
        Mean V: mean and standard deviation, within the survey's limits.
    halo : bool
        Metal-poor and fast, at any galactic latitude.
    spin : float
        Typical broadening of lines, km/s.
    """

    count: int
    period: tuple[float, float, float, float]
    amplitude: tuple[float, float, float, float]
    temperature: tuple[float, float, float, float, float]
    magnitude: tuple[float, float]
    halo: bool = False
    spin: float = 20.0


KINDS = {
    "DSCT": Kind(255, (0.09, 0.2, 0.03, 0.25), (0.12, 0.35, 0.04, 0.3), (7400, -900, 300, 6600, 8600), (13.0, 1.0),
                 spin=100.0),
    "EA": Kind(2916, (2.6, 0.4, 0.4, 40.0), (0.45, 0.45, 0.1, 1.5), (6500, 0, 1300, 3900, 12000), (13.6, 1.2),
               spin=60.0),
    "EB": Kind(1976, (0.65, 0.2, 0.28, 4.0), (0.4, 0.4, 0.1, 0.9), (6800, 1500, 1000, 4300, 11000), (13.8, 1.2),
               spin=120.0),
    "EW": Kind(6168, (0.36, 0.09, 0.22, 0.95), (0.35, 0.4, 0.1, 0.8), (5800, 7500, 350, 4300, 8500), (14.3, 1.1),
               spin=180.0),
    "HADS": Kind(281, (0.11, 0.13, 0.05, 0.25), (0.45, 0.25, 0.3, 0.9), (7350, -900, 250, 6700, 8300), (14.2, 1.1)),
    "M": Kind(268, (265.0, 0.12, 110.0, 550.0), (3.6, 0.2, 2.0, 6.5), (3000, -1500, 110, 2500, 3400), (12.9, 1.2)),
    "ROT": Kind(1839, (4.0, 0.55, 0.25, 80.0), (0.14, 0.45, 0.04, 0.45), (4600, 0, 550, 3300, 6200), (13.5, 1.1),
                spin=40.0),
    "RRAB": Kind(2351, (0.56, 0.055, 0.42, 0.9), (0.9, 0.2, 0.3, 1.4), (6500, -1500, 180, 6000, 7100), (14.9, 1.0),
                 True),
    "RRC": Kind(796, (0.32, 0.045, 0.22, 0.45), (0.42, 0.15, 0.2, 0.6), (7100, -1500, 180, 6700, 7700), (14.6, 1.1),
                True),
    "SR": Kind(4590, (75.0, 0.3, 15.0, 500.0), (0.35, 0.6, 0.08, 1.9), (3650, -500, 160, 3000, 4300), (12.6, 1.2)),
}  # fmt: skip
BRIGHTEST, FAINTEST = 10.0, 16.5
_GIANTS = ("M", "SR")

# Dwarfs and giants by effective temperature: V-K; absolute V of dwarfs. Round numbers.
_DWARF = np.array([
    (2800, 7.1, 17.0), (3200, 5.2, 12.5), (3500, 4.4, 10.4), (4000, 3.5, 8.6), (4500, 2.8, 7.3), (5000, 2.15, 6.3),
    (5500, 1.7, 5.1), (6000, 1.37, 4.3), (6500, 1.1, 3.5), (7000, 0.83, 2.9), (8000, 0.4, 2.0), (9700, 0.0, 0.7),
    (12000, -0.2, -0.4),
]).T  # fmt: skip
_GIANT = np.array([
    (2500, 10.0), (3000, 8.0), (3200, 6.6), (3400, 5.4), (3600, 4.5), (3800, 3.8), (4000, 3.3), (4300, 2.7),
    (5000, 2.1), (6200, 1.3),
]).T  # fmt: skip
# By V-K: BP-RP, J-K, H-K, W1-W2.
_COLOURS = np.array([
    (-0.2, -0.1, -0.05, -0.01, 0.0), (0, 0.0, 0.0, 0.0, 0.0), (1, 0.5, 0.22, 0.04, -0.02), (2, 0.97, 0.5, 0.08, -0.04),
    (3, 1.4, 0.8, 0.14, -0.06), (4, 1.95, 0.95, 0.2, -0.05), (5, 2.55, 1.08, 0.25, 0.0), (6, 3.1, 1.15, 0.28, 0.05),
    (7, 3.7, 1.22, 0.32, 0.1), (8, 4.3, 1.3, 0.36, 0.2), (10, 5.2, 1.5, 0.5, 0.4),
]).T  # fmt: skip
# A(band) / A(V).
_DUST = {"v": 1.0, "g": 0.84, "bp": 1.08, "rp": 0.63, "j": 0.28, "h": 0.18, "k": 0.12, "w1": 0.065, "w2": 0.055,
         "w3": 0.06, "w4": 0.04}  # fmt: skip
# Magnitudes a kpc in the plane, and the dust's scale height in kpc.
_DUST_DENSITY, _DUST_HEIGHT = 0.7, 0.12
# Right ascension and declination of the galactic pole, and the galactic longitude of the celestial one (J2000).
_POLE_RA, _POLE_DEC, _NODE = np.radians([192.85948, 27.12825, 122.93192])


@dataclasses.dataclass(frozen=True)
class Star:
    """What a star is.

    Attributes
    ----------
    kind : str
    period, epoch : float
        Days; the epoch, in [0, 1), is the phase at the start of the survey.
    amplitude, magnitude : float
        Range and mean in V.
    temperature : float
    absolute, infrared : float
        Absolute V and V-K.
    ra, dec, l, b : float
        Degrees.
    distance : float
        kpc.
    dust : float
        A(V).
    radial_velocity : float
        km/s.
    """

    kind: str
    period: float
    epoch: float
    amplitude: float
    magnitude: float
    temperature: float
    absolute: float
    infrared: float
    ra: float
    dec: float
    l: float  # noqa: E741, as in catalogues
    b: float
    distance: float
    dust: float
    radial_velocity: float


def make_star(kind: str, random: np.random.Generator) -> Star:
    """Draw a star of a kind, bright enough for the survey."""
    law = KINDS[kind]
    median, dex, least, most = law.period
    period = float(np.clip(10 ** (np.log10(median) + dex * random.standard_normal()), least, most))
    relative = np.log10(period / median)
    median, spread, least, most = law.amplitude
    # Long-period RR Lyrae stars vary less.
    median *= 10 ** (-1.5 * relative) if kind == "RRAB" else 1.0
    amplitude = float(np.clip(median * np.exp(spread * random.standard_normal()), least, most))
    middle, slope, spread, least, most = law.temperature
    temperature = float(np.clip(middle + slope * relative + spread * random.standard_normal(), least, most))
    evolved = kind in _GIANTS or (kind == "ROT" and random.random() < 1 / (1 + (6 / period) ** 2))
    infrared = float(np.interp(temperature, *(_GIANT if evolved else _DWARF[:2])))
    absolute = _absolute(kind, period, temperature, infrared, evolved, random)
    ra, dec, l, b = _position(law.halo, random)  # noqa: E741
    magnitude = float(np.clip(law.magnitude[0] + law.magnitude[1] * random.standard_normal(), BRIGHTEST, FAINTEST))
    distance, dust = _distance(magnitude - absolute, b, float(np.exp(0.3 * random.standard_normal())))
    velocity = float((150 if law.halo else 35) * random.standard_normal())
    return Star(kind, period, float(random.random()), amplitude, magnitude, temperature, absolute, infrared,
                ra, dec, l, b, distance, dust, velocity)  # fmt: skip


def _absolute(kind, period, temperature, infrared, evolved, random) -> float:
    noise, days = random.standard_normal(), np.log10(period)
    if kind in ("DSCT", "HADS"):
        return float(-3.0 * days - 1.35 + 0.2 * noise)
    if kind in ("RRAB", "RRC"):
        return float(0.62 + 0.12 * noise)
    if kind == "EW":
        return float(-9.1 * days - 0.2 + 0.25 * noise)
    if kind == "M":
        return float(-3.51 * (days - 2.38) - 7.2 + 0.15 * noise + infrared)
    if kind == "SR":
        return float(-3.5 * (days - 1.9) - 6.0 + 0.4 * noise + infrared)
    if evolved:
        return float(3.0 + 0.8 * noise)
    # Two stars of a binary, some on their way from the main sequence.
    second = 0.0 if kind == "ROT" else 0.4
    return float(np.interp(temperature, _DWARF[0], _DWARF[2]) - second - random.exponential(0.3) + 0.1 * noise)


def _position(halo: bool, random: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw a place in the sky of the spectroscopic survey, stars of the disc mostly near the galactic plane."""
    while True:
        ra = float(random.uniform(0, 360))
        dec = float(np.degrees(np.arcsin(random.uniform(np.sin(np.radians(-10)), np.sin(np.radians(60))))))
        l, b = galactic(ra, dec)  # noqa: E741
        if random.random() < (1.0 if halo else np.exp(-abs(b) / 20) + 0.12):
            return ra, dec, l, b


def galactic(ra: float, dec: float) -> tuple[float, float]:
    """Turn J2000 coordinates into galactic ones, degrees."""
    dec, turn = np.radians(dec), np.radians(ra) - _POLE_RA
    b = np.arcsin(np.sin(dec) * np.sin(_POLE_DEC) + np.cos(dec) * np.cos(_POLE_DEC) * np.cos(turn))
    y = np.cos(dec) * np.sin(turn)
    x = np.sin(dec) * np.cos(_POLE_DEC) - np.cos(dec) * np.sin(_POLE_DEC) * np.cos(turn)
    return float(np.degrees(_NODE - np.arctan2(y, x)) % 360), float(np.degrees(b))


def _distance(modulus: float, b: float, patchy: float) -> tuple[float, float]:
    """Solve m - M = 5 log10(d / 10 pc) + A(d) for the distance in kpc; gives it and A."""
    height = max(abs(np.sin(np.radians(b))), 1e-3) / _DUST_HEIGHT
    low, high = -4.0, 3.0
    for _ in range(50):
        middle = (low + high) / 2
        dust = patchy * _DUST_DENSITY / height * (1 - np.exp(-(10**middle) * height))
        low, high = (middle, high) if 5 * middle + 10 + dust < modulus else (low, middle)
    return float(10**middle), float(dust)


def catalogue(star: Star, random: np.random.Generator) -> dict[str, float]:
    """Give what the catalogues say of a star: the 34 columns of metadata by name."""
    normal = random.standard_normal
    colour = dict(zip(("bp_rp", "j_k", "h_k", "w1_w2"), _interpolated(star.infrared), strict=True))
    x = min(colour["bp_rp"], 4.4)
    g = -0.027 + 0.0142 * x - 0.2156 * x**2 + 0.0143 * x**3
    rp = g - 0.63 * x + 0.07 * x**2
    k = -star.infrared
    # Shells of dust around stars that lose mass.
    shell = random.exponential(0.5 if star.kind == "M" else 0.08) if star.kind in _GIANTS else 0.0
    true = {"v": 0.0, "g": g, "rp": rp, "bp": rp + colour["bp_rp"], "k": k, "j": k + colour["j_k"]}
    true |= {"h": k + colour["h_k"], "w1": k - 0.05 - 0.2 * shell}
    true["w2"] = true["w1"] - colour["w1_w2"] - 0.3 * shell
    true["w3"] = true["w2"] - 0.05 - 1.2 * shell
    true["w4"] = true["w3"] - 0.05 - 0.7 * shell
    # From absolute V = 0 to what is seen.
    mag = {band: star.magnitude + value + (_DUST[band] - 1) * star.dust for band, value in true.items()}
    error = {band: _gaia_error(mag[band], star.amplitude) * (1 if band == "g" else 6) for band in _GAIA}
    error |= {band: float(0.021 + 0.1 * 10 ** (0.4 * (mag[band] - 16))) for band in ("j", "h", "k")}
    error |= {band: float(0.022 + 0.1 * 10 ** (0.4 * (mag[band] - limit))) for band, limit in _WISE.items()}
    # Each infrared survey caught the star at one phase; pulsation is smaller there.
    swing = 0.0 if star.kind in ("EA", "EB") else 0.12 * min(star.amplitude, 3.0)
    looks = {"j": swing * normal(), "w": 0.6 * swing * normal()}
    looks |= {"h": looks["j"], "k": looks["j"]}
    seen = {band: mag[band] + error[band] * normal() for band in error}
    seen |= {band: seen[band] + looks[band[0]] for band in seen if band not in _GAIA}
    seen["v"] = mag["v"] + 0.01 * normal()
    for band, limit in _WISE.items():
        seen[band] = min(seen[band], limit + 0.3 * abs(normal()))
    row = {"mean_vmag": seen["v"], "l": star.l, "b": star.b, "bp_rp": seen["bp"] - seen["rp"]}
    for band in _GAIA:
        row |= {f"phot_{band}_mean_mag": seen[band], f"e_phot_{band}_mean_mag": error[band]}
    for band in ("j", "h", "k", "w1", "w2"):
        row |= {f"{band}_mag": seen[band], f"e_{band}_mag": error[band]}
    row |= {"w3_mag": seen["w3"], "w4_mag": seen["w4"], "j_k": seen["j"] - seen["k"]}
    row |= {"w1_w2": seen["w1"] - seen["w2"], "w3_w4": seen["w3"] - seen["w4"]}
    row |= _astrometry(star, seen["g"], random)
    return {name: float(row[name]) for name in META_COLUMNS}


_GAIA = ("g", "bp", "rp")
# Faintest magnitudes.
_WISE = {"w1": 16.5, "w2": 15.7, "w3": 12.0, "w4": 8.8}


def _interpolated(infrared: float) -> list[float]:
    return [float(np.interp(infrared, _COLOURS[0], column)) for column in _COLOURS[1:]]


def _gaia_error(mag: float, amplitude: float) -> float:
    return float(np.hypot(3e-4 * 10 ** (0.2 * max(mag - 13, 0)), 0.02 * min(amplitude, 2.0)))


def _astrometry(star: Star, g: float, random: np.random.Generator) -> dict[str, float]:
    normal = random.standard_normal
    # A companion or a star larger than its parallax disturbs the solution.
    disturbed = {"M": 0.5, "SR": 0.3}.get(star.kind, 0.35 if random.random() < 0.15 else 0.0)
    ruwe = max(0.8, 1.02 + 0.06 * normal()) + disturbed * random.exponential()
    large = {"M": 3.0, "SR": 2.0}.get(star.kind, 1.0)
    error = 0.016 * 10 ** (0.2 * max(g - 14.5, 0)) * large * ruwe * np.exp(0.15 * normal())
    parallax = 1 / star.distance - 0.02 + error * normal()
    # 4.74 km/s are 1 AU a year.
    speed = 130 if KINDS[star.kind].halo else 30
    motion = speed * random.standard_normal(2) / (4.74 * star.distance)
    if KINDS[star.kind].halo:
        # The Sun turns around the Galaxy, these stars do not.
        motion += 200 / (4.74 * star.distance) * np.array([-0.5, -0.85])
    errors = error * np.array([1.05, 0.9]) * np.exp(0.05 * normal())
    pmra, pmdec = motion + errors * random.standard_normal(2)
    return {
        "parallax": parallax, "parallax_error": error, "parallax_over_error": parallax / error, "pmra": pmra,
        "pmra_error": errors[0], "pmdec": pmdec, "pmdec_error": errors[1], "pm": np.hypot(pmra, pmdec), "ruwe": ruwe,
    }  # fmt: skip
