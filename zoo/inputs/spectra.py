"""Spectra of a batch of objects on one grid of wavelengths, each scaled by its own spread.

The preparation of AstroM3 (Rizhko & Bloom 2025, AJ, doi 10.3847/1538-3881/adcbad).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrecords import batch as record_batch
from zoo.inputs.photometry import SMALL

FARTHEST = 1e8
"""Wavelengths in angstrom lie below this."""


class Spectra(NamedTuple):
    """Pixels of the spectra of ``count`` objects.

    Attributes
    ----------
    wavelength : tensor (pixel,), float64
        Angstrom, increasing within an object.
    flux : tensor (pixel,), float64
    ivar : tensor (pixel,), float64
        Inverse variance of the flux.
    row : tensor (pixel,), int64
        Object that a pixel belongs to, ascending.
    count : tensor (), int64
        Number of objects.
    """

    wavelength: tf.Tensor
    flux: tf.Tensor
    ivar: tf.Tensor
    row: tf.Tensor
    count: tf.Tensor


def parse(serialized) -> Spectra:
    """Decode the spectra of records (object,), see ``tfrecords.batch.parse_spectra``."""
    found = record_batch.parse_spectra(serialized)
    count = tf.size(found["length"], tf.int64)
    row = tf.repeat(tf.range(count), found["length"])
    return finite(Spectra(*(tf.cast(found[key], tf.float64) for key in ("wavelength", "flux", "ivar")), row, count))


def from_padded(wavelength, flux, ivar) -> Spectra:
    """Take padded arrays (object, pixel), see `finite`."""
    count, length = tf.shape(wavelength, tf.int64)[0], tf.shape(wavelength, tf.int64)[1]
    row = tf.repeat(tf.range(count), tf.fill([count], length))
    columns = (tf.reshape(tf.cast(each, tf.float64), [-1]) for each in (wavelength, flux, ivar))
    return finite(Spectra(*columns, row, count))


def finite(spectra: Spectra) -> Spectra:
    """Drop pixels without a finite flux or a positive wavelength; an inverse variance that is not finite becomes 0."""
    good = (spectra.wavelength > 0) & (spectra.wavelength < FARTHEST) & tf.math.is_finite(spectra.flux)
    ivar = tf.where(tf.math.is_finite(spectra.ivar), spectra.ivar, tf.zeros_like(spectra.ivar))
    *columns, count = spectra._replace(ivar=ivar)
    return Spectra(*(tf.boolean_mask(column, good) for column in columns), count)


def hide(spectra: Spectra) -> Spectra:
    """Give the objects without any spectrum."""
    *columns, count = spectra
    return Spectra(*(column[:0] for column in columns), count)


def gather(spectra: Spectra, objects) -> Spectra:
    """Take the spectra of some objects, in the order of ``objects`` (int64)."""
    size = _lengths(spectra)
    start = tf.cumsum(size, exclusive=True)
    size, start = tf.gather(size, objects), tf.gather(start, objects)
    pixels = tf.repeat(start - tf.cumsum(size, exclusive=True), size) + tf.range(tf.reduce_sum(size))
    count = tf.size(objects, tf.int64)
    *columns, _, _ = spectra
    return Spectra(*(tf.gather(column, pixels) for column in columns), tf.repeat(tf.range(count), size), count)


def _lengths(spectra: Spectra):
    return tf.math.unsorted_segment_sum(tf.ones_like(spectra.row), spectra.row, spectra.count)


def grid(config) -> np.ndarray:
    """Give the wavelengths (wavelength,), float64, in angstrom, of the options ``spectrum_...``."""
    return config.spectrum_start + config.spectrum_step * np.arange(config.spectrum_points)


def build(spectra: Spectra, config) -> dict:
    """Give the tensors of spectra by name, see ``zoo.views.TABLES``.

    Flux and inverse variance are interpolated linearly, end values held. Then f = (f − mean) / s, with the mean over
    the grid and s the MAD, the median |f − median f|, of its points with flux ≠ 0, or the standard deviation of all of
    them (``spectrum_spread``). Where the MAD is no more than 1e-8 of the mean |f| the standard deviation takes its
    place; a spectrum whose flux is the same everywhere, as it is off the grid, is none. An error too large for float32
    becomes 0, unknown.
    """
    wavelengths = tf.constant(grid(config), tf.float64)
    size = _lengths(spectra)
    some = size > 0
    flux, ivar, inside = _interpolated(spectra, size, wavelengths)
    mean = tf.reduce_mean(flux, axis=1, keepdims=True)
    deviation = tf.sqrt(tf.reduce_mean((flux - mean) ** 2, axis=1))
    # Of a flux that is the same everywhere rounding leaves a little.
    least = SMALL * tf.reduce_mean(tf.abs(flux), axis=1)
    spread = deviation
    if config.spectrum_spread == "mad":
        spread = _deviation_of_nonzero(flux)
        spread = tf.where(spread > least, spread, deviation)
    some &= spread > least
    spread = tf.where(some, spread, tf.ones_like(spread))[:, None]
    error = ivar
    if config.spectrum_error == "sigma":
        error = tf.where(ivar > 0, tf.math.rsqrt(tf.where(ivar > 0, ivar, tf.ones_like(ivar))), tf.zeros_like(ivar))
    if config.spectrum_error_scaled:
        error = error / spread
    error = tf.where(error <= tf.float32.max, error, tf.zeros_like(error))
    scale = tf.math.log(spread) / tf.math.log(tf.constant(10.0, tf.float64))
    points = config.spectrum_points

    def shown(values):
        values = tf.where(some[:, None], values, tf.zeros_like(values))
        return tf.ensure_shape(tf.cast(values, tf.float32), [None, points])

    return {
        "spectrum": shown((flux - mean) / spread),
        "spectrum_err": shown(error),
        "spectrum_scale": tf.ensure_shape(tf.cast(tf.where(some[:, None], scale, 0.0), tf.float32), [None, 1]),
        "spectrum_mask": tf.ensure_shape(inside & some[:, None], [None, points]),
    }


def _deviation_of_nonzero(flux):
    """Give the MAD (object,) of the points (object, wavelength) that are not 0."""
    kept = tf.not_equal(flux, 0)
    size = tf.reduce_sum(tf.cast(kept, tf.int32), axis=1)
    return _median(tf.abs(flux - _median(flux, kept, size)[:, None]), kept, size)


def _median(values, kept, size):
    """Give the median (object,) of the ``size`` points (object, wavelength) kept; 0 where there are none."""
    # Sorting rows is three times as quick as ordering all points by value and object, which curves need.
    behind = tf.sort(tf.where(kept, values, tf.constant(np.inf, values.dtype)), axis=1)
    places = tf.stack([tf.maximum(size - 1, 0) // 2, size // 2], axis=1)
    middle = tf.gather(behind, tf.minimum(places, tf.shape(values)[1] - 1), batch_dims=1)
    return tf.where(size > 0, tf.reduce_mean(middle, axis=1), tf.zeros_like(middle[:, 0]))


def _interpolated(spectra: Spectra, size, wavelengths):
    """Give flux, ivar and which points were observed (object, wavelength); zeros and False without a spectrum."""
    points = tf.size(wavelengths)
    # Objects lie one after another on one axis, so that one search finds the neighbours of all.
    place = spectra.wavelength + tf.cast(spectra.row, tf.float64) * (2 * FARTHEST)
    rows = tf.range(spectra.count)
    wanted = wavelengths[None] + tf.cast(rows, tf.float64)[:, None] * (2 * FARTHEST)
    found = tf.searchsorted(place, tf.reshape(wanted, [-1]), side="right", out_type=tf.int64)
    start = tf.cumsum(size, exclusive=True)[:, None]
    last = start + tf.maximum(size[:, None] - 1, 0)
    low = tf.clip_by_value(tf.reshape(found, [-1, points]) - 1, start, last)
    high = tf.minimum(low + 1, last)
    # One more pixel than there are, for objects without any at the end.
    wave, flux, ivar = (tf.concat([item, [1.0]], 0) for item in (spectra.wavelength, spectra.flux, spectra.ivar))
    step = tf.gather(wave, high) - tf.gather(wave, low)
    share = tf.math.divide_no_nan(wavelengths[None] - tf.gather(wave, low), step)
    share = tf.clip_by_value(share, 0.0, 1.0)
    some = (size > 0)[:, None]

    def between(values):
        lower = tf.gather(values, low)
        return tf.where(some, lower + share * (tf.gather(values, high) - lower), tf.zeros_like(lower))

    first, end = tf.gather(wave, start), tf.gather(wave, last)
    inside = some & (wavelengths[None] >= first) & (wavelengths[None] <= end)
    return between(flux), between(ivar), inside
