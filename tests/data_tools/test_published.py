"""Published splits: what a table may say, and what is refused."""

from __future__ import annotations

import pandas as pd
import pytest

from data_tools.engine.published import read_groups, read_splits
from tfrecords.errors import DataError, UsageError


def _table(path, **columns):
    frame = pd.DataFrame(columns)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_folds_as_numbers(tmp_path, suffix):
    found = read_splits([_table(tmp_path / f"t{suffix}", diaObjectId=[11, 12, 13], fold=[0, 1, 4])])
    assert found.partitions == {"11": "fold0", "12": "fold1", "13": "fold4"}
    assert found.folds == 5


def test_names_of_splits(tmp_path):
    names = ["train", "Validation", "test", "val", "training"]
    found = read_splits([_table(tmp_path / "t.csv", object_id=list("abcde"), split=names)])
    assert list(found.partitions.values()) == ["train", "validation", "test", "validation", "train"]
    assert found.folds == 0


def test_a_row_a_run_of_each_fold(tmp_path):
    ids, names = ["a", "a", "b", "b", "c"], ["training_0", "validation_1", "validation_0", "training_1", "test"]
    found = read_splits([_table(tmp_path / "t.csv", SNID=ids, partition=names)])
    assert found.partitions == {"a": "fold1", "b": "fold0", "c": "test"}
    with pytest.raises(DataError, match="no fold of its own"):
        read_splits([_table(tmp_path / "u.csv", SNID=["a", "b"], partition=["training_0", "validation_0"])])


def test_a_file_a_split(tmp_path):
    files = [f"{name}={_table(tmp_path / f'{name}.csv', id=ids)}" for name, ids in (("train", "ab"), ("test", "c"))
             for ids in [list(ids)]]  # fmt: skip
    assert read_splits(files).partitions == {"a": "train", "b": "train", "c": "test"}
    overlap = _table(tmp_path / "more.csv", id=["b"])
    with pytest.raises(DataError, match="'b' in train and validation"):
        read_splits([*files, f"val={overlap}"])


def test_what_is_refused(tmp_path):
    with pytest.raises(DataError, match="'a' in fold0 and fold1"):
        read_splits([_table(tmp_path / "a.csv", object_id=["a", "a"], fold=[0, 1])])
    with pytest.raises(DataError, match="Received: 'later'"):
        read_splits([_table(tmp_path / "b.csv", object_id=["a"], fold=["later"])])
    with pytest.raises(DataError, match="folds and test, or"):
        read_splits([_table(tmp_path / "c.csv", object_id=["a", "b"], fold=["0", "train"])])
    with pytest.raises(UsageError, match="--id-column"):
        read_splits([_table(tmp_path / "d.csv", who=["a"], fold=[0])])
    with pytest.raises(UsageError, match="--partition-column"):
        read_splits([_table(tmp_path / "e.csv", id=["a"], x=[0])])
    path = _table(tmp_path / "f.csv", who=["a", "b"], where=[0, 1])
    assert read_splits([path], "who", "where").folds == 2
    (tmp_path / "g.csv").write_text("object_id,fold\na,\n")
    with pytest.raises(DataError, match="Received: ''"):
        read_splits([str(tmp_path / "g.csv")])


def test_groups(tmp_path):
    path = tmp_path / "g.csv"
    _table(path, object_id=["a", "b"], host=["h1", "h1"])
    assert read_groups(path) == {"a": "h1", "b": "h1"}
    _table(path, object_id=["a", "a"], host=["h1", "h2"])
    with pytest.raises(DataError, match="'h1' and 'h2'"):
        read_groups(path)
