"""Exported tables read back with pandas are the records, value for value."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow.csv
import pyarrow.parquet
import pytest

from tfrecords import export
from tfrecords.errors import DataError, UsageError
from tfrecords.export_tables import INFO_NAME
from tfrecords.info import StaticColumn
from tfrecords.reader import RecordDirectory
from tfrecords.schema import LightCurve, Record, Spectrum, Stamps
from tfrecords.writer import DatasetWriter


@pytest.fixture
def everything(tmp_path, settings, make_record):
    """Records with all there can be: stamps of two shapes, spectra, targets of any length, columns of taken names."""
    path = tmp_path / "everything"
    settings["targets"] = [*settings["targets"], "flux", "curve"]
    settings["static_columns"] = [StaticColumn("a"), StaticColumn("class_id")]
    with DatasetWriter(
        path, **settings, stamp_channels=["s", "t"], alert_columns=[StaticColumn("mjd"), StaticColumn("fwhm")]
    ) as writer:
        for number in range(30):
            rng = np.random.default_rng(number)
            record = make_record(number)
            if record.lc is not None and number % 2:
                record.targets["flux"] = rng.normal(size=len(record.lc))
            if number % 3 == 0:
                record.targets["curve"] = rng.normal(size=4)
                waves = np.sort(rng.uniform(3000, 9000, 5 + number)).astype("f4")
                record.spectrum = Spectrum(waves, np.where(waves > 5000, waves, np.nan), np.ones(len(waves)))
            if number % 4 == 0:
                shape = (1 + number % 3, 3, 4 + number % 2, 2)
                metadata = rng.normal(size=(shape[0], 2))
                record.stamps = Stamps(rng.normal(size=shape), rng.uniform(size=shape[0]), metadata)
            writer.write(record, ("test", "train")[number % 2])
    return path


def _frames(folder, suffix):
    read = pd.read_parquet if suffix == "parquet" else lambda path: pyarrow.csv.read_csv(path).to_pandas()
    return {path.stem: read(path) for path in folder.glob(f"*.{suffix}")}


def _rebuild(folder, suffix, bands, targets):
    """Make records of the tables, by id."""
    frames = _frames(folder, suffix)
    curves = dict(list(frames["light_curves"].groupby("object_id", sort=False)))
    found = {}
    for row in frames["objects"].to_dict("records"):
        object_id = row["object_id"]
        record = Record(object_id, row["survey"], row["class_id"])
        if object_id in curves:
            rows = curves[object_id]
            flags = sum(rows[n].to_numpy() * bit for n, bit in
                        (("detected", 1), ("trigger", 2), ("saturated", 4), ("unknown", 8)))  # fmt: skip
            record.lc = LightCurve(rows["mjd"], rows["band"].map(bands.index), rows["flux"], rows["flux_err"], flags)
            if "target_flux" in rows and rows["target_flux"].notna().all():
                record.targets["flux"] = rows["target_flux"].to_numpy()
        elif not np.isnan(row["rows"]):
            record.lc = LightCurve(*(np.zeros(0),) * 5)
        for name in targets:
            if not np.isnan(row[f"target_{name}"]):
                record.targets[name] = np.array([row[f"target_{name}"]])
        found[object_id] = (record, row)
    return frames, found


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_way_back(everything, tmp_path, suffix, make_record):
    out = tmp_path / "out"
    counts = export.export(everything, out, suffix)
    records = RecordDirectory(everything)
    frames, found = _rebuild(out, suffix, ["g", "r"], ["redshift", "t0"])
    assert list(found) == records.ids(np.arange(30))
    assert {name: len(frame) for name, frame in frames.items()} == {name: n for name, n in counts.items() if n}
    for number in range(30):
        record, (mine, row) = records.record(number), found[records.ids([number])[0]]
        assert (mine.class_id, mine.survey) == (record.class_id, record.survey)
        assert row["partition"] == records.info.partitions[records.index["partition"][number]]
        assert (mine.lc is None) == (record.lc is None)
        if record.lc is not None:
            for name in ("time", "band", "flux", "flux_err", "flags"):
                assert np.array_equal(getattr(mine.lc, name), getattr(record.lc, name)), name
        static = [np.nan, np.nan] if record.static is None else record.static
        assert np.array_equal(np.array([row["a"], row["static_class_id"]], "f4"), static, equal_nan=True)
        for name in ("redshift", "t0", "flux"):
            assert np.array_equal(mine.targets.get(name, []), record.targets.get(name, []))
        curve = frames["targets"].query("object_id == @record.object_id")
        assert np.array_equal(curve["value"], record.targets.get("curve", []))
        spectrum = frames["spectra"].query("object_id == @record.object_id")
        assert len(spectrum) == (0 if record.spectrum is None else 1 if suffix == "parquet" else len(spectrum))
        for name in ("wavelength", "flux", "ivar") if record.spectrum is not None else ():
            values = spectrum[name].iloc[0] if suffix == "parquet" else spectrum[name]
            assert np.array_equal(np.asarray(values, "f4"), getattr(record.spectrum, name), equal_nan=True)
        _same_stamps(frames["stamps"].query("object_id == @record.object_id"), record.stamps, out)


def _same_stamps(frame, stamps, out):
    assert len(frame) == (0 if stamps is None else len(stamps.time))
    if stamps is None:
        return
    assert np.array_equal(frame["mjd"], stamps.time)
    assert np.array_equal(frame[["alert_mjd", "fwhm"]].to_numpy("f4"), stamps.metadata)
    if "file" in frame:
        assert np.array_equal(np.load(out / frame["file"].iloc[0]), stamps.images)
    else:
        shape = frame[["height", "width", "channels"]].to_numpy()
        images = [np.reshape(image, size) for image, size in zip(frame["image"], shape, strict=True)]
        assert np.array_equal(images, stamps.images)


def test_missing_and_nan_differ_in_parquet(everything, tmp_path):
    export.export(everything, tmp_path / "out")
    table = pyarrow.parquet.read_table(tmp_path / "out" / "objects.parquet")
    rows = {row["object_id"]: row for row in table.to_pylist()}
    assert rows["obj5"]["a"] is None
    assert np.isnan(rows["obj6"]["static_class_id"])
    assert (rows["obj7"]["rows"], rows["obj8"]["rows"]) == (None, 0)
    assert rows["obj2"]["class_name"] is None
    assert table.schema.field("a").type == "float"
    info = json.loads(table.schema.metadata[b"export_info"])
    assert info == json.loads((tmp_path / "out" / INFO_NAME).read_text())
    assert [band["name"] for band in info["bands"]] == ["g", "r"]
    assert [column["table_name"] for column in info["static_columns"]] == ["a", "static_class_id"]


def test_row_groups_do_not_change_the_tables(everything, tmp_path, monkeypatch):
    export.export(everything, tmp_path / "one")
    monkeypatch.setattr("tfrecords.export_tables._GROUP_ROWS", 7)
    export.export(everything, tmp_path / "two")
    for path in (tmp_path / "one").glob("*.parquet"):
        one, two = (pyarrow.parquet.read_table(each).to_pylist() for each in (path, tmp_path / "two" / path.name))
        assert repr(one) == repr(two)
    assert pyarrow.parquet.ParquetFile(tmp_path / "two" / "light_curves.parquet").num_row_groups > 10


def test_one_table_of_one_partition(directory, tmp_path, capsys):
    out = tmp_path / "one.csv"
    flags = ["--to", "csv", "--table", "objects", "--partitions", "fold0,test", "--quiet"]
    export.main([str(directory), "--out", str(out), *flags])
    assert "objects 42 rows" in capsys.readouterr().out
    assert set(pd.read_csv(out)["partition"]) == {"fold0", "test"}
    with pytest.raises(DataError, match="nothing for this table"):
        export.export(directory, tmp_path / "s.parquet", table="spectra")
    assert not list(tmp_path.glob(".*"))


def test_overwriting(directory, tmp_path):
    out = tmp_path / "out"
    export.export(directory, out)
    with pytest.raises(UsageError, match="the output exists"):
        export.export(directory, out)
    export.export(directory, out, "csv", overwrite=True)
    assert {path.name for path in out.iterdir()} == {"light_curves.csv", "objects.csv", INFO_NAME}
    other = tmp_path / "mine"
    other.mkdir()
    with pytest.raises(UsageError, match="the output exists"):
        export.export(directory, other, overwrite=True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x", {"to": "hdf5"}), ("x", {"table": "objects"}), ("x.csv", {"to": "csv"}), ("x", {"partitions": ["train"]}),
        ("x", {"to": "csv", "stamps_as": "list"}), ("x.parquet", {"table": "stamps", "stamps_as": "npy"}),
        ("x.parquet", {"table": "nothing"}), ("records", {"overwrite": True}),
    ],
)  # fmt: skip
def test_wrong_usage(directory, tmp_path, name, options):
    with pytest.raises(UsageError):
        export.export(directory, tmp_path / name, **options)


def test_a_damaged_record_leaves_nothing(directory, tmp_path):
    shard = next(directory.glob("*.tfrecord"))
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=shard.name):
        export.export(directory, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_records_of_spectra_only(tmp_path, settings, suffix):
    with DatasetWriter(tmp_path / "spectra", **settings) as writer:
        waves = np.linspace(4000, 5000, 9)
        writer.write(Record("a", "toy", 3, spectrum=Spectrum(waves, waves, np.ones(9))), "train")
    rows = export.export(tmp_path / "spectra", tmp_path / "out", suffix)
    assert rows["objects"] == 1 and rows["light_curves"] == 0 and rows["spectra"] > 0
    assert list(_frames(tmp_path / "out", suffix)["light_curves"].columns)[:2] == ["object_id", "mjd"]
