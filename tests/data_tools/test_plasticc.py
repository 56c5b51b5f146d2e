"""PLAsTiCC pairs to records: every value, every container, subsets and splits."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import numpy as np
import pytest

from data_tools import plasticc
from data_tools.formats import tables
from data_tools.plasticc import PlasticcSource
from data_tools.sources import SOURCES, open_source
from tfrecords.check import check
from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.schema import encode


def _by_id(path):
    records = RecordDirectory(path)
    return {record.object_id: record for record in map(records.record, range(len(records)))}


def test_values_are_those_of_the_files(pair):
    records = _by_id(pair.convert("--static-columns", "mwebv,hostgal_specz,distmod"))
    assert set(records) == set(pair.ids)
    for meta in pair.metadata:
        record, rows = records[meta["object_id"]], pair.rows_of(meta["object_id"])
        rows.sort(key=lambda row: (float(row["mjd"]), int(row["passband"])))
        assert record.class_id == int(meta["target"])
        assert record.lc.time.tolist() == [float(row["mjd"]) for row in rows]
        assert record.lc.band.tolist() == [int(row["passband"]) for row in rows]
        assert record.lc.flux.tolist() == [np.float32(row["flux"]) for row in rows]
        assert record.lc.flux_err.tolist() == [np.float32(row["flux_err"]) for row in rows]
        assert record.lc.flags.tolist() == [int(row["detected_bool"]) for row in rows]
        expected = [np.float32(meta[name]) for name in ("mwebv", "hostgal_specz", "distmod")]
        assert record.static.tolist() == expected
        assert record.targets["redshift"] == float(meta["true_z"])
        assert record.targets["t0"] == float(meta["true_peakmjd"])


def test_info_of_the_survey(pair):
    info = RecordDirectory(pair.convert()).info
    assert [band.name for band in info.bands] == list("ugrizy")
    assert info.zero_point == 27.5
    assert [column.name for column in info.static_columns] == [
        "hostgal_photoz", "hostgal_photoz_err", "mwebv", "ddf_bool",
    ]  # fmt: skip
    assert not any(column.missing or column.caution for column in info.static_columns)
    assert (info.classes[1].id, info.classes[1].name) == (15, "TDE")
    assert str(pair.folder) not in info.to_json()


def test_columns_that_must_be_named_carry_a_caution(pair):
    info = RecordDirectory(pair.convert("--static-columns", "ra,decl,hostgal_specz,distmod,mwebv")).info
    assert [bool(column.caution) for column in info.static_columns] == [True] * 4 + [False]
    assert [column.missing for column in info.static_columns] == [(), (), (-9.0,), (-9.0,), ()]


@pytest.mark.parametrize(
    "name", ["true_z", "TRUE_Z", "tflux_u", "libid_cadence", "target", "true_target", "true_peakmjd"]
)
def test_truth_never_becomes_an_input(pair, name):
    with pytest.raises(UsageError, match=rf"'{name}' is truth.*can never be an input"):
        pair.convert("--static-columns", f"mwebv,{name}")
    assert not pair.out.exists()


@pytest.mark.parametrize("columns", ["object_id", "hostgal", "mwebv,mwebv"])
def test_other_static_columns_are_refused(pair, columns):
    with pytest.raises(UsageError, match="static column"):
        pair.convert("--static-columns", columns)


def test_no_static_columns(pair):
    records = _by_id(pair.convert("--static-columns", ""))
    assert all(record.static.shape == (0,) for record in records.values())


def test_gzip_parquet_and_folder_give_the_same_records(pair, tmp_path):
    import pandas as pd

    expected = {name: encode(record) for name, record in _by_id(pair.convert()).items()}
    paths = [tmp_path / "meta.csv", tmp_path / "curves.csv"]
    zipped, parquet = tmp_path / "zipped", tmp_path / "parquet"
    for folder in (zipped, parquet):
        folder.mkdir()
    for path in paths:
        (zipped / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        pd.read_csv(path).to_parquet(parquet / f"{path.stem}.parquet")
    (zipped / "unrelated.csv").write_text("a,b\n1,2\n")
    for folder in (zipped, parquet):
        got = _by_id(pair.convert("--overwrite", paths=[str(folder)]))
        assert {name: encode(record) for name, record in got.items()} == expected
    swapped = _by_id(pair.convert("--overwrite", paths=[str(paths[1]), str(paths[0])]))
    assert set(swapped) == set(expected)


def test_objects_across_batches_are_joined(pair, monkeypatch):
    expected = {name: encode(record) for name, record in _by_id(pair.convert()).items()}
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 400)
    got = _by_id(pair.convert("--overwrite"))
    assert {name: encode(record) for name, record in got.items()} == expected


def test_light_curves_in_two_files(pair, tmp_path):
    paths = pair.write()
    half = 24 * 20
    lines = (tmp_path / "curves.csv").read_text().splitlines(keepends=True)
    for name, part in (("one.csv", lines[1 : half + 1]), ("two.csv", lines[half + 1 :])):
        (tmp_path / name).write_text("".join([lines[0], *part]))
    out = pair.convert(paths=[paths[0], str(tmp_path / "one.csv"), str(tmp_path / "two.csv")])
    assert len(RecordDirectory(out)) == 42


def test_unsorted_times_are_sorted_and_duplicates_kept(pair):
    object_id = pair.ids[3]
    rows = pair.rows_of(object_id)
    first = pair.rows.index(rows[0])
    pair.rows[first : first + len(rows)] = [*reversed(rows), dict(rows[5])]
    lc = _by_id(pair.convert())[object_id].lc
    assert len(lc) == len(rows) + 1
    assert (np.diff(lc.time) >= 0).all()
    assert (lc.time == float(rows[5]["mjd"])).sum() >= 2


def test_detected_may_have_its_other_name(pair):
    for row in pair.rows:
        row["detected"] = row.pop("detected_bool")
    assert len(RecordDirectory(pair.convert())) == 42


def test_unlabelled_objects_go_to_test(pair):
    for row in pair.metadata[:20]:
        row["target"] = ""
    records = RecordDirectory(pair.convert("--folds", "2"))
    unlabelled = np.flatnonzero(records.index["class_id"] == -1)
    assert len(unlabelled) == 20
    assert set(unlabelled) <= set(records.partition_indices("test"))


def test_without_target_column_nothing_is_labelled(pair, capsys):
    for row in pair.metadata:
        for name in list(row):
            if name == "target" or name.startswith("true_"):
                del row[name]
    records = RecordDirectory(pair.convert())
    assert (records.index["class_id"] == -1).all()
    assert records.info.targets == ()
    assert "no object is labelled" in capsys.readouterr().err


def test_an_unpublished_class_is_named_by_its_number(pair):
    pair.metadata[0]["target"] = "991"
    names = {native.id: native.name for native in RecordDirectory(pair.convert()).info.classes}
    assert names[991] == "991"


def test_same_input_same_bytes_and_order_has_no_say_in_splits(pair, tmp_path):
    out = pair.convert("--folds", "2", "--seed", "3")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    partition = {row["object_id"]: row["partition"] for row in read_ledger(out)}
    pair.convert("--folds", "2", "--seed", "3", "--overwrite")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    pair.metadata.reverse()
    pair.convert("--folds", "2", "--seed", "3", "--overwrite")
    assert {row["object_id"]: row["partition"] for row in read_ledger(out)} == partition
    pair.convert("--folds", "2", "--seed", "4", "--overwrite")
    assert {row["object_id"]: row["partition"] for row in read_ledger(out)} != partition


def test_subset_is_in_the_ledger(pair):
    out = pair.convert("--limit-per-class", "2")
    outcomes = Counter((row["outcome"], row["reason"]) for row in read_ledger(out))
    assert outcomes == {("written", ""): 28, ("skipped", "not selected"): 14}
    assert check(out, deep=True).violations == []


def test_options_are_in_the_info_file(pair):
    options = RecordDirectory(pair.convert("--folds", "2", "--flatten", "28")).info.source["options"]
    assert options["files"] == ["meta.csv", "curves.csv"]
    assert (options["folds"], options["flatten"], options["seed"]) == (2, 28, 0)


def test_source_yields_rows_of_the_metadata(pair):
    pair.metadata.reverse()
    source = PlasticcSource(pair.write())
    outcomes = list(source.objects())
    ids, classes = source.labels()
    assert [ids[outcome.row] for outcome in outcomes] == [outcome.object_id for outcome in outcomes]
    assert sorted(outcome.row for outcome in outcomes) == list(range(len(source)))
    assert [classes[outcome.row] for outcome in outcomes] == [o.record.class_id for o in outcomes]


def test_mini_set(shared, tmp_path):
    plasticc.main([str(shared("data/plasticc_mini")), "--out", str(tmp_path / "mini"), "--folds", "5", "--quiet"])
    records = RecordDirectory(tmp_path / "mini")
    assert len(records) == 140
    assert records.index["length"].sum() == 24327
    assert np.bincount(np.unique(records.index["class_id"], return_inverse=True)[1]).tolist() == [10] * 14
    assert check(tmp_path / "mini", deep=True).violations == []


def test_sample_is_what_the_tool_makes_from_the_whole_set(shared, tmp_path):
    from tfrecords.sample import sample_path

    folder = shared("data/plasticc")
    flags = ["--folds", "5", "--flatten", "1670", "--quiet"]
    plasticc.main([str(folder), "--out", str(tmp_path / "sample"), *flags])
    for path in (tmp_path / "sample").iterdir():
        assert path.read_bytes() == (sample_path() / path.name).read_bytes(), path.name


def test_sources_are_found_by_their_files(pair, tiny):
    assert isinstance(open_source([tiny]), PlasticcSource)
    assert isinstance(open_source([*pair.write()]), PlasticcSource)
    out = pair.convert()
    source = open_source([out], static_columns=["mwebv"])
    assert type(source).__name__ == "RecordSource"
    outcomes = list(source.objects())
    assert [outcome.row for outcome in outcomes] == list(range(42))
    assert all(outcome.record.static.shape == (1,) for outcome in outcomes)
    assert source.labels()[0] == [outcome.object_id for outcome in outcomes]
    assert set(SOURCES) >= {"plasticc", "records"}


def test_source_errors(tmp_path, pair):
    with pytest.raises(UsageError, match=r"no data source recognises.*plasticc, "):
        open_source([tmp_path])
    with pytest.raises(UsageError, match="data sources are plasticc, "):
        open_source([tmp_path], name="nothing")
    with pytest.raises(UsageError, match="static columns are"):
        open_source([pair.convert()], static_columns=["nothing"])


def test_a_damaged_record_of_a_source_is_counted(pair):
    out = pair.convert()
    shard = next(out.glob("train*.tfrecord"))
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    outcomes = list(open_source([out]).objects())
    assert [outcome.quarantined for outcome in outcomes].count(True) == 1
    assert len(outcomes) == 42


def test_info_is_plain_json(pair):
    json.loads((pair.convert() / "dataset_info.json").read_text(), parse_constant=pytest.fail)
