"""Several directories as one training split: the order of their objects, and no copy of what validates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from zoo.inputs import data, pipeline
from zoo.inputs import spec as specs
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.inputs.joined import Joined, extra
from zoo.training import loop

PARTS = ("light_curve", "static", "features")


@pytest.fixture(scope="module")
def train(records):
    """The training split of fold 1."""
    directory = RecordDirectory(records)
    spec = specs.describe(directory, PARTS, InputConfig(), SelectionConfig())
    return data.splits(directory, spec, SelectionConfig(), 1, 0)[1]["train"]


def test_objects_come_from_the_part_that_holds_them(train):
    first, second = train.keep(np.arange(len(train)) < 5), train.keep(np.arange(len(train)) >= 5)
    joined = Joined([first, second])
    places = np.random.default_rng(0).permutation(len(train))
    np.testing.assert_array_equal(joined.labels, train.labels)
    assert joined.serialized(places).tolist() == train.serialized(places).tolist()
    for method in ("feature_values", "static_at"):
        np.testing.assert_array_equal(getattr(joined, method)(places), getattr(train, method)(places))
    np.testing.assert_array_equal(joined.static_values(7, 3), train.static_values(7, 3))
    np.testing.assert_array_equal(joined.feature_rows(7, 3, 1), train.feature_rows(7, 3, 1))


def test_training_draws_the_share(train):
    joined = Joined([train, train.keep(np.arange(len(train)) < 9)], share=0.2)
    order = pipeline.stream(joined, "natural", 0)
    assert order.epoch_size == len(train) + round(len(train) / 4)
    counts = np.bincount(order.epoch(0) >= len(train))
    assert counts.tolist() == [len(train), round(len(train) / 4)]


def test_nothing_of_the_fold_that_validates(records, train):
    more = extra(records, train, 1)
    held = RecordDirectory(records).split_indices("validation", 1)
    assert len(more) == len(train) and not set(more.indices) & set(held)


def _under(train, **changes):
    """Give the training split as if it had been described otherwise."""
    return data.Examples(train.directory, train.indices, dataclasses.replace(train.spec, **changes))


def test_what_does_not_fit_is_refused(records, train, tmp_path):
    with pytest.raises(UsageError, match="Received: .*nowhere"):
        extra(tmp_path / "nowhere", train, 1)
    with pytest.raises(DataError, match="the survey is not.*Valid: elsewhere"):
        extra(records, _under(train, survey="elsewhere"), 1)
    with pytest.raises(DataError, match="static columns.*Received: hostgal_photoz"):
        extra(records, _under(train, record_static=("x",)), 1)
    for changes, message in (({"feature_version": "2"}, "another version"), ({"feature_days": (1.0,)}, "other days")):
        spec = dataclasses.replace(train.spec, **changes)
        with pytest.raises(DataError, match=message):
            data.Examples(train.directory, train.indices, spec)
    sample = loop.sample_directory()
    with pytest.raises(DataError, match="folds.*Valid: 2 folds. Received: 5"):
        extra(sample, train, 1)
