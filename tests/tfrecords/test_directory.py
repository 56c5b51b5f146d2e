"""Writer and reader of a directory of records."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest

from tfrecords import writer as writer_module
from tfrecords.errors import DataError, UsageError
from tfrecords.framing import frame, read_frames
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.schema import encode, encode_id
from tfrecords.writer import DatasetWriter


def _names(path):
    return sorted(entry.name for entry in path.iterdir())


def test_every_record_comes_back(directory, make_record):
    records = RecordDirectory(directory, verify="deep")
    assert len(records) == 60
    indices = np.arange(60)
    ids = records.ids(indices)
    assert sorted(ids) == sorted(f"obj{n}" for n in range(60))
    for index, object_id, data in zip(indices, ids, records.serialized(indices), strict=True):
        expected = make_record(int(object_id[3:]))
        assert data == encode(expected) == encode(records.record(index))
        assert records.find(object_id) == index
        assert records.index["length"][index] == (len(expected.lc) if expected.lc else 0)
        assert records.index["class_id"][index] == expected.class_id


def test_splits(directory):
    records = RecordDirectory(directory)
    train, validation = records.split_indices("train", 1), records.split_indices("validation", 1)
    assert np.array_equal(train, records.partition_indices("fold0"))
    assert np.array_equal(validation, records.partition_indices("fold1"))
    assert np.array_equal(records.split_indices("test"), records.partition_indices("test"))
    assert train.dtype == np.int64


@pytest.mark.parametrize(
    ("split", "fold", "message"),
    [
        ("train", None, r"needs a fold, 0\.\.1"),
        ("train", 2, r"folds are 0\.\.1"),
        ("dev", 0, "train, validation"),
    ],
)
def test_splits_refused(directory, split, fold, message):
    with pytest.raises(UsageError, match=message):
        RecordDirectory(directory).split_indices(split, fold)


def test_fold_of_a_directory_without_folds(tmp_path, settings, make_record):
    with DatasetWriter(tmp_path / "d", **settings) as writer:
        writer.write(make_record(2), "train")
    records = RecordDirectory(tmp_path / "d")
    assert len(records.split_indices("train")) == 1
    assert len(records.split_indices("validation")) == 0
    with pytest.raises(UsageError, match="no folds"):
        records.split_indices("train", 0)


def test_same_calls_same_bytes(tmp_path, settings, make_record):
    for name in "ab":
        with DatasetWriter(tmp_path / name, **settings, shards=3) as writer:
            for number in range(20):
                writer.write(make_record(number), "train")
    assert _names(tmp_path / "a") == _names(tmp_path / "b")
    for name in _names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_shards_by_expected_size(tmp_path, settings):
    writer = DatasetWriter(tmp_path / "d", **settings, expected={"train": 300_000}, record_bytes=4096)
    assert writer.layout.shards == (5, 1, 1)


def test_ledger_sums(directory):
    rows = list(read_ledger(directory))
    ledger = RecordDirectory(directory).info.ledger
    assert (ledger.input, ledger.written, ledger.skipped, ledger.quarantined) == (62, 60, 1, 1)
    assert len(rows) == 62
    assert rows[-1] == {
        "object_id": "bad",
        "outcome": "quarantined",
        "partition": "",
        "reason": 'flux is "nan", sadly',
    }


def test_find_explains(directory):
    records = RecordDirectory(directory)
    with pytest.raises(DataError, match=r"obj5\b.*Received: 'obj5x'"):
        records.find("obj5x")
    with pytest.raises(DataError, match=r"quarantined.*flux is"):
        records.find("bad")


def test_find_is_not_misled_by_an_id_inside_an_array(tmp_path, settings, make_record):
    trap = make_record(4)
    needle = encode_id("obj8")
    trap.targets = {"t0": np.frombuffer(needle + bytes(-len(needle) % 8), "<f8")}
    with DatasetWriter(tmp_path / "d", **settings) as writer:
        writer.write(trap, "train")
        writer.write(make_record(8), "train")
    assert RecordDirectory(tmp_path / "d").find("obj8") == 1


@pytest.mark.parametrize("outcome", ["write", "skip", "quarantine"])
def test_duplicate_ids_are_refused_and_nothing_is_left(tmp_path, settings, make_record, outcome):
    with pytest.raises(DataError, match="'obj2' twice"), DatasetWriter(tmp_path / "d", **settings) as writer:
        writer.write(make_record(2), "train")
        getattr(writer, outcome)(*((make_record(2), "test") if outcome == "write" else ("obj2", "why")))
    assert not _names(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"survey": "other"}, "survey is 'toy'"),
        ({"class_id": 4}, "class_id"),
        ({"static": np.zeros(3, "f4")}, "static"),
        ({"targets": {"mass": np.ones(1)}}, "mass"),
    ],
)
def test_a_record_of_another_data_set_is_refused(tmp_path, settings, make_record, change, message):
    record = make_record(2)
    for name, value in change.items():
        setattr(record, name, value)
    with pytest.raises(DataError, match=message), DatasetWriter(tmp_path / "d", **settings) as writer:
        writer.write(record, "train")


def test_an_unknown_band_is_refused(tmp_path, settings, make_record):
    record = make_record(2)
    record.lc.band[-1] = 2
    record.lc.time[-1] += 1
    with (
        pytest.raises(DataError, match="lc/band.*below 2"),
        DatasetWriter(tmp_path / "d", **settings) as writer,
    ):
        writer.write(record, "train")


def test_unknown_partition(tmp_path, settings, make_record):
    message = "train, validation, test"
    with pytest.raises(UsageError, match=message), DatasetWriter(tmp_path / "d", **settings) as writer:
        writer.write(make_record(2), "fold0")
    assert not _names(tmp_path)


def test_no_record_is_no_data_set(tmp_path, settings):
    with pytest.raises(DataError, match="no record"), DatasetWriter(tmp_path / "d", **settings) as writer:
        writer.skip("a", "no observations")
    assert not _names(tmp_path)


def test_interruption_leaves_nothing(tmp_path, settings, make_record):
    with pytest.raises(KeyboardInterrupt), DatasetWriter(tmp_path / "d", **settings) as writer:
        writer.write(make_record(2), "train")
        raise KeyboardInterrupt
    assert not _names(tmp_path)


@pytest.mark.parametrize("fails_at", ["shard", "index.npy", "dataset_info.json", "ledger.csv"])
def test_full_disk(tmp_path, settings, make_record, monkeypatch, fails_at):
    write = writer_module._write_bytes

    def full(path, content, append=False):
        if fails_at in path.name or (fails_at == "shard" and path.suffix == ".tfrecord"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content, append)

    monkeypatch.setattr(writer_module, "_write_bytes", full)
    path = tmp_path / "d"
    message = rf"cannot write {path}: No space left on device"
    with pytest.raises(DataError, match=message), DatasetWriter(path, **settings) as writer:
        writer.write(make_record(2), "train")
    assert not _names(tmp_path)


def test_existing_output(directory, settings, make_record, tmp_path):
    before = (directory / "dataset_info.json").read_bytes()
    with pytest.raises(UsageError, match="exists"):
        DatasetWriter(directory, **settings)
    (directory / "README.md").write_text("mine")
    with pytest.raises(RuntimeError), DatasetWriter(directory, **settings, overwrite=True) as writer:
        writer.write(make_record(2), "train")
        raise RuntimeError
    assert (directory / "dataset_info.json").read_bytes() == before
    with DatasetWriter(directory, **settings, overwrite=True) as writer:
        writer.write(make_record(2), "train")
    assert len(RecordDirectory(directory)) == 1
    assert (directory / "README.md").read_text() == "mine"
    assert _names(tmp_path) == ["records"]


def test_only_records_are_overwritten(tmp_path, settings):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="only a directory of records"):
        DatasetWriter(tmp_path, **settings, overwrite=True)


def _shard(directory):
    return min(directory.glob("fold0*.tfrecord"))


def test_a_shard_cut_between_records_is_refused(directory):
    shard = _shard(directory)
    frames = list(read_frames(shard.read_bytes(), "x"))
    shard.write_bytes(shard.read_bytes()[: frames[-1][0]])
    with pytest.raises(DataError, match=rf"{shard.name}: cut short"):
        RecordDirectory(directory)


def test_a_missing_shard_is_refused(directory):
    shard = _shard(directory)
    shard.unlink()
    with pytest.raises(DataError, match=rf"{shard.name}: missing"):
        RecordDirectory(directory)


def test_a_shard_too_much_is_refused(directory):
    (directory / "train-00000-of-00001.tfrecord").write_bytes(b"")
    with pytest.raises(DataError, match="train-00000-of-00001.tfrecord: not listed"):
        RecordDirectory(directory)


def test_a_changed_byte_is_refused_where_it_is_read(directory):
    shard = _shard(directory)
    content = bytearray(shard.read_bytes())
    frames = list(read_frames(bytes(content), "x"))
    content[frames[1][0] + 40] ^= 1
    shard.write_bytes(content)
    records = RecordDirectory(directory)
    first = records.partition_indices("fold0")[0]
    records.record(first)
    with pytest.raises(DataError, match=rf"{shard.name}, record 1: damaged"):
        records.record(first + 1)
    with pytest.raises(DataError, match=rf"{shard.name}: damaged"):
        RecordDirectory(directory, verify="deep")


def test_an_index_of_other_records_is_refused(directory, tmp_path, settings, make_record):
    with DatasetWriter(tmp_path / "other", **settings) as writer:
        writer.write(make_record(2), "train")
    (directory / "index.npy").write_bytes((tmp_path / "other" / "index.npy").read_bytes())
    with pytest.raises(DataError, match=r"index\.npy: does not belong"):
        RecordDirectory(directory)


def test_no_directory_of_records(tmp_path):
    with pytest.raises(DataError, match="not a directory of records"):
        RecordDirectory(tmp_path)


def test_no_pickle_is_ever_loaded(directory):
    np.save(directory / "index.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"index\.npy"):
        RecordDirectory(directory, verify=None)


@pytest.mark.parametrize("cut", [3, 14, -1, -6])
def test_frames_cut_short(cut):
    with pytest.raises(DataError, match="record 0: cut short"):
        list(read_frames(frame(b"payload")[:cut], "file"))


def test_info_says_how_it_was_made(tmp_path, settings, make_record):
    with DatasetWriter(tmp_path / "d", **settings, source={"tool": "t", "options": {"seed": 1}}) as writer:
        writer.write(make_record(2), "train")
    content = json.loads((tmp_path / "d" / "dataset_info.json").read_text())
    assert content["source"] == {"tool": "t", "options": {"seed": 1}}
