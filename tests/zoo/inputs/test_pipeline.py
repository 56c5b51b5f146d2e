"""Training batches of one size that can be taken up at any step; evaluation that drops nobody."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo.inputs import ragged
from tfrecords.reader import RecordDirectory
from zoo.inputs import data, pipeline
from zoo.inputs import spec as specs
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.inputs.cuts import Cut
from zoo.inputs.plan import TrainingStream
from zoo.training.loop import sample_directory

PARTS = ("light_curve", "static")


@pytest.fixture(scope="module")
def sample():
    """The records that come with the project: light curves of very unequal lengths."""
    return RecordDirectory(sample_directory())


@pytest.fixture(scope="module")
def make(sample):
    """Give objects of the sample and the stage for some options of stage 1."""

    def make(count=70, view="packed_by_band", directory=sample, parts=PARTS, **options):
        config = InputConfig(**options)
        spec = specs.describe(directory, parts, config, SelectionConfig())
        stage = specs.build_stage(spec, view, parts, config, spec.record_static)
        return data.Examples(directory, np.arange(min(count, len(directory))), spec), stage

    return make


def _take(dataset, count):
    return [tf.nest.map_structure(np.array, item) for item in itertools.islice(dataset, count)]


def _training(examples, stage, **options):
    options = {"sampling": "natural", "seed": 3, "chunk_batches": 4} | options
    return pipeline.training(examples, stage, 8, **options)


def _assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, mine, other)


@pytest.mark.parametrize("view", ["packed", "packed_by_band"])
def test_training_batches_have_one_size_and_their_own_length(make, view):
    examples, stage = make(view=view)
    dataset, size = _training(examples, stage)
    assert size == 70
    batches = _take(dataset, 12)
    lengths = [inputs["mask"].shape[1] for inputs, _, _ in batches]
    for inputs, targets, weight in batches:
        assert {len(value) for value in (*inputs.values(), *targets.values(), weight)} == {8}
        assert inputs["mask"].any(axis=0).all(), "a slot that no object uses"
        assert (weight == 1).all()
    assert len(set(lengths)) > 4
    assert lengths != sorted(lengths)
    sizes = [np.ptp(inputs["mask"].sum(axis=1)) for inputs, _, _ in batches]
    assert np.median(sizes) < np.ptp([len(examples.directory.record(n).lc.time) for n in range(70)]) / 2


def test_training_shows_the_objects_of_the_stream(make):
    examples, stage = make()
    seen = np.concatenate([targets["label"] for _, targets, _ in _take(_training(examples, stage)[0], 8)])
    stream = TrainingStream(examples.labels, "natural", 3)
    for chunk in range(2):
        expected = examples.labels[stream.chunk(chunk, 32)]
        np.testing.assert_array_equal(np.sort(seen[32 * chunk : 32 * chunk + 32]), np.sort(expected))


@pytest.mark.parametrize("options", [{}, {"truncate": "uniform", "drop_fraction": 0.4}])
def test_training_goes_on_at_any_step(make, options):
    examples, stage = make(**options)
    whole = _take(_training(examples, stage)[0], 11)
    for first in (4, 6):
        later = _take(_training(examples, stage, first_step=first)[0], 11 - first)
        _assert_same(later, whole[first:])


def test_one_seed_one_stream_of_bytes(make):
    examples, stage = make(truncate="choice", drop_fraction=0.2)
    first, again = (_take(_training(examples, stage)[0], 6) for _ in range(2))
    _assert_same(first, again)
    other = _take(_training(examples, stage, seed=4)[0], 6)
    assert any(mine[0]["mask"].shape != theirs[0]["mask"].shape for mine, theirs in zip(first, other, strict=True))


def test_balanced_batches(make):
    examples, stage = make(count=1000)
    dataset, size = _training(examples, stage, sampling="balanced", chunk_batches=7)
    classes, counts = np.unique(examples.labels, return_counts=True)
    assert size == len(classes) * counts.max()
    labels = np.concatenate([targets["label"] for _, targets, _ in _take(dataset, 7)])
    assert np.bincount(labels).max() <= np.bincount(labels)[classes].min() + 1


def test_every_object_once_in_evaluation(make):
    examples, stage = make()
    dataset, steps = pipeline.evaluation(examples, stage, 16, chunk_batches=2)
    batches = _take(dataset, 99)
    assert steps == len(batches) == 5 == int(dataset.cardinality())
    weight = np.concatenate([item[2] for item in batches])
    position = np.concatenate([item[1]["position"] for item in batches])
    assert len(weight) == 80 and weight.sum() == 70
    np.testing.assert_array_equal(np.sort(position[weight > 0]), np.arange(70))
    for inputs, targets, _ in batches:
        np.testing.assert_array_equal(targets["label"], examples.labels[targets["position"]])
        np.testing.assert_array_equal(targets["observations"], inputs["mask"].sum(axis=1))


@pytest.mark.parametrize("day", [4.0, 200.0])
def test_evaluation_hides_what_came_after_the_day(make, day):
    examples, stage = make(time_origin="reference", view="packed")
    for inputs, targets, _ in pipeline.evaluation(examples, stage, 16, day=day)[0]:
        for row, place in enumerate(targets["position"].numpy()):
            curve = examples.directory.record(int(place)).lc
            item = {key: np.array(getattr(curve, key)) for key in ("time", "band", "flux", "flux_err", "flags")}
            zero = ragged.reference(item)
            item = ragged.keep(item, item["time"] - zero <= day)
            mask = inputs["mask"].numpy()[row]
            found = inputs["time"].numpy()[row][mask]
            np.testing.assert_array_equal(found, (item["time"] - zero).astype("float32"))
            np.testing.assert_array_equal(inputs["flux"].numpy()[row][mask], item["flux"])


def test_truncation_until_the_last_day_is_none(make):
    plain = make(count=40)
    cut = make(count=40, truncate="choice", truncate_days=[2048.0])
    _assert_same(*(_take(_training(*pair)[0], 6) for pair in (plain, cut)))
    short = make(count=40, truncate="choice", truncate_days=[8.0])
    pairs = [_take(_training(*pair)[0], 4) for pair in (plain, short)]
    rows = [sum(inputs["mask"].sum() for inputs, _, _ in batches) for batches in pairs]
    assert rows[1] < rows[0] / 2


def test_truncation_draws_every_day_and_drops_a_share(make):
    examples, stage = make(truncate="choice", view="packed", time_origin="reference")
    longest = {}
    for inputs, _, _ in _take(_training(examples, stage)[0], 24):
        for time, mask in zip(inputs["time"], inputs["mask"], strict=True):
            if mask.any():
                longest[int(np.searchsorted([8.0, 128.0], time[mask].max()))] = True
    assert set(longest) == {0, 1, 2}
    plain, dropped = make(), make(drop_fraction=0.5)
    rows = [sum(i["mask"].sum() for i, _, _ in _take(_training(*pair)[0], 24)) for pair in (plain, dropped)]
    assert 0.65 < rows[1] / rows[0] < 0.85, "the mean share dropped is a quarter"


def test_augmentation_can_be_left_out(make):
    plain, cut = make(count=40), make(count=40, truncate="choice", truncate_days=[1.0], drop_fraction=0.9)
    _assert_same(_take(_training(*plain)[0], 4), _take(_training(*cut, augmentation=False)[0], 4))


def test_features_follow_the_day(make, records):
    directory = RecordDirectory(records)
    parts = ("light_curve", "features")
    for truncate in ([100.0], [128.0]):
        options = {"truncate": "choice", "truncate_days": truncate}
        examples, stage = make(42, directory=directory, parts=parts, **options)
        expected = int(np.searchsorted([8.0, 128.0, np.inf], truncate[0], side="right")) - 1
        inputs, _, _ = _take(_training(examples, stage)[0], 1)[0]
        assert (inputs["feature_set"] == expected).all()
        table = examples.feature_values(np.arange(42))[:, expected]
        for row in inputs["features"]:
            assert any(np.array_equal(row, other, equal_nan=True) for other in table)
    last = next(iter(pipeline.evaluation(examples, stage, 8)[0]))[0]
    assert (last["feature_set"].numpy() == 2).all()
    early = next(iter(pipeline.evaluation(examples, stage, 8, day=2.0)[0]))[0]
    assert (early["feature_set"].numpy() == 0).all()
    assert np.isnan(early["features"].numpy()).all(), "features of day 8 are not known on day 2"


@pytest.mark.parametrize("truncate", ["none", "uniform", "fraction"])
def test_targets_know_the_share_of_rows_that_truncation_left(make, truncate):
    examples, stage = make(view="packed", truncate=truncate)
    whole = {len(examples.directory.record(n).lc) for n in range(len(examples))}
    for inputs, targets, _ in _take(_training(examples, stage)[0], 4):
        left = inputs["mask"].sum(axis=1)
        assert (targets["fraction"] == 1).all() == (truncate == "none")
        assert set(np.round(left / targets["fraction"]).astype(int)) <= whole
        np.testing.assert_allclose(left / targets["fraction"], np.round(left / targets["fraction"]), rtol=1e-5)


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_evaluation_shows_a_share_of_the_rows(make, fraction):
    examples, stage = make(count=20, view="packed")
    (batch,) = _take(pipeline.evaluation(examples, stage, 20, fraction=fraction)[0], 2)
    total = np.array([len(examples.directory.record(n).lc) for n in range(20)])[batch[1]["position"]]
    kept = np.maximum(1, np.floor(fraction * total).astype(int))
    np.testing.assert_array_equal(batch[1]["observations"], kept)
    np.testing.assert_allclose(batch[1]["fraction"], kept / total, rtol=1e-6)
    np.testing.assert_array_equal(batch[0]["mask"].sum(axis=1), kept)


def test_before_the_reference_there_are_earlier_rows_only(make):
    examples, stage = make(count=20, view="packed", time_origin="reference")
    (batch,) = _take(pipeline.evaluation(examples, stage, 20, day=-5.0)[0], 2)
    mask = batch[0]["mask"]
    assert mask.any() and (batch[0]["time"][mask] <= -5).all()
    empty = batch[1]["observations"] == 0
    assert empty.any() and (batch[1]["fraction"][empty] == 0).all()


def test_validation_goes_through_the_cuts(make):
    examples, stage = make(count=20, view="packed")
    cuts = (Cut(8.0), Cut(fraction=0.5), Cut())
    dataset, steps = pipeline.at_cuts(examples, stage, 8, cuts)
    batches = _take(dataset, 99)
    assert steps == len(batches) == 9 == int(dataset.cardinality())
    for number, cut in enumerate(cuts):
        seen = {}
        for _, targets, weight in batches:
            chosen = (targets["cut"] == number) & (weight > 0)
            seen |= dict(zip(targets["position"][chosen], targets["observations"][chosen], strict=True))
        alone = pipeline.evaluation(examples, stage, 20, day=cut.day, fraction=cut.fraction)[0]
        _, targets, _ = next(iter(alone))
        assert seen == dict(zip(targets["position"].numpy(), targets["observations"].numpy(), strict=True))


@pytest.mark.parametrize("hidden", ["light_curve", "static"])
def test_a_part_can_be_hidden(make, records, hidden):
    parts = ("light_curve", "static", "features")
    examples, stage = make(count=12, view="packed", directory=RecordDirectory(records), parts=parts)
    shown, _, _ = next(iter(pipeline.evaluation(examples, stage, 12)[0]))
    stage = dataclasses.replace(stage, hidden=hidden)
    inputs, targets, _ = next(iter(pipeline.evaluation(examples, stage, 12)[0]))
    assert not np.isnan(shown["static"]).all()
    if hidden == "static":
        assert np.isnan(inputs["static"]).all()
        np.testing.assert_array_equal(inputs["features"], shown["features"])
        np.testing.assert_array_equal(inputs["mask"], shown["mask"])
    else:
        assert not inputs["mask"].numpy().any() and np.isnan(inputs["features"]).all()
        order = np.argsort(targets["position"])
        assert sorted(order) == list(range(12)) and not targets["observations"].numpy().any()
