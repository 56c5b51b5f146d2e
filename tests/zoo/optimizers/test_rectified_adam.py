"""Rectified Adam against its formula in float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from zoo.optimizers.rectified_adam import RectifiedAdam


def _published(start, gradients, rate, beta_1, beta_2, epsilon, decay):
    """Give the weights after each step, and whether the step used the second moment."""
    weights, mean, square = start.astype("float64"), 0.0, 0.0
    longest = 2 / (1 - beta_2) - 1
    found, adapted = [], []
    for step, gradient in enumerate(gradients.astype("float64"), 1):
        mean = beta_1 * mean + (1 - beta_1) * gradient
        square = beta_2 * square + (1 - beta_2) * gradient**2
        update = mean / (1 - beta_1**step)
        length = longest - 2 * step * beta_2**step / (1 - beta_2**step)
        adapted.append(length >= 5)
        if length >= 5:
            above, below = (length - 4) * (length - 2) * longest, (longest - 4) * (longest - 2) * length
            update *= np.sqrt(above / below) / (np.sqrt(square / (1 - beta_2**step)) + epsilon)
        weights = weights - rate * (update + decay * weights)
        found.append(weights)
    return np.array(found), adapted


@pytest.mark.parametrize(("beta_2", "decay"), [(0.999, 0.0), (0.9, 0.1), (0.5, 0.0)])
def test_steps_are_the_published_ones(beta_2, decay):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(4, 3)).astype("float32"), rng.normal(size=(12, 4, 3)).astype("float32")
    expected, adapted = _published(start, gradients, 0.02, 0.8, beta_2, 1e-6, decay)
    # 0.5 is too short a memory ever to be trusted.
    assert adapted[0] is False and adapted[-1] is (beta_2 > 0.5)
    variable = keras.Variable(start)
    ours = RectifiedAdam(0.02, beta_1=0.8, beta_2=beta_2, epsilon=1e-6, weight_decay=decay)
    for gradient, point in zip(gradients, expected, strict=True):
        ours.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        # ρ near the threshold is the small difference of numbers around 2000.
        np.testing.assert_allclose(np.array(variable), point, rtol=0, atol=5e-5)


def test_the_decay_is_applied_once():
    variable = keras.Variable(np.array([2.0], "float32"))
    RectifiedAdam(0.1, weight_decay=0.5).apply([np.zeros(1, "float32")], [variable])
    assert np.array(variable)[0] == pytest.approx(2.0 * (1 - 0.1 * 0.5))


def test_configuration_and_errors():
    ours = RectifiedAdam(0.3, beta_1=0.7, weight_decay=0.2, sma_threshold=4.5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
    assert isinstance(again, RectifiedAdam) and again.get_config() == ours.get_config()
    with pytest.raises(ValueError, match="at least 4.*Received: 3"):
        RectifiedAdam(sma_threshold=3)
