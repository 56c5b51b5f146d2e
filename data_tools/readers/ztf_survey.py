"""What ZTF's alerts are: bands, flux scale, columns of an alert and of an object, classes, coordinates.

Schemas 3.0 to 4.02: github.com/ZwickyTransientFacility/ztf-avro-alert. Columns and classes are those of ALeRCE's stamp
classifier (Carrasco-Davis et al. 2021, arXiv:2008.03309).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfrecords.errors import UsageError
from tfrecords.info import Band, StaticColumn

SURVEY = "ztf"
ZERO_POINT = 27.5
FLUX_UNIT = "FLUXCAL (27.5 mag at 1), difference flux"
# Effective wavelengths of the filters by the SVO Filter Profile Service; aliases are candidate.fid and other names.
BANDS = (
    Band("g", ("1", "ztfg", "zg"), 4722.74),
    Band("r", ("2", "ztfr", "zr", "R"), 6339.61),
    Band("i", ("3", "ztfi", "zi"), 7886.13),
)
CHANNELS = ("science", "template", "difference")
CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
SIDE = 63
CLASSES = ("AGN", "SN", "VS", "asteroid", "bogus")

_GAP = (-999.0,)
_POSITION = "a position on the sky can be learnt by heart"
_IDENTIFIER = "part of an identifier, not a measurement"
_UNITS = {
    **dict.fromkeys(("distpsnr1", "distpsnr2", "distpsnr3", "distnr", "ssdistnr"), "arcsec"),
    **dict.fromkeys(("magpsf", "sigmapsf", "diffmaglim", "magnr", "ssmagnr"), "mag"),
    **dict.fromkeys(("ra", "dec", "ecl_lat", "ecl_long", "gal_lat", "gal_long"), "deg"),
    **dict.fromkeys(("fwhm", "xpos", "ypos"), "pixel"),
}
_WITH_GAPS = ("sgscore1", "sgscore2", "sgscore3", "distpsnr1", "distpsnr2", "distpsnr3", "ssdistnr", "ssmagnr")
_CAUTIONS = {"ra": _POSITION, "dec": _POSITION} | dict.fromkeys(
    ("candid_high", "candid_middle", "candid_low"), _IDENTIFIER
)

MEASURED = (
    *("sgscore1", "distpsnr1", "sgscore2", "distpsnr2", "sgscore3", "distpsnr3", "isdiffpos", "fwhm", "magpsf"),
    *("sigmapsf", "ra", "dec", "diffmaglim", "rb", "distnr", "magnr", "classtar", "ndethist", "ncovhist"),
    *("chinr", "sharpnr", "drb", "fid", "programid", "ssdistnr", "ssmagnr", "nbad", "nneg", "elong", "xpos", "ypos"),
)
"""Columns that an alert's candidate has under these names."""

DERIVED = ("ecl_lat", "ecl_long", "gal_lat", "gal_long", "non_detections", "candid_high", "candid_middle", "candid_low")
ALERT_NAMES = (*MEASURED, *DERIVED)


def column(name: str) -> StaticColumn:
    """Give a column of an alert, or of an object: the two differ in nothing but whose value it is."""
    return StaticColumn(
        name, _UNITS.get(name, ""), _GAP if name in _WITH_GAPS else (), _CAUTIONS.get(name, "")
    )  # fmt: skip


ALERT_COLUMNS = tuple(column(name) for name in ALERT_NAMES)
DEFAULT_STATIC_COLUMNS = (
    *("sgscore1", "distpsnr1", "sgscore2", "distpsnr2", "sgscore3", "distpsnr3", "chinr", "sharpnr"),
    *("ra", "dec", "gal_lat", "gal_long", "ecl_lat", "ecl_long"),
)
STATIC_NAMES = tuple(name for name in ALERT_NAMES if not name.startswith("candid_"))


def check_static_columns(names: Sequence[str]) -> None:
    """Refuse unknown columns and columns named twice with UsageError."""
    unknown = [name for name in names if name not in STATIC_NAMES]
    if unknown:
        raise UsageError(f"static columns are {', '.join(STATIC_NAMES)}. Received: {', '.join(unknown)}")
    if len(set(names)) != len(names):
        raise UsageError(f"a static column is named once. Received: {','.join(names)}")


_PART_BITS = 21


def split_candid(candid: int) -> tuple[int, int, int]:
    """Split an alert's number (63 bits) into three of 21 bits, each of which a float32 holds exactly."""
    mask = (1 << _PART_BITS) - 1
    return candid >> 2 * _PART_BITS, candid >> _PART_BITS & mask, candid & mask


def join_candid(high: float, middle: float, low: float) -> int:
    """Put the three columns ``candid_high``, ``candid_middle``, ``candid_low`` together again."""
    return int(high) << 2 * _PART_BITS | int(middle) << _PART_BITS | int(low)


# Rotations from ICRS: galactic coordinates (IAU 1958), mean ecliptic and equinox of J2000.
_GALACTIC = (
    (-0.0548756577126, -0.8734370519556, -0.4838350736167),
    (0.4941094371927, -0.4448297212233, 0.7469821839867),
    (-0.8676661375597, -0.1980763372730, 0.4559838136873),
)
_ECLIPTIC = (
    (1.0, -7.0783689609715561e-08, 8.0562139776131861e-08),
    (3.2897004077419646e-08, 0.91748212991495837, 0.39777699944404793),
    (-1.0207044725484355e-07, -0.39777699944404304, 0.91748212991495559),
)


def coordinates(ra: float, dec: float) -> tuple[float, float, float, float]:
    """Give ecliptic latitude and longitude, galactic latitude and longitude, all in degrees, of an ICRS position."""
    if not (math.isfinite(ra) and math.isfinite(dec)):
        return (math.nan,) * 4
    ra, dec = math.radians(ra), math.radians(dec)
    vector = (math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec))
    found = []
    for matrix in (_ECLIPTIC, _GALACTIC):
        x, y, z = (a * vector[0] + b * vector[1] + c * vector[2] for a, b, c in matrix)
        found += [math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x)) % 360]
    return tuple(found)
