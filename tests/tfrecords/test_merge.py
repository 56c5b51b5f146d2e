"""Merging: every record of every directory, once; what does not fit is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords import merge
from tfrecords.check import check
from tfrecords.derived import DerivedGroup, DerivedWriter
from tfrecords.errors import DataError, UsageError
from tfrecords.info import Band, NativeClass, StaticColumn
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.writer import DatasetWriter


@pytest.fixture
def make(tmp_path, settings, make_record):
    """A function that makes a directory of toy records, with a derived group of their numbers."""

    def function(name, numbers, change=None, others=(), version="1", **changes):
        path = tmp_path / name
        with DatasetWriter(path, **settings | changes) as writer:
            for number in numbers:
                record = make_record(number)
                if change is not None:
                    change(record)
                writer.write(record, ("test", "train")[number % 2])
            for outcome, object_id in others:
                getattr(writer, outcome)(object_id, f"{outcome} by {name}")
        records = RecordDirectory(path)
        with DerivedWriter(records, "g", ["a"], [1.0], version) as writer:
            for object_id in records.ids(np.arange(len(records))):
                writer.append(object_id, np.full((1, 1), int(object_id[3:])))
        return path

    return function


def _records(path):
    records = RecordDirectory(path)
    return {record.object_id: (record, records.where(row).split("/")[-1].split("-")[0])
            for row, record in enumerate(map(records.record, range(len(records))))}  # fmt: skip


def test_all_records_and_groups_of_both(make, tmp_path, make_record):
    one = make("one", range(10), others=[("skip", "a"), ("skip", "obj12"), ("skip", "b")])
    two = make("two", range(10, 30), others=[("skip", "a"), ("quarantine", "b"), ("skip", "obj3")])
    found = merge.merge([one, two], tmp_path / "out")
    assert check(tmp_path / "out", deep=True).violations == []
    assert found.totals == {"written": 30, "skipped": 1, "quarantined": 1}
    merged = _records(tmp_path / "out")
    assert {name: where for name, (_, where) in merged.items()} == {
        f"obj{number}": ("test", "train")[number % 2] for number in range(30)
    }
    ledger = {row["object_id"]: row for row in read_ledger(tmp_path / "out")}
    assert ledger["b"]["reason"] == "quarantine by two"
    for number in range(30):
        record, expected = merged[f"obj{number}"][0], make_record(number)
        if expected.lc is not None:
            assert np.array_equal(record.lc.flux, expected.lc.flux)
    group, records = DerivedGroup(tmp_path / "out", "g"), RecordDirectory(tmp_path / "out")
    assert [f"obj{int(v)}" for v in group.values(np.arange(30)).ravel()] == records.ids(np.arange(30))


def test_bands_and_static_columns_are_reordered(make, tmp_path, settings, make_record):
    def swap(record):
        if record.lc is not None:
            record.targets["flux"] = record.lc.flux.astype("f8") * 2
            record.lc.band = (1 - record.lc.band).astype("u1")
            order = np.lexsort((record.lc.band, record.lc.time))
            for name in ("time", "band", "flux", "flux_err", "flags"):
                setattr(record.lc, name, getattr(record.lc, name)[order])
            record.targets["flux"] = record.targets["flux"][order]
        if record.static is not None:
            record.static = record.static[::-1].copy()

    targets = [*settings["targets"], "flux"]
    one = make("one", range(5), targets=targets)
    two = make("two", range(5, 20), swap, targets=targets,
               bands=[Band("r", ("R",), 6200.0), Band("g", (), 4800.0)],
               static_columns=settings["static_columns"][::-1])  # fmt: skip
    merge.merge([one, two], tmp_path / "out")
    assert check(tmp_path / "out", deep=True).violations == []
    assert RecordDirectory(tmp_path / "out").info.bands[1].aliases == ("R",)
    merged = _records(tmp_path / "out")
    ties = 0
    for number in range(5, 20):
        record, expected = merged[f"obj{number}"][0], make_record(number)
        if expected.static is not None:
            assert np.array_equal(record.static, expected.static, equal_nan=True)
        if expected.lc is not None:
            assert np.array_equal(record.lc.time, expected.lc.time)
            assert np.array_equal(record.lc.band, expected.lc.band)
            assert np.array_equal(record.targets["flux"], record.lc.flux.astype("f8") * 2)
            ties += len(record.lc)
    assert ties > 50


def test_classes_and_targets_are_joined(make, tmp_path, settings):
    one = make("one", range(4))
    two = make("two", range(4, 8), classes=[NativeClass(9, "C"), *settings["classes"]], targets=["t0", "redshift", "z"])
    merge.merge([one, two], tmp_path / "out")
    info = RecordDirectory(tmp_path / "out").info
    assert [native.name for native in info.classes] == ["A", "B", "C"]
    assert info.targets == ("redshift", "t0", "z")


def test_duplicates(make, tmp_path):
    one, two = make("one", range(6)), make("two", range(4, 9))
    with pytest.raises(DataError, match="2 that stand in .*one or others as well, 'obj[45]'"):
        merge.merge([one, two], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    found = merge.merge([one, two], tmp_path / "out", on_duplicate="skip")
    assert found.written == [6, 3]
    assert sorted(found.duplicates) == ["obj4", "obj5"]
    assert check(tmp_path / "out", deep=True).violations == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zero_point": 25.0}, "one zero point. Received: 25.0 and 27.5"),
        ({"flux_unit": "nJy"}, "one unit"),
        ({"bands": [Band("g", (), 4800.0), Band("r", (), 6300.0)]}, "same names and wavelengths"),
        ({"bands": [Band("g", (), 4800.0), Band("r", (), 6200.0), Band("i", (), 7500.0)]}, "'i': 7500.0"),
        ({"static_columns": [StaticColumn("a"), StaticColumn("b", "mag", (-99.0,), "marked")]}, "'b'. Received"),
        ({"classes": [NativeClass(3, "B"), NativeClass(5, "A")]}, "one number and one name"),
    ],
)
def test_other_records_are_refused(make, tmp_path, changes, message):
    one, two = make("one", range(4)), make("two", range(4, 8), **changes)
    with pytest.raises(DataError, match=message):
        merge.merge([one, two], tmp_path / "out")


def test_other_partitions_are_refused(make, directory, tmp_path):
    with pytest.raises(DataError, match="same partitions"):
        merge.merge([directory, make("two", range(60, 62))], tmp_path / "out")


def test_groups_of_other_versions_are_dropped(make, tmp_path, capsys):
    one, two = make("one", range(4)), make("two", range(4, 8), version="2")
    merge.main([str(one), str(two), "--out", str(tmp_path / "out"), "--quiet"])
    out = capsys.readouterr().out
    assert "derived group 'g' is dropped: computed with other columns, days or code (1, 2)" in out
    assert "8 written" in out


def test_wrong_usage(make, tmp_path):
    one, two = make("one", range(4)), make("two", range(4, 8))
    for arguments in ([one], [one, two, "--shards", "0"]):
        with pytest.raises(UsageError):
            merge.main([*map(str, arguments), "--out", str(tmp_path / "out")])
    with pytest.raises(UsageError, match="not the input"):
        merge.main([str(one), str(two), "--out", str(two), "--overwrite"])
