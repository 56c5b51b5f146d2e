"""Random changes of training light curves, keyed by (seed, place in the training stream)."""

from __future__ import annotations

import math

import tensorflow as tf

from zoo.inputs import transforms


def truncation_days(config, count, key):
    """Draw the day (object,), float64, after which an object's observations are hidden.

    Parameters
    ----------
    config : InputConfig
    count : tensor (), int64
        Number of objects.
    key : tensor (2,), int64
        Key of the stateless generator.
    """
    days = tf.constant(sorted(config.truncate_days), tf.float64)
    if config.truncate == "choice":
        choice = tf.random.stateless_uniform([count], key, 0, len(config.truncate_days), tf.int64)
        return tf.gather(days, choice)
    low, high = math.log(min(config.truncate_days)), math.log(max(config.truncate_days))
    if low == high:
        return tf.fill([count], days[0])
    return tf.exp(tf.random.stateless_uniform([count], key, low, high, tf.float64))


def keep_fraction(curves, key):
    """Keep the first max(1, ⌊f · n⌋) of each object's n rows, f uniform in [0, 1)."""
    share = tf.random.stateless_uniform([curves.count], key, 0, 1, tf.float64)
    return transforms.share_of_rows(curves, share)


def crop(curves, reference, share: float, key):
    """Drop the rows before the reference time (object,) of a random share of the objects."""
    cropped = tf.random.stateless_uniform([curves.count], key) < share
    return transforms.keep(curves, ~tf.gather(cropped, curves.row) | (curves.time >= tf.gather(reference, curves.row)))


def drop_observations(curves, fraction: float, key):
    """Drop a random share of each object's rows, the share itself uniform in [0, ``fraction``)."""
    share = tf.random.stateless_uniform([curves.count], key, 0, fraction)
    luck = tf.random.stateless_uniform([tf.size(curves.row)], key + 1)
    return transforms.keep(curves, luck >= tf.gather(share, curves.row))
