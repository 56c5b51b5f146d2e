"""The four-class generator: formula, counts, noise, and the same bytes however it is run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from data_tools import bazin
from tfrecords import check
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import FLAG_DETECTED, LightCurve, Record, encode

# Means and standard deviations of A (at band j), rise and fall time, as the specification of the toy set tells them.
TABLE = {
    0: (lambda j: 100 - 2 * j, 10, 5, 1, 30, 1),
    1: (lambda j: 103 - 2 * j, 10, 5, 1, 10, 1),
    2: (lambda j: 100, 5, 1, 0.2, 10, 0.5),
    3: (lambda j: 100, 10, 10, 0.5, 15, 1),
}


def _run(path, *flags):
    bazin.main(["--out", str(path), "--quiet", *map(str, flags)])
    return RecordDirectory(path)


def _records(directory):
    found = [directory.record(number) for number in range(len(directory))]
    return {record.object_id: record for record in found}


def test_the_twin_is_the_curve_of_the_mean_parameters(tmp_path):
    for record in _records(_run(tmp_path / "r", "--objects", 12, "--start-mjd", 59000)).values():
        amplitude, _, rise, _, fall, _ = TABLE[record.class_id]
        for time, band, twin in zip(record.lc.time, record.lc.band, record.targets["flux"], strict=True):
            since = time - 59000 - 40
            expected = amplitude(int(band)) * math.exp(-since / fall) / (1 + math.exp(since / -rise))
            assert twin == pytest.approx(expected, rel=1e-12)


def test_parameters_scatter_as_stated_and_anew_in_every_band():
    settings = bazin.Settings(drop_fraction=0.0)
    found = {name: {band: [] for band in range(6)} for name in TABLE}
    for number in range(1200):
        record = bazin.make(number, 5, settings)
        for band in range(6):
            flux = record.lc.flux[record.lc.band == band].astype(float)
            # At t0 the curve is A / 2, and the late decline gives the fall time.
            late = flux[[90, 95]]
            found[record.class_id][band].append((2 * flux[40], 5 / np.log(late[0] / late[1])))
    for name, (amplitude, spread, _, _, fall, fall_spread) in TABLE.items():
        for band, rows in found[name].items():
            rows = np.array(rows)
            assert rows[:, 0].mean() == pytest.approx(amplitude(band), abs=4 * spread / math.sqrt(len(rows)))
            assert rows[:, 0].std() == pytest.approx(spread, rel=0.2)
            # What is left of the rise at these days bends the decline of the gradual class by 1 %.
            assert rows[:, 1].mean() == pytest.approx(fall, abs=0.2 + 4 * fall_spread / math.sqrt(len(rows)))
        amplitudes = np.array([[row[0] for row in found[name][band]] for band in range(6)])
        assert np.abs(np.corrcoef(amplitudes)[np.triu_indices(6, 1)]).max() < 0.25


def test_exact_quarters_in_random_order_and_the_points_that_stay(tmp_path):
    directory = _run(tmp_path / "r", "--objects", 400, "--folds", 4)
    assert np.unique(directory.index["class_id"], return_counts=True)[1].tolist() == [100] * 4
    records = _records(directory)
    order = [records[f"bazin{number}"].class_id for number in range(400)]
    assert len({tuple(order[start : start + 4]) for start in range(0, 400, 4)}) > 10
    for record in records.values():
        for band in range(6):
            days = record.lc.time[record.lc.band == band] - 60000
            assert len(set(days)) == 10 and set(days) <= set(range(100))
        assert (record.lc.flags == FLAG_DETECTED).all() and (record.lc.flux_err == np.float32(0.1)).all()
    assert check.main([str(tmp_path / "r"), "--deep", "--json"]) == 0


def test_the_same_bytes_whatever_makes_them(tmp_path):
    flags = ("--objects", 600, "--seed", 9, "--noise", "flux:3")
    one = _run(tmp_path / "one", *flags)
    assert one.info.fingerprint == _run(tmp_path / "two", *flags, "--workers", 2).info.fingerprint
    assert one.info.fingerprint != _run(tmp_path / "other", *flags[:2], "--seed", 8, *flags[4:]).info.fingerprint
    whole, more = _records(one), _records(_run(tmp_path / "more", "--objects", 900, *flags[2:], "--shards", 3))
    assert all(encode(record) == encode(more[name]) for name, record in whole.items())


@pytest.mark.parametrize("noise", ["flux:4", "snr:20"])
def test_noise_is_as_large_as_its_error_says(noise):
    settings = bazin.Settings((noise.split(":")[0], float(noise.split(":")[1])), 0.5, "noise")
    quiet = bazin.Settings(None, 0.5)
    pulls = []
    for number in range(100):
        noisy, clean = bazin.make(number, 1, settings), bazin.make(number, 1, quiet)
        np.testing.assert_array_equal(noisy.lc.time, clean.lc.time)
        np.testing.assert_array_equal(noisy.targets["flux"], clean.targets["flux"])
        pulls.append((noisy.lc.flux - clean.lc.flux) / noisy.lc.flux_err)
        detected = (noisy.lc.flags & FLAG_DETECTED) > 0
        np.testing.assert_array_equal(detected, noisy.lc.flux > 5 * noisy.lc.flux_err)
        if noise == "flux:4":
            assert (noisy.lc.flux_err == 4).all()
        else:
            largest = max(bazin.make(number, 1, bazin.Settings(None, 0.0)).lc.flux)
            assert noisy.lc.flux_err.max() == pytest.approx(largest / 20, rel=1e-5)
    assert np.concatenate(pulls).std() == pytest.approx(1, abs=0.02)
    weights = bazin.Settings(settings.noise, 0.5, "weight")
    assert (bazin.make(0, 1, weights).lc.flux_err == np.float32(0.1)).all()


@pytest.mark.parametrize(
    "flags",
    [("--noise", "flux:-1"), ("--noise", "mag:1"), ("--drop-fraction", "1"), ("--drop-fraction", "0.996"),
     ("--flux-err", "noise"), ("--objects", "0"), ("--folds", "3", "--validation-fraction", "0.1")],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path, flags):
    with pytest.raises(UsageError, match="Received|leave out"):
        bazin.main(["--out", str(tmp_path / "r"), "--objects", "8", *flags])
    assert not (tmp_path / "r").exists()


def test_a_target_of_the_rows_has_as_many_values():
    lc = LightCurve(np.arange(3.0), np.zeros(3), np.ones(3), np.ones(3), np.zeros(3))
    assert encode(Record("a", "s", 0, lc, targets={"flux": np.ones(3), "redshift": np.ones(1)}))
    with pytest.raises(DataError, match=r"target/flux.*a value a row, 3. Received: 2"):
        encode(Record("a", "s", 0, lc, targets={"flux": np.ones(2)}))
