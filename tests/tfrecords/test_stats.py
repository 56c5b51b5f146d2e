"""Summaries of classes against a plain loop over the records."""

from __future__ import annotations

import csv
import json
import math

import pandas as pd
import pytest

from tfrecords import stats
from tfrecords.errors import UsageError
from tfrecords.info import NativeClass
from tfrecords.reader import RecordDirectory
from tfrecords.writer import DatasetWriter


def _expected(records, class_id):
    chosen = [record for record in map(records.record, range(len(records))) if record.class_id == class_id]
    lengths = [0 if record.lc is None else len(record.lc) for record in chosen]
    seen = [record for record, length in zip(chosen, lengths, strict=True) if length]
    spans = [max(record.lc.time) - min(record.lc.time) for record in seen]
    bands = [set(record.lc.band.tolist()) for record in seen]
    # Column a has no sentinel and b has -9; every fifth toy object has no static values, all others lack b.
    missing = [r.static is None or any(math.isnan(v) or v == -9 for v in r.static) for r in chosen]
    return {
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
        assert {key: row[key] for key in row if key not in ("class", "class_id")} == pytest.approx(
            _expected(records, row["class_id"])
        )


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
