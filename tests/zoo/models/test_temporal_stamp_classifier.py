"""The temporal stamp classifier: widths by the lists of columns, time between alerts, what is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import hparams
from tfrecords.errors import UsageError
from zoo import registry
from zoo.training.resolve import resolve

NAME = "temporal_stamp_classifier"
COLUMNS = ("fwhm", "magpsf", "sgscore1", "ra", "dec")
INFO = registry.ModelInfo(("AGN", "SN", "VS"), (), ("w1_w2",), channels=("science", "template"), stamp_size=15,
                          alert_columns=COLUMNS)  # fmt: skip
SMALL = {"window": 11, "crop": 9, "turns": 2, "units": 6, "core_units": 4, "kernel": 3, "filters": 4}


def _inputs(frames=3, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "stamps": rng.normal(size=(4, frames, 15, 15, 2)).astype("float32"),
        "alerts": rng.normal(size=(4, frames, len(COLUMNS))).astype("float32"),
        "time": np.cumsum(rng.uniform(1, 20, (4, frames)), axis=1).astype("float32"),
        "mask": np.arange(frames) < np.array([frames, 2, 1, 0])[:, None],
        "static": rng.normal(size=(4, 1)).astype("float32"),
    }


def _logits(network, inputs):
    tensors = {key: keras.ops.convert_to_tensor(value) for key, value in inputs.items()}
    return keras.ops.convert_to_numpy(network(tensors)["logits"])


@pytest.mark.parametrize("core", ["lstm", "conv"])
def test_widths_follow_from_the_lists(core):
    network = registry.create(NAME, INFO, core=core, **SMALL)
    width = 6 + 1 + 2
    kernel = network.core.convolution.kernel if core == "conv" else network.core.stack[0].cell.kernel
    assert kernel.shape[-2] == width
    assert network.merge.kernel.shape[0] == (4 * 4 if core == "conv" else 4) + 3
    with_static = registry.create(NAME, INFO, core=core, static=True, quantiles=5, **SMALL)
    # The column and the one that says whether it is missing.
    assert with_static.merge.kernel.shape[0] == network.merge.kernel.shape[0] + 2


@pytest.mark.parametrize("core", ["lstm", "gamma"])
def test_only_days_between_alerts_count(core):
    network, inputs = registry.create(NAME, INFO, core=core, **SMALL), _inputs()
    plain = _logits(network, inputs)
    np.testing.assert_allclose(_logits(network, inputs | {"time": inputs["time"] + 5}), plain, atol=1e-4)
    moved = inputs["time"].copy()
    moved[:, 1:] += 5
    other = _logits(network, inputs | {"time": moved})
    assert np.abs(other - plain)[:2].max() > 1e-5
    np.testing.assert_array_equal(other[2:], plain[2:])


def test_later_alerts_than_frames_are_not_seen():
    network, inputs = registry.create(NAME, INFO, frames=2, **SMALL), _inputs()
    fewer = inputs | {"mask": inputs["mask"] & (np.arange(3) < 2)}
    np.testing.assert_allclose(_logits(network, inputs), _logits(network, fewer), atol=1e-6)


def test_columns_that_are_not_dynamic_are_those_of_the_last_alert():
    network, inputs = registry.create(NAME, INFO, dynamic=[], images=False, **SMALL), _inputs()
    other = inputs["alerts"].copy()
    other[0, :2] += 1
    np.testing.assert_allclose(_logits(network, inputs | {"alerts": other}), _logits(network, inputs), atol=1e-6)
    other[0, 2] += 1
    assert np.abs(_logits(network, inputs | {"alerts": other}) - _logits(network, inputs)).max() > 1e-5


def test_what_does_not_go_together_is_refused():
    with pytest.raises(UsageError, match="dynamic: the model takes no such column.*Received: 'rb'"):
        registry.create(NAME, INFO, dynamic=["rb"], **SMALL)
    for options, said in (
        ({"core": "conv", "frames": 2, "conv_kernel": 3}, "conv_kernel must be at most frames"),
        ({"images": False, "features": False}, "images or features"),
        ({"core": "tdnn", "frames": 1}, "at least 2"),
        ({"time_scale": 0.0}, "time_scale"),
    ):
        with pytest.raises(UsageError, match=said):
            registry.get(NAME).config(**options)


def test_presets_are_valid():
    for preset in hparams.presets(NAME):
        settled = resolve(NAME, preset)
        assert settled.inputs.max_alerts == settled.hparams.frames and settled.inputs.alert_gap == 6.0
    published = resolve(NAME, "published")
    assert len(published.inputs.alert_columns) == 23 and published.selection.classes == ["AGN", "SN", "VS"]
