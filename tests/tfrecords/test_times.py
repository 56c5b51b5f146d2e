"""The reference time: trigger, else first detection, else first observation."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords.schema import FLAG_DETECTED, FLAG_SATURATED, FLAG_TRIGGER, FLAG_UNKNOWN
from tfrecords.times import reference_time

TIME = np.array([59000.25, 59001.0, 59001.0, 59004.5])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([0, 0, FLAG_SATURATED, FLAG_UNKNOWN], 59000.25),
        ([0, 0, FLAG_DETECTED, FLAG_DETECTED], 59001.0),
        ([0, FLAG_DETECTED, 0, FLAG_DETECTED | FLAG_TRIGGER | FLAG_SATURATED], 59004.5),
        ([0, FLAG_TRIGGER, 0, FLAG_TRIGGER], 59001.0),
    ],
)
def test_the_rule(flags, expected):
    assert reference_time(TIME, np.array(flags, np.uint8)) == expected
    assert reference_time(TIME[::-1], np.array(flags[::-1], np.uint8)) == expected


def test_without_observations():
    assert reference_time(TIME[:0], np.zeros(0, np.uint8)) == 0.0


def test_stage_1_has_the_same_rule():
    tf = pytest.importorskip("tensorflow")
    from zoo.inputs.transforms import LightCurves
    from zoo.inputs.transforms import reference_time as in_tensorflow

    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 9, 200)
    row = np.repeat(np.arange(200), lengths)
    time = rng.uniform(59000, 59100, len(row))
    # Few flags, so that every branch is taken by many objects.
    flags = rng.choice(16, len(row), p=[0.7, *[0.02] * 15]).astype(np.uint8)
    zeros = np.zeros(len(row), np.float32)
    batch = LightCurves(
        time=tf.constant(time),
        band=tf.zeros(len(row), tf.int32),
        flux=tf.constant(zeros),
        flux_err=tf.constant(zeros + 1),
        flags=tf.constant(flags.astype(np.int32)),
        row=tf.constant(row),
        count=tf.constant(200, tf.int64),
    )
    expected = [reference_time(time[row == place], flags[row == place]) for place in range(200)]
    np.testing.assert_array_equal(in_tensorflow(batch).numpy(), expected)
