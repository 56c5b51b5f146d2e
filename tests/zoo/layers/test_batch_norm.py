"""Normalisation over valid steps against NumPy."""

from __future__ import annotations

import numpy as np
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
