"""Decoding in TensorFlow: it reads the files, and gives what the reader without TensorFlow gives."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords.batch import parse
from tfrecords.errors import DataError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import encode

tf = pytest.importorskip("tensorflow")


@pytest.fixture
def batch(directory):
    records = RecordDirectory(directory)
    serialized = tf.constant(records.serialized(np.arange(60)))
    return records, serialized, parse(serialized, 2, ["redshift"])


def test_tensorflow_reads_the_files(directory):
    records = RecordDirectory(directory)
    files = [str(directory / shard.name) for shard in records.info.shards]
    read = [each.numpy() for each in tf.data.TFRecordDataset(files)]
    assert read == records.serialized(np.arange(60))


def test_batch_is_what_the_records_hold(batch):
    records, _, out = batch
    starts = np.concatenate([[0], np.cumsum(out["length"].numpy())])
    assert np.array_equal(out["length"], records.index["length"])
    assert out["static"].shape == (60, 2)
    for index in range(60):
        record = records.record(index)
        rows = slice(starts[index], starts[index + 1])
        assert out["object_id"][index].numpy().decode() == record.object_id
        assert out["class_id"][index] == record.class_id
        for name in ("time", "band", "flux", "flux_err", "flags"):
            expected = getattr(record.lc, name) if record.lc else []
            assert np.array_equal(out[name][rows], expected)
        static = record.static if record.static is not None else [np.nan, np.nan]
        assert np.array_equal(out["static"][index], static, equal_nan=True)
        redshift = record.targets.get("redshift", [np.nan])[0]
        assert np.array_equal(out["target/redshift"][index], redshift, equal_nan=True)


def test_types(batch):
    types = {name: tensor.dtype.name for name, tensor in batch[2].items()}
    assert types == {
        "object_id": "string",
        "class_id": "int64",
        "length": "int64",
        "time": "float64",
        "band": "int32",
        "flux": "float32",
        "flux_err": "float32",
        "flags": "int32",
        "static": "float32",
        "target/redshift": "float64",
    }


def test_graph_and_empty_batch(batch):
    function = tf.function(lambda serialized: parse(serialized, 2), input_signature=[tf.TensorSpec([None], tf.string)])
    assert np.array_equal(function(batch[1])["time"], batch[2]["time"])
    empty = function(tf.constant([], tf.string))
    assert empty["static"].shape == (0, 2)
    assert empty["time"].shape == (0,)


def test_columns_of_other_sizes_are_refused(make_record):
    good, other = encode(make_record(2)), encode(make_record(4))
    with pytest.raises(tf.errors.InvalidArgumentError, match="static"):
        parse(tf.constant([good, other]), 3)["static"].numpy()


def test_targets_of_rows_stand_beside_the_rows(make_record):
    records = [make_record(number) for number in range(9)]
    for record in records[::2]:
        if record.lc is not None:
            record.targets["flux"] = record.lc.flux.astype("float64") * 2
    out = parse(tf.constant([encode(record) for record in records]), 0, row_targets=["flux"])
    expected = [
        record.targets.get("flux", np.full(len(record.lc), np.nan)) for record in records if record.lc is not None
    ]
    assert np.array_equal(out["target/flux"], np.concatenate(expected), equal_nan=True)
    wrong = make_record(2)
    wrong.targets["flux"] = np.zeros(len(wrong.lc) + 1)
    with pytest.raises(DataError, match="target/flux.*a value a row"):
        encode(wrong)
