"""Summaries of classes against a plain loop over the records."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pandas as pd
import pytest

from tfrecords import stats
from tfrecords.errors import UsageError
from tfrecords.info import NativeClass
from tfrecords.reader import RecordDirectory
from tfrecords.schema import Record, Spectrum
from tfrecords.writer import DatasetWriter


def _expected(records, class_id):
    chosen = [record for record in map(records.record, range(len(records))) if record.class_id == class_id]
    lengths = [0 if record.lc is None else len(record.lc) for record in chosen]
    seen = [record for record, length in zip(chosen, lengths, strict=True) if length]
    spans = [max(record.lc.time) - min(record.lc.time) for record in seen]
    bands = [set(record.lc.band.tolist()) for record in seen]
    # Column a has no sentinel and b has -9; every fifth toy object has no static values, all others lack b.
    missing = [r.static is None or any(math.isnan(v) or v == -9 for v in r.static) for r in chosen]
    rows = [(record.lc.band, record.lc.flux / record.lc.flux_err.astype("f8")) for record in seen]
    band, ratio = (np.concatenate(each) for each in zip(*rows, strict=True))
    percentiles = [np.percentile(ratio, q, method="inverted_cdf") for q in (10, 50, 90)]
    peaks = [np.percentile([each.max() for _, each in rows], q, method="inverted_cdf") for q in (10, 50, 90)]
    return {
        "observations": sum(lengths),
        "detected": sum((record.lc.flags & 1).sum() for record in seen) / sum(lengths),
        "nan_flux": 0, "nan_flux_err": 0, "spectra": 0, "stamps": 0,
        "missing_a": sum(r.static is None for r in chosen) / len(chosen), "missing_b": 1.0,
        **{f"snr_p{q}": value for q, value in zip((10, 50, 90), percentiles, strict=True)},
        **{f"peak_snr_p{q}": value for q, value in zip((10, 50, 90), peaks, strict=True)},
        **{f"observations_{name}": (band == n).sum() for n, name in enumerate("gr")},
        **{f"snr_p50_{name}": np.percentile(ratio[band == n], 50, method="inverted_cdf")
           for n, name in enumerate("gr")},
        "objects": len(chosen),
        "length_min": min(lengths), "length_mean": sum(lengths) / len(lengths), "length_max": max(lengths),
        "span_min": min(spans), "span_mean": sum(spans) / len(spans), "span_max": max(spans),
        "bands_min": min(map(len, bands)), "bands_mean": sum(map(len, bands)) / len(bands),
        "bands_max": max(map(len, bands)),
        "share_g": sum(0 in each for each in bands) / len(chosen),
        "share_r": sum(1 in each for each in bands) / len(chosen),
        "without_observations": lengths.count(0), "static_missing": sum(missing) / len(chosen),
    }  # fmt: skip


def test_numbers_are_those_of_a_plain_loop(directory):
    records = RecordDirectory(directory)
    rows = stats.summarise(records)
    assert [(row["class"], row["class_id"]) for row in rows] == [("A", 3), ("B", 5), ("unlabelled", -1)]
    for row in rows:
        expected = _expected(records, row["class_id"])
        assert set(row) == {"class", "class_id", *expected}
        for key, value in expected.items():
            tolerance = 0.0101 * np.hypot(1, value) if "snr" in key else 1e-9
            assert row[key] == pytest.approx(value, abs=tolerance), key


def test_empty_classes_missing_static_and_objects_without_rows(tmp_path, settings, make_record, capsys):
    path = tmp_path / "few"
    settings["classes"] = [*settings["classes"], NativeClass(9, "nobody")]
    empty, full, other = make_record(8), make_record(11), make_record(2)
    full.static, other.static, empty.static = [1.0, 2.0], [1.0, -9.0], [0.0, 1.0]
    for record in (empty, full, other):
        record.class_id = 3
        record.__post_init__()
    with DatasetWriter(path, **settings) as writer:
        for record in (empty, full, other):
            writer.write(record, "train")
    rows = {row["class"]: row for row in stats.summarise(path)}
    assert rows["A"]["static_missing"] == pytest.approx(1 / 3)
    assert (rows["A"]["without_observations"], rows["A"]["length_min"]) == (1, 0)
    assert rows["nobody"]["objects"] == 0 and math.isnan(rows["nobody"]["length_mean"])
    stats.main([str(path), "--quiet"])
    assert "Classes without objects: B, nobody" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", stats.SUFFIXES)
def test_the_table_as_a_file(directory, tmp_path, suffix, capsys):
    path = tmp_path / f"table{suffix}"
    stats.main([str(directory), "--out", str(path), "--quiet"])
    assert "unlabelled (-1)" in capsys.readouterr().out
    if suffix == ".json":
        found = json.loads(path.read_text())
    elif suffix == ".csv":
        found = list(csv.DictReader(path.read_text().splitlines()))
    else:
        found = pd.read_parquet(path).to_dict("records")
    for row, expected in zip(found, stats.summarise(directory), strict=True):
        assert list(row) == list(expected)
        assert row["class"] == expected["class"]
        assert float(row["span_mean"]) == pytest.approx(expected["span_mean"])


def test_another_suffix_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match=r"\.parquet.*Received: t\.txt"):
        stats.main([str(tmp_path), "--out", "t.txt"])


def test_nan_spectra_and_stamps_are_counted(tmp_path, settings, make_record):
    record = make_record(2, rows=6)
    record.lc.flux = np.array([np.nan, np.nan, 1, 2, 3, 40], "f4")
    record.lc.flux_err = np.array([1, np.nan, np.nan, 1, 1, 2], "f4")
    record.spectrum = Spectrum([4000], [1], [1])
    with DatasetWriter(tmp_path / "one", **settings) as writer:
        writer.write(record, "train")
    row = stats.summarise(tmp_path / "one")[-1]
    assert (row["nan_flux"], row["nan_flux_err"], row["spectra"], row["stamps"]) == (2, 2, 1, 0)
    assert row["peak_snr_p50"] == pytest.approx(20, rel=0.0101)


def test_percentiles_of_ratios_of_any_size():
    values = np.concatenate([np.random.default_rng(0).normal(size=5000) * 10**k for k in range(-3, 6)])
    histogram = stats.Histogram()
    histogram.add(np.append(values, np.nan))
    assert histogram.counts.sum() == len(values)
    for percent in (10, 30, 50, 77, 90):
        expected = np.percentile(values, percent, method="inverted_cdf")
        assert histogram.percentile(percent) == pytest.approx(expected, abs=0.0101 * np.hypot(1, expected))
    assert math.isnan(stats.Histogram().percentile(50))


def test_plots(directory, tmp_path, capsys):
    stats.main([str(directory), "--plots", str(tmp_path / "plots"), "--quiet"])
    names = {"classes.png", "lengths.png", "bands.png", "snr.png", "missing.png"}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "plots").iterdir())
    assert "plot: " in capsys.readouterr().out


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bands", [None, []])
def test_plots_of_records_without_light_curves(tmp_path, settings, bands):
    settings["static_columns"] = []
    settings["bands"] = settings["bands"] if bands is None else bands
    with DatasetWriter(tmp_path / "one", **settings) as writer:
        writer.write(Record("a", "toy", 3, spectrum=Spectrum([4000], [1], [1])), "train")
    stats.main([str(tmp_path / "one"), "--plots", str(tmp_path / "plots"), "--quiet"])
    assert len(list((tmp_path / "plots").iterdir())) == 4
