"""Building blocks of networks on stamps: turns, doubling, normalisation over the images that count."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from zoo.layers.batch_renorm import BatchRenorm
from zoo.layers.stamp_conv import ImageBatchNorm, doubled_convolution, normalised
from zoo.layers.stamp_turns import quarter_turns
from zoo.models.alexnet.model import local_response

RNG = np.random.default_rng(0)


def test_turns_are_numpys_one_after_another():
    images = RNG.normal(size=(3, 5, 5, 2)).astype("float32")
    found = ops.convert_to_numpy(quarter_turns(ops.convert_to_tensor(images)))
    expected = np.concatenate([np.rot90(images, turn, axes=(1, 2)) for turn in range(4)])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("side", "size"), [(6, 11), (11, 21), (6, 12), (1, 1), (2, 3), (16, 31)])
def test_doubling_and_convolution_are_one(side, size):
    images = tf.Variable(RNG.normal(size=(2, side, side, 3)).astype("float32"))
    kernel = tf.Variable(RNG.normal(size=(3, 3, 3, 4)).astype("float32"))
    rows = np.arange(size) * side // size
    upstream = RNG.normal(size=(2, size, size, 4)).astype("float32")
    with tf.GradientTape(persistent=True) as tape:
        expected = tf.nn.conv2d(tf.gather(tf.gather(images, rows, axis=1), rows, axis=2), kernel, 1, "SAME")
        found = doubled_convolution(tf.convert_to_tensor(images), tf.convert_to_tensor(kernel), size)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for variable in (images, kernel):
        wanted = tape.gradient(expected, variable, upstream)
        np.testing.assert_allclose(tape.gradient(found, variable, upstream), wanted, rtol=1e-5, atol=2e-5 * size)
    with pytest.raises(ValueError, match=f"Received: {size + 2}"):
        doubled_convolution(tf.convert_to_tensor(images), tf.convert_to_tensor(kernel), size + 2)


def test_outside_training_convolution_and_normalisation_are_one():
    images = ops.convert_to_tensor(RNG.normal(size=(2, 5, 5, 3)).astype("float32"))
    convolution, norm = keras.layers.Conv2D(4, 3, 2, padding="same"), ImageBatchNorm()
    convolution.build((None, 5, 5, 3))
    norm.build((None, 3, 3, 4))
    norm.set_weights([RNG.uniform(0.5, 2, 4) for _ in range(4)])
    convolution.bias.assign(RNG.normal(size=4))
    for training in (False, True):
        expected = norm.call(convolution(images), None, training=training)
        found = normalised(images, convolution, norm, training=training)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_images_that_do_not_count_do_not_change_the_statistics():
    images = RNG.normal(3, 2, size=(4, 5, 5, 2)).astype("float32")
    counted = np.array([True, False, True, True])
    norm = ImageBatchNorm(momentum=0.9, epsilon=1e-5)
    found = ops.convert_to_numpy(norm(images, ops.convert_to_tensor(counted), training=True))
    kept = images[counted]
    mean, variance = kept.mean((0, 1, 2)), kept.var((0, 1, 2))
    np.testing.assert_allclose(found[counted], (kept - mean) / np.sqrt(variance + 1e-5), atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean.numpy(), 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), 0.9 + 0.1 * variance, rtol=1e-5)
    theirs = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ImageBatchNorm(0.9, 1e-5)(images, training=True)),
        ops.convert_to_numpy(theirs(images, training=True)), atol=1e-5,
    )  # fmt: skip


def test_renormalisation_begins_as_the_plain_one_and_ends_near_inference():
    images = ops.convert_to_tensor(RNG.normal(0.5, 1.5, size=(8, 4, 4, 2)).astype("float32"))
    plain, renorm = ImageBatchNorm(momentum=0.9), BatchRenorm(momentum=0.9, ramp=4)
    first = ops.convert_to_numpy(renorm(images, training=True))
    np.testing.assert_allclose(first, ops.convert_to_numpy(plain(images, training=True)), atol=1e-5)
    renorm.steps.assign(4.0)
    mean, variance = renorm.moving_mean.numpy(), renorm.moving_variance.numpy()
    found = ops.convert_to_numpy(renorm(images, training=True))
    # Within the limits r and d make it what the running means, as they were before, give.
    expected = (ops.convert_to_numpy(images) - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    renorm.steps.assign(4.0)
    renorm.moving_mean.assign(mean + 100.0)
    limited = ops.convert_to_numpy(renorm(images, training=True))
    assert limited.mean() == pytest.approx(-5.0, abs=1e-3), "d_max"


def test_local_response_is_that_of_the_paper():
    images = RNG.normal(size=(1, 1, 1, 7)).astype("float32") * 30
    flat = images.ravel().astype("float64")
    expected = [x / (2 + 1e-4 * (flat[max(c - 2, 0) : c + 3] ** 2).sum()) ** 0.75 for c, x in enumerate(flat)]
    found = ops.convert_to_numpy(local_response(ops.convert_to_tensor(images))).ravel()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
