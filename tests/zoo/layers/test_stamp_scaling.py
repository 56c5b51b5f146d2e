"""Cutting and scaling of stamps against the same in NumPy, with everything that can be missing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.stamp_scaling import StampScaling, check_stamps
from zoo.registry import ModelInfo

NAMES = ["science", "template", "difference"]


def _stamps(*lead, side=63, seed=0):
    return np.random.default_rng(seed).normal(100, 20, (*lead, side, side, 3)).astype("float32")


def _scaled(stamps, crop=21, normalize="per_image", channels=("template", "difference"), names=NAMES):
    layer = StampScaling(crop, normalize, channels, names)
    return [ops.convert_to_numpy(item) for item in layer(ops.convert_to_tensor(stamps))]


def _numpy(image):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        image = image - np.nanmin(image)
        return np.nan_to_num(image / np.nanmax(image), nan=0.0)


def test_it_is_the_published_order_cut_scale_fill():
    stamps = _stamps(4)
    stamps[0, 25:30, 28] = np.nan
    stamps[1, ..., 1] = 7.0
    stamps[2, ..., 2] = np.nan
    stamps[3, 2, 2] = 1e6
    images, valid = _scaled(stamps)
    for row in range(4):
        for place, channel in enumerate((1, 2)):
            np.testing.assert_allclose(images[row, ..., place], _numpy(stamps[row, 21:42, 21:42, channel]), atol=1e-6)
    assert valid.dtype == bool and not valid[2, ..., 1].any() and (~valid[0, ..., 0]).sum() == 5


def test_infinities_are_missing_and_frames_stay_apart():
    stamps = _stamps(2, 3)
    stamps[0, 1, 31, 31] = [np.inf, -np.inf, np.nan]
    images, valid = _scaled(stamps)
    assert images.shape == (2, 3, 21, 21, 2) and np.isfinite(images).all()
    assert images.min() == 0 and images.max() == 1
    assert not valid[0, 1, 10, 10].any() and valid.sum() == valid.size - 2
    np.testing.assert_array_equal(images[1, 2], _scaled(stamps[1:, 2])[0][0])


def test_snr_and_sky_go_by_medians_of_the_whole_stamp():
    stamps = _stamps(2, seed=3)
    stamps[0, :9, :9] = np.nan
    stamps[1, ..., 2] = 5.0
    images, _ = _scaled(stamps, normalize="none", channels=["snr", "science"])
    known = stamps[0, ..., 2]
    deviation = 1.4826 * np.nanmedian(np.abs(known - np.nanmedian(known)))
    np.testing.assert_allclose(images[0, ..., 0], known[21:42, 21:42] / deviation, rtol=1e-4)
    assert (images[1, ..., 0] == 0).all(), "no spread, no signal to noise"
    images, _ = _scaled(stamps, normalize="sky", channels=["science"])
    expected = stamps[0, ..., 0] - np.nanmedian(stamps[0, ..., 0])
    np.testing.assert_allclose(images[0, ..., 0], expected[21:42, 21:42], atol=1e-3)


def test_crops_and_channels_that_are_not_there_are_refused():
    info = ModelInfo(channels=tuple(NAMES), stamp_size=63)
    for crop in (64, 65, 22):
        with pytest.raises(UsageError, match=f"crop must be.*Received: {crop}"):
            check_stamps(crop, ["science"], info)
    with pytest.raises(UsageError, match=r"science, template, difference, snr\. Received: \['scence'\]"):
        check_stamps(21, ["scence"], info)
    with pytest.raises(UsageError, match="snr"):
        check_stamps(21, ["snr"], ModelInfo(channels=("science",), stamp_size=63))
