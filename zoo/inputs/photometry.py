"""Light curves of the view ``photometry``: each scaled by its own spread, cut to a window, folded on its period.

The preparation of AstroM3 (Rizhko & Bloom 2025, AJ, doi 10.3847/1538-3881/adcbad), without its divisions by zero.
"""

from __future__ import annotations

import math

import tensorflow as tf

from zoo.inputs import transforms
from zoo.inputs.transforms import LightCurves

YEAR = 365.0
"""Days of a year, as the original counts them."""

HELIOCENTRIC = 2400000.5
"""Julian date of MJD 0: phases count from Julian date 0 under ``fold_zero epoch``."""

SMALL = 1e-8
"""A spread below this share of the mean flux is none."""

TURN = 2 * math.pi

WINDOW_KEY = 8
"""Offset of the key by which training draws windows."""


def median(values, row, count):
    """Give the median (object,) of the values (row,) of each object, the mean of two in the middle; 0 for none.

    Parameters
    ----------
    values : tensor (row,)
    row : tensor (row,), int64
        Object of each value, ascending.
    count : tensor (), int64
    """
    values = tf.gather(values, _order(values, row))
    size = tf.math.unsorted_segment_sum(tf.ones_like(row), row, count)
    start = tf.cumsum(size, exclusive=True)
    # One more value than there are, so that objects without any have a place to point to.
    values = tf.concat([values, tf.zeros([1], values.dtype)], 0)
    low, high = (tf.gather(values, start + tf.maximum(place, 0)) for place in ((size - 1) // 2, size // 2))
    return tf.where(size > 0, (low + high) / 2, tf.zeros_like(low))


def _order(values, row):
    """Give the order (row,) of values within their objects."""
    order = tf.argsort(values, stable=True)
    return tf.gather(order, tf.argsort(tf.gather(row, order), stable=True))


def scaled(curves: LightCurves):
    """Scale the flux of every object: (f − mean) / MAD and err / MAD, MAD = median |f − median f| of all its rows.

    Where the MAD is no more than `SMALL` times the mean, the mean flux error takes its place.

    Returns
    -------
    curves : LightCurves
    scale : tensor (object, 2), float32
        log10 MAD, and the time from the first to the last row in years of 365 days; 0 and 0 without rows.
    """
    flux, row, count = tf.cast(curves.flux, tf.float64), curves.row, curves.count
    size = tf.maximum(tf.cast(transforms.lengths(curves), tf.float64), 1)

    def mean(values):
        return tf.math.unsorted_segment_sum(values, row, count) / size

    centre, error = mean(flux), mean(tf.cast(curves.flux_err, tf.float64))
    spread = median(tf.abs(flux - tf.gather(median(flux, row, count), row)), row, count)
    spread = tf.where(spread > SMALL * tf.abs(centre), spread, error)
    spread = tf.where(spread > 0, spread, tf.ones_like(spread))
    first, length = _range(curves)
    each = tf.gather(spread, row)
    flux, flux_err = (flux - tf.gather(centre, row)) / each, tf.cast(curves.flux_err, tf.float64) / each
    scale = tf.stack([tf.math.log(spread) / tf.math.log(tf.constant(10.0, tf.float64)), length / YEAR], axis=1)
    return (
        curves._replace(flux=tf.cast(flux, tf.float32), flux_err=tf.cast(flux_err, tf.float32)),
        tf.cast(scale, tf.float32),
    )


def _range(curves: LightCurves):
    """Give the first time and the length of time (object,) of every object; 0 and 0 without rows."""
    some = transforms.lengths(curves) > 0
    first = tf.math.unsorted_segment_min(curves.time, curves.row, curves.count)
    last = tf.math.unsorted_segment_max(curves.time, curves.row, curves.count)
    zero = tf.zeros_like(first)
    return tf.where(some, first, zero), tf.where(some, last - first, zero)


def window(curves: LightCurves, rows: int, key=None, start=None):
    """Say which rows (row,), bool, to keep: all, or so many in succession of objects with more.

    They begin at ``start`` (object,), int64, or are the ones in the middle, or, with a key, any such window.
    """
    over = tf.maximum(transforms.lengths(curves) - rows, 0)
    if start is None:
        start = over // 2
    if key is not None:
        luck = tf.random.stateless_uniform([curves.count], key + WINDOW_KEY, 0, 1, tf.float64)
        # The largest draw rounds to no more than the last window.
        start = tf.minimum(tf.cast(tf.floor(luck * tf.cast(over + 1, tf.float64)), tf.int64), over)
    since = transforms.position(curves) - tf.gather(start, curves.row)
    return (since >= 0) & (since < rows)


def _sorted(curves: LightCurves) -> LightCurves:
    order = _order(curves.time, curves.row)
    *columns, row, count = curves
    return LightCurves(*(tf.gather(column, order) for column in columns), row, count)


def phase(curves: LightCurves, period, zero: str):
    """Give the phase (row,), float64, in [0, 1): the fraction of (t − zero point) / period.

    Parameters
    ----------
    curves : LightCurves
        Times in MJD.
    period : tensor (object,), float64
        In days, positive.
    zero : {"epoch", "first", "maximum"}
        Zero point: Julian date 0, the first row, or the maximum of the sine wave of that period, the projection of
        the flux on it.
    """
    time = curves.time + HELIOCENTRIC if zero == "epoch" else curves.time - tf.gather(_range(curves)[0], curves.row)
    cycles = time / tf.gather(period, curves.row)
    if zero == "maximum":
        angle = TURN * (cycles - tf.floor(cycles))
        flux = tf.cast(curves.flux, tf.float64)
        sine, cosine = (
            tf.math.unsorted_segment_sum(flux * wave(angle), curves.row, curves.count) for wave in (tf.sin, tf.cos)
        )
        top = tf.math.atan2(sine, cosine) / (TURN)
        cycles -= tf.gather(top, curves.row)
    phases = cycles - tf.floor(cycles)
    # Rounding may give exactly 1 for tiny negative numbers.
    return tf.where(phases < 1, phases, tf.zeros_like(phases))


def prepare(curves: LightCurves, config, period=None, key=None, start=None):
    """Make the light curves of the view ``photometry``.

    Order: scale → window → share of the time range, or phase → sort by phase.

    Parameters
    ----------
    curves : LightCurves
        Times in MJD, sorted.
    config : InputConfig
    period : tensor (object,), optional
        In days; an object whose period is missing or not positive keeps its times.
    key : tensor (2,), int64, optional
        Key of the training-only window.
    start : tensor (object,), int64, optional
        First row of the window; the one in the middle when absent.

    Returns
    -------
    curves : LightCurves
        Times without unit: phase in [0, 1), or share of the time range in [0, 1].
    scale : tensor (object, 2), float32
        See `scaled`.
    """
    curves, scale = scaled(curves)
    first, length = _range(curves)
    share = tf.math.divide_no_nan(curves.time - tf.gather(first, curves.row), tf.gather(length, curves.row))
    kept = window(curves, config.window_rows, key, start)
    if period is None:
        return transforms.keep(curves._replace(time=share), kept), scale
    period = tf.cast(period, tf.float64)
    known = tf.math.is_finite(period) & (period > 0)
    # Of all rows: a window must not move the zero point.
    phases = phase(curves, tf.where(known, period, tf.ones_like(period)), config.fold_zero)
    time = tf.where(tf.gather(known, curves.row), phases, share)
    return _sorted(transforms.keep(curves._replace(time=time), kept)), scale
