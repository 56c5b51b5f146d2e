"""Dropout on few bits: shares, scale, gradient, seeds."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.layers.dropout import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_share_scale_and_independence(rate):
    layer = Dropout(rate, seed=3)
    values = np.ones((301, 7, 101), "float32")  # the last axis is no multiple of four
    result = np.array(layer(values, training=True))
    kept = result > 0
    (scale,) = np.unique(result[kept])
    dropped = 1 - 1 / scale
    assert abs(dropped - rate) < 1 / 256 and dropped * 256 == pytest.approx(round(dropped * 256), abs=1e-3)
    error = np.sqrt(rate * (1 - rate) / kept.size)
    assert kept.mean() == pytest.approx(1 - dropped, abs=5 * error)
    # Four elements share a draw, and neighbours must not follow each other.
    flat = kept.reshape(-1).astype("float64")
    for lag in (1, 2, 3, 101):
        together = np.mean(flat[:-lag] * flat[lag:]) - flat.mean() ** 2
        assert abs(together) < 5 * error
    np.testing.assert_array_equal(layer(values), values)


def test_the_mean_rate_is_the_rate():
    layer = Dropout(0.1, seed=4)  # 25.6 of 256
    scales = [np.array(layer(np.ones((4, 64), "float32"), training=True)).max() for _ in range(300)]
    found, counts = np.unique(np.round(256 - 256 / np.array(scales), 3), return_counts=True)
    np.testing.assert_array_equal(found, [25, 26])
    assert counts[1] / 300 == pytest.approx(0.6, abs=0.1)


def test_gradient_goes_where_values_stay():
    layer, values = Dropout(0.3, seed=1), tf.random.stateless_normal((50, 40), [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = layer(values, training=True)
    gradient = tape.gradient(result, values, output_gradients=tf.ones_like(values))
    np.testing.assert_allclose(np.array(gradient) * np.array(values), result, rtol=1e-6)


def test_seed_decides_and_every_pass_is_new():
    values = np.ones((64, 33), "float32")
    layer, again = Dropout(0.4, seed=5), Dropout(0.4, seed=5)
    first = np.array(layer(values, training=True))
    np.testing.assert_array_equal(first, again(values, training=True))
    assert (np.array(layer(values, training=True)) != first).any()
    compiled_layer = Dropout(0.4, seed=5)
    unknown = tf.TensorSpec([None, None], tf.float32)
    compiled = tf.function(lambda x: compiled_layer(x, training=True), input_signature=[unknown])
    np.testing.assert_array_equal(compiled(values), first)


def test_config_dtype_and_the_form_of_keras():
    layer = Dropout(0.25, noise_shape=(None, 1), seed=2, dtype="bfloat16")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert isinstance(again, Dropout) and again.rate == 0.25
    rows = np.array(keras.ops.cast(again(np.ones((20, 9)), training=True), "float32"))
    assert (rows == rows[:, :1]).all() and 0 < (rows > 0).mean() < 1
    assert Dropout(0.2, seed=1, dtype="bfloat16")(np.ones((4, 4)), training=True).dtype == "bfloat16"
