"""Causal encoders against loops in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from zoo.layers.activations import hard_sigmoid
from zoo.layers.causal import CausalConvolutions, RecurrentStack, delayed, last_valid


def test_hard_sigmoid_has_the_old_slope():
    values = np.array([-3.0, -2.5, -1.0, 0.0, 1.0, 2.5, 3.0], "float32")
    np.testing.assert_allclose(hard_sigmoid(values), [0, 0, 0.3, 0.5, 0.7, 1, 1], atol=1e-7)


def _sigmoid(values):
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize("dilations", [(1, 2, 4), (3,)])
def test_convolutions_see_the_steps_that_the_dilation_says(dilations):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 9, 3)).astype("float32")
    layer = CausalConvolutions(5, 2, dilations)
    found = ops.convert_to_numpy(layer(ops.convert_to_tensor(values)))

    def convolve(item, convolution, rate):
        kernel, bias = (np.array(part, "float64") for part in (convolution.kernel, convolution.bias))
        past = np.concatenate([np.zeros((2, rate, item.shape[-1])), item], axis=1)[:, : item.shape[1]]
        return past @ kernel[0] + item @ kernel[1] + bias

    item, total = values.astype("float64"), 0.0
    for block, rate in enumerate(dilations):
        hidden = _sigmoid(convolve(item, layer.pairs[2 * block], rate))
        hidden = _sigmoid(_sigmoid(convolve(hidden, layer.pairs[2 * block + 1], rate)))
        total = total + hidden
        entrance = (
            item @ np.array(layer.match.kernel, "float64")[0] + np.array(layer.match.bias) if block == 0 else item
        )
        item = _sigmoid(hidden + entrance)
    np.testing.assert_allclose(found, total, atol=1e-5)


@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid"])
def test_gru_with_the_reset_before_the_product(gate):
    rng = np.random.default_rng(2)
    values = rng.normal(size=(2, 5, 3)).astype("float32")
    layer = RecurrentStack("gru", 4, 1, gate, reset_after=False)
    found = ops.convert_to_numpy(layer(ops.convert_to_tensor(values), ops.ones((2, 5), "bool")))
    cell = layer.layers[0].cell
    kernel, recurrent, bias = (np.array(item, "float64") for item in (cell.kernel, cell.recurrent_kernel, cell.bias))
    open_ = _sigmoid if gate == "sigmoid" else lambda item: np.clip(0.2 * item + 0.5, 0, 1)
    state = np.zeros((2, 4))
    for step in range(5):
        into = values[:, step] @ kernel + bias
        update, reset = (open_(into[:, at : at + 4] + state @ recurrent[:, at : at + 4]) for at in (0, 4))
        new = np.tanh(into[:, 8:] + (reset * state) @ recurrent[:, 8:])
        state = update * state + (1 - update) * new
        np.testing.assert_allclose(found[:, step], state, atol=1e-5)


def test_the_last_valid_step_stands_for_those_behind_it():
    values = np.arange(24, dtype="float32").reshape(3, 4, 2) + 1
    mask = np.arange(4) < np.array([4, 2, 0])[:, None]
    found = ops.convert_to_numpy(last_valid(ops.convert_to_tensor(values), ops.convert_to_tensor(mask)))
    np.testing.assert_array_equal(found[0], values[0])
    np.testing.assert_array_equal(found[1], values[1][[0, 1, 1, 1]])
    np.testing.assert_array_equal(found[2], 0)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_delayed_steps_and_their_gradient(count):
    values = tf.constant(np.random.default_rng(7).normal(size=(2, 5, 3)), tf.float32)

    def plain(rows):
        return tf.pad(rows, [[0, 0], [count, 0], [0, 0]])[:, :5]

    found = []
    for function in (lambda rows: delayed(rows, count), plain):
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = function(values)
            loss = tf.reduce_sum(tf.sin(result + 1.0) * tf.range(5.0)[None, :, None])
        found.append((result, tape.gradient(loss, values)))
    for left, right in zip(*found, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)
