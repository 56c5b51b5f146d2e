"""Re-simulated copies: the Gaussian process, what another redshift does to a light curve, and the command."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from data_tools import features, resimulate
from data_tools.computed.gaussian_process import GaussianProcess
from data_tools.synthetic.copies import Columns, Resimulator
from data_tools.synthetic.resimulation import (
    Extragalactic,
    Galactic,
    Settings,
    detection_chance,
    flux_factor,
    generator,
    luminosity_distance,
    photometric_redshift,
)
from tfrecords import command, show
from tfrecords.check import check
from tfrecords.errors import DataError, UsageError
from tfrecords.info import DatasetInfo
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.schema import FLAG_DETECTED, FLAG_TRIGGER, FLAG_UNKNOWN, LightCurve, Record

WAVELENGTHS = np.array([4800.0, 6200.0, 7500.0])
STILL = Settings((1.0, 1.0), (1.0, 1.0), 0.0, 0.0, 0.0, 0.0)


def _event(error=1.0, rows=90):
    """A bump of 15 days around day 40, brighter in the red, without noise."""
    time = np.sort(np.random.default_rng(0).uniform(0, 100, rows)) + 59000.0
    band = (np.arange(rows) % 3).astype("u1")
    flux = 100 * (1 + band / 4) * np.exp(-(((time - 59040) / 15) ** 2))
    flags = np.where(flux > 6 * error, FLAG_DETECTED, 0)
    return LightCurve(time, band, flux, np.full(rows, error), flags)


def _extragalactic(lc, settings=STILL, redshift=0.3, photometric=0.3):
    return Extragalactic(lc, WAVELENGTHS, redshift, photometric, settings)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Small matrices are slower with more."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


# The process.


def test_the_process_follows_the_light_curve_and_knows_where_it_does_not():
    lc = _event()
    process = GaussianProcess(lc.time, WAVELENGTHS[lc.band], lc.flux, lc.flux_err)
    mean, std = process.predict(lc.time, WAVELENGTHS[lc.band])
    assert np.abs(mean - lc.flux).max() < 3
    assert std.max() <= 1
    assert 10 < process.scale < 200
    far, unknown = process.predict(np.array([60000.0]), WAVELENGTHS[:1])
    assert abs(far[0]) < 1e-3
    assert unknown[0] == pytest.approx(process.amplitude, rel=1e-3)


def test_the_likelihood_is_that_of_a_normal_distribution():
    from scipy.stats import multivariate_normal

    from data_tools.computed import gaussian_process

    lc = _event(rows=12)
    squared = ((lc.time[:, None] - lc.time) / 20) ** 2
    correlation = gaussian_process._matern(squared)
    error = np.linspace(1, 3, 12)
    whitened = correlation / (error[:, None] * error), lc.flux / error
    amplitudes = np.array([10.0, 60.0])
    value, amplitude = gaussian_process._likelihood(*whitened, amplitudes)
    full = [multivariate_normal.logpdf(lc.flux, cov=a**2 * correlation + np.diag(error**2)) for a in amplitudes]
    constant = 6 * np.log(2 * np.pi) + np.log(error).sum()
    assert value == pytest.approx(max(full) + constant)
    assert amplitude == amplitudes[np.argmax(full)]


@pytest.mark.parametrize("rows", [10, 700])
def test_few_and_many_rows_and_equal_rows(rows):
    time, flux = np.repeat(59000.0 + np.arange(rows // 2), 2), np.repeat(np.arange(rows // 2.0), 2)
    process = GaussianProcess(time, np.full(rows, 5000.0), flux, np.full(rows, 1e-9))
    mean, std = process.predict(time, np.full(rows, 5000.0))
    assert np.isfinite([mean, std]).all()
    assert np.abs(mean - flux).max() < 0.5


# Another redshift.


def test_distances_are_those_of_the_stated_universe():
    from astropy.cosmology import FlatLambdaCDM

    for redshift in (0.003, 0.1, 1.0, 3.0):
        expected = FlatLambdaCDM(H0=70, Om0=0.3).luminosity_distance(redshift).value
        assert luminosity_distance(redshift) == pytest.approx(expected, rel=1e-5)
    assert flux_factor(0.5, 0.5) == 1
    assert flux_factor(0.01, 0.02) == pytest.approx(0.25, rel=0.03)
    assert flux_factor(0.2, 0.4) * flux_factor(0.4, 0.2) == pytest.approx(1)


def test_at_its_own_redshift_and_without_noise_a_copy_is_the_process():
    lc = _event()
    source = _extragalactic(lc)
    mean, std = source.process.predict(lc.time, WAVELENGTHS[lc.band])
    np.testing.assert_allclose(source.at(0.3, lc.time, lc.band)[0], mean, rtol=1e-12)
    copy = source.draw(generator(0, "a", 1))
    assert (copy.redshift, copy.stretch) == (pytest.approx(0.3), pytest.approx(1))
    np.testing.assert_array_equal(copy.lc.time, lc.time)
    np.testing.assert_allclose(copy.lc.flux_err, np.maximum(lc.flux_err, std), rtol=1e-6)
    assert np.std((copy.lc.flux - mean) / lc.flux_err) < 1.2


@pytest.mark.parametrize("new", [0.2, 0.45])
def test_another_redshift_stretches_time_moves_bands_and_dims(new):
    lc = _event()
    source = _extragalactic(lc)
    stretch = (1 + new) / 1.3
    reference = lc.time[(lc.flags & FLAG_DETECTED) > 0].min()
    then = np.array([0.0, 10.0, 30.0])
    band = np.array([1, 1, 1])
    mean, std, known = source.at(new, reference + then * stretch, band)
    expected, uncertainty = source.process.predict(reference + then, np.full(3, 6200.0 / stretch))
    factor = stretch * (luminosity_distance(0.3) / luminosity_distance(new)) ** 2
    np.testing.assert_allclose(mean, expected * factor, rtol=1e-9)
    np.testing.assert_allclose(std, uncertainty * factor, rtol=1e-9)
    assert known.all()
    assert not source.at(new, np.array([58900.0, 59300.0]), band[:2])[2].any()


def test_new_redshifts_keep_to_their_range_and_outside_the_galaxy():
    rng = np.random.default_rng(0)
    for redshift, photometric in ((0.3, 0.3), (0.5, 0.02), (0.2, 2.8), (2.0, 2.0)):
        source = _extragalactic(_event(), Settings(redshift_range=(0.5, 2.0)), redshift, photometric)
        drawn = np.array([source.draw_redshift(rng) for _ in range(200)])
        stretch = (1 + drawn) / (1 + redshift)
        assert (drawn >= 0.5 * redshift * 0.999).all()
        assert (drawn <= 2 * redshift * 1.001).all()
        assert (stretch > 0.799).all()
        assert (stretch < 1.251).all()
        assert min(photometric_redshift(photometric, redshift, each) for each in drawn) > 0.49 * min(photometric, 0.2)
        assert np.ptp(drawn) > 0.1 * redshift


def test_the_error_of_a_photometric_redshift_grows_with_the_redshift():
    assert photometric_redshift(0.4, 0.3, 0.3) == pytest.approx(0.4)
    assert photometric_redshift(0.3, 0.3, 0.6) == pytest.approx(0.6)
    assert photometric_redshift(0.43, 0.3, 0.56) == pytest.approx(0.56 + 0.13 * 1.2)


def test_copies_scatter_around_the_process_by_their_errors():
    lc = _event(error=5.0)
    source = _extragalactic(lc, Settings((1, 1), (1, 1), 0.0, 0.0, 0.0, 0.3))
    draws = [source.draw(generator(1, "a", number)).lc for number in range(60)]
    mean, std = source.process.predict(lc.time, WAVELENGTHS[lc.band])
    # What the process does not know is noise already there.
    added = [np.sqrt(np.maximum(each.flux_err**2 - std**2, 1e-9)) for each in draws]
    scatter = np.concatenate([(each.flux - mean) / noise for each, noise in zip(draws, added, strict=True)])
    assert abs(scatter.mean()) < 0.05
    assert 0.95 < scatter.std() < 1.05
    factors = [np.median(each.flux_err / lc.flux_err) for each in draws]
    assert 0.2 < np.std(np.log(factors)) < 0.4


def test_an_object_in_the_galaxy_keeps_its_observations():
    lc = _event()
    copy = Galactic(lc, STILL).draw(generator(0, "a", 1)).lc
    for name in ("time", "band", "flux", "flux_err", "flags"):
        np.testing.assert_array_equal(getattr(copy, name), getattr(lc, name))
    faint = Galactic(lc, Settings((1, 1), (0.1, 0.1), 0.0, 0.0, 0.0, 0.0)).draw(generator(0, "a", 1)).lc
    np.testing.assert_allclose(faint.flux_err, 1.0)
    noise = faint.flux - 0.1 * lc.flux
    assert 0.7 < noise.std() < 1.3
    assert (faint.flags & FLAG_DETECTED).sum() < (lc.flags & FLAG_DETECTED).sum()
    bright = Galactic(lc, Settings((1, 1), (3, 3), 0.0, 0.0, 0.0, 0.0)).draw(generator(0, "a", 1)).lc
    np.testing.assert_allclose(bright.flux / bright.flux_err, lc.flux / lc.flux_err, rtol=1e-5)


def test_rows_are_dropped_and_blocks_taken_away():
    lc = _event()
    thin = Settings((1, 1), (1, 1), 5.0, 0.4, 0.0, 0.0)
    lengths = [len(Galactic(lc, thin).draw(generator(0, "a", number)).lc) for number in range(100)]
    assert min(lengths) > 40
    assert max(lengths) > 80
    assert 0.7 < np.mean(lengths) / 90 < 0.9
    gaps = Settings((1, 1), (1, 1), 0.0, 0.0, 1.0, 0.0)
    drawn = [Galactic(lc, gaps).draw(generator(0, "a", number)) for number in range(20)]
    assert any(each is not None and np.diff(each.lc.time).max() > 15 for each in drawn)


def test_detections_follow_the_signal_to_noise():
    np.testing.assert_allclose(detection_chance(np.array([-5.43, 5.43])), 0.495)
    assert detection_chance(np.array([0.0]))[0] < 1e-3
    assert detection_chance(np.array([50.0]))[0] == pytest.approx(0.99)
    lc = _event(error=60.0)
    assert _extragalactic(lc).draw(generator(0, "a", 1)) is None


def test_flags_of_the_source_are_kept_where_they_mean_something():
    lc = _event()
    lc.flags[np.argmax(lc.flags & FLAG_DETECTED)] |= FLAG_TRIGGER
    flags = _extragalactic(lc).draw(generator(0, "a", 1)).lc.flags
    assert (flags & FLAG_TRIGGER > 0).sum() == 1
    assert np.argmax(flags & FLAG_TRIGGER) == np.argmax(flags & FLAG_DETECTED)
    lc.flags[:] = FLAG_UNKNOWN
    assert (_extragalactic(lc).draw(generator(0, "a", 1)).lc.flags == FLAG_UNKNOWN).all()


# Records.


@pytest.fixture(scope="module")
def made(records, tmp_path_factory):
    """Three copies of each object of the small directory, and the counts."""
    out = tmp_path_factory.mktemp("copies") / "copies"
    return out, resimulate.resimulate(records, out, 3, seed=5)


def test_copies_keep_to_the_fold_of_their_object(records, made):
    originals, copies = RecordDirectory(records), RecordDirectory(made[0])
    for name in ("survey", "bands", "zero_point", "flux_unit", "static_columns", "classes", "folds"):
        assert getattr(originals.info, name) == getattr(copies.info, name)
    assert len(copies.partition_indices("test")) == 0
    for fold in ("fold0", "fold1"):
        own = set(originals.ids(originals.partition_indices(fold)))
        found = [each.rpartition("+") for each in copies.ids(copies.partition_indices(fold))]
        assert {each[0] for each in found} <= own
        assert {each[2] for each in found} == {"1", "2", "3"}
    assert copies.info.source["options"]["fingerprint"] == originals.info.fingerprint
    assert str(records.parent) not in json.dumps(copies.info.source)


def test_every_object_is_in_the_ledger(records, made):
    originals, rows = RecordDirectory(records), list(read_ledger(made[0]))
    ids = {row["object_id"].rpartition("+")[0] or row["object_id"] for row in rows}
    assert ids == set(originals.ids(np.arange(len(originals))))
    tests = {row["object_id"] for row in rows if row["reason"] == "test split"}
    assert tests == set(originals.ids(originals.partition_indices("test")))
    assert all(row["reason"] for row in rows if row["outcome"] == "skipped")
    assert sum(made[1]["written"].values()) == sum(row["outcome"] == "written" for row in rows)


def test_copies_are_records_like_others(made, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check(made[0], deep=True).violations == []
    features.compute(made[0], days=[64.0])
    records = RecordDirectory(made[0])
    record = records.record(0)
    show.main([str(made[0]), "--object", record.object_id])
    assert record.object_id in capsys.readouterr().out
    assert check(made[0], deep=True).violations == []


def test_redshifts_of_copies_belong_together(records, made):
    originals, copies = RecordDirectory(records), RecordDirectory(made[0])
    assert copies.info.targets == ("redshift",)
    moved = 0
    for place in range(len(copies)):
        copy = copies.record(place)
        record = originals.record(originals.find(copy.object_id.rpartition("+")[0]))
        old, new = record.targets["redshift"][0], copy.targets["redshift"][0]
        assert copy.class_id == record.class_id
        np.testing.assert_array_equal(copy.static[2:], record.static[2:])
        if record.static[0] <= 0:
            np.testing.assert_array_equal(copy.static, record.static)
            assert new == 0
        else:
            stretch = (1 + new) / (1 + old)
            assert copy.static[0] == pytest.approx(new + (record.static[0] - old) * stretch, rel=1e-5)
            assert copy.static[1] == pytest.approx(record.static[1] * stretch, rel=1e-5)
            moved += abs(new - old) > 0.01
    assert moved > 10


def test_processes_and_order_change_no_byte_but_the_seed_does(records, made, tmp_path):
    resimulate.resimulate(records, tmp_path / "two", 3, seed=5, workers=2)
    for path in sorted(made[0].glob("*.*")):
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()
    resimulate.resimulate(records, tmp_path / "other", 1, seed=6)
    fingerprints = {DatasetInfo.load(tmp_path / name).fingerprint for name in ("two", "other")}
    assert len(fingerprints) == 2


def _resimulator(records, copies=2, **changes):
    info = RecordDirectory(records).info
    columns = Columns.settle(info, None, None, None)
    return Resimulator(info, columns, Settings(**changes), copies, 0)


def test_what_cannot_be_copied_says_why(records):
    make, directory = _resimulator(records), RecordDirectory(records)
    record = next(each for each in map(directory.record, range(len(directory))) if each.static[0] > 0)
    assert make(Record("a", "plasticc", 90, None, record.static)) == ([], "fewer than 10 observations")
    unknown = record.static.copy()
    unknown[0] = np.nan
    assert make(Record("a", "plasticc", 90, record.lc, unknown)) == ([], "no redshift")
    record.lc.flux = np.zeros(len(record.lc), "f4")
    copies, reason = make(record)
    assert (copies, reason) == ([None, None], "fewer than 2 detections or 10 observations in 10 attempts")


def test_rows_without_flux_are_left_out(records):
    directory = RecordDirectory(records)
    record = next(each for each in map(directory.record, range(len(directory))) if each.static[0] > 0)
    record.lc.flux = np.where(np.arange(len(record.lc)) % 9, record.lc.flux, np.nan)
    for copy in filter(None, _resimulator(records)(record)[0]):
        assert np.isfinite(copy.lc.flux).all()


def test_without_a_true_redshift_the_photometric_one_stands_for_it(records):
    directory = RecordDirectory(records)
    columns = Columns.settle(directory.info, None, "none", "none")
    assert (columns.true_redshift, columns.redshift_error, columns.targets(directory.info)) == ("", "", ())
    make = Resimulator(directory.info, columns, Settings(), 1, 0)
    copies = [make(directory.record(place))[0] for place in range(8)]
    assert all(not copy.targets for copy in sum(copies, []) if copy)


# The command.


def test_the_command_says_what_it_did(records, tmp_path, capsys):
    out = tmp_path / "copies"
    resimulate.main([str(records), "--out", str(out), "--copies", "1", "--workers", "1", "--quiet"])
    lines = capsys.readouterr().out.splitlines()
    count = DatasetInfo.load(out).count
    assert lines[-1] == f"{out}: {count} copies of objects of {records}"
    assert any(line.startswith("skipped: ") and line.endswith(" test split") for line in lines)
    assert sum(int(line.split()[-1]) for line in lines if line.split()[-1].isdigit()) == count


WRONG = {
    "redshift column": (["--redshift-column", "hostz"], r"--redshift-column is one of hostgal_photoz.*'hostz'"),
    "error column": (["--redshift-error-column", "z_err"], r"--redshift-error-column is one of .*'z_err'"),
    "true redshift": (["--true-redshift-column", "z"], r"--true-redshift-column is one of redshift, t0.*'z'"),
    "redshift range": (["--redshift-range", "1.2,2"], r"--redshift-range is LOW,HIGH.*Received: 1.2,2"),
    "brightness range": (["--brightness-range", "0,2"], r"--brightness-range is LOW,HIGH.*Received: 0,2"),
    "drop": (["--drop-fraction", "1"], r"--drop-fraction is between 0 and 0.95. Received: 1"),
    "noise": (["--noise", "nan"], r"--noise is between 0 and 3. Received: nan"),
    "copies": (["--copies", "0"], r"--copies is at least 1. Received: 0"),
    "workers": (["--workers", "0"], r"--workers is at least 1. Received: 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_ends_with_code_2_and_leaves_nothing(case, records, tmp_path, capsys):
    arguments, message = WRONG[case]
    with pytest.raises(SystemExit) as end:
        command.run(resimulate.main, [str(records), "--out", str(tmp_path / "out"), "--quiet", *arguments])
    assert end.value.code == 2
    assert re.match(f"error: {message}", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_a_range_is_two_numbers(records, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        resimulate.main([str(records), "--out", str(tmp_path / "out"), "--redshift-range", "2"])
    assert end.value.code == 2
    assert "a range is two numbers, as in 0.6,1.6. Received: '2'" in capsys.readouterr().err


def test_what_is_there_is_replaced_only_if_asked(records, made, tmp_path):
    with pytest.raises(UsageError, match="the output exists"):
        resimulate.resimulate(records, made[0], 1)
    with pytest.raises(UsageError, match="a directory of their own"):
        resimulate.resimulate(records, records, 1, overwrite=True)
    resimulate.resimulate(records, tmp_path / "out", 1)
    resimulate.resimulate(records, tmp_path / "out", 1, seed=1, overwrite=True)
    with pytest.raises(DataError, match="not a directory of records"):
        resimulate.resimulate(tmp_path / "nowhere", tmp_path / "other", 1)
