"""Explosion times: light curves of known ones, those that have none, and the command."""

from __future__ import annotations

import numpy as np
import pytest

from data_tools import explosion_time
from data_tools.explosion_time import FITTED, NO_RISE, TOO_FEW, fit
from tests.conftest import make_records
from tfrecords.derived import DerivedGroup
from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import FLAG_DETECTED, FLAG_TRIGGER, LightCurve, sort_rows


def _curve(t0, noise=0.0, seed=0, bands=2, step=1.5):
    """A rise as (t − t0)² from day −60, in each band of another height, that falls from day 20 on; trigger at 0."""
    rng = np.random.default_rng(seed)
    time = np.repeat(np.arange(-60.0, 60.0, step), bands)
    band = np.tile(np.arange(bands), len(time) // bands)
    flux = (1.0 + band) * np.square(np.clip(np.minimum(time, 40 - time) - t0, 0, None)) + 7.0 * band
    flux = flux + rng.normal(0, max(noise, 1e-9), len(time))
    flags = np.where(time == 0, FLAG_TRIGGER, FLAG_DETECTED * (time > 3))
    return sort_rows(LightCurve(time + 59000.0, band, flux, np.full(len(time), max(noise, 0.1)), flags))


@pytest.mark.parametrize("t0", [-24.3, -12.0, -7.77, -0.4])
def test_the_time_of_a_clean_rise_is_found(t0):
    found, spread, flag = fit(_curve(t0))
    assert flag == FITTED
    assert found == pytest.approx(t0, abs=0.02)
    assert 0 < spread < 0.3


def test_noise_moves_it_by_about_the_spread():
    found = np.array([fit(_curve(-9.0, 20.0, seed)) for seed in range(60)])
    assert (found[:, 2] == FITTED).all()
    pull = (found[:, 0] + 9.0) / found[:, 1]
    assert abs(pull.mean()) < 0.5 and 0.6 < pull.std() < 1.6
    assert 0.2 < found[:, 1].mean() < 3


def test_bands_share_it():
    """A band that is too noisy by itself takes the time from the other."""
    sure = _curve(-15.0, 2.0, 1, bands=1)
    lame = fit(_curve(-15.0, 60.0, 3, bands=1))
    noisy = _curve(-15.0, 60.0, 3, bands=1)
    names = ("time", "flux", "flux_err", "flags")
    both = {name: np.concatenate([getattr(sure, name), getattr(noisy, name)]) for name in names}
    band = np.repeat([0, 1], len(sure.time))
    both = fit(sort_rows(LightCurve(both["time"], band, both["flux"], both["flux_err"], both["flags"])))
    assert both[1] < lame[1] / 2 and abs(both[0] + 15) < 1.0


def test_without_observations_or_rise_there_is_none():
    curve = _curve(-10.0)
    few = LightCurve(*(getattr(curve, name)[-6:] for name in ("time", "band", "flux", "flux_err", "flags")))
    flat = _curve(-10.0)
    flat.flux[:] = np.random.default_rng(0).normal(0, 0.1, len(flat.flux))
    for given, flag in ((None, TOO_FEW), (few, TOO_FEW), (flat, NO_RISE)):
        found = fit(given)
        assert np.isnan(found[:2]).all() and found[2] == flag


def test_the_command_writes_a_group_that_does_not_depend_on_the_processes(tmp_path, capsys):
    path = make_records(tmp_path / "records")
    explosion_time.main([str(path), "--workers", "1", "--quiet"])
    said = capsys.readouterr().out
    records = RecordDirectory(path)
    group = DerivedGroup(records, "explosion_times", explosion_time.VERSION)
    values = group.values(np.arange(len(records)))
    assert group.columns == ("t0", "spread", "flag") and values.shape == (42, 1, 3)
    fitted = values[:, 0, 2] == FITTED
    assert f"{fitted.sum()} of 42 fitted" in said and fitted.any()
    assert (np.isfinite(values[:, 0, 0]) == fitted).all()
    assert (values[fitted, 0, 0] >= -25).all() and (values[fitted, 0, 0] <= 0).all()
    for place in (0, 17):
        np.testing.assert_allclose(values[place, 0], fit(records.record(place).lc), rtol=1e-6)
    with pytest.raises(UsageError, match="exists already.*--overwrite"):
        explosion_time.compute(path)
    before = (path / "derived" / "explosion_times" / "values.npy").read_bytes()
    explosion_time.compute(path, workers=2, overwrite=True)
    assert (path / "derived" / "explosion_times" / "values.npy").read_bytes() == before
