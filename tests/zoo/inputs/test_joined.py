"""Several directories as one training split: the order of their objects, and no copy of what validates."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from zoo.inputs import data, pipeline
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.inputs.joined import Joined, extra

PARTS = ("light_curve", "static", "features")


@pytest.fixture(scope="module")
def train(records):
    """The training split of fold 1."""
    directory = RecordDirectory(records)
    spec = data.describe(directory, PARTS, InputConfig(), SelectionConfig())
    return data.splits(directory, spec, SelectionConfig(), 1, 0)[1]["train"]


def test_objects_come_from_the_part_that_holds_them(train):
    first, second = train.keep(np.arange(len(train)) < 5), train.keep(np.arange(len(train)) >= 5)
    joined = Joined([first, second])
    places = np.random.default_rng(0).permutation(len(train))
    np.testing.assert_array_equal(joined.labels, train.labels)
    assert joined.serialized(places).tolist() == train.serialized(places).tolist()
    for method in ("feature_values", "static_at"):
        np.testing.assert_array_equal(getattr(joined, method)(places), getattr(train, method)(places))
    for method in ("static_values", "feature_rows"):
        np.testing.assert_array_equal(getattr(joined, method)(7, 3), getattr(train, method)(7, 3))


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


def _changed(records, path, **values):
    shutil.copytree(records, path)
    file = path / "dataset_info.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    return path


def test_what_does_not_fit_is_refused(records, train, tmp_path):
    with pytest.raises(UsageError, match="Received: .*nowhere"):
        extra(tmp_path / "nowhere", train, 1)
    with pytest.raises(DataError, match="survey"):
        extra(_changed(records, tmp_path / "other", survey="elsewhere"), train, 1)
    other = dataclasses.replace(train.spec, record_static=("x",))
    with pytest.raises(DataError, match="static columns.*Received: hostgal_photoz"):
        extra(records, data.Examples(train.directory, train.indices, other), 1)
