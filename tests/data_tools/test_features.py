"""Computed features: the list, the values of hand-made light curves, and the command."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from data_tools import features
from data_tools.computed import feature_list, feature_values
from data_tools.computed.feature_list import columns
from data_tools.computed.feature_values import FeatureExtractor, code_version
from tfrecords.derived import DerivedGroup, DerivedWriter
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.sample import sample_path
from tfrecords.schema import FLAG_DETECTED, FLAG_TRIGGER, FLAG_UNKNOWN, LightCurve, sort_rows
from tfrecords.writer import DatasetWriter

BANDS = ["g", "r", "i"]
DAYS = (1.0, 8.0, 64.0, float("inf"))


@pytest.fixture(scope="module")
def extract():
    return FeatureExtractor(BANDS)


def _curve(seed=0, rows=60, span=100.0):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0, span, rows)) + 59000.0
    flux = 200 * np.exp(-(((time - 59040.0) / 15.0) ** 2)) + rng.normal(0, 5, rows)
    flags = np.where(flux > 25, FLAG_DETECTED, 0)
    return sort_rows(LightCurve(time, rng.integers(0, 3, rows), flux, np.full(rows, 5.0), flags))


def _by_name(values, row=-1):
    return dict(zip(columns(BANDS), values[row].tolist(), strict=True))


# The list.


def test_the_order_of_the_columns_is_a_contract():
    names = columns(["u", "g", "r", "i", "z", "y"])
    assert len(names) == len(set(names)) == 6 * 51 + 5 * 6 + 19
    assert names[0] == "u_amplitude"
    assert names[51:53] == ["g_amplitude", "g_anderson_darling_normal"]
    assert names[6 * 51] == "u_g_peak_color"
    assert names[-19] == "all_count"
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    message = "another list of features needs another VERSION, and this digest"
    assert (feature_list.VERSION, digest[:16]) == ("1", "06f0b7298e7e0563"), message


def test_one_band_has_no_colours():
    assert not [name for name in columns(["V"]) if "color" in name]
    assert FeatureExtractor(["V"])(None, [1.0]).shape == (1, 51 + 19)


def test_the_version_names_list_and_package():
    assert re.fullmatch(r"features 1, light-curve \d+\.\d+\.\d+\S*", code_version())


def test_a_package_with_other_features_is_refused(monkeypatch):
    fewer = feature_values._statistics
    monkeypatch.setattr(feature_values, "_statistics", lambda package: fewer(package)[1:])
    with pytest.raises(DataError, match=r"does not give the features of list 1.*Received: anderson_darling"):
        FeatureExtractor(BANDS)


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    def missing(name):
        raise feature_values.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(feature_values.importlib.metadata, "version", missing)
    with pytest.raises(DataError, match=r"needs? the package light-curve.*pip install"):
        code_version()


# Values.


def test_values_of_a_light_curve_made_by_hand(extract):
    time = 59000.0 + np.array([-5, 0, 0, 10, 10, 30])
    band = np.array([0, 0, 1, 0, 1, 0])
    flux = np.array([-8.0, 20, 40, 60, 30, 10])
    flags = np.array([0, 1, 1, 1, 0, 1])
    values = _by_name(extract(LightCurve(time, band, flux, np.full(6, 2.0), flags), [64.0]))
    expected = {
        "g_count": 4,
        "g_detected_count": 3,
        "g_amplitude": 34,
        "g_mean": 20.5,
        "g_maximum_snr": 30,
        "g_minimum": -8,
        "g_peak_flux": 60,
        "g_peak_time": 10,
        "g_snr_flux": (-(8.0**3) + 20**3 + 60**3 + 10**3) / (8.0**2 + 20**2 + 60**2 + 10**2),
        "g_negative_share": 0.25,
        "g_before_20_10": (-8 + 20) / 2 / 60,
        "g_before_40_20": np.nan,
        "g_after_10_20": 10 / 60,
        "r_peak_time": 0,
        "r_before_20_10": 40 / 40,
        "i_count": 0,
        "i_mean": np.nan,
        "g_r_peak_color": np.arcsinh(60 / 4) - np.arcsinh(40 / 4),
        "g_r_near_color": np.arcsinh(60 / 4) - np.arcsinh(30 / 4),
        "g_r_peak_lag": -10,
        "r_i_peak_color": np.nan,
        "all_count": 6,
        "all_detected_count": 4,
        "all_detected_bands": 2,
        "all_first_detection": 0,
        "all_last_detection": 30,
        "all_detected_duration": 30,
        "all_longest_gap": 20,
        "all_detected_share": 0.8,
        "all_rise_time": 10,
        "all_decline_time": 20,
        "all_first_time": -5,
        "all_peak_snr": 30,
        "all_peak_band": 0,
        "all_snr_norm": np.sqrt((flux**2).sum()) / 2,
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_day_sees_nothing_of_later_days(extract, seed):
    curve = _curve(seed)
    values = extract(curve, DAYS)
    reference = curve.time[(curve.flags & FLAG_DETECTED) > 0].min()
    for place, day in enumerate(DAYS[:-1]):
        until = curve.time - reference <= day
        cut = LightCurve(*(getattr(curve, key)[until] for key in ("time", "band", "flux", "flux_err", "flags")))
        assert 0 < len(cut) < len(curve)
        np.testing.assert_array_equal(extract(cut, DAYS)[-1], values[place])
    assert (values[0] != values[-1]).any()


def test_days_count_from_the_trigger(extract):
    curve = _curve()
    curve.flags[30] |= FLAG_TRIGGER
    values = _by_name(extract(curve, [1e-9]), 0)
    assert values["all_count"] == 31
    assert values["all_last_time"] == 0
    assert values["all_first_detection"] < 0


def test_flux_in_another_unit_leaves_what_has_no_unit(extract):
    curve = _curve(rows=200)
    scaled = LightCurve(curve.time, curve.band, curve.flux * 4, curve.flux_err * 4, curve.flags)
    one, other = _by_name(extract(curve, DAYS)), _by_name(extract(scaled, DAYS))
    for name in ("g_eta", "g_chi2", "g_after_10_20", "g_r_peak_color", "all_rise_time", "all_peak_snr"):
        assert np.isfinite(one[name])
        assert other[name] == pytest.approx(one[name], rel=1e-5)
    assert other["g_amplitude"] == pytest.approx(4 * one["g_amplitude"], rel=1e-5)


def test_rows_at_the_same_time_in_a_band_are_one_row_for_the_package(extract):
    time, flux, error = np.full(8, 59000.0), np.arange(8.0), np.ones(8)
    time[4:] += np.arange(4)
    values = _by_name(extract(LightCurve(time, np.zeros(8), flux, error, np.zeros(8)), [8.0]))
    assert values["g_mean"] == np.mean([2.0, 5, 6, 7])  # the mean of 0..4 at the first time
    assert values["g_weighted_mean"] == 3.5
    assert values["g_count"] == 8


def test_no_rows_are_no_values(extract):
    empty = LightCurve(*(np.zeros(0),) * 5)
    lost = LightCurve(np.arange(3.0), np.zeros(3), np.full(3, np.nan), np.ones(3), np.zeros(3))
    for curve in (None, empty, lost):
        values = extract(curve, DAYS)
        assert values.shape == (4, len(extract.columns))
        assert np.isnan(values).all()


def test_unknown_flags_leave_detections_missing(extract):
    curve = _curve()
    curve.flags[:] = FLAG_UNKNOWN
    values = _by_name(extract(curve, DAYS))
    missing = {"g_detected_count", "all_detected_count", "all_detected_bands", "all_rise_time"}
    assert all(np.isnan(values[name]) for name in missing)
    assert np.isfinite([values["all_peak_snr"], values["g_count"], values["all_last_time"]]).all()


def test_nothing_makes_it_fail(extract):
    rng = np.random.default_rng(0)
    for number in range(600):
        rows, kind = int(rng.integers(0, 30)), number % 6
        time = rng.choice([0, 1, 1 + 1e-9, 2, 50, 1000], rows) if kind < 3 else rng.uniform(0, 200, rows)
        flux = rng.normal(0, 10.0 ** rng.integers(-30, 37), rows)
        flux = np.full(rows, rng.choice([0, 1, -3])) if kind == 4 else flux
        error = 10.0 ** rng.uniform(*((-37, 37) if kind == 5 else (-2, 2)), rows)
        error[:1] = np.nan if rng.random() < 0.2 else error[:1]
        flags = rng.choice([0, 1, 2, 3, 8], rows)
        curve = sort_rows(LightCurve(59000 + time, rng.integers(0, 3, rows), flux, error, flags))
        values = extract(curve, DAYS)
        assert values.dtype == np.float32
        assert not np.isinf(values).any()


# The command.


@pytest.fixture
def toy(tmp_path):
    """Two hundred toy records of three bands, some without light curve or rows."""
    from tfrecords.info import Band, NativeClass
    from tfrecords.schema import Record

    settings = {
        "survey": "toy", "bands": [Band(name, (), 5000.0 + number) for number, name in enumerate(BANDS)],
        "zero_point": 27.5, "flux_unit": "FLUXCAL", "static_columns": [], "classes": [NativeClass(1, "A")],
        "targets": [], "shards": 2,
    }  # fmt: skip
    with DatasetWriter(tmp_path / "records", **settings) as writer:
        for number in range(200):
            curve = None if number % 50 == 7 else _curve(number, rows=number % 20)
            writer.write(Record(f"obj{number}", "toy", 1, curve), ("train", "test")[number % 2])
    return tmp_path / "records"


def test_processes_change_no_byte(toy):
    one = features.compute(toy, "one", DAYS, workers=1)
    two = features.compute(toy, "two", DAYS, workers=2)
    assert (one / "values.npy").read_bytes() == (two / "values.npy").read_bytes()
    group, records = DerivedGroup(toy, "two", code_version()), RecordDirectory(toy)
    assert (group.columns, group.days) == (tuple(columns(BANDS)), DAYS)
    extract = FeatureExtractor(BANDS)
    for place in (0, 63, 64, 199):
        expected = extract(records.record(place).lc, DAYS)
        np.testing.assert_array_equal(group.values([place])[0], expected)


def test_the_command_says_what_it_did(toy, capsys):
    features.main([str(toy), "--days", "16,inf", "--workers", "2", "--quiet"])
    group = toy / "derived" / "features"
    expected = f"{group}: {len(columns(BANDS))} features ({code_version()}) of 200 objects at days 16, inf\n"
    assert capsys.readouterr().out == expected
    assert DerivedGroup(toy, "features").is_intact()


@pytest.mark.slow
def test_the_embedded_sample(tmp_path):
    directory = tmp_path / "sample"
    shutil.copytree(sample_path(), directory, ignore=shutil.ignore_patterns("derived"))
    features.compute(directory, workers=2)
    group = DerivedGroup(directory, "features")
    assert (len(group.columns), group.days) == (355, features.DAYS)
    values = group.values(np.arange(1668))
    assert np.isfinite(values[:, -1]).mean() > 0.8
    # What is one value everywhere tells nothing; without triggers the first detection is the reference time.
    flat = np.nanmin(values[:, -1], 0) == np.nanmax(values[:, -1], 0)
    assert [name for name, same in zip(group.columns, flat, strict=True) if same] == ["all_first_detection"]


def test_a_group_is_replaced_only_if_asked(toy):
    with DerivedWriter(toy, "features", ["old"], [1.0], "0") as writer:
        for object_id in RecordDirectory(toy).ids(range(200)):
            writer.append(object_id, np.zeros((1, 1)))
    with pytest.raises(UsageError, match=r"derived/features: exists already; --overwrite"):
        features.compute(toy, days=[1.0])
    assert DerivedGroup(toy, "features").columns == ("old",)
    features.compute(toy, days=[1.0], overwrite=True)
    assert DerivedGroup(toy, "features").columns == tuple(columns(BANDS))


@pytest.mark.parametrize("days", ["0,1", "-1", "nan", "2,1", "1,1", "-inf"])
def test_days_are_positive_and_increase(toy, days):
    with pytest.raises(UsageError, match=r"--days are positive and increase.*Received: "):
        features.main([str(toy), f"--days={days}", "--quiet"])
    assert not (toy / "derived").exists()


def test_bad_arguments(toy, tmp_path):
    with pytest.raises(DataError, match="nowhere: not a directory of records"):
        features.compute(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"--workers is at least 1\. Received: 0"):
        features.compute(toy, workers=0)
    with pytest.raises(UsageError, match="is a folder name"):
        features.compute(toy, "../elsewhere")
    with pytest.raises(SystemExit) as end:
        features.main([str(toy), "--days", "soon"])
    assert end.value.code == 2


def test_a_damaged_record_ends_it_and_leaves_nothing(toy):
    records = RecordDirectory(toy)
    shard = toy / records.info.shards[0].name
    data = bytearray(shard.read_bytes())
    data[int(records.index["offset"][3]) + 40] ^= 0xFF
    shard.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "data_tools.features", str(toy), "--workers", "2"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch(rf"error: {re.escape(str(shard))}, record 3.*\n", done.stderr)
    assert not any((toy / "derived").glob("*"))


def test_a_process_that_dies_ends_it(toy, monkeypatch):
    def append(self, object_id, values):
        for process in multiprocessing.active_children():
            process.kill()

    monkeypatch.setattr(DerivedWriter, "append", append)
    monkeypatch.setattr(features, "_PIECE", 4)
    with pytest.raises(DataError, match=r"a process that computes features died.*Received: --workers 2"):
        features.compute(toy, workers=2)
    assert not any((toy / "derived").glob("*"))


class _Panic(BaseException):
    __module__ = "pyo3_runtime"


def test_a_panic_of_the_package_names_the_object(toy, monkeypatch):
    def panic(self, lc, days):
        raise _Panic("no such index")

    monkeypatch.setattr(FeatureExtractor, "_compute", panic)
    with pytest.raises(DataError, match=r"record 0, object 'obj\d+'.*package failed\. Received: no such index"):
        features.compute(toy)
