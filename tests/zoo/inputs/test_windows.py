"""Detection window, required detections, first rows and random shares against loops over objects."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo.inputs import ragged
from tfrecords.reader import RecordDirectory
from tfrecords.schema import decode
from zoo.inputs import augment, data, transforms
from zoo.inputs import spec as specs
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.inputs.stage import Stage
from zoo.inputs.transforms import DETECTED, SATURATED


@pytest.fixture(params=range(4))
def objects(request):
    """Random objects; some are empty, some have no detection, times repeat."""
    return ragged.make_objects(request.param)


def _window(item):
    rows = np.flatnonzero(item["flags"] & DETECTED)
    if not len(rows):
        return ragged.keep(item, slice(0, 0))
    return ragged.keep(item, slice(max(rows[0] - 1, 0), rows[-1] + 1))


def _unsaturated(item):
    return ragged.keep(item, item["flags"] & SATURATED == 0)


def test_window_between_detections(objects):
    ours = transforms.detection_window(ragged.to_curves(objects))
    ragged.assert_same(ours, [_window(item) for item in objects])


def test_selection_of_the_hierarchical_classifiers(objects):
    config = InputConfig(drop_saturated=True, reference="detection", detection_window=True, max_rows=7)
    curves, reference, origin = transforms.select(ragged.to_curves(objects), config, ragged.BANDS)
    expected = [_window(_unsaturated(item)) for item in objects]
    ragged.assert_same(curves, [ragged.keep(item, slice(7)) for item in expected])
    for number, (item, kept) in enumerate(zip(map(_unsaturated, objects), expected, strict=True)):
        found = item["time"][item["flags"] & DETECTED > 0]
        first = found[0] if len(found) else (item["time"][0] if len(item["time"]) else 0.0)
        assert reference[number] == first
        assert origin[number] == (kept["time"][0] if len(kept["time"]) else first)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_crops_lose_what_came_before_the_reference_time(objects, share):
    curves, key = ragged.to_curves(objects), tf.constant([5, 2], tf.int64)
    reference = transforms.reference_time(curves)
    found = ragged.to_objects(augment.crop(curves, reference, share, key))
    cropped = 0
    for number, (kept, item) in enumerate(zip(found, objects, strict=True)):
        after = ragged.keep(item, item["time"] >= ragged.reference(item))
        whole = len(kept["time"]) == len(item["time"])
        np.testing.assert_array_equal(kept["time"], item["time"] if whole else after["time"])
        assert not (share == 0 and not whole) and not (share == 1 and len(kept["time"]) > len(after["time"])), number
        cropped += not whole
    can = sum(bool((item["time"] < ragged.reference(item)).any()) for item in objects)
    assert can > 1 and (cropped == can * share if share != 0.5 else 0 <= cropped <= can)


def test_crops_are_of_training_alone(objects):
    stage = Stage("grid", ("light_curve",), InputConfig(crop_share=1.0, time_origin="reference"), ragged.BANDS)
    curves, nothing = ragged.to_curves(objects), tf.zeros([len(objects), 0])
    for key, cropped in ((None, False), (tf.constant([0, 0], tf.int64), True)):
        prepared = stage.prepare(curves, nothing, tf.zeros([len(objects), 0, 0]), key=key)
        assert bool(tf.reduce_min(prepared.curves.time) >= 0) == cropped


def test_objects_without_detection_lose_their_rows(objects):
    config = InputConfig(drop_saturated=True, reference="detection", require_detection=True)
    curves, _, _ = transforms.select(ragged.to_curves(objects), config, ragged.BANDS)
    kept = map(_unsaturated, objects)
    ragged.assert_same(curves, [item if (item["flags"] & DETECTED).any() else ragged.keep(item, slice(0, 0))
                                for item in kept])  # fmt: skip


def test_shares_of_rows(objects):
    share = np.random.default_rng(1).random(len(objects))
    ours = transforms.share_of_rows(ragged.to_curves(objects), tf.constant(share))
    ragged.assert_same(
        ours, [ragged.keep(item, slice(max(1, int(part * len(item["time"])))))
               for item, part in zip(objects, share, strict=True)]
    )  # fmt: skip


def test_random_fractions_are_drawn_for_every_object_by_the_key():
    item = {key: np.repeat(value[:1], 100) for key, value in ragged.make_objects(0)[0].items()}
    item["time"] = 59000.0 + np.arange(100)
    curves = ragged.to_curves([item] * 400)
    first, same, other = (
        transforms.lengths(augment.keep_fraction(curves, tf.constant(key, tf.int64))).numpy()
        for key in ([0, 1], [0, 1], [0, 2])
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).mean() > 0.9
    assert first.min() >= 1 and first.max() <= 99
    np.testing.assert_allclose(np.quantile(first, (0.25, 0.5, 0.75)), (25, 50, 75), atol=8)


def test_features_of_a_shortened_light_curve_are_those_of_its_last_day():
    item = {key: np.repeat(value[:1], 100) for key, value in ragged.make_objects(0)[0].items()}
    item["time"], item["flags"] = 59000.0 + np.arange(100), np.zeros(100, "int32")
    curves = ragged.to_curves([item] * 50)
    config = InputConfig(truncate="fraction")
    stage = Stage("packed", ("light_curve", "features"), config, 4, feature_days=(10.0, 50.0, np.inf), feature_size=1)
    features = tf.tile(tf.constant([[[1.0], [2.0], [3.0]]]), [50, 1, 1])
    prepared = stage.prepare(curves, tf.zeros([50, 0]), features, key=tf.constant([3, 4], tf.int64))
    last = transforms.lengths(prepared.curves).numpy() - 1
    expected = np.select([last < 10, last < 50], [np.nan, 1.0], 2.0)
    np.testing.assert_array_equal(prepared.features[:, 0], expected)
    assert len(set(expected[np.isfinite(expected)])) == 2


def test_splits_leave_out_objects_without_a_detection(records):
    directory, inputs = RecordDirectory(records), InputConfig(require_detection=True)
    spec = specs.describe(directory, ("light_curve",), inputs, SelectionConfig())
    _, every = data.splits(directory, spec, SelectionConfig(), 0, 0)
    _, some = data.splits(directory, spec, SelectionConfig(), 0, 0, inputs)
    lost = 0
    for name, examples in every.items():
        rows = [decode(record).lc.flags & DETECTED for record in examples.serialized(np.arange(len(examples)))]
        expected = examples.indices[[bool(flags.any()) for flags in rows]]
        np.testing.assert_array_equal(some[name].indices, expected)
        lost += len(examples) - len(expected)
    assert lost >= 0


@pytest.mark.parametrize("limit", [0, -3])
def test_rows_are_positive(limit):
    with pytest.raises(Exception, match="max_rows must be at least 1"):
        InputConfig(max_rows=limit)
