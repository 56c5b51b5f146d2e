"""Published feature tables joined by id."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_tools import features
from tests.conftest import make_records
from tfrecords.derived import DerivedGroup
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory


@pytest.fixture(name="tables")
def tables_fixture(tmp_path):
    """Records, their ids, and tables of three days in another order with one object too many."""
    records = RecordDirectory(make_records(tmp_path / "records"))
    ids = records.ids(np.arange(len(records)))
    index = pd.Index([int(each) for each in reversed(ids)] + [1], name="SNID")
    frames = {}
    (tmp_path / "tables").mkdir()
    for day in (1, 8, 2048):
        values = index.to_numpy() % 1000 + day
        frames[day] = pd.DataFrame({"a": values, "b": np.where(values % 2, np.inf, -values)}, index=index)
        frames[day].to_parquet(tmp_path / "tables" / f"features_20220817_{day:04d}.parquet")
    return records, ids, frames, tmp_path / "tables"


def _join(records, folder, *flags):
    features.main([str(records.path), "--from", str(folder), "--name", "published", "--quiet", *flags])
    return DerivedGroup(records, "published")


def test_values_are_joined_by_id(tables, capsys):
    records, ids, frames, folder = tables
    group = _join(records, folder)
    assert (group.columns, group.days) == (("a", "b"), (1.0, 8.0, 2048.0))
    for row, object_id in enumerate(ids):
        expected = [frames[day].loc[int(object_id)].to_numpy() for day in frames]
        np.testing.assert_array_equal(group.values([row])[0], np.where(np.isinf(expected), np.nan, expected))
    out = capsys.readouterr().out
    assert "3 rows of objects that are no records" in out and "infinite values" in out


def test_a_missing_or_repeated_object_fails(tables):
    records, ids, frames, folder = tables
    place = folder / "features_20220817_0008.parquet"
    frames[8].drop(index=int(ids[3])).to_parquet(place)
    with pytest.raises(DataError, match=f"0008.parquet: a row for each.*none for 1, such as {ids[3]}"):
        _join(records, folder)
    pd.concat([frames[8], frames[8].iloc[:1]]).to_parquet(place)
    with pytest.raises(DataError, match=f"{ids[-1]!r} twice"):
        _join(records, folder)
    frames[8].rename(columns={"b": "c"}).to_parquet(place)
    with pytest.raises(DataError, match="a difference in b, c"):
        _join(records, folder)
    place.write_bytes(place.read_bytes()[:-9])
    with pytest.raises(DataError, match="cut short or damaged"):
        _join(records, folder)
    with pytest.raises(UsageError, match="end in their day"):
        _join(records, records.path)
    assert not (records.path / "derived" / "published").exists()
    assert not [path for path in records.path.iterdir() if path.name.startswith("tmp")]
