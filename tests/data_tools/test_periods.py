"""Periods of made light curves are found again, and records come out as they went in, with more columns."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data_tools import periods
from data_tools.computed import period_search
from data_tools.computed.period_values import MIN_ROWS, MIN_VISITS, PeriodValues, columns, string_length
from tfrecords import command
from tfrecords.check import check
from tfrecords.info import Band, DatasetInfo, NativeClass, StaticColumn
from tfrecords.reader import RecordDirectory
from tfrecords.schema import FLAG_DETECTED, FLAG_SATURATED, LightCurve, Record
from tfrecords.writer import DatasetWriter

FAST = periods.Settings(min_period=0.4)
NAMES = [each.name for each in columns("magnitude", "mJy")]


def _sine(phase):
    return 0.3 * np.cos(2 * np.pi * phase)


def _sawtooth(phase):
    # A pulsating star rises fast and falls slowly: the magnitude falls within 0.2 of a period.
    phase = phase % 1
    return np.where(phase < 0.2, 0.5 - 5 * phase, -0.5 + 1.25 * (phase - 0.2))


def _eclipses(phase, deep=0.6, shallow=0.25, width=0.05):
    distance = np.abs((phase + 0.25) % 0.5 - 0.25)
    return np.where((phase + 0.25) % 1 < 0.5, deep, shallow) * np.exp(-0.5 * (distance / width) ** 2)


def _contact(phase):
    # Equal minima, sharper than the maxima.
    return 0.2 * np.cos(4 * np.pi * phase) + 0.05 * np.cos(8 * np.pi * phase)


def _times(rng, visits=250, span=1500.0):
    """One visit a night in a window of 5 hours, with gaps for the seasons."""
    nights = rng.choice(np.flatnonzero(np.arange(span) % 365 < 220), visits, replace=False)
    return np.sort(nights + 0.2 * rng.random(visits)) + 53000


def _curve(shape, period, noise=0.02, seed=0, visits=250, bands=1):
    """Give a light curve of magnitude 15 at zero point 25."""
    rng = np.random.default_rng(seed)
    time = np.repeat(_times(rng, visits), bands)
    band = np.tile(np.arange(bands), visits)
    magnitude = 15 + 0.3 * band + (1 - 0.15 * band) * shape(time / period) + noise * rng.standard_normal(len(time))
    flux = 10 ** (-0.4 * (magnitude - 25))
    return LightCurve(time, band, flux, flux * noise * np.log(10) / 2.5, np.full(len(time), FLAG_DETECTED))


def _values(lc, **options):
    return dict(zip(NAMES, PeriodValues(25.0, **{"min_period": 0.1} | options)(lc), strict=True))


CASES = {
    "short sine": (_sine, 0.2345678),
    "long sine": (_sine, 231.7),
    "sawtooth": (_sawtooth, 0.5678123),
    "eclipses of two depths": (_eclipses, 2.3456),
    "contact binary": (_contact, 0.37654),
}


@pytest.mark.parametrize("case", CASES)
def test_periods_are_found_again(case):
    shape, period = CASES[case]
    found = _values(_curve(shape, period))
    assert found["period"] == pytest.approx(period, rel=1e-3)
    assert found["period_power"] > 0.9
    assert found["lksl_statistic"] < 0.1
    assert abs(found["fourier_phi21_cos"]) <= 1


def test_bands_of_different_amplitude_share_a_period():
    found = _values(_curve(_sawtooth, 0.61234, noise=0.05, visits=60, bands=3))
    assert found["period"] == pytest.approx(0.61234, rel=1e-3)
    assert found["mean_mag"] == pytest.approx(15.3, abs=0.1)


def test_fluxes_of_difference_images_have_periods_too():
    lc = _curve(_contact, 0.37654)
    lc = dataclasses.replace(lc, flux=lc.flux - lc.flux.mean())
    assert np.isnan(list(_values(lc).values())).all()
    assert _values(lc, values="flux")["period"] == pytest.approx(0.37654, rel=1e-3)
    assert columns("flux", "mJy")[NAMES.index("mean_mag")] == StaticColumn("mean_flux", "mJy")


def test_the_rhythm_of_the_nights_is_no_period():
    rng = np.random.default_rng(1)
    lc = _curve(lambda phase: 0.0 * phase, 1.0, noise=0.05)
    # Extinction in the course of the night: as strong as a wave with half the amplitude of the star's own.
    airmass = np.cos(2 * np.pi * lc.time / period_search.SIDEREAL_DAY)
    wave = 0.1 * airmass + 0.085 * np.cos(2 * np.pi * lc.time / 17.3) + 0.02 * rng.standard_normal(len(lc))
    lc.flux = np.float32(10 ** (-0.4 * (wave - 10)))
    assert not period_search.is_alias(1 / _values(lc)["period"])
    assert all(period_search.is_alias(1 / period) for period in (0.4999, 0.9975, 1.999, 2.99))
    assert not any(period_search.is_alias(1 / period) for period in (0.53, 0.98, 1.97, 17.3))


def test_cycles_of_a_giant_that_differ_make_its_period_no_longer():
    lc = _curve(lambda phase: _sine(phase) * (1 + 0.3 * np.cos(np.pi * phase)) + 0.1 * np.sin(np.pi * phase), 301.0)
    found = _values(lc)
    assert found["period"] == pytest.approx(301, rel=0.02)
    assert found["period_harmonics"] == 1


def test_contact_binaries_are_told_from_pulsating_stars():
    phase = np.linspace(0, 1, 200, endpoint=False)
    for shape, expected in ((lambda p: _contact(p / 2), True), (_sawtooth, False), (_sine, False), (_eclipses, False)):
        curve = period_search.harmonics(phase, shape(phase), np.ones(200), 1.0, 1e-4)
        assert period_search.is_half_an_eclipsing_period(*curve, 1) is expected
        turned = period_search.harmonics(phase, -shape(phase), np.ones(200), 1.0, 1e-4)
        assert period_search.is_half_an_eclipsing_period(*turned, -1) is expected


def test_fast_sums_are_those_of_the_formula():
    rng = np.random.default_rng(2)
    time, values = np.sort(rng.uniform(0, 700, 80)), rng.standard_normal(80)
    numbers = np.array([0, 1, 17, 900, 3000])
    expected = values @ np.exp(2j * np.pi * np.outer(time, numbers / 3500))
    found = period_search.fourier_sums(time, values, 1 / 3500, 3000)[numbers]
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_the_periodogram_is_that_of_astropy():
    from astropy.timeseries import LombScargle

    lc = _curve(_sawtooth, 3.21, visits=80)
    time, z = lc.time - lc.time[0], lc.flux - lc.flux.mean()
    weight = np.linspace(0.5, 2, len(lc))
    found = period_search.periodogram(time, z.astype(float), weight / weight.sum(), 1 / 6000, 8000)
    expected = LombScargle(time, z, weight**-0.5).power(np.arange(1, 8001) / 6000, method="cython")
    good = np.arange(8000) > 20
    np.testing.assert_allclose(found[1:][good], expected[good], atol=0.005)


def test_statistics_are_those_of_their_formulas():
    lc = _curve(_sawtooth, 0.5678123)
    value = 25 - 2.5 * np.log10(lc.flux.astype(float))
    z = (value - value.mean()) / value.std()
    found = _values(lc)
    assert found["amplitude"] == pytest.approx(np.subtract(*np.percentile(value, [97.5, 2.5])))
    assert found["std"] == pytest.approx(value.std())
    assert found["mean_mag"] == pytest.approx(value.mean())
    assert found["skewness"] == pytest.approx((z**3).mean())
    assert found["kurtosis"] == pytest.approx((z**4).mean() - 3)
    assert found["von_neumann_eta"] == pytest.approx((np.diff(z) ** 2).mean())
    assert found["beyond_1_std"] == pytest.approx((np.abs(z) > 1).mean())
    assert found["median_minus_mean"] == pytest.approx(np.median(value) - value.mean())
    order = np.argsort(lc.time / found["period"] % 1)
    steps = np.diff(np.append(z[order], z[order[0]]))
    assert found["lksl_statistic"] == pytest.approx((steps**2).sum() / (z**2).sum() * (len(z) - 1) / (2 * len(z)))
    assert string_length(lc.time, np.random.default_rng(0).standard_normal(len(lc)), 1.234) == pytest.approx(1, abs=0.2)


def test_shapes_are_those_of_the_curve():
    found = _values(_curve(lambda p: _sine(p) + 0.09 * np.cos(4 * np.pi * p + 2.0), 7.77, noise=0.001))
    assert found["fourier_r21"] == pytest.approx(0.3, abs=0.01)
    assert found["fourier_phi21_cos"] == pytest.approx(np.cos(2), abs=0.02)
    assert found["fourier_phi21_sin"] == pytest.approx(np.sin(2), abs=0.02)
    assert found["fourier_r31"] < 0.01


def test_what_has_too_few_rows_has_no_values():
    assert np.isnan(list(_values(None).values())).all()
    lc = _curve(_sine, 3.3, visits=MIN_VISITS - 1)
    found = _values(lc)
    assert np.isnan(found["period"]) and np.isnan(found["fourier_r21"]) and found["std"] > 0
    lc.flags[MIN_ROWS - 1 :] |= FLAG_SATURATED
    assert np.isnan(list(_values(lc).values())).all()
    enough = _values(_curve(_sine, 3.3, visits=MIN_VISITS))
    assert np.isfinite(enough["period"])
    constant = dataclasses.replace(_curve(_sine, 3.3), flux=np.ones(250))
    assert np.isnan(list(_values(constant).values())).all()


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    """Records of 20 stars, one of them without light curve, one skipped and one quarantined."""
    path = tmp_path_factory.mktemp("stars") / "stars"
    writer = DatasetWriter(
        path, survey="made", bands=[Band("V", (), 5448.0)], zero_point=25.0, flux_unit="mJy", folds=2,
        static_columns=[StaticColumn("ra", "deg")], classes=[NativeClass(7, "RR")], targets=["period"],
    )  # fmt: skip
    with writer:
        writer.skip("gone", "no rows")
        for number in range(20):
            lc = _curve(_sine, 0.5 + 0.1 * number, seed=number, visits=40) if number else None
            static = [float(number)] if number % 3 else None
            record = Record(f"star{number}", "made", 7 if number else -1, lc, static, {"period": 0.5})
            writer.write(record, ("test", "fold0", "fold1")[number % 3])
        writer.quarantine("bad", "no error")
    return path


@pytest.fixture(scope="module")
def made(stars, tmp_path_factory):
    out = tmp_path_factory.mktemp("periods") / "made"
    known, _ = periods.add_periods(stars, out, FAST)
    return out, known


def test_records_come_out_as_they_went_in(stars, made):
    before, after = RecordDirectory(stars), RecordDirectory(made[0])
    assert (stars / "ledger.csv").read_bytes() == (made[0] / "ledger.csv").read_bytes()
    assert [each.name for each in after.info.static_columns] == ["ra", *NAMES]
    assert (before.info.classes, before.info.folds, before.info.targets) == (
        after.info.classes, after.info.folds, after.info.targets,
    )  # fmt: skip
    for place, object_id in enumerate(before.ids(range(20))):
        old, new = before.record(place), after.record(after.find(object_id))
        assert before.index["partition"][place] == after.index["partition"][after.find(object_id)]
        np.testing.assert_array_equal(new.static[:1], [np.nan] if old.static is None else old.static)
        assert new.targets == old.targets and new.class_id == old.class_id
        if old.lc is None:
            assert new.lc is None and np.isnan(new.static[1:]).all()
        else:
            np.testing.assert_array_equal(new.lc.flux, old.lc.flux)
    assert made[1]["std"] == made[1]["period"] == 19
    assert check(made[0], deep=True).violations == []


def test_processes_change_no_byte(stars, made, tmp_path):
    periods.add_periods(stars, tmp_path / "two", FAST, workers=2)
    for path in sorted(made[0].iterdir()):
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()


def test_the_command_says_what_it_did(stars, tmp_path, capsys):
    out = tmp_path / "out"
    periods.main([str(stars), "--out", str(out), "--min-period", "1", "--caution", "--workers", "1", "--quiet"])
    assert capsys.readouterr().out.splitlines()[-1] == f"{out}: 20 records, 19 of them with a period"
    assert all(each.caution for each in DatasetInfo.load(out).static_columns[1:])


WRONG = {
    "shortest": (["--min-period", "0"], "--min-period is at least 0.001 days. Received: 0"),
    "longest": (["--max-period", "0.01"], "--max-period is above --min-period (0.04). Received: 0.01"),
    "workers": (["--workers", "0"], "--workers is at least 1. Received: 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_ends_with_code_2_and_leaves_nothing(case, stars, tmp_path, capsys):
    arguments, message = WRONG[case]
    with pytest.raises(SystemExit) as end:
        command.run(periods.main, [str(stars), "--out", str(tmp_path / "out"), "--quiet", *arguments])
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not list(tmp_path.iterdir())


def test_columns_that_are_there_are_not_computed_again(made, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        command.run(periods.main, [str(made[0]), "--out", str(tmp_path / "out"), "--quiet"])
    assert end.value.code == 2
    assert "has static columns of these names already" in capsys.readouterr().err
