"""Normalisation over valid steps against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from zoo.layers.batch_norm import MaskedBatchNorm


def _case():
    rng = np.random.default_rng(0)
    values = (5 + 3 * rng.normal(size=(4, 6, 2))).astype("float32")
    return values, np.arange(6) < np.array([6, 2, 0, 4])[:, None]


def _call(layer, values, mask, **options):
    return ops.convert_to_numpy(layer(ops.convert_to_tensor(values), ops.convert_to_tensor(mask), **options))


def test_training_uses_and_remembers_the_valid_steps():
    values, mask = _case()
    layer = MaskedBatchNorm(momentum=0.9, epsilon=1e-3)
    # What stands under a False mask must not count.
    spoiled = np.where(mask[..., None], values, 1e4).astype("float32")
    found = _call(layer, spoiled, mask, training=True)
    valid = values[mask].astype("float64")
    mean, variance = valid.mean(axis=0), valid.var(axis=0)
    np.testing.assert_allclose(found[mask], (valid - mean) / np.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-5)


def test_otherwise_the_running_means_are_used_and_stay():
    values, mask = _case()
    layer = MaskedBatchNorm(epsilon=1e-3)
    layer.build(values.shape)
    state = [np.array(item, "float32") for item in ([2.0, 3.0], [0.5, -0.5], [4.0, 6.0], [9.0, 4.0])]
    layer.set_weights(state)
    gamma, beta, mean, variance = state
    expected = gamma * (values - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(_call(layer, values, mask), expected, rtol=1e-4, atol=1e-5)
    layer.trainable = False
    np.testing.assert_allclose(_call(layer, values, mask, training=True), expected, rtol=1e-4, atol=1e-5)
    layer.trainable = True
    _call(layer, values, np.zeros_like(mask), training=True)
    for ours, theirs in zip(layer.get_weights(), state, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("counted", ["all", "some", "none"])
def test_the_gradient_is_that_of_the_formula(counted):
    values, mask = _case()
    mask = {"all": None, "some": tf.constant(mask), "none": tf.zeros_like(mask)}[counted]
    random = np.random.default_rng(1)
    layer = MaskedBatchNorm()
    layer.build(values.shape)
    layer.gamma.assign(random.normal(size=2))
    upstream = tf.constant(random.normal(size=values.shape).astype("float32"))

    def plain(values, gamma, beta):
        weight = tf.ones((24, 1)) if mask is None else tf.reshape(tf.cast(mask, "float32"), (24, 1))
        rows, count = tf.reshape(values, (24, 2)), tf.maximum(tf.reduce_sum(weight), 1e-9)
        mean = tf.reduce_sum(weight * rows, axis=0) / count
        variance = tf.reduce_sum(weight * (rows - mean) ** 2, axis=0) / count
        mean, variance = (0.0, 1.0) if counted == "none" else (mean, variance)
        return tf.reshape(gamma * (rows - mean) / tf.sqrt(variance + 1e-3) + beta, values.shape)

    sources = [tf.constant(values), layer.gamma.value, layer.beta.value]
    found = []
    for function in (lambda values, *_: layer.call(values, mask, training=True), plain):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            result = function(*sources)
        found.append([result, *tape.gradient(result, sources, upstream)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
