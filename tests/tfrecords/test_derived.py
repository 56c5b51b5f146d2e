"""Derived groups: tied to their records, refused when they are not."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords.derived import DerivedGroup, DerivedWriter
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.writer import DatasetWriter

DAYS = (1.0, 30.0, float("inf"))


def _write(directory, name="features", ids=None, value=None):
    records = RecordDirectory(directory)
    with DerivedWriter(records, name, ["mean", "width"], DAYS, "1") as writer:
        for number, object_id in enumerate(records.ids(np.arange(60)) if ids is None else ids):
            writer.append(object_id, np.full((3, 2), number if value is None else value))


def test_roundtrip(directory):
    _write(directory)
    group = DerivedGroup(directory, "features")
    assert (group.columns, group.days, group.code_version) == (("mean", "width"), DAYS, "1")
    values = group.values(np.array([7, 0, 59]))
    assert values.dtype == np.float32
    assert values.shape == (3, 3, 2)
    assert values[:, 0, 0].tolist() == [7, 0, 59]
    assert group.day_index(float("inf")) == 2
    with pytest.raises(UsageError, match="days are 1, 30, inf"):
        group.day_index(2)


def test_an_unknown_group_lists_those_there_are(directory):
    _write(directory)
    with pytest.raises(DataError, match=r"derived groups are: features\. Received: 'grid'"):
        DerivedGroup(directory, "grid")


def test_other_records_or_code_are_refused(directory, tmp_path, settings, make_record):
    _write(directory)
    with pytest.raises(DataError, match="code_version is '2'"):
        DerivedGroup(directory, "features", code_version="2")
    with DatasetWriter(tmp_path / "other", **settings) as writer:
        for number in range(60):
            writer.write(make_record(number), "train")
    (directory / "derived").rename(tmp_path / "other" / "derived")
    with pytest.raises(DataError, match="computed from other records"):
        DerivedGroup(tmp_path / "other", "features")


def test_order_count_and_values_are_checked(directory):
    ids = RecordDirectory(directory).ids(np.arange(60))
    for wrong, message in (
        (ids[1:], "order of the records"),
        (ids[:-1], "each of 60 records"),
        ([*ids, "more"], "nothing"),
    ):
        with pytest.raises(DataError, match=message):
            _write(directory, ids=wrong)
    with pytest.raises(DataError, match="column 'mean' is finite"):
        _write(directory, value=np.inf)
    assert not list((directory / "derived").iterdir())


def test_a_cut_file_is_refused(directory):
    _write(directory)
    path = directory / "derived" / "features" / "values.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"values\.npy"):
        DerivedGroup(directory, "features")


@pytest.mark.parametrize(("name", "columns"), [("../x", ["a"]), ("x", []), ("x", ["a", "a"])])
def test_bad_descriptions(directory, name, columns):
    with pytest.raises(UsageError):
        DerivedWriter(directory, name, columns, [1.0], "1")
