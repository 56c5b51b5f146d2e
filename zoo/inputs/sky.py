"""Static columns that follow from an object's position: stateless TensorFlow, computed in float64.

Positions are ICRS right ascension and declination in degrees. Where one is not finite, or no declination,
every derived column is missing (NaN).
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfrecords.errors import UsageError

_GALACTIC = (
    (-0.0548756577125916, -0.8734370519556159, -0.4838350736167155),
    (0.4941094371927268, -0.4448297212232952, 0.7469821839866676),
    (-0.8676661375596576, -0.1980763372730005, 0.4559838136873016),
)
_ECLIPTIC = (
    (0.99999999999999412, -7.0783689609715561e-08, 8.0562139776131861e-08),
    (3.2897004077419646e-08, 0.91748212991495837, 0.39777699944404793),
    (-1.0207044725484355e-07, -0.39777699944404304, 0.91748212991495559),
)
"""Rotations from ICRS: galactic coordinates (IAU 1958), mean ecliptic and equinox of J2000 seen from the barycentre."""

DEEP_FIELDS = {
    "elais_s1_flag": (311.30, -72.90),
    "xmm_lss_flag": (171.20, -58.77),
    "ecdfs_flag": (224.07, -54.47),
    "cosmos_flag": (236.83, 42.09),
}
"""Galactic longitude and latitude in degrees of the centres of Rubin's deep fields, by the name of their flag."""

DEEP_FIELD_RADIUS, PLANE_LATITUDE = 1.75, 15.0
"""Degrees: an object closer to a centre is in the deep field; |b| below the second is in the Milky Way's plane."""

UNITS = {
    "galactic_longitude": "deg",
    "galactic_latitude": "deg",
    "ecliptic_longitude": "deg",
    "ecliptic_latitude": "deg",
    "mw_plane_flag": "",
    **dict.fromkeys(DEEP_FIELDS, ""),
}
"""Unit of every derived column by name; a flag is 1 or 0."""


def check(names) -> None:
    """Refuse names that are no derived column, or that come twice, with UsageError."""
    for name in names:
        if name not in UNITS:
            raise UsageError(f"derived_static: no such derived column. Valid: {', '.join(UNITS)}. Received: {name!r}")
    if len(set(names)) != len(names):
        raise UsageError(f"derived_static: a column is named twice. Received: {', '.join(names)}")


def rotate(ra, dec, matrix):
    """Give longitude in [0, 360) and latitude (object,), float64 degrees, of positions in a rotated frame."""
    ra, dec = (tf.cast(angle, tf.float64) * (math.pi / 180) for angle in (ra, dec))
    vector = tf.stack([tf.cos(dec) * tf.cos(ra), tf.cos(dec) * tf.sin(ra), tf.sin(dec)])
    x, y, z = tf.unstack(tf.linalg.matmul(tf.constant(matrix, tf.float64), vector))
    longitude = tf.math.floormod(tf.atan2(y, x) * (180 / math.pi), 360.0)
    # Not the arc sine of z, which is inexact near the poles.
    latitude = tf.atan2(z, tf.sqrt(x * x + y * y)) * (180 / math.pi)
    return longitude, latitude


def separation(longitude, latitude, centre):
    """Give the angle (object,), float64 degrees, between positions and a centre of the same frame.

    tan θ = |a × b| / a · b, which is exact for small and for large angles.
    """
    along = (longitude - centre[0]) * (math.pi / 180)
    ours, theirs = latitude * (math.pi / 180), centre[1] * (math.pi / 180)
    east = tf.cos(ours) * tf.sin(along)
    north = math.cos(theirs) * tf.sin(ours) - math.sin(theirs) * tf.cos(ours) * tf.cos(along)
    inner = math.sin(theirs) * tf.sin(ours) + math.cos(theirs) * tf.cos(ours) * tf.cos(along)
    return tf.atan2(tf.sqrt(east * east + north * north), inner) * (180 / math.pi)


def derive(names, ra, dec):
    """Give derived columns.

    Parameters
    ----------
    names : sequence of str
        Keys of `UNITS`.
    ra, dec : tensor (object,)
        ICRS position in degrees.

    Returns
    -------
    tensor (object, name), float64
    """
    ra, dec = tf.cast(ra, tf.float64), tf.cast(dec, tf.float64)
    known = tf.math.is_finite(ra) & tf.math.is_finite(dec) & (tf.abs(dec) <= 90.0)
    ra, dec = tf.where(known, ra, 0.0), tf.where(known, dec, 0.0)
    longitude, latitude = rotate(ra, dec, _GALACTIC)
    values = dict(zip(("galactic_longitude", "galactic_latitude"), (longitude, latitude), strict=True))
    values |= zip(("ecliptic_longitude", "ecliptic_latitude"), rotate(ra, dec, _ECLIPTIC), strict=True)
    values["mw_plane_flag"] = tf.cast(tf.abs(latitude) < PLANE_LATITUDE, tf.float64)
    for name, centre in DEEP_FIELDS.items():
        values[name] = tf.cast(separation(longitude, latitude, centre) < DEEP_FIELD_RADIUS, tf.float64)
    found = tf.stack([values[name] for name in names], axis=1)
    return tf.where(known[:, None], found, np.nan)
