"""Table tokens, heads, activations and initial values."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops
from scipy.special import erf

from zoo.layers.activations import gelu
from zoo.layers.initializers import FanInUniform, kernel_initializer
from zoo.layers.tabular import FeatureTokenizer, NormHead


def test_a_token_is_kernel_times_value_plus_bias():
    values = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    layer = FeatureTokenizer(5)
    ours = ops.convert_to_numpy(layer(values))
    kernel, bias = (np.array(weight)[0] for weight in layer.weights)
    for row in range(3):
        for column in range(4):
            expected = kernel[column] * values[row, column] + bias[column]
            np.testing.assert_allclose(ours[row, column], expected, atol=1e-6)


@pytest.mark.parametrize("hidden", [0, 2])
def test_a_head_is_its_formula(hidden):
    values = np.random.default_rng(0).normal(size=(3, 6)).astype("float32") * 4 + 1
    layer = NormHead(5, hidden=hidden, initializer="xavier")
    ours = ops.convert_to_numpy(layer(values))
    x = values.astype("float64")
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    for part in layer.hidden:
        x = x @ np.array(part.kernel) + np.array(part.bias)
        x = 0.5 * x * (1 + erf(x / np.sqrt(2)))
    expected = x @ np.array(layer.output_layer.kernel) + np.array(layer.output_layer.bias)
    np.testing.assert_allclose(ours, expected, atol=2e-6)
    assert len(layer.hidden) == hidden and ours.shape == (3, 5)


def test_gelu_is_exact():
    values = np.linspace(-8, 8, 101).astype("float32")
    expected = 0.5 * values * (1 + erf(values.astype("float64") / np.sqrt(2)))
    np.testing.assert_allclose(ops.convert_to_numpy(gelu(values)), expected, atol=1e-6)


def test_initial_values():
    bias = np.array(FanInUniform(16, seed=1)((10000,)))
    assert np.abs(bias).max() <= 0.25 and np.abs(bias).max() > 0.249 and abs(bias.mean()) < 0.005
    normal = np.array(kernel_initializer("normal")((200, 200)))
    assert normal.std() == pytest.approx(0.02, rel=0.02)
    square = np.array(kernel_initializer("orthogonal")((20, 20)))
    np.testing.assert_allclose(square @ square.T, np.eye(20), atol=1e-5)
    with pytest.raises(ValueError, match="normal, orthogonal, xavier.*Received: 'he'"):
        kernel_initializer("he")
