"""Preparation of stamps and columns against NumPy, turns, and the cores over time."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

from tfrecords.errors import UsageError
from zoo.layers.alert_columns import AlertColumns
from zoo.layers.sequence_cores import ConvolutionCore, DelayCore, GammaCore
from zoo.layers.stamp_turns import CyclicPool, RandomTurns, quarter_turns
from zoo.layers.stamps import NORMALISATIONS, StampPreprocess, check_stamps
from zoo.registry import ModelInfo

RNG = np.random.default_rng(1)
NAMES = ["science", "template", "difference"]


def _numpy(values):
    return keras.ops.convert_to_numpy(values)


def _prepared(stamps, size=21, normalize="per_image", channels=NAMES, names=NAMES, nan_to=0.0):
    layer = StampPreprocess(size, normalize, channels, names, nan_to)
    return [_numpy(item) for item in layer(keras.ops.convert_to_tensor(stamps))]


def _published(images, size):
    """The published code: statistics of the crop, NaN to 0 at the end."""
    start = images.shape[1] // 2 - size // 2
    images = images[:, start : start + size, start : start + size].copy()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        images -= np.nanmin(images, axis=(1, 2), keepdims=True)
        images /= np.nanmax(images, axis=(1, 2), keepdims=True)
    return np.nan_to_num(images, nan=0.0)


def test_preparation_is_the_published_one():
    stamps = RNG.normal(size=(5, 63, 63, 3)).astype("float32") * 50 + 200
    stamps[0, 25:30, 20:35, 0], stamps[1, ..., 1], stamps[2, ..., 2], stamps[3, 2, 2] = np.nan, np.nan, 7.0, 1e6
    ours, valid = _prepared(stamps)
    np.testing.assert_allclose(ours, _published(stamps, 21), atol=1e-6)
    assert not ours[1, ..., 1].any() and not ours[2, ..., 2].any()
    assert valid.dtype == bool and not valid[1, ..., 1].any() and (~valid[0]).sum() == 5 * 14
    assert (_prepared(stamps, channels=["difference", "science"])[0] == ours[..., [2, 0]]).all()


def test_infinities_are_missing_and_frames_stay_apart():
    stamps = RNG.normal(100, 20, (2, 3, 63, 63, 3)).astype("float32")
    stamps[0, 1, 31, 31] = [np.inf, -np.inf, np.nan]
    for normalize in ("per_image", "sky"):
        images, valid = _prepared(stamps, normalize=normalize)
        assert images.shape == (2, 3, 21, 21, 3) and np.isfinite(images).all()
        assert not valid[0, 1, 10, 10].any() and valid.sum() == valid.size - 3
        np.testing.assert_array_equal(images[1, 2], _prepared(stamps[1:, 2], normalize=normalize)[0][0])


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_every_scale_is_finite_whatever_comes(kind):
    images = np.stack([np.full((9, 9, 2), value, "float32") for value in (np.nan, np.inf, -np.inf, 0, 4, 3e38)])
    images[5, ::2] *= -1
    images = np.concatenate([images, RNG.normal(size=(1, 9, 9, 2)).astype("float32")])
    ours, valid = _prepared(images, 7, kind, ["a", "b"], ["a", "b"], 0.25)
    assert np.isfinite(ours).all() and (ours[[0, 1, 2, 5]] == 0.25).all() and not valid[[0, 1, 2, 5]].any()
    assert valid[[3, 4, 6]].all() and (kind in ("none", "sky", "l2") or (ours[4] == 0.25).all())
    cut = images[6, 1:-1, 1:-1]
    shifted = cut - cut.min(axis=(0, 1))
    expected = {
        "per_image": shifted / shifted.max(axis=(0, 1)),
        "per_sample": (cut - cut.min()) / (cut.max() - cut.min()),
        "per_image_-1_1": 2 * shifted / shifted.max(axis=(0, 1)) - 1,
        "l2": cut / np.sqrt((cut**2).sum(axis=(0, 1))),
        "sky": cut - np.median(images[6], axis=(0, 1)),
        "none": cut,
    }
    np.testing.assert_allclose(ours[6], expected[kind], atol=1e-6)


def test_snr_and_sky_go_by_medians_of_the_whole_stamp():
    stamps = RNG.normal(100, 20, (2, 63, 63, 3)).astype("float32")
    stamps[0, :9, :9] = np.nan
    stamps[1, ..., 2] = 5.0
    images, _ = _prepared(stamps, normalize="none", channels=["snr", "science"])
    known = stamps[0, ..., 2]
    deviation = 1.4826 * np.nanmedian(np.abs(known - np.nanmedian(known)))
    np.testing.assert_allclose(images[0, ..., 0], known[21:42, 21:42] / deviation, rtol=1e-4)
    assert (images[1, ..., 0] == 0).all(), "no spread, no signal to noise"
    images, _ = _prepared(stamps, normalize="sky", channels=["science"])
    expected = stamps[0, ..., 0] - np.nanmedian(stamps[0, ..., 0])
    np.testing.assert_allclose(images[0, ..., 0], expected[21:42, 21:42], atol=1e-3)


def test_crops_and_channels_that_are_not_there_are_refused():
    info = ModelInfo(channels=tuple(NAMES), stamp_size=63)
    for crop in (64, 65, 22):
        with pytest.raises(UsageError, match=f"crop, or window.*Received: {crop}"):
            check_stamps(crop, ["science"], info)
    with pytest.raises(UsageError, match=r"science, template, difference, snr\. Received: \['scence'\]"):
        check_stamps(21, ["scence"], info)
    with pytest.raises(UsageError, match="snr"):
        check_stamps(21, ["snr"], ModelInfo(channels=("science",), stamp_size=63))


def test_columns_are_clipped_and_standardised():
    rows = np.array([[2.0, 5.0, -3.0], [4.0, 25.0, 8.0], [np.nan, -999.0, np.nan], [30.0, 3.0, 1.0]])
    layer = AlertColumns(["fwhm", "magpsf", "sgscore1"])
    layer.fit(rows)
    clipped = np.array([[2.0, 5.0, -1.0], [4.0, 25.0, 8.0], [np.nan, np.nan, -1.0], [10.0, 3.0, 1.0]])
    np.testing.assert_allclose(_numpy(layer.mean), np.nanmean(clipped, axis=0), rtol=1e-6)
    np.testing.assert_allclose(_numpy(layer.deviation), np.nanstd(clipped, axis=0), rtol=1e-6)
    expected = (clipped - np.nanmean(clipped, axis=0)) / np.nanstd(clipped, axis=0)
    # A missing value is the lower limit where there is one, else the mean.
    np.testing.assert_allclose(_numpy(layer(rows)), np.nan_to_num(expected), atol=1e-6)
    constant = AlertColumns(["magpsf"])
    constant.fit(np.full((3, 1), 4.0))
    np.testing.assert_allclose(_numpy(constant(np.array([[4.0], [6.0], [np.inf]]))), [[0], [2], [0]], atol=1e-6)
    empty = AlertColumns(["magpsf"])
    empty.fit(np.full((3, 1), np.nan))
    assert np.isfinite(_numpy(empty(np.array([[np.nan], [3.0]])))).all()


def test_quarter_turns_are_stacked_rotation_by_rotation():
    images = RNG.normal(size=(3, 5, 5, 2)).astype("float32")
    turned = _numpy(quarter_turns(keras.ops.convert_to_tensor(images)))
    for turn in range(4):
        for place in range(3):
            np.testing.assert_array_equal(turned[3 * turn + place], np.rot90(images[place], turn))
    values = RNG.normal(size=(12, 4)).astype("float32")
    np.testing.assert_allclose(_numpy(CyclicPool()(values)), values.reshape(4, 3, 4).mean(axis=0), atol=1e-6)


def test_four_turns_without_jitter_are_quarter_turns():
    images = RNG.normal(size=(3, 9, 9, 2)).astype("float32")
    ours = _numpy(RandomTurns(4, 0.3, 5)(images, training=False))
    np.testing.assert_allclose(
        ours, _numpy(quarter_turns(keras.ops.convert_to_tensor(images)))[:, 2:-2, 2:-2], atol=1e-4
    )


def test_jitter_is_the_same_for_all_frames_and_another_for_every_object():
    frame = RNG.normal(size=(9, 9, 1)).astype("float32")
    images = np.broadcast_to(frame, (3, 2, 9, 9, 1))
    layer = RandomTurns(2, 0.5, 7, seed=1)
    ours = _numpy(layer(images, training=True)).reshape(2, 3, 2, 7, 7, 1)
    np.testing.assert_allclose(ours[:, :, 0], ours[:, :, 1], atol=1e-6)
    assert np.abs(ours[:, 0] - ours[:, 1]).max() > 1e-3
    assert np.abs(_numpy(layer(images, training=True)).reshape(ours.shape) - ours).max() > 1e-3
    still = _numpy(layer(images, training=False)).reshape(ours.shape)
    np.testing.assert_allclose(still[:, 0], still[:, 1], atol=1e-6)


@pytest.fixture
def sequence():
    """Two columns over six frames: all valid, a gap, one, none."""
    mask = np.array([[1] * 6, [1, 0, 1, 1, 0, 0], [0, 0, 0, 1, 0, 0], [0] * 6], bool)
    return RNG.normal(size=(4, 6, 2)).astype("float32"), mask


def test_gamma_memory_is_its_recursion(sequence):
    values, mask = sequence
    layer = GammaCore(5, 3, taps=2)
    layer.build(values.shape)
    layer.rate.assign(0.4)
    kernel, bias = _numpy(layer.dense.kernel), _numpy(layer.dense.bias)
    rate = 2 / (1 + np.exp(-0.4))
    ours = _numpy(layer(values, mask))
    for place in range(4):
        taps = np.zeros((3, 2))
        for row in values[place][mask[place]][:5]:
            taps = np.stack([row, *((1 - rate) * taps[tap] + rate * taps[tap - 1] for tap in (1, 2))])
        np.testing.assert_allclose(ours[place], np.maximum(taps.ravel() @ kernel + bias, 0), atol=1e-5)


def test_windows_of_valid_frames_are_averaged(sequence):
    values, mask = sequence
    layer = DelayCore(5, 3)
    ours = _numpy(layer(values, mask))
    kernel, bias = _numpy(layer.windows.kernel), _numpy(layer.windows.bias)
    for place in range(4):
        rows = values[place][mask[place]][:5]
        padded = np.concatenate([rows, np.zeros((2, 2))])
        steps = [np.maximum(padded[step] @ kernel[0] + padded[step + 1] @ kernel[1] + bias, 0)
                 for step in range(max(len(rows) - 1, 1) if len(rows) else 0)]  # fmt: skip
        np.testing.assert_allclose(ours[place], np.mean(steps, axis=0) if steps else np.zeros(3), atol=1e-5)


def test_convolution_sees_frames_in_front(sequence):
    values, mask = sequence
    layer = ConvolutionCore(4, 3, 2)
    ours = _numpy(layer(values, mask))
    kernel, bias = _numpy(layer.convolution.kernel), _numpy(layer.convolution.bias)
    assert ours.shape == (4, 9)
    for place in range(4):
        padded = np.concatenate([values[place][mask[place]], np.zeros((4, 2))])[:4]
        steps = [np.maximum(padded[step] @ kernel[0] + padded[step + 1] @ kernel[1] + bias, 0) for step in range(3)]
        np.testing.assert_allclose(ours[place], np.concatenate(steps), atol=1e-5)
