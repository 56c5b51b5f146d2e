"""Gaussian-process grids: the process against a dense solution, which rows count, days, failures, the command."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from data_tools import gp_grid
from tfrecords.derived import DerivedGroup
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import FLAG_DETECTED, LightCurve, sort_rows
from zoo import registry

WAVELENGTHS = [3700.0, 4800.0, 6200.0]


@pytest.fixture
def interpolate():
    """The interpolator of three bands and seven steps."""
    pytest.importorskip("george", reason="the extra gp is not installed")
    return gp_grid.GridInterpolator(WAVELENGTHS, 7)


def _curve(rows=40, seed=0, detected=slice(None)):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0, 120, rows)) + 59000.0
    flux = 200 * np.exp(-(((time - 59040.0) / 15.0) ** 2)) + rng.normal(0, 5, rows)
    flags = np.zeros(rows, "u1")
    flags[detected] = FLAG_DETECTED
    return sort_rows(LightCurve(time, rng.integers(0, 3, rows), flux, rng.uniform(3, 6, rows), flags))


def _dense(lc, steps=7):
    """Give the posterior mean by textbook formulas, with the likelihood's maximum found without derivatives."""
    x = np.stack([lc.time - lc.time[0], np.take(WAVELENGTHS, lc.band)], 1)
    flux, error = lc.flux.astype("f8"), lc.flux_err.astype("f8")
    snr = [abs(f) / np.sqrt(e**2 + (0.01 * max(abs(flux))) ** 2) for f, e in zip(flux, error, strict=True)]
    start = np.log([(0.5 * abs(flux[int(np.argmax(snr))])) ** 2, 20.0**2])

    def kernel(a, b, p):
        r = np.sqrt(3 * ((a[:, None, 0] - b[:, 0]) ** 2 / np.exp(p[1]) + (a[:, None, 1] - b[:, 1]) ** 2 / 6000**2))
        return np.exp(p[0]) * (1 + r) * np.exp(-r)

    def cost(p):
        covariance = kernel(x, x, p) + np.diag(error**2)
        return 0.5 * (np.linalg.slogdet(covariance)[1] + flux @ np.linalg.solve(covariance, flux))

    bounds = [(start[0] - 10, start[0] + 10), (0, np.log(1000.0**2))]
    options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000}
    best = minimize(cost, start, method="Nelder-Mead", bounds=bounds, options=options).x
    grid = np.array([[t, w] for t in np.linspace(0, np.ptp(lc.time), steps) for w in WAVELENGTHS])
    return kernel(grid, x, best) @ np.linalg.solve(kernel(x, x, best) + np.diag(error**2), flux)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_grid_is_the_posterior_mean_at_the_maximum_of_the_likelihood(interpolate, seed):
    lc = _curve(seed=seed)
    found = interpolate(lc, [np.inf])
    assert found.shape == (1, 21) and found.dtype == np.float32
    np.testing.assert_allclose(found[0], _dense(lc), atol=0.02 * np.abs(lc.flux).max())


def test_rows_far_from_the_detections_do_not_count(interpolate):
    lc = _curve(rows=60, detected=slice(10, 12))
    first, last = lc.time[10], lc.time[11]
    near = (lc.time >= first - 50) & (lc.time <= last + 50)
    assert 0 < near.sum() < 60
    fields = {key: getattr(lc, key)[near] for key in ("time", "band", "flux", "flux_err", "flags")}
    np.testing.assert_array_equal(interpolate(lc, [np.inf]), interpolate(LightCurve(**fields), [np.inf]))


def test_a_day_knows_nothing_of_later_ones(interpolate):
    lc = _curve()
    days = [1e-9, 20.0, 60.0, 1e5, np.inf]
    found = interpolate(lc, days)
    for place, day in enumerate(days):
        known = lc.time - lc.time[0] <= day
        fields = {key: getattr(lc, key)[known] for key in ("time", "band", "flux", "flux_err", "flags")}
        np.testing.assert_array_equal(found[place], interpolate(LightCurve(**fields), [np.inf])[0])
    assert np.abs(found[1] - found[2]).max() > 1


def test_short_and_odd_light_curves(interpolate):
    assert np.isnan(interpolate(None, [1.0, np.inf])).all()
    one = LightCurve([59000.0], [1], [30.0], [3.0], [FLAG_DETECTED])
    found = interpolate(one, [np.inf]).reshape(7, 3)
    assert np.isfinite(found).all() and (np.ptp(found, axis=0) == 0).all() and found[0, 1] > 20
    assert np.isnan(interpolate(LightCurve([59000.0], [1], [np.nan], [3.0], [0]), [np.inf])).all()
    dark = LightCurve(59000.0 + np.arange(4), np.arange(4) % 3, np.zeros(4), np.ones(4), np.zeros(4, "u1"))
    np.testing.assert_array_equal(interpolate(dark, [np.inf]), 0)
    curve = _curve()
    single = LightCurve(curve.time, np.ones(40, "u1"), curve.flux, curve.flux_err, curve.flags)
    assert np.isfinite(interpolate(single, [np.inf])).all()
    twice = LightCurve([59000.0] * 2, [1, 1], [3e6, -3e6], [0.0, 0.0], [0, 0])
    assert np.isnan(interpolate(twice, [np.inf])).all()


def test_the_command_writes_the_group_whatever_the_number_of_processes(records, tmp_path, capsys):
    pytest.importorskip("george", reason="the extra gp is not installed")
    common = [str(records), "--steps", "6", "--days", "20,inf", "--quiet"]
    for workers in ("1", "2"):
        gp_grid.main([*common, "--name", f"grid_{workers}", "--workers", workers])
    out = capsys.readouterr().out
    assert out.count("day inf: 42 objects: 42 interpolated, 0 without a grid (NaN)") == 2
    directory = RecordDirectory(records)
    groups = [DerivedGroup(directory, f"grid_{workers}", gp_grid.code_version()) for workers in "12"]
    every = np.arange(42)
    np.testing.assert_array_equal(groups[0].values(every), groups[1].values(every))
    assert groups[0].columns[:7] == ("gp_000_u", "gp_000_g", "gp_000_r", "gp_000_i", "gp_000_z", "gp_000_y", "gp_001_u")
    info = registry.ModelInfo(("a",), tuple("ugrizy"), (), groups[0].columns, groups[0].days)
    assert registry.create("t2", info, redshift="none").steps == 6, "the columns are in the model's order"
    with pytest.raises(UsageError, match="exists already"):
        gp_grid.compute(records, "grid_1")


def test_what_cannot_be_is_refused(records, monkeypatch):
    with pytest.raises(DataError, match="effective wavelength of every band.*Received: 3700, nan"):
        gp_grid.GridInterpolator([3700.0, np.nan])
    with pytest.raises(UsageError, match="--steps is at least 2. Received: 1"):
        gp_grid.compute(records, "none", steps=1)

    def missing(name):
        raise gp_grid.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(gp_grid.importlib.metadata, "version", missing)
    with pytest.raises(DataError, match="timedomain-zoo\\[gp\\]"):
        gp_grid.compute(records, "none")
