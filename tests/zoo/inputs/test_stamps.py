"""Which alerts a model sees, how stamps are turned, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.stamp_records import CHANNELS, COLUMNS, OBJECTS, SIDE, make_record
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import encode
from zoo import views
from zoo.inputs import pipeline, stamps
from zoo.inputs import spec as specs
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.inputs.cuts import Cut
from zoo.inputs.data import Examples
from zoo.registry import ModelInfo

SHAPE = (SIDE, SIDE, len(CHANNELS))
RECORDS = [make_record(number) for number in range(6)]
INFO = ModelInfo(channels=CHANNELS, stamp_size=SIDE, alert_columns=COLUMNS[:2])


def _alerts(records=RECORDS):
    return stamps.parse(tf.constant([encode(record) for record in records]), SHAPE, len(COLUMNS))


def _tensors(view, config, records=RECORDS, columns=(0, 1), **cuts):
    alerts, share = stamps.select(_alerts(records), view, config, **cuts)
    found = {name: value.numpy() for name, value in stamps.build(view, alerts, SHAPE, columns).items()}
    expected = views.tensors(view, ("stamps",))
    sizes = views.sizes(INFO)
    for name, (axes, kind) in expected.items():
        assert found[name].dtype == kind and found[name].ndim == len(axes)
        fixed = [sizes[axis] for axis in axes if axis in sizes and sizes[axis]]
        assert list(found[name].shape[-len(fixed) :]) == fixed or not fixed
    assert set(found) == set(expected)
    return found, share.numpy()


@pytest.mark.parametrize(("which", "place"), [("last", -1), ("first", 0), ("random", -1)])
def test_one_alert_an_object(which, place):
    found, _ = _tensors("stamp", InputConfig(alert=which))
    for number, record in enumerate(RECORDS):
        np.testing.assert_array_equal(found["stamp"][number], record.stamps.images[place])
        np.testing.assert_array_equal(found["alert"][number], record.stamps.metadata[place, :2])


def test_random_alerts_follow_the_key_and_reach_every_alert():
    records = [RECORDS[5]] * 64
    config = InputConfig(alert="random")
    first, _ = _tensors("stamp", config, records, key=tf.constant([1, 2], tf.int64))
    again, _ = _tensors("stamp", config, records, key=tf.constant([1, 2], tf.int64))
    np.testing.assert_array_equal(first["stamp"], again["stamp"])
    other, _ = _tensors("stamp", config, records, key=tf.constant([1, 3], tf.int64))
    assert (first["alert"] != other["alert"]).any()
    assert len(np.unique(first["alert"][:, 1])) == 6


def test_sequences_hold_the_first_alerts_in_the_order_of_time():
    shuffled = dataclasses.replace(RECORDS[5].stamps)
    order = np.array([3, 0, 5, 1, 4, 2])
    for name in ("images", "time", "metadata"):
        setattr(shuffled, name, getattr(shuffled, name)[order])
    records = [*RECORDS[:5], dataclasses.replace(RECORDS[5], stamps=shuffled)]
    found, _ = _tensors("stamp_sequence", InputConfig(max_alerts=4), records)
    assert found["mask"].sum(axis=1).tolist() == [1, 2, 3, 4, 4, 4]
    for number, record in enumerate(RECORDS):
        count = found["mask"][number].sum()
        np.testing.assert_array_equal(found["stamps"][number, :count], record.stamps.images[:count])
        np.testing.assert_array_equal(found["alerts"][number, :count], record.stamps.metadata[:count, :2])
        days = record.stamps.time[:count] - record.stamps.time[0]
        np.testing.assert_array_equal(found["time"][number, :count], days.astype("float32"))
        for name in ("stamps", "alerts", "time"):
            assert not found[name][number, count:].any()


def test_alerts_until_a_day_or_a_share():
    days = tf.constant([-1.0, 0.0, 1.0, 1.5, np.inf, 0.5], tf.float64)
    found, share = _tensors("stamp_sequence", InputConfig(), days=days)
    assert found["mask"].sum(axis=1).tolist() == [0, 1, 2, 2, 5, 1]
    np.testing.assert_allclose(share, [0, 1 / 2, 2 / 3, 1 / 2, 1, 1 / 6], rtol=1e-6)
    found, _ = _tensors("stamp", InputConfig(), days=days)
    assert np.isnan(found["stamp"][0]).all() and np.isnan(found["alert"][0]).all()
    np.testing.assert_array_equal(found["stamp"][2], RECORDS[2].stamps.images[1])
    half = tf.fill([6], tf.constant(0.5, tf.float64))
    found, _ = _tensors("stamp_sequence", InputConfig(), fraction=half)
    assert found["mask"].sum(axis=1).tolist() == [1, 1, 1, 2, 2, 3]


def test_close_alerts_are_dropped():
    record = make_record(3)
    record.stamps.time = np.array([0.0, 0.1, 0.2, 0.5]) + 59000
    found, _ = _tensors("stamp_sequence", InputConfig(alert_gap=6.0), [record])
    np.testing.assert_allclose(found["time"], [[0.0, 0.5]], atol=1e-6)


def test_served_sequences_without_frames_are_those_of_records_without_alerts():
    record = dataclasses.replace(RECORDS[0], stamps=None)
    expected, _ = _tensors("stamp_sequence", InputConfig(), [record, record])
    empty = {name: tf.constant(values[:, :0]) for name, values in expected.items()}
    for gap in (0.0, 6.0):
        found = stamps.from_arrays("stamp_sequence", empty, InputConfig(alert_gap=gap))
        assert expected["mask"].tolist() == [[False]] * 2
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_served_sequences_are_cut_as_those_of_records_are():
    config = InputConfig(max_alerts=3, alert_gap=6.0)
    record = make_record(5)
    record.stamps.time = np.array([0.0, 0.1, 1.0, 2.0, 3.0, 4.0]) + 59000
    expected, _ = _tensors("stamp_sequence", config, [record])
    # The same frames between others that are none: masked, of no time.
    place = np.array([1, 2, 3, 5, 7, 8])
    arrays = {"stamps": np.full((1, 9, *SHAPE), 7.0), "alerts": np.full((1, 9, 2), 7.0),
              "time": np.full((1, 9), np.nan), "mask": np.ones((1, 9), bool)}  # fmt: skip
    arrays["stamps"][0, place], arrays["alerts"][0, place] = record.stamps.images, record.stamps.metadata[:, :2]
    arrays["time"][0, place] = record.stamps.time - 59000
    arrays["mask"][0, 4], arrays["time"][0, 4] = False, 1.5
    inputs = {name: tf.constant(values, "bool" if name == "mask" else "float32") for name, values in arrays.items()}
    found = stamps.from_arrays("stamp_sequence", inputs, config)
    assert expected["mask"].tolist() == [[True] * 3]
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_an_object_without_stamps_has_none():
    bare = dataclasses.replace(RECORDS[1], stamps=None)
    found, share = _tensors("stamp", InputConfig(), [bare, RECORDS[2]])
    assert np.isnan(found["stamp"][0]).all() and share.tolist() == [0, 1]
    found, _ = _tensors("stamp_sequence", InputConfig(), [bare])
    assert found["mask"].tolist() == [[False]] and not found["stamps"].any()


def test_stamps_of_another_shape_name_the_object():
    small = make_record(2)
    small.stamps = dataclasses.replace(small.stamps, images=small.stamps.images[:, 1:])
    with pytest.raises(tf.errors.InvalidArgumentError, match="(?s)27x27x3 with 7 columns.*ZTF02"):
        _alerts([RECORDS[0], small])
    with pytest.raises(tf.errors.InvalidArgumentError, match="with 6 columns"):
        stamps.parse(tf.constant([encode(RECORDS[0])]), SHAPE, 6)


TURNED = {
    0: lambda x: x, 1: lambda x: np.rot90(x, 1), 2: lambda x: np.rot90(x, 2), 3: lambda x: np.rot90(x, 3),
    4: np.fliplr, 5: lambda x: np.rot90(np.fliplr(x), 1), 6: np.flipud, 7: lambda x: np.rot90(np.fliplr(x), 3),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["rotations", "sixfold", "dihedral"])
def test_all_frames_of_an_object_are_turned_alike(kind):
    records = [RECORDS[4]] * 40
    found, _ = _tensors("stamp_sequence", InputConfig(stamp_augment=kind), records, key=tf.constant([0, 1], tf.int64))
    seen = set()
    for images in found["stamps"]:
        fits = [
            turn
            for turn, function in TURNED.items()
            if all((image == function(raw)).all() for image, raw in zip(images, RECORDS[4].stamps.images, strict=True))
        ]
        assert len(fits) == 1
        seen.update(fits)
    assert seen == set(stamps.TURNS[kind])
    plain, _ = _tensors("stamp_sequence", InputConfig(stamp_augment=kind), records)
    np.testing.assert_array_equal(plain["stamps"][0], RECORDS[4].stamps.images)


def _stage(path, view="stamp_sequence", **options):
    directory, inputs = RecordDirectory(path), InputConfig(**options)
    spec = specs.describe(directory, ("stamps",), inputs, SelectionConfig())
    assert specs.DataSpec.from_dict(spec.to_dict()) == spec
    examples = Examples(directory, np.arange(len(directory)), spec)
    return examples, specs.build_stage(spec, view, ("stamps",), inputs, spec.record_static)


def test_batches_are_trimmed_and_count_their_alerts(stamp_records):
    examples, stage = _stage(stamp_records, max_alerts=5)
    dataset, steps = pipeline.evaluation(examples, stage, 10, day=1.0)
    assert steps == 5
    for inputs, targets, _ in dataset:
        assert inputs["mask"].shape[1] == inputs["mask"].numpy().sum(axis=1).max() <= 2
        np.testing.assert_array_equal(targets["observations"], inputs["mask"].numpy().sum(axis=1))
    dataset, epoch = pipeline.training(examples, stage, 6, sampling="natural", seed=3, chunk_batches=4)
    assert epoch == 42 and next(iter(dataset))[0]["stamps"].shape[0] == 6


def test_records_of_another_shape_are_named_where_they_are_read(stamp_records):
    from zoo.training.prediction import apply

    examples, stage = _stage(stamp_records)
    small = make_record(2)
    small.stamps = dataclasses.replace(small.stamps, images=small.stamps.images[:, 1:])
    whole = examples.serialized

    def spoiled(places):
        found = np.array(whole(places), object)
        found[-1] = encode(small)
        return found

    examples.serialized = spoiled
    with pytest.raises(DataError, match="^stamps of 27x27x3 with 7 columns.*Received others of ZTF02$"):
        apply(lambda inputs: inputs["time"][:, :1], 1, examples, stage, [Cut()])


def test_columns_follow_their_names(stamp_records):
    examples, stage = _stage(stamp_records, alert_columns=["ndethist", "fwhm"])
    assert [column.name for column in examples.spec.alert_columns] == ["ndethist", "fwhm"]
    rows = examples.alert_values(0, stage.config)
    expected = [record.stamps.metadata[:, [4, 1]] for record in map(make_record, range(OBJECTS))]
    assert sorted(rows[:, 0]) == sorted(np.concatenate(expected)[:, 0])
    default, _ = _stage(stamp_records)
    assert "ra" not in [column.name for column in default.spec.alert_columns], "it carries a caution"
    with pytest.raises(UsageError, match="--alert-columns.*no such column.*Received: 'drb'"):
        _stage(stamp_records, alert_columns=["drb"])
    with pytest.raises(UsageError, match="named once"):
        _stage(stamp_records, alert_columns=["ra", "ra"])


def test_data_without_stamps_or_of_other_channels_are_refused(records, stamp_records):
    with pytest.raises(DataError, match="the model reads stamps.*data_tools.ztf"):
        _stage(records)
    examples, _ = _stage(stamp_records)
    info = examples.directory.info
    for change, said in (
        ({"stamp_channels": CHANNELS[:2]}, "channels of the stamps"),
        ({"alert_columns": info.alert_columns[1:]}, "lacks the column 'sgscore1'"),
        ({"survey": "other"}, "survey"),
    ):
        with pytest.raises(DataError, match=said):
            specs.check_compatible(examples.spec, dataclasses.replace(info, **change), "data")
