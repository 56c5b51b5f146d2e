"""The view ``grid`` against plain loops over objects and bands."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo.inputs import ragged
from zoo.inputs import grid
from zoo.inputs.config import InputConfig
from zoo.inputs.stage import Stage


@pytest.fixture(params=range(3))
def objects(request):
    made = ragged.make_objects(request.param)
    for item in made:
        item["time"] = item["time"] - 59200
    return made


def _view(objects, **options):
    config = InputConfig(**options)
    return config, {key: value.numpy() for key, value in grid.build(ragged.to_curves(objects), 4, config).items()}


def _steps(item, config, half):
    kept = ragged.keep(item, item["time"] >= config.grid_start)
    if not len(kept["time"]):
        return kept, np.zeros(0)
    start, last = kept["time"].min(), kept["time"].max()
    size = min(int(np.floor((last - start) / config.grid_step + half)) + 1, config.grid_steps)
    return kept, start + config.grid_step * np.arange(size)


def test_linear_is_numpy_interp_between_the_observations_of_a_band(objects):
    config, view = _view(objects, grid_start=-150.0, grid_step=2.5, grid_steps=80, grid_clip=True)
    assert view["mask"].shape[1] == view["mask"].sum(axis=1).max() <= 80
    for number, item in enumerate(objects):
        kept, steps = _steps(item, config, 1e-9)
        size = len(steps)
        assert view["mask"][number].sum() == size
        np.testing.assert_allclose(view["time"][number, :size], steps, rtol=1e-6)
        for band in range(4):
            of_band = ragged.keep(kept, kept["band"] == band)
            inside = np.zeros(size, bool)
            if len(of_band["time"]) > 1:
                inside = (steps >= of_band["time"].min()) & (steps <= of_band["time"].max())
            np.testing.assert_array_equal(view["observed"][number, :size, band], inside)
            assert not view["observed"][number, size:].any()
            # Where times repeat, what stands at that very time is either of them.
            new = inside & ~np.isin(steps, of_band["time"])
            for key in ("flux", "flux_err"):
                assert not view[key][number, :, band][~view["observed"][number, :, band]].any()
                if new.any():
                    expected = np.interp(steps[new], of_band["time"], of_band[key])
                    expected = np.maximum(expected, 0) if key == "flux" else expected
                    np.testing.assert_allclose(view[key][number, :size, band][new], expected, rtol=1e-4, atol=1e-4)


def test_binned_is_the_weighted_mean_of_the_nearest_step(objects):
    config, view = _view(objects, grid_start=-1000.0, grid_step=20.0, grid_steps=12, grid_fill="none")
    for number, item in enumerate(objects):
        kept, steps = _steps(item, config, 0.5)
        assert view["mask"][number].sum() == len(steps)
        place = np.floor((kept["time"] - steps[0]) / 20.0 + 0.5) if len(steps) else np.zeros(0)
        for step in range(view["mask"].shape[1]):
            for band in range(4):
                rows = (place == step) & (kept["band"] == band)
                assert view["observed"][number, step, band] == rows.any()
                if rows.any():
                    weight = kept["flux_err"][rows].astype("float64") ** -2
                    mean = (weight * kept["flux"][rows]).sum() / weight.sum()
                    np.testing.assert_allclose(view["flux"][number, step, band], mean, rtol=1e-4, atol=1e-3)
                    np.testing.assert_allclose(view["flux_err"][number, step, band], weight.sum() ** -0.5, rtol=1e-5)


def test_a_step_on_an_observation_takes_its_flux():
    item = {"time": np.array([0.0, 3.0, 6.0]), "band": np.zeros(3, "int32"), "flux": np.array([1, -5, 9], "float32"),
            "flux_err": np.ones(3, "float32"), "flags": np.zeros(3, "int32")}  # fmt: skip
    _, view = _view([item])
    np.testing.assert_array_equal(view["flux"][0, :, 0], [1, -5, 9])
    assert view["mask"].all() and view["observed"][0, :, 0].all() and not view["observed"][0, :, 1].any()


@pytest.mark.parametrize("origin", ["first", "reference"])
def test_rest_frame_times_and_the_days_of_steps(objects, origin):
    """Times are those of the source; the days of the steps stay the observer's, from the reference time."""
    redshift = np.resize(np.array([0.5, 0.0, np.nan, -9.0, 1.0, 0.2], "float32"), len(objects))[:, None]
    stretch = np.where(np.isfinite(redshift) & (redshift > 0), 1 + redshift.astype("float64"), 1.0)[:, 0]
    config = InputConfig(time_origin=origin, grid_steps=400, rest_frame_time="z")
    places = tf.range(len(objects), dtype=tf.int64)

    def view(column):
        stage = Stage("grid", ("light_curve", "static"), config, 4, 1, (0,), redshift=column)
        prepared = stage.prepare(ragged.to_curves(objects), tf.constant(redshift), tf.zeros([len(objects), 0, 0]))
        inputs = stage.tensors(prepared, places)
        return prepared, inputs, stage.targets(prepared, inputs, places)["days"].numpy()

    prepared, inputs, days = view(0)
    plain, _, _ = view(None)
    rows = prepared.curves.row.numpy()
    np.testing.assert_allclose(prepared.curves.time, plain.curves.time.numpy() / stretch[rows], rtol=1e-12)
    np.testing.assert_array_equal(np.isfinite(days), inputs["mask"])
    back = (days + prepared.reference.numpy()[:, None]) / stretch[:, None]
    mask = inputs["mask"].numpy()
    np.testing.assert_allclose(back[mask], inputs["time"].numpy()[mask], rtol=1e-5, atol=1e-3)
    assert prepared.reference.numpy().any() != (origin == "reference")
