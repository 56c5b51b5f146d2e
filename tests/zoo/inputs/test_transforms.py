"""Transforms of ragged batches against loops over objects, on random batches with empty objects."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo.inputs import ragged
from zoo.inputs import transforms
from zoo.inputs.config import InputConfig


@pytest.fixture(params=range(4))
def objects(request):
    """Objects of a random batch."""
    return ragged.make_objects(request.param)


def _times(values) -> tf.Tensor:
    return tf.constant(values, tf.float64)


def test_reference_time_takes_trigger_then_detection_then_first_row(objects):
    curves = ragged.to_curves(objects)
    np.testing.assert_array_equal(transforms.reference_time(curves), [ragged.reference(x) for x in objects])
    last = [ragged.last_detection(item) for item in objects]
    np.testing.assert_array_equal(transforms.last_detection(curves), last)
    kinds = {(item["flags"] & 2).any() * 2 + (item["flags"] & 1).any() for item in objects}
    assert len(kinds) == 3, "the batch lacks one of the three kinds"


@pytest.mark.parametrize("limit", [2, 3, 7])
def test_thinning_keeps_evenly_spaced_rows_and_the_trigger(objects, limit):
    ours = transforms.thin(ragged.to_curves(objects), ragged.BANDS, limit)
    ragged.assert_same(ours, [ragged.thin(item, limit) for item in objects])


@pytest.mark.parametrize("limit", [2, 65, 100])
def test_thinning_of_every_count_is_the_linspace_rule(limit):
    plain = {"band": "int32", "flux": "float32", "flux_err": "float32", "flags": "int32"}
    objects = [
        {"time": np.arange(rows, dtype="float64"), **{key: np.zeros(rows, kind) for key, kind in plain.items()}}
        for rows in range(1, 400)
    ]
    ours = ragged.to_objects(transforms.thin(ragged.to_curves(objects), 1, limit))
    for rows, item in enumerate(ours, start=1):
        expected = np.floor(np.linspace(0, rows - 1, limit)) if rows > limit else np.arange(rows)
        np.testing.assert_array_equal(item["time"], expected)


@pytest.mark.parametrize("day", [0.0, 0.5, 30.0, np.inf])
def test_until_day_counts_from_the_reference(objects, day):
    curves = ragged.to_curves(objects)
    reference = transforms.reference_time(curves)
    days = day + np.arange(len(objects)) % 3
    expected = [
        ragged.keep(item, item["time"] - ragged.reference(item) <= limit)
        for item, limit in zip(objects, days, strict=True)
    ]
    ragged.assert_same(transforms.until_day(curves, reference, _times(days)), expected)


def test_window_drops_early_late_and_saturated_rows(objects):
    config = InputConfig(window_before=30.0, until_last_detection=True, drop_saturated=True)
    curves = ragged.to_curves(objects)
    ours = transforms.window(curves, transforms.reference_time(curves), transforms.last_detection(curves), config)
    expected = []
    for item in objects:
        kept = (item["time"] >= ragged.reference(item) - 30.0) & (item["time"] <= ragged.last_detection(item))
        expected.append(ragged.keep(item, kept & (item["flags"] & 4 == 0)))
    ragged.assert_same(ours, expected)


def test_select_counts_from_rows_before_thinning(objects):
    config = InputConfig(window_before=10.0, drop_saturated=True, max_per_band=3)
    ours, reference, origin = transforms.select(ragged.to_curves(objects), config, ragged.BANDS)
    np.testing.assert_array_equal(reference, [ragged.reference(item) for item in objects])
    expected = []
    for item in objects:
        thinned = ragged.thin(item, 3)
        kept = (thinned["time"] >= ragged.reference(item) - 10.0) & (thinned["flags"] & 4 == 0)
        expected.append(ragged.keep(thinned, kept))
    ragged.assert_same(ours, expected)
    first = [e["time"].min() if len(e["time"]) else ragged.reference(o) for e, o in zip(expected, objects, strict=True)]
    np.testing.assert_array_equal(origin, first)
    moved = transforms.relative_time(ours, origin)
    assert moved.time.dtype == tf.float64
    for item, found, zero in zip(expected, ragged.to_objects(moved), first, strict=True):
        np.testing.assert_array_equal(found["time"], item["time"] - zero)
    _, _, origin = transforms.select(ragged.to_curves(objects), InputConfig(time_origin="reference"), ragged.BANDS)
    np.testing.assert_array_equal(origin, reference)


def test_values_that_are_not_finite_are_dropped(objects):
    rng = np.random.default_rng(9)
    for item in objects:
        for key in ("time", "flux", "flux_err"):
            broken = rng.random(len(item["time"])) < 0.15
            item[key] = np.where(broken, rng.choice([np.nan, np.inf, -np.inf]), item[key]).astype(item[key].dtype)
    expected = []
    for item in objects:
        good = np.isfinite(item["time"]) & np.isfinite(item["flux"]) & np.isfinite(item["flux_err"])
        expected.append(ragged.keep(item, good))
    ragged.assert_same(transforms.finite(ragged.to_curves(objects)), expected)


def test_positions_within_bands(objects):
    position, total = transforms.band_position(ragged.to_curves(objects), ragged.BANDS)
    expected, counts = [], np.zeros((len(objects), ragged.BANDS), int)
    for number, item in enumerate(objects):
        for band in item["band"]:
            expected.append(counts[number, band])
            counts[number, band] += 1
    np.testing.assert_array_equal(position, expected)
    np.testing.assert_array_equal(total, counts)


def test_gather_takes_objects_in_the_order_asked_for(objects):
    order = np.random.default_rng(0).permutation(len(objects))[:7]
    order = np.concatenate([order, order[:2]])
    ours = transforms.gather(ragged.to_curves(objects), tf.constant(order, tf.int64))
    ragged.assert_same(ours, [objects[place] for place in order])
    none = transforms.gather(ragged.to_curves(objects), tf.zeros([0], tf.int64))
    assert int(none.count) == 0 and len(none.time) == 0


def test_padded_arrays_are_the_same_light_curves(objects):
    longest = max(len(item["time"]) for item in objects) + 2
    mask = np.zeros((len(objects), longest), bool)
    arrays = {key: np.full(mask.shape, 9, objects[0][key].dtype) for key in objects[0]}
    rng = np.random.default_rng(1)
    for number, item in enumerate(objects):
        # Gaps anywhere: the mask says what counts.
        places = np.sort(rng.permutation(longest)[: len(item["time"])])
        mask[number, places] = True
        for key, value in item.items():
            arrays[key][number, places] = value
    keys = ("time", "flux", "flux_err", "band", "flags")
    ours = transforms.from_padded(*(tf.constant(arrays[key]) for key in keys), tf.constant(mask))
    ragged.assert_same(ours, objects)


def test_a_batch_of_nothing():
    empty = ragged.to_curves([{key: value[:0] for key, value in ragged.make_objects(0)[0].items()}] * 3)
    config = InputConfig(window_before=1.0, until_last_detection=True, drop_saturated=True, max_per_band=5)
    ours, reference, origin = transforms.select(empty, config, ragged.BANDS)
    assert len(ours.time) == 0
    np.testing.assert_array_equal(reference, [0, 0, 0])
    np.testing.assert_array_equal(origin, [0, 0, 0])
