"""The layer norm against the library's, values and gradients, and its folding into products."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.layers.attention import SelfAttention
from zoo.layers.layer_norm import LayerNorm, linear


@pytest.fixture
def norms():
    """Ours and the library's, with the same γ and β of order one."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(1.0, 0.3, 12), rng.normal(0.0, 0.3, 12)]
    found = [LayerNorm(epsilon=1e-5), keras.layers.LayerNormalization(epsilon=1e-5)]
    for layer in found:
        layer.build((None, 12))
        layer.set_weights(weights)
    return found


def _gradients(function, *sources):
    with tf.GradientTape() as tape:
        for source in sources:
            tape.watch(source)
        loss = tf.reduce_sum(tf.sin(function()))
    return tape.gradient(loss, sources)


def test_values_and_gradients_are_the_librarys(norms):
    values = tf.constant(np.random.default_rng(1).normal(3.0, 2.0, (4, 5, 12)), tf.float32)
    ours, theirs = norms
    np.testing.assert_allclose(ours(values), theirs(values), atol=2e-6)
    found = [_gradients(lambda layer=layer: layer(values), values, layer.gamma.value, layer.beta.value)
             for layer in norms]  # fmt: skip
    for left, right in zip(*found, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)


def test_a_constant_row_has_no_infinite_gradient(norms):
    values = tf.fill((2, 12), 7.0)
    (gradient,) = _gradients(lambda: norms[0](values), values)
    assert np.isfinite(gradient).all()


def test_the_affine_part_goes_into_a_product(norms):
    rng = np.random.default_rng(2)
    norm = norms[0]
    values, kernel, bias = (tf.constant(rng.normal(size=size), tf.float32) for size in ((3, 4, 12), (12, 7), (7,)))
    found = linear(norm.plain(values), *norm.folded(kernel, bias))
    np.testing.assert_allclose(found, tf.einsum("btd,de->bte", norm(values), kernel) + bias, atol=5e-6)


def test_a_product_has_the_gradients_of_the_plain_expression():
    rng = np.random.default_rng(3)
    parts = [tf.constant(rng.normal(size=size), tf.float32) for size in ((3, 4, 12), (12, 7), (7,))]
    ours = _gradients(lambda: linear(*parts), *parts)
    plain = _gradients(lambda: tf.einsum("btd,de->bte", parts[0], parts[1]) + parts[2], *parts)
    for left, right in zip(ours, plain, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)


def test_attention_with_a_folded_norm_is_that_of_normed_tokens(norms):
    norm = norms[0]
    layer = SelfAttention(3, 4, initializer="xavier")
    layer.build((None, None, 12))
    values = tf.constant(np.random.default_rng(4).normal(size=(2, 6, 12)), tf.float32)
    plain, whole = norm.plain(values), layer(norm(values))
    np.testing.assert_allclose(layer(plain, norm=norm), whole, atol=2e-6)
    np.testing.assert_allclose(layer.from_one(plain[:, 2:3], plain, norm=norm), whole[:, 2:3], atol=2e-6)
