"""Turning and shifting stamps against loops over pixels."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from zoo.layers.stamp_augment import StampAugment, rotate, translate


@pytest.fixture
def stamps():
    """Two stamps (2, 9, 12, 2)."""
    return np.random.default_rng(0).normal(size=(2, 9, 12, 2)).astype("float32")


def _pixel(image, row, column):
    inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
    return image[row, column] if inside else np.zeros(image.shape[2])


def _bilinear(image, row, column):
    top, left = math.floor(row), math.floor(column)
    down, right = row - top, column - left
    return (
        (1 - down) * (1 - right) * _pixel(image, top, left)
        + (1 - down) * right * _pixel(image, top, left + 1)
        + down * (1 - right) * _pixel(image, top + 1, left)
        + down * right * _pixel(image, top + 1, left + 1)
    )


def test_any_angle_counter_clockwise_about_the_centre(stamps):
    angles = np.array([0.4, -2.1], "float32")
    ours = np.array(rotate(stamps, angles, "bilinear"))
    middle_row, middle_column = (9 - 1) / 2, (12 - 1) / 2
    for image, angle, found in zip(stamps, angles.astype("float64"), ours, strict=True):
        for row in range(9):
            for column in range(12):
                # Rows count downwards: up is −row.
                x, y = column - middle_column, -(row - middle_row)
                back_x = math.cos(angle) * x + math.sin(angle) * y
                back_y = -math.sin(angle) * x + math.cos(angle) * y
                expected = _bilinear(image, middle_row - back_y, middle_column + back_x)
                np.testing.assert_allclose(found[row, column], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_quarters_move_whole_pixels(quarter):
    square = np.random.default_rng(0).normal(size=(2, 7, 7, 3)).astype("float32")
    ours = rotate(square, np.full(2, quarter * np.pi / 2, "float32"))
    np.testing.assert_array_equal(ours, np.rot90(square, quarter, axes=(1, 2)))


@pytest.mark.parametrize("fill_mode", ["constant", "wrap"])
def test_whole_shifts_go_right_and_down(stamps, fill_mode):
    ours = np.array(translate(stamps, np.array([[2, -3], [-1, 0]], "float32"), fill_mode=fill_mode))
    for image, (right, down), found in zip(stamps, [(2, -3), (-1, 0)], ours, strict=True):
        expected = np.roll(image, (down, right), axis=(0, 1))
        if fill_mode == "constant":
            rows, columns = np.arange(9) - down, np.arange(12) - right
            expected = expected * ((rows >= 0) & (rows < 9))[:, None, None]
            expected = expected * ((columns >= 0) & (columns < 12))[None, :, None]
        np.testing.assert_array_equal(found, expected)


def test_the_layer_acts_in_training_only_and_draws_for_every_stamp():
    layer = StampAugment(max_shift=1.5, seed=3)
    same = np.repeat(np.random.default_rng(0).normal(size=(1, 11, 11, 1)), 3, axis=0).astype("float32")
    np.testing.assert_array_equal(layer(same), same)
    first, second = (np.array(layer(same, training=True)) for _ in range(2))
    assert np.abs(first[0] - first[1]).max() > 0.1 and np.abs(first - second).max() > 0.1
    again = StampAugment.from_config(layer.get_config())
    np.testing.assert_array_equal(again(same, training=True), first)
    # All channels of a stamp move together.
    double = np.concatenate([same, 2 * same], axis=-1)
    found = np.array(StampAugment(max_shift=1.5, seed=3)(double, training=True))
    np.testing.assert_allclose(found[..., 1], 2 * found[..., 0], rtol=1e-5, atol=1e-6)


def test_a_layer_that_may_not_move_does_not(stamps):
    layer = keras.Sequential([StampAugment(max_angle=0.0)])
    np.testing.assert_array_equal(layer(stamps, training=True), stamps)
    with pytest.raises(ValueError, match="Received: -1, 0.0"):
        StampAugment(max_angle=-1)
    with pytest.raises(ValueError, match="constant, nearest, reflect, wrap. Received: 'mirror'"):
        rotate(stamps, np.zeros(2, "float32"), fill_mode="mirror")
