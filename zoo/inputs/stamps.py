"""Stamps of a ragged batch of objects: which alerts are shown, and the tensors of the views of stamps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrecords import batch as record_batch
from zoo.inputs import augment

TURNS = {"none": (0,), "rotations": (0, 1, 2, 3), "sixfold": (0, 1, 2, 3, 4, 6), "dihedral": tuple(range(8))}
"""Turns that training draws from, by the option: k quarter turns counter-clockwise, from 4 on after a mirror image.

4 is the horizontal and 6 the vertical flip, so ``sixfold`` are the identity, three rotations and two flips.
"""


class Alerts(NamedTuple):
    """Alerts of ``count`` objects.

    Attributes
    ----------
    images : tensor (object,), string
        Pixels of all alerts of an object's record, float32 bytes.
    time : tensor (row,), float64
        MJD, or days from the object's first alert after `select`.
    values : tensor (row, column), float32
        Columns of an alert.
    place : tensor (row,), int64
        Which of the alerts of its record a row is.
    row : tensor (row,), int64
        Object that a row belongs to, ascending; rows of an object are in the order of time.
    turn : tensor (object,), int64
        How all stamps of an object are turned, see `TURNS`.
    count : tensor (), int64
        Number of objects.
    """

    images: tf.Tensor
    time: tf.Tensor
    values: tf.Tensor
    place: tf.Tensor
    row: tf.Tensor
    turn: tf.Tensor
    count: tf.Tensor


def parse(serialized, shape, columns: int) -> Alerts:
    """Decode the alerts of records (object,), see ``tfrecords.batch.parse_stamps``, in the order of time."""
    found = record_batch.parse_stamps(serialized, shape, columns)
    number, count = found["count"], tf.size(found["count"], tf.int64)
    row = tf.repeat(tf.range(count), number)
    place = tf.range(tf.size(row, tf.int64)) - tf.gather(tf.cumsum(number, exclusive=True), row)
    order = tf.argsort(found["time"], stable=True)
    order = tf.gather(order, tf.argsort(tf.gather(row, order), stable=True))
    time, values, place = (tf.gather(item, order) for item in (found["time"], found["metadata"], place))
    return Alerts(found["images"], time, values, place, row, tf.zeros_like(number), count)


def lengths(alerts: Alerts):
    """Give the number of alerts (object,) of every object, int64."""
    return tf.math.unsorted_segment_sum(tf.ones_like(alerts.row), alerts.row, alerts.count)


def position(alerts: Alerts):
    """Number the alerts (row,) of every object from 0, int64."""
    start = tf.cumsum(lengths(alerts), exclusive=True)
    return tf.range(tf.size(alerts.row, tf.int64)) - tf.gather(start, alerts.row)


def keep(alerts: Alerts, mask) -> Alerts:
    """Keep the alerts where ``mask`` is True."""
    kept = {name: tf.boolean_mask(getattr(alerts, name), mask) for name in ("time", "values", "place", "row")}
    return alerts._replace(**kept)


def gather(alerts: Alerts, objects) -> Alerts:
    """Take the alerts of some objects, in the order of ``objects`` (int64)."""
    size = lengths(alerts)
    start = tf.cumsum(size, exclusive=True)
    size, start = tf.gather(size, objects), tf.gather(start, objects)
    rows = tf.repeat(start - tf.cumsum(size, exclusive=True), size) + tf.range(tf.reduce_sum(size))
    count = tf.size(objects, tf.int64)
    taken = {name: tf.gather(getattr(alerts, name), rows) for name in ("time", "values", "place")}
    images, turn = tf.gather(alerts.images, objects), tf.gather(alerts.turn, objects)
    return Alerts(images, taken["time"], taken["values"], taken["place"], tf.repeat(tf.range(count), size), turn, count)


def select(alerts: Alerts, view: str, config, days=None, fraction=None, key=None):
    """Choose the alerts that a model sees.

    Order: days from the object's first alert → alerts too close to the one before → day, share or truncation → which
    one (view ``stamp``) or how many (``stamp_sequence``) → turn.

    Parameters
    ----------
    alerts : Alerts
    view : {"stamp", "stamp_sequence"}
    config : InputConfig
    days : tensor (object,), float64, optional
        Hide alerts later than so many days after the object's first one.
    fraction : tensor (object,), float64, optional
        Show the first max(1, ⌊fraction · n⌋) of an object's n alerts.
    key : tensor (2,), int64, optional
        Key of the training-only changes; none when absent.

    Returns
    -------
    alerts : Alerts
    share : tensor (object,), float32
        Share of an object's alerts that day, share and truncation left, 0 where none is left.
    """
    first = tf.math.unsorted_segment_min(alerts.time, alerts.row, alerts.count)
    alerts = without_close_ones(alerts._replace(time=alerts.time - tf.gather(first, alerts.row)), config.alert_gap)
    whole = lengths(alerts)
    if key is not None and config.truncate == "fraction":
        fraction = tf.random.stateless_uniform([alerts.count], key, 0, 1, tf.float64)
    elif key is not None and config.truncate != "none":
        days = augment.truncation_days(config, alerts.count, key)
    if fraction is not None:
        number = tf.maximum(tf.cast(tf.floor(fraction * tf.cast(whole, tf.float64)), tf.int64), 1)
        alerts = keep(alerts, position(alerts) < tf.gather(number, alerts.row))
    if days is not None:
        alerts = keep(alerts, alerts.time <= tf.gather(days, alerts.row))
    number = lengths(alerts)
    share = tf.math.divide_no_nan(tf.cast(number, tf.float32), tf.cast(whole, tf.float32))
    if view == "stamp":
        alerts = keep(alerts, position(alerts) == tf.gather(_chosen(config.alert, number, key), alerts.row))
    elif config.max_alerts is not None:
        alerts = keep(alerts, position(alerts) < config.max_alerts)
    if key is not None:
        turns = tf.constant(TURNS[config.stamp_augment], tf.int64)
        luck = tf.random.stateless_uniform([alerts.count], key + 6, 0, len(turns), tf.int64)
        alerts = alerts._replace(turn=tf.gather(turns, luck))
    return alerts, share


def _chosen(which: str, number, key):
    """Give which of its ``number`` (object,) alerts an object is shown by; outside training ``random`` is the last."""
    if which == "first":
        return tf.zeros_like(number)
    if which == "random" and key is not None:
        luck = tf.random.stateless_uniform([tf.size(number)], key + 5, 0, 1, tf.float64)
        return tf.cast(tf.floor(luck * tf.cast(number, tf.float64)), tf.int64)
    return number - 1


def without_close_ones(alerts: Alerts, gap: float) -> Alerts:
    """Drop alerts less than ``gap`` hours after the one before them, be that one dropped or not."""
    if not gap:
        return alerts
    since = alerts.time - tf.concat([alerts.time[:1], alerts.time[:-1]], 0)
    return keep(alerts, (position(alerts) == 0) | (since >= gap / 24.0))


def seen(alerts: Alerts, config) -> Alerts:
    """Keep the alerts that an `InputConfig` may ever show."""
    alerts = without_close_ones(alerts, config.alert_gap)
    return alerts if config.max_alerts is None else keep(alerts, position(alerts) < config.max_alerts)


def hide(alerts: Alerts) -> Alerts:
    """Give the objects without any alert."""
    return keep(alerts, tf.zeros_like(alerts.row, tf.bool))


def pixels(alerts: Alerts, shape):
    """Decode the stamps (row, height, width, channel), float32, of the alerts that are left, turned."""
    size = 4 * int(np.prod(shape))
    some = lengths(alerts) > 0
    low = tf.where(some, tf.math.unsorted_segment_min(alerts.place, alerts.row, alerts.count), 0)
    high = tf.where(some, tf.math.unsorted_segment_max(alerts.place, alerts.row, alerts.count), -1)
    # From the first to the last alert that is shown: what lies outside is never decoded.
    number = high - low + 1
    chunks = tf.strings.substr(alerts.images, low * size, number * size)
    images = tf.reshape(tf.io.decode_raw(tf.strings.reduce_join(chunks), tf.float32), [-1, *shape])
    start = tf.cumsum(number, exclusive=True) - low
    images = tf.gather(images, tf.gather(start, alerts.row) + alerts.place)
    return turned(images, tf.gather(alerts.turn, alerts.row))


def turned(images, turn):
    """Turn images (row, height, width, channel) as `TURNS` says, ``turn`` (row,)."""

    def where(condition, ours, theirs):
        return tf.where(condition[:, None, None, None], ours, theirs)

    images = where(turn >= 4, tf.reverse(images, [2]), images)
    images = where(turn % 4 >= 2, tf.reverse(images, [1, 2]), images)
    if images.shape[1] != images.shape[2]:
        return images
    return where(turn % 2 == 1, tf.reverse(tf.transpose(images, [0, 2, 1, 3]), [1]), images)


def build(view: str, alerts: Alerts, shape, columns) -> dict:
    """Give the tensors of a view of stamps by name, see ``zoo.views.STAMPS``.

    Parameters
    ----------
    view : {"stamp", "stamp_sequence"}
        ``stamp``: an object without an alert has a stamp and columns of NaN.
    alerts : Alerts
        After `select`.
    shape : sequence of int
        Height, width, channels.
    columns : sequence of int
        Which columns of an alert the model takes.
    """
    images = pixels(alerts, shape)
    values = tf.ensure_shape(tf.gather(alerts.values, tf.constant(columns, tf.int32), axis=1), [None, len(columns)])
    if view == "stamp":
        place, empty = alerts.row[:, None], float("nan")
        images = tf.tensor_scatter_nd_update(tf.fill([alerts.count, *shape], empty), place, images)
        values = tf.tensor_scatter_nd_update(tf.fill([alerts.count, len(columns)], empty), place, values)
        return {
            "stamp": tf.ensure_shape(images, [None, *shape]),
            "alert": tf.ensure_shape(values, [None, len(columns)]),
        }
    number = lengths(alerts)
    longest = tf.maximum(tf.reduce_max(tf.concat([number, [0]], 0)), 1)
    place = tf.stack([alerts.row, position(alerts)], axis=1)

    def scatter(items, *free):
        result = tf.scatter_nd(
            place, items, tf.stack([alerts.count, longest, *map(tf.cast, free, [tf.int64] * len(free))])
        )
        return tf.ensure_shape(result, [None, None, *free])

    return {
        "stamps": scatter(images, *shape),
        "alerts": scatter(values, len(columns)),
        "time": scatter(tf.cast(alerts.time, tf.float32)),
        "mask": tf.range(longest)[None, :] < number[:, None],
    }


def signature(view: str, shape, columns: int) -> dict:
    """Give the tensors that the exported ``serve`` takes, by name.

    Parameters
    ----------
    view : {"stamp", "stamp_sequence"}
    shape : sequence of int, optional
        Height, width, channels; None for a network that reads no images.
    columns : int
        Columns of an alert that the network reads.
    """
    lead, ending = ([None], "") if view == "stamp" else ([None, None], "s")
    found = {} if shape is None else {f"stamp{ending}": ([*lead, *shape], tf.float32)}
    found |= {f"alert{ending}": ([*lead, columns], tf.float32)} if columns else {}
    if view != "stamp":
        found |= {"time": (lead, tf.float32), "mask": (lead, tf.bool)}
    return {name: tf.TensorSpec(size, kind, name) for name, (size, kind) in found.items()}


def from_arrays(view: str, inputs: dict, config) -> dict:
    """Give the tensors of a view from what `signature` asks for, chosen as `select` does.

    Of a sequence the frames under a True mask whose time is finite move to the front, in their order, as records have
    them; those too close to the one before are dropped, and all that is not seen becomes 0. Sequences without frames
    get one under a False mask, as records without alerts do.
    """
    if view == "stamp":
        return {name: inputs[name] for name in ("stamp", "alert") if name in inputs}
    found = {name: _a_frame(inputs[name]) for name in ("stamps", "alerts", "time", "mask") if name in inputs}
    found = _to_front(found, tf.logical_and(found["mask"], tf.math.is_finite(found["time"])))
    if config.alert_gap:
        since = found["time"][:, 1:] - found["time"][:, :-1] >= config.alert_gap / 24.0
        found = _to_front(found, found["mask"] & tf.concat([found["mask"][:, :1], since], axis=1))
    found = {name: values[:, : config.max_alerts] for name, values in found.items()}
    for name in [name for name in found if name != "mask"]:
        mask = tf.reshape(found["mask"], tf.concat([tf.shape(found["mask"]), [1] * (len(found[name].shape) - 2)], 0))
        found[name] = tf.where(mask, found[name], tf.zeros_like(found[name]))
    return found


def _a_frame(values):
    """Give values (object, frame, ...), of sequences without frames with one of 0, or False."""
    spare = tf.cast(tf.shape(values)[1] == 0, tf.int32)
    padded = tf.pad(values, [[0, 0], [0, spare], *[[0, 0]] * (len(values.shape) - 2)])
    return tf.ensure_shape(padded, [values.shape[0], None, *values.shape[2:]])


def _to_front(sequences: dict, mask) -> dict:
    """Put the frames of tensors (object, frame, ...) by name where ``mask`` is True first; ``mask`` becomes theirs."""
    order = tf.argsort(tf.cast(mask, tf.int32), axis=1, direction="DESCENDING", stable=True)
    return {name: tf.gather(values, order, axis=1, batch_dims=1)
            for name, values in (sequences | {"mask": mask}).items()}  # fmt: skip
