"""The view ``grid``: light curves on regular steps, interpolated or binned band by band."""

from __future__ import annotations

import tensorflow as tf

from zoo.inputs import transforms
from zoo.inputs.transforms import LightCurves


def build(curves: LightCurves, bands: int, config) -> dict:
    """Give the tensors of the view, see ``zoo.views.VIEWS``.

    Steps lie at start + k · ``grid_step`` for k < ``grid_steps``, where start is the object's first observation,
    or ``grid_start`` if that is later. Steps after the last observation are masked, and the batch is trimmed to
    its longest object.

    Parameters
    ----------
    curves : LightCurves
        Times in days from the model's zero of time.
    bands : int
    config : zoo.inputs.config.InputConfig
        The options ``grid_*``.
    """
    step = tf.constant(config.grid_step, tf.float64)
    curves = transforms.keep(curves, curves.time >= config.grid_start)
    start, last = _extent(curves)
    number = tf.cast(tf.floor((last - start) / step + _HALF[config.grid_fill]), tf.int64)
    size = tf.clip_by_value(number + 1, 0, config.grid_steps)
    # An object without observations has no step; the batch has at least one.
    size = tf.where(transforms.lengths(curves) > 0, size, 0)
    steps = tf.maximum(tf.reduce_max(tf.concat([size, [0]], 0)), 1)
    time = start[:, None] + step * tf.cast(tf.range(steps), tf.float64)[None, :]
    mask = tf.range(steps)[None, :] < size[:, None]
    fill = _linear if config.grid_fill == "linear" else _binned
    flux, flux_err, observed = fill(curves, bands, time, start, step)
    observed &= mask[:, :, None]
    if config.grid_clip:
        flux = tf.maximum(flux, 0.0)
    return {
        "time": tf.where(mask, tf.cast(time, tf.float32), 0.0),
        "flux": tf.where(observed, flux, 0.0),
        "flux_err": tf.where(observed, flux_err, 0.0),
        "observed": observed,
        "mask": mask,
    }


_HALF = {"linear": 1e-9, "none": 0.5}
"""Interpolated steps end before the last observation, whole steps apart from rounding; bins reach around it."""


def _extent(curves: LightCurves):
    """Give the first and last time (object,), float64; 0 where there are none."""
    there = transforms.lengths(curves) > 0
    first = tf.math.unsorted_segment_min(curves.time, curves.row, curves.count)
    last = tf.math.unsorted_segment_max(curves.time, curves.row, curves.count)
    zero = tf.zeros_like(first)
    return tf.where(there, first, zero), tf.where(there, last, zero)


def _linear(curves: LightCurves, bands: int, time, start, step):
    """Interpolate each band between its observations; gives flux, error and where there is a value."""
    del start, step
    position, total = transforms.band_position(curves, bands)
    slots = tf.maximum(tf.reduce_max(tf.concat([tf.reshape(total, [-1]), [0]], 0)), 1)
    place = tf.stack([curves.row, tf.cast(curves.band, tf.int64), position], axis=1)
    shape = tf.stack([curves.count, tf.constant(bands, tf.int64), slots])

    def scatter(values):
        return tf.reshape(tf.scatter_nd(place, values, shape), [-1, slots])

    used = scatter(tf.ones_like(curves.time)) > 0
    known = tf.where(used, scatter(curves.time), tf.constant(float("inf"), tf.float64))
    wanted = tf.repeat(time, bands, axis=0)
    after = tf.searchsorted(known, wanted, side="right", out_type=tf.int32)
    count = tf.cast(tf.reshape(total, [-1, 1]), tf.int32)
    right = tf.clip_by_value(after, 1, tf.maximum(count - 1, 1))
    right = tf.minimum(right, tf.cast(slots, tf.int32) - 1)
    left = tf.maximum(right - 1, 0)
    before, later = tf.gather(known, left, batch_dims=1), tf.gather(known, right, batch_dims=1)
    inside = (count > 1) & (wanted >= before - _ROUNDING) & (wanted <= later + _ROUNDING)
    width = later - before
    share = tf.where(inside & (width > 0), (wanted - before) / tf.where(width > 0, width, 1.0), 0.0)
    share = tf.cast(tf.clip_by_value(share, 0.0, 1.0), tf.float32)

    def interpolate(values):
        values = scatter(values)
        low, high = tf.gather(values, left, batch_dims=1), tf.gather(values, right, batch_dims=1)
        return _steps_first(low + share * (high - low), bands)

    return interpolate(curves.flux), interpolate(curves.flux_err), _steps_first(inside, bands)


_ROUNDING = 1e-9
"""Days by which a step may miss an observation that it stands on, by rounding of float64."""


def _steps_first(values, bands: int):
    """Turn (object · band, step) into (object, step, band)."""
    values = tf.reshape(values, [-1, bands, tf.shape(values)[1]])
    return tf.ensure_shape(tf.transpose(values, [0, 2, 1]), [None, None, bands])


def _binned(curves: LightCurves, bands: int, time, start, step):
    """Put each observation into the nearest step; several in one give their mean, weighted by 1 / error²."""
    steps = tf.shape(time, tf.int64)[1]
    place = tf.cast(tf.floor((curves.time - tf.gather(start, curves.row)) / step + 0.5), tf.int64)
    curves, place = transforms.keep(curves, place < steps), tf.boolean_mask(place, place < steps)
    cell = tf.stack([curves.row, place, tf.cast(curves.band, tf.int64)], axis=1)
    shape = tf.stack([curves.count, steps, tf.constant(bands, tf.int64)])
    # Without errors all observations of a step count the same.
    weight = tf.where(curves.flux_err > 0, 1.0 / tf.square(tf.where(curves.flux_err > 0, curves.flux_err, 1.0)), 0.0)
    stated = tf.scatter_nd(cell, weight, shape)
    weight = tf.where(tf.gather_nd(stated, cell) > 0, weight, 1.0)
    total = tf.scatter_nd(cell, weight, shape)
    safe = tf.where(total > 0, total, 1.0)
    flux = tf.scatter_nd(cell, weight * curves.flux, shape) / safe
    flux_err = tf.where(stated > 0, tf.math.rsqrt(safe), 0.0)
    observed = tf.scatter_nd(cell, tf.ones_like(curves.row), shape) > 0
    return tuple(tf.ensure_shape(values, [None, None, bands]) for values in (flux, flux_err, observed))
