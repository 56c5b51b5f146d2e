"""The view ``photometry`` against NumPy, object by object."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo.inputs import ragged
from zoo.inputs import build, photometry, transforms
from zoo.inputs.config import InputConfig


def _curves(objects):
    return transforms.from_padded(**_padded(objects))


def _padded(objects):
    longest = max(map(len, objects))
    found = {key: np.zeros((len(objects), longest)) for key in ("time", "flux", "flux_err", "band", "flags")}
    mask = np.arange(longest) < np.array([len(rows) for rows in objects])[:, None]
    for number, rows in enumerate(objects):
        for column, key in enumerate(("time", "flux", "flux_err")):
            found[key][number, : len(rows)] = rows[:, column]
    return {**found, "mask": mask}


def _objects(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [
        np.stack([np.sort(rng.uniform(5e4, 6e4, size)), rng.normal(3, 1, size), rng.uniform(0.1, 1, size)], axis=1)
        for size in sizes
    ]


def _tensors(objects, period=None, key=None, **options):
    period = None if period is None else tf.constant(period, tf.float32)
    prepared = photometry.prepare(_curves(objects), InputConfig(**options), period, key)
    return {name: values.numpy() for name, values in build.photometry(*prepared).items()}


def test_flux_and_time_are_scaled_by_the_whole_light_curve():
    objects = _objects([7, 1, 30, 0, 12])
    found = _tensors(objects, window_rows=10)
    assert found["mask"].sum(axis=1).tolist() == [7, 1, 10, 0, 10]
    for number, rows in enumerate(objects):
        if len(rows) < 2:
            continue
        time, flux, error = rows[:, 0], rows[:, 1].astype("float32").astype("f8"), rows[:, 2]
        spread = np.median(np.abs(flux - np.median(flux)))
        start = max(len(rows) - 10, 0) // 2
        shown = slice(start, start + 10)
        size = len(flux[shown])
        scale = [np.log10(spread), (time[-1] - time[0]) / 365]
        np.testing.assert_allclose(found["curve_scale"][number], scale, rtol=1e-6)
        np.testing.assert_allclose(found["flux"][number, :size], ((flux - flux.mean()) / spread)[shown], atol=1e-5)
        np.testing.assert_allclose(found["flux_err"][number, :size], (error / spread)[shown], rtol=1e-5)
        share = (time - time[0]) / (time[-1] - time[0])
        np.testing.assert_allclose(found["time"][number, :size], share[shown], atol=1e-6)
    for name in ("time", "flux", "flux_err"):
        assert not found[name][~found["mask"]].any()
    # One row has no spread: its own error takes its place.
    assert found["flux"][1, 0] == 0 and found["flux_err"][1, 0] == pytest.approx(1)
    np.testing.assert_array_equal(found["curve_scale"][3], 0)


@pytest.mark.parametrize("error", [0.0, 0.5])
def test_constant_flux_and_one_time_give_finite_numbers(error):
    rows = np.array([[5e4, 2.0, error]] * 4)
    found = _tensors([rows], [0.5])
    assert all(np.isfinite(values).all() for values in found.values())
    np.testing.assert_array_equal(found["flux"], 0)


@pytest.mark.parametrize("zero", ["epoch", "first", "maximum"])
def test_rows_are_folded_on_the_period_and_sorted(zero):
    objects = _objects([40, 25, 9, 6], seed=1)
    periods = [0.5, 7.25, np.nan, -1.0]
    found = _tensors(objects, periods, fold_zero=zero)
    for number, rows in enumerate(objects):
        size, time = len(rows), rows[:, 0]
        if not periods[number] > 0:
            share = (time - time[0]) / (time[-1] - time[0])
            np.testing.assert_allclose(found["time"][number, :size], share, atol=1e-6)
            continue
        since = time + photometry.HELIOCENTRIC if zero == "epoch" else time - time[0]
        phase = since / periods[number] % 1
        if zero == "maximum":
            wave = np.exp(-2j * np.pi * phase)
            phase = (phase + np.angle(np.sum(photometry_scaled(rows[:, 1]) * wave)) / (2 * np.pi)) % 1
        np.testing.assert_allclose(found["time"][number, :size], np.sort(phase), atol=2e-6)
        order = np.argsort(phase)
        np.testing.assert_allclose(found["flux"][number, :size], photometry_scaled(rows[:, 1])[order], atol=1e-5)


def photometry_scaled(flux):
    """Scale a light curve as the view does."""
    flux = flux.astype("float32").astype("f8")
    return (flux - flux.mean()) / np.median(np.abs(flux - np.median(flux)))


def test_the_maximum_of_a_sine_wave_has_phase_zero_wherever_it_begins():
    rng = np.random.default_rng(2)
    for start in (0.0, 0.3, 17.7):
        time = np.sort(rng.uniform(5e4, 5.01e4, 300))
        rows = np.stack([time, np.cos(2 * np.pi * (time - start) / 0.7), np.full(300, 0.1)], axis=1)
        found = _tensors([rows], [0.7], window_rows=300)
        flux, phase = found["flux"][0], found["time"][0]
        # A float32 period of 0.7 d is off by a part in 1e8.
        assert min(phase[flux.argmax()], 1 - phase[flux.argmax()]) < 0.03


def test_training_draws_windows_up_to_the_last_row():
    objects = _objects([12] * 400)
    first = _tensors(objects, key=tf.constant([1, 2], tf.int64), window_rows=10)
    again = _tensors(objects, key=tf.constant([1, 2], tf.int64), window_rows=10)
    np.testing.assert_array_equal(first["time"], again["time"])
    starts = [int(np.round(np.searchsorted((rows[:, 0] - rows[0, 0]) / np.ptp(rows[:, 0]), time[0] - 1e-5)))
              for rows, time in zip(objects, first["time"], strict=True)]  # fmt: skip
    assert set(starts) == {0, 1, 2}
    assert min(np.bincount(starts)) > 90


def test_medians_are_those_of_numpy():
    objects = ragged.make_objects(0)
    curves = ragged.to_curves(objects)
    found = photometry.median(curves.flux, curves.row, curves.count).numpy()
    for number, item in enumerate(objects):
        expected = np.median(item["flux"].astype("float32")) if len(item["flux"]) else 0
        assert found[number] == pytest.approx(expected, rel=1e-6)
