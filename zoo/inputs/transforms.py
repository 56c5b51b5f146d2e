"""Transforms of a ragged batch of light curves: stateless TensorFlow, the same code everywhere.

A batch holds the rows of all its objects one after another (`LightCurves`). Times are float64 MJD until
`relative_time` makes them days from a stated reference.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

DETECTED, TRIGGER, SATURATED = 1, 2, 4


class LightCurves(NamedTuple):
    """Rows of the light curves of ``count`` objects.

    Attributes
    ----------
    time : tensor (row,), float64
        MJD, or days after `relative_time`.
    band : tensor (row,), int32
        Index into the band table.
    flux, flux_err : tensor (row,), float32
        In the flux unit of the data set.
    flags : tensor (row,), int32
        Bits: 1 detected, 2 trigger, 4 saturated, 8 flags unknown.
    row : tensor (row,), int64
        Object that a row belongs to, ascending.
    count : tensor (), int64
        Number of objects.
    """

    time: tf.Tensor
    band: tf.Tensor
    flux: tf.Tensor
    flux_err: tf.Tensor
    flags: tf.Tensor
    row: tf.Tensor
    count: tf.Tensor


def from_columns(columns: dict) -> LightCurves:
    """Take the light curves of parsed records, see ``tfrecords.batch.parse``."""
    row = tf.repeat(tf.range(tf.size(columns["length"], tf.int64)), columns["length"])
    values = {key: columns[key] for key in ("time", "band", "flux", "flux_err", "flags")}
    return finite(LightCurves(**values, row=row, count=tf.size(columns["length"], tf.int64)))


def from_padded(time, flux, flux_err, band, flags, mask) -> LightCurves:
    """Take padded arrays (batch, time); True in the mask marks a row."""
    count, length = tf.shape(mask, tf.int64)[0], tf.shape(mask, tf.int64)[1]
    row = tf.repeat(tf.range(count), tf.fill([count], length))
    kept = tf.reshape(mask, [-1])

    def flat(values, dtype):
        return tf.boolean_mask(tf.reshape(tf.cast(values, dtype), [-1]), kept)

    return finite(
        LightCurves(
            time=flat(time, tf.float64),
            band=flat(band, tf.int32),
            flux=flat(flux, tf.float32),
            flux_err=flat(flux_err, tf.float32),
            flags=flat(flags, tf.int32),
            row=tf.boolean_mask(row, kept),
            count=count,
        )
    )


def keep(curves: LightCurves, mask) -> LightCurves:
    """Keep the rows where ``mask`` is True."""
    *columns, count = curves
    return LightCurves(*(tf.boolean_mask(column, mask) for column in columns), count)


def finite(curves: LightCurves) -> LightCurves:
    """Drop rows whose time, flux or flux error is NaN or infinite."""
    good = tf.math.is_finite(curves.time)
    good &= tf.math.is_finite(curves.flux) & tf.math.is_finite(curves.flux_err)
    return keep(curves, good)


def lengths(curves: LightCurves):
    """Give the number of rows (object,) of every object, int64."""
    return tf.math.unsorted_segment_sum(tf.ones_like(curves.row), curves.row, curves.count)


def _first(curves: LightCurves, mask):
    """Give the smallest time (object,) among the rows of a mask; +inf where there is none."""
    infinite = tf.constant(float("inf"), tf.float64)
    times = tf.where(mask, curves.time, infinite)
    first = tf.math.unsorted_segment_min(times, curves.row, curves.count)
    # The operation starts from the largest finite number, so infinity never comes out of it.
    return tf.where(first >= times.dtype.max, infinite, first)


def has(curves: LightCurves, bits: int):
    """Say which rows (row,) carry one of the flag bits."""
    return tf.not_equal(tf.bitwise.bitwise_and(curves.flags, bits), 0)


def position(curves: LightCurves):
    """Number the rows (row,) of every object from 0, int64, in their order."""
    start = tf.cumsum(lengths(curves), exclusive=True)
    return tf.range(tf.size(curves.row, tf.int64)) - tf.gather(start, curves.row)


def reference_time(curves: LightCurves, trigger: bool = True):
    """Give the reference time (object,): trigger, else first detection, else first observation.

    Without ``trigger`` its flag does not count. An object without observations has the reference time 0.
    """
    detected = _first(curves, has(curves, DETECTED))
    observed = _first(curves, tf.ones_like(curves.row, tf.bool))
    time = _first(curves, has(curves, TRIGGER)) if trigger else detected
    time = tf.where(tf.math.is_inf(time), detected, time)
    time = tf.where(tf.math.is_inf(time), observed, time)
    return tf.where(tf.math.is_inf(time), tf.zeros_like(time), time)


def last_detection(curves: LightCurves):
    """Give the time (object,) of the last detection or trigger; +inf where there is none."""
    negative = curves._replace(time=-curves.time)
    last = -_first(negative, has(curves, DETECTED | TRIGGER))
    return tf.where(tf.math.is_inf(last), -last, last)


def band_position(curves: LightCurves, bands: int):
    """Number the rows of every object within their band.

    Returns
    -------
    position : tensor (row,), int64
        0, 1, 2 … in the order of the rows.
    total : tensor (object, band), int64
        Rows of each band.
    """
    one_hot = tf.one_hot(curves.band, bands, dtype=tf.int64)
    total = tf.math.unsorted_segment_sum(one_hot, curves.row, curves.count)
    before_object = tf.cumsum(total, axis=0, exclusive=True)
    running = tf.cumsum(one_hot, axis=0, exclusive=True)
    position = running - tf.gather(before_object, curves.row)
    return tf.gather(position, curves.band, batch_dims=1, axis=1), total


def thin(curves: LightCurves, bands: int, limit: int) -> LightCurves:
    """Thin bands with more than ``limit`` rows to ⌊linspace(0, n − 1, limit)⌋, keeping the trigger."""
    position, total = band_position(curves, bands)
    number = tf.gather_nd(total, tf.stack([curves.row, tf.cast(curves.band, tf.int64)], axis=1))
    last, steps = tf.maximum(number - 1, 1), limit - 1
    nearest = -((-position * steps) // last)
    # In float64 as NumPy does it: where the exact value is whole, rounding may take the row before.
    spaced = tf.floor(tf.cast(nearest, tf.float64) * (tf.cast(last, tf.float64) / steps))
    spaced = tf.where(nearest == steps, last, tf.cast(spaced, tf.int64))
    on_grid = tf.equal(spaced, position) & (nearest <= steps)
    return keep(curves, on_grid | (number <= limit) | has(curves, TRIGGER))


def window(curves: LightCurves, reference, last, config) -> LightCurves:
    """Apply the window, last-detection and saturation rules of an `InputConfig`.

    Parameters
    ----------
    reference, last : tensor (object,), float64
        `reference_time` and `last_detection` of the light curves before any thinning.
    """
    kept = tf.ones_like(curves.row, tf.bool)
    if config.window_before is not None:
        kept &= curves.time >= tf.gather(reference, curves.row) - config.window_before
    if config.until_last_detection:
        kept &= curves.time <= tf.gather(last, curves.row)
    if config.drop_saturated:
        kept &= ~has(curves, SATURATED)
    return keep(curves, kept)


def detection_window(curves: LightCurves) -> LightCurves:
    """Keep rows from the one before the first detection to the last detection; nothing where there is none."""
    place, detected = position(curves), has(curves, DETECTED)
    number = tf.size(place, tf.int64)
    first = tf.math.unsorted_segment_min(tf.where(detected, place, number), curves.row, curves.count)
    last = tf.math.unsorted_segment_max(tf.where(detected, place, -1), curves.row, curves.count)
    kept = (place >= tf.gather(first, curves.row) - 1) & (place <= tf.gather(last, curves.row))
    return keep(curves, kept)


def with_detection(curves: LightCurves) -> LightCurves:
    """Keep the rows of objects that have a detection."""
    detected = tf.cast(has(curves, DETECTED), tf.int32)
    number = tf.math.unsorted_segment_sum(detected, curves.row, curves.count)
    return keep(curves, tf.gather(number, curves.row) > 0)


def first_rows(curves: LightCurves, limit) -> LightCurves:
    """Keep the first ``limit`` rows of every object; a number, or one an object (object,), int64."""
    limit = tf.broadcast_to(tf.cast(limit, tf.int64), [curves.count])
    return keep(curves, position(curves) < tf.gather(limit, curves.row))


def share_of_rows(curves: LightCurves, share) -> LightCurves:
    """Keep the first max(1, ⌊share · n⌋) of the n rows of every object; ``share`` (object,), float64."""
    number = tf.floor(share * tf.cast(lengths(curves), tf.float64))
    return first_rows(curves, tf.maximum(tf.cast(number, tf.int64), 1))


def until_day(curves: LightCurves, reference, days) -> LightCurves:
    """Keep rows until ``days`` (object,) after the reference time; earlier rows all stay."""
    return keep(curves, curves.time - tf.gather(reference, curves.row) <= tf.gather(days, curves.row))


def last_day(curves: LightCurves, reference):
    """Give the days (object,) from the reference time to the last row; +inf where there is no row."""
    last = tf.math.unsorted_segment_max(curves.time, curves.row, curves.count)
    infinite = tf.constant(float("inf"), tf.float64)
    return tf.where(lengths(curves) > 0, last - reference, infinite)


def relative_time(curves: LightCurves, reference) -> LightCurves:
    """Make times days from ``reference`` (object,), still float64."""
    return curves._replace(time=curves.time - tf.gather(reference, curves.row))


def stretch(redshift):
    """Give 1 + z (object,), float64; 1 where the redshift (object,) is missing or not positive."""
    known = tf.math.is_finite(redshift) & (redshift > 0)
    return 1.0 + tf.cast(tf.where(known, redshift, tf.zeros_like(redshift)), tf.float64)


def deredden(curves: LightCurves, reddening, coefficients) -> LightCurves:
    """Multiply fluxes and errors by 10^(0.4 A), A = coefficient of the band · E(B−V).

    Parameters
    ----------
    reddening : tensor (object,), float32
        E(B−V); one that is not finite or not positive changes nothing.
    coefficients : sequence of float (band,)
        Extinction in magnitudes for E(B−V) = 1.
    """
    known = tf.math.is_finite(reddening) & (reddening > 0)
    reddening = tf.gather(tf.where(known, reddening, tf.zeros_like(reddening)), curves.row)
    magnitudes = tf.gather(tf.constant(coefficients, tf.float32), curves.band) * reddening
    factor = tf.exp(0.4 * math.log(10.0) * magnitudes)
    return curves._replace(flux=curves.flux * factor, flux_err=curves.flux_err * factor)


def select(curves: LightCurves, config, bands: int):
    """Apply everything of an `InputConfig` that does not depend on the day or on chance.

    Returns
    -------
    curves : LightCurves
        Times in MJD.
    reference : tensor (object,), float64
        MJD of the reference time, of which evaluation days count.
    origin : tensor (object,), float64
        MJD that the model's time is relative to.
    """
    if config.reference == "detection":
        if config.drop_saturated:
            curves = keep(curves, ~has(curves, SATURATED))
        reference = reference_time(curves, trigger=False)
    else:
        reference = reference_time(curves)
    last = last_detection(curves)
    if config.require_detection:
        curves = with_detection(curves)
    if config.max_per_band is not None:
        curves = thin(curves, bands, config.max_per_band)
    curves = window(curves, reference, last, config)
    if config.detection_window:
        curves = detection_window(curves)
    if config.max_rows is not None:
        curves = first_rows(curves, config.max_rows)
    if config.time_origin == "reference":
        return curves, reference, reference
    first = _first(curves, tf.ones_like(curves.row, tf.bool))
    return curves, reference, tf.where(tf.math.is_inf(first), reference, first)


def gather(curves: LightCurves, objects) -> LightCurves:
    """Take the light curves of some objects, in the order of ``objects`` (int64)."""
    size = lengths(curves)
    start = tf.cumsum(size, exclusive=True)
    size, start = tf.gather(size, objects), tf.gather(start, objects)
    rows = tf.repeat(start - tf.cumsum(size, exclusive=True), size) + tf.range(tf.reduce_sum(size))
    count = tf.size(objects, tf.int64)
    *columns, _, _ = curves
    taken = [tf.gather(column, rows) for column in columns]
    return LightCurves(*taken, tf.repeat(tf.range(count), size), count)
