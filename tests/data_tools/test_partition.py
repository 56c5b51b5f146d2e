"""Directories divided anew: nothing is lost, groups stay together, published tables are followed or refused."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest

from data_tools import partition, plasticc
from data_tools.engine.splits import Partitioning
from tests.conftest import ROOT
from tfrecords.check import check
from tfrecords.derived import DerivedGroup, DerivedWriter
from tfrecords.errors import DataError, UsageError
from tfrecords.info import Band, NativeClass, StaticColumn
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.schema import LightCurve, Record
from tfrecords.writer import DatasetWriter

PAIR = sorted((ROOT / "tests" / "fixtures" / "plasticc_tiny").glob("*.csv.gz"))


def _run(path, out, *flags):
    code = partition.main([str(path), "--out", str(out), "--quiet", *flags])
    assert code == 0
    assert check(out, deep=True).violations == []
    records = RecordDirectory(out)
    names = records.info.partitions
    ids = records.ids(np.arange(len(records)))
    return {each: names[number] for each, number in zip(ids, records.index["partition"].tolist(), strict=True)}


@pytest.fixture
def pairs(tmp_path):
    """Forty objects of two classes; 2 k and 2 k + 1 lie half an arcsecond apart, 0 and 39 share their photometry."""
    path = tmp_path / "pairs"
    rng = np.random.default_rng(3)
    with DatasetWriter(
        path, survey="toy", bands=[Band("g", (), 4800.0)], zero_point=27.5, flux_unit="FLUXCAL",
        static_columns=[StaticColumn("ra"), StaticColumn("dec"), StaticColumn("field", "", (-9.0,))],
        classes=[NativeClass(0, "A"), NativeClass(1, "B")],
    ) as writer:  # fmt: skip
        for number in range(40):
            flux = np.random.default_rng(0 if number in (0, 39) else number + 1).normal(size=5)
            lc = LightCurve(np.arange(5), np.zeros(5), flux, np.ones(5), np.ones(5))
            dec = 0.01 * (number // 2) + (number % 2) * 0.5 / 3600
            field = number % 8 if number < 32 else -9.0
            record = Record(f"o{number}", "toy", int(rng.integers(0, 2)), lc, np.array([0.0, dec, field]))
            writer.write(record, "train" if number % 3 else "test")
        writer.skip("dark", "no observations")
    return path


def test_the_files_are_those_of_a_conversion(tmp_path, records):
    flags = ["--folds", "3", "--seed", "5", "--test-fraction", "0.3", "--shards", "2"]
    plasticc.main([*map(str, PAIR), "--out", str(tmp_path / "one"), "--quiet", *flags])
    _run(records, tmp_path / "two", *flags)
    names = [path.name for path in (tmp_path / "one").iterdir() if path.name != "dataset_info.json"]
    assert len(names) == 10
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_derived_groups_go_along(tmp_path, records):
    _run(records, tmp_path / "out", "--folds", "3", "--seed", "1")
    old, new = RecordDirectory(records), RecordDirectory(tmp_path / "out")
    order = [old.ids(np.arange(42)).index(each) for each in new.ids(np.arange(42))]
    assert order != list(range(42))
    for name in ("features", "gp_grid"):
        expected = DerivedGroup(old, name).values(order)
        assert np.array_equal(DerivedGroup(new, name).values(np.arange(42)), expected, equal_nan=True)


@pytest.mark.parametrize("flags", [("--folds", "4"), ("--validation-fraction", "0.2")])
def test_neighbours_and_twins_stay_together(tmp_path, pairs, flags):
    found = _run(pairs, tmp_path / "out", "--by-position", "ra,dec", "--by-photometry", *flags)
    assert all(found[f"o{number}"] == found[f"o{number + 1}"] for number in range(0, 40, 2))
    assert found["o0"] == found["o39"] == found["o38"]
    assert len(set(found.values())) == (5 if "--folds" in flags else 3)
    assert [row["outcome"] for row in read_ledger(tmp_path / "out") if row["object_id"] == "dark"] == ["skipped"]
    assert partition.main([str(tmp_path / "out"), "--report", "--by-position", "ra,dec", "--by-photometry"]) == 0


def test_a_report_names_what_splits_share(pairs, tmp_path, capsys):
    table = tmp_path / "leaks.csv"
    assert partition.main([str(pairs), "--report", "--by-position", "ra,dec", "--table", str(table)]) == 1
    out = capsys.readouterr().out
    assert "20 groups of several objects, 14 of them in more than one split" in out
    assert "train + test: 14" in out
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 28
    assert {row["object_id"] for row in rows if row["group"] == "0"} == {"o0", "o1"}
    assert partition.main([str(pairs), "--report"]) == 0
    assert "photometry: 1 groups of several objects, 0 of them" in capsys.readouterr().out


def test_static_columns_and_tables_as_groups(tmp_path, pairs):
    found = _run(pairs, tmp_path / "one", "--folds", "2", "--group-by", "field")
    for field in range(8):
        assert len({found[f"o{number}"] for number in range(field, 32, 8)}) == 1
    assert len({found[f"o{number}"] for number in range(32, 40)}) > 1
    table = tmp_path / "hosts.csv"
    table.write_text("object_id,host\no1,h\no20,h\no35,h\n")
    found = _run(pairs, tmp_path / "two", "--folds", "3", "--group-by", str(table))
    assert found["o1"] == found["o20"] == found["o35"]
    with pytest.raises(UsageError, match="ra, dec, field"):
        partition.main([str(pairs), "--report", "--group-by", "nothing"])


def test_so_many_of_each_class(tmp_path, records, capsys):
    found = _run(records, tmp_path / "out", "--test-per-class", "1", "--folds", "2")
    new = RecordDirectory(tmp_path / "out")
    tests = new.index["class_id"][new.partition_indices("test")]
    assert sorted(tests.tolist()) == sorted({native.id for native in new.info.classes})
    assert list(found.values()).count("test") == 14
    _run(records, tmp_path / "more", "--test-per-class", "9")
    assert "has 3 objects, 1 of them for the test" in capsys.readouterr().out


def test_a_published_table(tmp_path, pairs, capsys):
    table = tmp_path / "folds.parquet"
    numbers = list(range(5, 45))
    pd.DataFrame({"oid": [f"o{n}" for n in numbers], "fold": [n // 2 % 3 for n in numbers]}).to_parquet(table)
    found = _run(pairs, tmp_path / "out", "--from", str(table))
    out = capsys.readouterr().out
    assert "35 objects by the table, 5 unknown to it" in out
    assert "5 objects of the table are not among the records" in out
    assert [found[f"o{n}"] for n in (0, 4, 5, 6, 39)] == ["test", "test", "fold2", "fold0", "fold1"]
    with pytest.raises(DataError, match=r"share position. Received: o\d+ \(test\) and o5 \(fold2\)"):
        partition.main([str(pairs), "--out", str(tmp_path / "no"), "--from", str(table), "--by-position", "ra,dec"])
    assert not (tmp_path / "no").exists()
    table = tmp_path / "twice.csv"
    table.write_text("oid,fold\no1,0\no1,1\n")
    with pytest.raises(DataError, match="'o1' in fold0 and fold1"):
        partition.main([str(pairs), "--out", str(tmp_path / "no"), "--from", str(table)])
    table.write_text("oid,fold\nx1,0\n")
    with pytest.raises(DataError, match="no object of the table"):
        partition.main([str(pairs), "--out", str(tmp_path / "no"), "--from", str(table)])


@pytest.mark.parametrize(
    "flags",
    [
        [], ["--report", "--out", "x"], ["--out", "x", "--from", "f", "--test-fraction", "0.1"],
        ["--out", "x", "--table", "t.csv"], ["--out", "x", "--by-position", "ra"], ["--out", "x", "--shards", "0"],
        ["--report", "--by-position", "ra,dec", "--radius", "0"], ["--out", "x", "--test-per-class", "-1"],
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(pairs, flags):
    with pytest.raises(UsageError):
        partition.main([str(pairs), *flags])


def test_the_input_is_not_the_output(pairs):
    with pytest.raises(UsageError, match="not the input"):
        partition.main([str(pairs), "--out", str(pairs), "--overwrite"])


def test_a_damaged_derived_group_is_dropped(tmp_path, pairs, capsys):
    records = RecordDirectory(pairs)
    with DerivedWriter(records, "g", ["a"], [1.0], "1") as writer:
        for object_id in records.ids(np.arange(40)):
            writer.append(object_id, np.zeros((1, 1)))
    values = pairs / "derived" / "g" / "values.npy"
    values.write_bytes(values.read_bytes()[:-1] + b"\x01")
    _run(pairs, tmp_path / "out")
    assert "derived group 'g' is dropped" in capsys.readouterr().out
    assert not (tmp_path / "out" / "derived").exists()


def test_groups_of_one_change_nothing():
    rng = np.random.default_rng(0)
    ids, classes = [f"o{n}" for n in range(500)], rng.choice([-1, 3, 5, 8], 500, p=[0.1, 0.6, 0.25, 0.05])
    for partitioning in (Partitioning(5), Partitioning(), Partitioning(3, test_per_class=7), Partitioning(0, 0.3, 0.2)):
        alone = partitioning.assign(ids, classes, rng.permutation(500))
        assert np.array_equal(alone, partitioning.assign(ids, classes))


def test_groups_are_stratified_and_independent_of_the_order():
    rng = np.random.default_rng(1)
    ids, classes = [f"o{n}" for n in range(3000)], rng.choice([1, 2, 3], 3000, p=[0.7, 0.25, 0.05])
    groups = np.where(rng.random(3000) < 0.5, np.arange(3000), rng.integers(0, 700, 3000))
    partitioning = Partitioning(folds=5)
    names = partitioning.assign(ids, classes, groups)
    order = rng.permutation(3000)
    again = partitioning.assign([ids[n] for n in order], classes[order], groups[order])
    assert np.array_equal(names[order], again)
    assert np.array_equal(names, partitioning.assign(ids, classes, [f"g{group}" for group in groups]))
    assert all(len(set(names[groups == group])) == 1 for group in np.unique(groups))
    for native in (1, 2, 3):
        counts = np.array([(names[classes == native] == f"fold{k}").sum() for k in range(5)])
        assert counts.max() - counts.min() <= 0.15 * counts.mean() + 4
        assert (names[classes == native] == "test").mean() == pytest.approx(0.2, abs=0.04)
