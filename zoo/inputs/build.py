"""The last step of stage 1: a ragged batch becomes the named tensors of a view."""

from __future__ import annotations

import tensorflow as tf

from zoo.inputs import grid, transforms
from zoo.inputs.transforms import LightCurves


def packed(curves: LightCurves) -> dict:
    """Give the view ``packed``: rows in front, padded to the longest object, at least one slot."""
    size = transforms.lengths(curves)
    longest = tf.maximum(tf.reduce_max(tf.concat([size, [0]], 0)), 1)
    start = tf.cumsum(size, exclusive=True)
    slot = tf.range(tf.size(curves.row, tf.int64)) - tf.gather(start, curves.row)
    place = tf.stack([curves.row, slot], axis=1)
    shape = tf.stack([curves.count, longest])

    def scatter(values, dtype):
        return tf.scatter_nd(place, tf.cast(values, dtype), shape)

    return {
        "time": scatter(curves.time, tf.float32),
        "flux": scatter(curves.flux, tf.float32),
        "flux_err": scatter(curves.flux_err, tf.float32),
        "band": scatter(curves.band, tf.int32),
        "detected": tf.cast(scatter(transforms.has(curves, transforms.DETECTED), tf.int32), tf.bool),
        "mask": tf.range(longest)[None, :] < size[:, None],
    }


def packed_by_band(curves: LightCurves, bands: int) -> dict:
    """Give the view ``packed_by_band``: the band-major grid and the packed rows' places in it."""
    position, total = transforms.band_position(curves, bands)
    slots = tf.maximum(tf.reduce_max(tf.concat([tf.reshape(total, [-1]), [0]], 0)), 1)
    band = tf.cast(curves.band, tf.int64)
    place = tf.stack([curves.row, band, position], axis=1)
    shape = tf.stack([curves.count, tf.constant(bands, tf.int64), slots])

    def scatter(values):
        grid = tf.scatter_nd(place, tf.cast(values, tf.float32), shape)
        return tf.ensure_shape(grid, [None, bands, None])

    size = transforms.lengths(curves)
    longest = tf.maximum(tf.reduce_max(tf.concat([size, [0]], 0)), 1)
    start = tf.cumsum(size, exclusive=True)
    slot = tf.range(tf.size(curves.row, tf.int64)) - tf.gather(start, curves.row)
    index = tf.scatter_nd(
        tf.stack([curves.row, slot], axis=1),
        tf.cast(band * slots + position, tf.int32),
        tf.stack([curves.count, longest]),
    )
    return {
        "grid_time": scatter(curves.time),
        "grid_flux": scatter(curves.flux),
        "grid_flux_err": scatter(curves.flux_err),
        "pack_index": index,
        "mask": tf.range(longest)[None, :] < size[:, None],
    }


def photometry(curves: LightCurves, scale) -> dict:
    """Give the view ``photometry`` of what `zoo.inputs.photometry.prepare` gave."""
    rows = {name: values for name, values in packed(curves).items() if name != "detected"}
    return rows | {"curve_scale": tf.ensure_shape(scale, [None, 2])}


def build(view: str, curves: LightCurves, bands: int, config, scale=None) -> dict:
    """Give the light-curve tensors of a view by name, see ``zoo.views.VIEWS``.

    ``scale`` (object, 2) is that of the view ``photometry``; 0 without.
    """
    if view == "packed":
        return packed(curves)
    if view == "packed_by_band":
        return packed_by_band(curves, bands)
    if view == "photometry":
        return photometry(curves, tf.zeros([curves.count, 2]) if scale is None else scale)
    if view == "grid":
        return grid.build(curves, bands, config)
    raise ValueError(f"Unknown view. Valid: packed, packed_by_band, grid, photometry. Received: {view!r}")


def static_values(static, rules: dict[int, list[float]]):
    """Turn declared sentinels of static columns into NaN.

    Parameters
    ----------
    static : tensor (object, column), float32
    rules : dict of int to list of float
        Sentinels by column.
    """
    if not rules:
        return static
    columns = tf.unstack(static, axis=1)
    for column, sentinels in rules.items():
        for sentinel in sentinels:
            missing = tf.equal(columns[column], tf.cast(sentinel, tf.float32))
            columns[column] = tf.where(missing, float("nan"), columns[column])
    return tf.stack(columns, axis=1)
