"""The commands check and show, and the embedded sample."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time

import numpy as np
import pytest

from tfrecords import check, show
from tfrecords.derived import DerivedWriter
from tfrecords.errors import UsageError
from tfrecords.framing import frame, read_frames
from tfrecords.info import DatasetInfo, StaticColumn
from tfrecords.reader import RecordDirectory
from tfrecords.sample import sample_path
from tfrecords.schema import FLAG_SATURATED, FLAG_TRIGGER, Spectrum, Stamps
from tfrecords.wire import decode_example, encode_example
from tfrecords.writer import DatasetWriter


def _check(directory, capsys, *flags):
    code = check.main([str(directory), "--json", *flags])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("flags", [(), ("--deep",)])
def test_a_good_directory(directory, capsys, flags):
    code, result = _check(directory, capsys, *flags)
    assert (code, result["records"], result["violations"]) == (0, 60, [])


def test_a_changed_byte_is_found_by_shard_and_record(directory, capsys):
    shard = sorted(directory.glob("fold1*.tfrecord"))[1]
    content = bytearray(shard.read_bytes())
    content[list(read_frames(bytes(content), "x"))[2][0] + 30] ^= 4
    shard.write_bytes(content)
    assert _check(directory, capsys)[0] == 0
    code, result = _check(directory, capsys, "--deep")
    assert code == 1
    assert {(each["file"], each["record"]) for each in result["violations"]} >= {
        (shard.name, -1),
        (shard.name, 2),
    }


def test_a_shard_cut_between_records(directory, capsys):
    shard = min(directory.glob("test*.tfrecord"))
    shard.write_bytes(shard.read_bytes()[: list(read_frames(shard.read_bytes(), "x"))[-1][0]])
    code, result = _check(directory, capsys)
    assert code == 1
    assert [each["file"] for each in result["violations"]] == [shard.name]


def test_a_well_framed_record_that_breaks_the_schema(directory, capsys, make_record):
    # Same size and right checksums: only the rule itself can tell.
    shard = min(directory.glob("fold0*.tfrecord"))
    frames = [payload for _, payload in read_frames(shard.read_bytes(), "x")]
    number = next(n for n, payload in enumerate(frames) if decode_example(payload).get("lc/flux"))
    features = decode_example(frames[number])
    features["lc/flux"] = b"\x00\x00\x80\x7f" + features["lc/flux"][4:]
    frames[number] = encode_example(features)
    shard.write_bytes(b"".join(map(frame, frames)))
    code, result = _check(directory, capsys, "--deep")
    assert code == 1
    assert any(each["record"] == number and "'lc/flux' is finite" in each["message"] for each in result["violations"])


@pytest.fixture
def complete(tmp_path, settings, make_record):
    """Records with spectra, stamps, targets of every kind and a derived group."""
    path = tmp_path / "complete"
    settings["targets"] = [*settings["targets"], "flux"]
    alerts = {"stamp_channels": ["s"], "alert_columns": [StaticColumn("fwhm")]}
    with DatasetWriter(path, **settings, **alerts) as writer:
        for number in (2, 3, 5):
            record = make_record(number, rows=4)
            record.targets |= {"redshift": np.ones(1), "flux": np.arange(4.0)}
            record.spectrum = Spectrum([4000, 5000, 6000], [1, 2, 3], [1, 2, 3])
            record.stamps = Stamps(np.ones((2, 3, 3, 1)), [1.0, 2.0], np.ones((2, 1)))
            writer.write(record, "train")
    with DerivedWriter(path, "g", ["a"], [1.0], "1") as writer:
        for number in (2, 3, 5):
            writer.append(f"obj{number}", np.zeros((1, 1)))
    return path


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("spectrum/wavelength", np.array([4000, 4000, 6000], "<f4").tobytes(), "finite and increases"),
        ("spectrum/ivar", np.array([1, -1, 1], "<f4").tobytes(), "not negative"),
        ("spectrum/flux", np.array([1, np.inf, 1], "<f4").tobytes(), "'spectrum/flux' is finite or NaN"),
        ("stamps", np.full(18, np.inf, "<f4").tobytes(), "'stamps' is finite or NaN"),
        ("stamps/shape", [2, 9, 1, 2], "Received:"),
        ("stamps/shape", [1, 3, 3, 2], "Received:"),
        ("stamps/time", np.array([1, np.nan]).tobytes(), "'stamps/time' is finite"),
        ("target/redshift", np.array([np.inf]).tobytes(), "'target/redshift' is finite"),
        ("target/flux", np.array([0, 1, -np.inf, 1]).tobytes(), "'target/flux' is finite"),
        ("static", np.array([np.inf, 0], "<f4").tobytes(), "'static' is finite"),
    ],
)
def test_every_kind_of_content_is_checked(complete, capsys, key, value, message):
    assert _check(complete, capsys, "--deep")[0] == 0
    shard = next(complete.glob("*.tfrecord"))
    payloads = [payload for _, payload in read_frames(shard.read_bytes(), "x")]
    features = decode_example(payloads[0])
    changed = encode_example(features | {key: value})
    assert len(changed) == len(payloads[0])
    shard.write_bytes(b"".join(map(frame, [changed, *payloads[1:]])))
    code, result = _check(complete, capsys, "--deep")
    assert code == 1
    assert any(each["record"] == 0 and message in each["message"] for each in result["violations"])


@pytest.mark.parametrize("target", ["redshift", "flux"])
def test_a_target_that_the_info_file_does_not_name(complete, capsys, target):
    path = complete / "dataset_info.json"
    info = DatasetInfo.load(complete)
    path.write_text(dataclasses.replace(info, targets=tuple(set(info.targets) - {target})).to_json())
    code, result = _check(complete, capsys, "--deep")
    assert code == 1
    assert len([each for each in result["violations"] if f"Received: ['{target}']" in each["message"]]) == 3


def test_a_damaged_derived_group_of_good_records(complete, capsys):
    values = complete / "derived" / "g" / "values.npy"
    values.write_bytes(values.read_bytes()[:-1] + b"\x01")
    assert [each["file"] for each in _check(complete, capsys, "--deep")[1]["violations"]] == ["derived/g"]
    assert check.main([str(complete), "--deep"]) == 1
    assert "MB/s" in capsys.readouterr().out


def test_a_record_twice(tmp_path, settings, capsys, make_record):
    path = tmp_path / "twins"
    with DatasetWriter(path, **settings) as writer:
        for number in (11, 17, 23):
            writer.write(make_record(number, rows=5), "train")
    shard = next(path.glob("*.tfrecord"))
    frames = [payload for _, payload in read_frames(shard.read_bytes(), "x")]
    assert len(frames[0]) == len(frames[2])
    frames[2] = frames[0]
    shard.write_bytes(b"".join(map(frame, frames)))
    _, result = _check(path, capsys, "--deep")
    found = {(each["file"], each["record"], each["object_id"]) for each in result["violations"]}
    assert {(shard.name, 2, "obj11"), ("ledger.csv", -1, "obj23")} <= found
    assert any("'obj11' twice" in each["message"] for each in result["violations"])


def test_ledger_and_derived_groups_are_checked(directory, capsys):
    records = RecordDirectory(directory)
    with DerivedWriter(records, "g", ["a"], [1.0], "1") as writer:
        for object_id in records.ids(np.arange(60)):
            writer.append(object_id, np.zeros((1, 1)))
    values = directory / "derived" / "g" / "values.npy"
    values.write_bytes(values.read_bytes()[:-1] + b"\x01")
    ledger = directory / "ledger.csv"
    ledger.write_text(ledger.read_text().replace("lost,skipped", "lost,written"))
    _, result = _check(directory, capsys, "--deep")
    assert [each["file"] for each in result["violations"]] == ["ledger.csv", "ledger.csv", "derived/g"]


def test_not_records(tmp_path, capsys):
    assert check.main([str(tmp_path)]) == 1
    assert "not a directory of records" in capsys.readouterr().out


def test_show_prints_and_plots(directory, tmp_path, capsys, make_record):
    path = tmp_path / "plot.png"
    show.main([str(directory), "--object", "obj2", "--plot", str(path)])
    out = capsys.readouterr().out
    assert "obj2" in out
    assert "unlabelled (-1)" in out
    assert path.read_bytes().startswith(b"\x89PNG")


def test_show_marks_trigger_and_saturated_points(directory, make_record):
    record = make_record(2)
    record.lc.flags[:] = 0
    record.lc.flags[0] = FLAG_TRIGGER
    record.lc.flags[-1] = FLAG_SATURATED
    info = RecordDirectory(directory).info
    labels = set()
    for axis in show.plot(record, info).axes:
        labels |= set(axis.get_legend_handles_labels()[1])
    assert labels == {"not detected", "trigger", "saturated"}


def test_show_without_light_curve(directory, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    show.main([str(directory), "--object", "obj0"])
    assert "none" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))
    with pytest.raises(UsageError, match="no light curve"):
        show.main([str(directory), "--object", "obj0", "--plot", "x.png"])


def test_describe_marks_missing_values(directory, make_record):
    record = make_record(2)
    record.static = np.array([1, -9], "f4")
    lines = dict(show.describe(record, RecordDirectory(directory).info))
    assert lines["b"] == "-9 mag (missing)"
    assert lines["a"] == "1"


def test_embedded_sample():
    path = sample_path()
    assert sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file()) <= 6_000_000
    records = RecordDirectory(path)
    assert len(records) > 1500
    assert len(records.info.classes) == 14
    assert len(records.info.bands) == 6
    counts = [len(records.partition_indices(name)) for name in records.info.partitions]
    assert min(counts) > 200
    for fold in range(5):
        for split in ("train", "validation", "test"):
            indices = records.split_indices(split, fold)
            assert len(np.unique(records.index["class_id"][indices])) == 14
    text = (path / "dataset_info.json").read_text()
    assert not any(column.caution for column in records.info.static_columns)
    assert "/" not in text


def test_embedded_sample_is_sound(capsys):
    assert _check(sample_path(), capsys, "--deep")[0] == 0


@pytest.mark.parametrize("module", ["tfrecords.check", "tfrecords.show", "tfrecords.stats"])
def test_help_is_fast_and_light(module):
    code = (
        f"import sys, runpy; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_module({module!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'pandas', 'matplotlib', 'pyarrow', 'scipy'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    start = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 2
    assert "usage:" in result.stdout
    assert "heavy: []" in result.stdout
