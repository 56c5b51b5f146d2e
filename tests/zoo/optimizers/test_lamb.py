"""LAMB against its formula, and against Keras's where both are the same."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from zoo.optimizers.lamb import Lamb


def _run(optimizer, start, gradients):
    variable = keras.Variable(start)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return np.array(variable)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["random", "zero weights", "zero gradients"])
def test_steps_are_the_published_ones(decay, kind):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(4, 3)).astype("float32"), rng.normal(size=(6, 4, 3)).astype("float32")
    start, gradients = start * (kind != "zero weights"), gradients * (kind != "zero gradients")
    weights, mean, square = start.astype("float64"), 0.0, 0.0
    for step, gradient in enumerate(gradients.astype("float64"), 1):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        update = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-6) + decay * weights
        norms = np.linalg.norm(weights), np.linalg.norm(update)
        weights = weights - 0.05 * (norms[0] / norms[1] if min(norms) > 0 else 1.0) * update
    ours = _run(Lamb(0.05, beta_2=0.99, weight_decay=decay), start, gradients)
    np.testing.assert_allclose(ours, weights, rtol=0, atol=1e-5)


def test_only_the_decay_tells_it_from_keras():
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=(5,)).astype("float32"), rng.normal(size=(8, 5)).astype("float32")
    for decay, same in ((0.0, True), (0.1, False)):
        ours = _run(Lamb(0.05, weight_decay=decay), start, gradients)
        theirs = _run(keras.optimizers.Lamb(0.05, epsilon=1e-6, weight_decay=decay or None), start, gradients)
        assert bool(np.abs(ours - theirs).max() < 1e-5) is same


def test_configuration():
    ours = Lamb(0.3, beta_1=0.7, weight_decay=0.2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
    assert isinstance(again, Lamb) and again.get_config() == ours.get_config()
    assert again.get_config()["weight_decay"] == 0.2
