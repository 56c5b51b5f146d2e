"""Attention against its formula, and the short cuts against the long way."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy.special import softmax

from zoo.layers.attention import SelfAttention, key_bias, mix
from zoo.layers.transformer import EncoderBlock, TransformerEncoder


@pytest.fixture
def tokens():
    """Tokens (4, 6, 12) and a mask with a full, a short and an empty row."""
    mask = np.arange(6) < np.array([6, 3, 0, 5])[:, None]
    return np.random.default_rng(0).normal(size=(4, 6, 12)).astype("float32"), mask


@pytest.fixture
def attention():
    """Three heads of width 4, with weights of order one."""
    layer = SelfAttention(3, 4, initializer="xavier")
    layer.build((None, None, 12))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=weight.shape) * 0.5 for weight in layer.weights])
    return layer


def _formula(layer, tokens, mask):
    """Give the definition in float64, object by object and head by head."""
    part = {name: np.float64(ops.convert_to_numpy(getattr(layer, name))) for name in (
        "query_kernel", "query_bias", "key_kernel", "key_bias", "value_kernel", "value_bias",
        "output_kernel", "output_bias")}  # fmt: skip
    result = np.zeros(tokens.shape)
    for row, valid in zip(range(len(tokens)), mask, strict=True):
        x, heads = tokens[row].astype("float64"), []
        q, k, v = (x @ part[f"{n}_kernel"] + part[f"{n}_bias"] for n in ("query", "key", "value"))
        for head in range(3):
            own = slice(4 * head, 4 * head + 4)
            score = np.where(valid[None], q[:, own] @ k[:, own].T / 2.0, -np.inf)
            heads.append(softmax(score, axis=-1) @ v[:, own])
        result[row] = np.concatenate(heads, axis=1) @ part["output_kernel"] + part["output_bias"]
    return result


def test_attention_is_its_formula(attention, tokens):
    values, mask = tokens
    mask = mask.copy()
    mask[:, 0] = True
    ours = attention(values, key_bias(ops.convert_to_tensor(mask), "float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(ours), _formula(attention, values, mask), atol=2e-6)


def test_first_is_the_first_row_of_the_whole(attention, tokens):
    values, mask = tokens
    for bias in (None, key_bias(ops.convert_to_tensor(mask), "float32")):
        whole = ops.convert_to_numpy(attention(values, bias))[:, :1]
        np.testing.assert_allclose(
            ops.convert_to_numpy(attention.from_one(values[:, :1], values, bias)), whole, atol=2e-6
        )


def test_a_masked_key_gets_exactly_no_weight(attention, tokens):
    values, mask = tokens
    mask = mask.copy()
    mask[:, 0] = True
    bias = key_bias(ops.convert_to_tensor(mask), "float32")
    spoiled = np.where(mask[..., None], values, 1e4).astype("float32")
    rows = mask[..., None]
    for ours, theirs in ((attention(values, bias), attention(spoiled, bias)),):
        np.testing.assert_array_equal(np.where(rows, ours, 0), np.where(rows, theirs, 0))


def test_a_wrong_width_is_named():
    with pytest.raises(ValueError, match="num_heads \\* head_dim = 12.*Received"):
        SelfAttention(3, 4).build((None, None, 8))


@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_encoder_gives_its_first_token_either_way(tokens, class_token, layers):
    values, mask = tokens
    if not class_token:
        mask = mask | (np.arange(6) == 0)
    encoder = TransformerEncoder(layers, 3, 4, class_token=class_token, initializer="xavier")
    short = ops.convert_to_numpy(encoder(values, ops.convert_to_tensor(mask)))
    whole = ops.convert_to_numpy(encoder(values, ops.convert_to_tensor(mask), first_only=False))
    assert short.shape == (4, 12) and whole.shape == (4, 6 + class_token, 12)
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(short, whole[:, 0], atol=5e-6)


def test_a_block_is_two_residuals(tokens):
    values, _ = tokens
    block = EncoderBlock(3, 4, initializer="xavier")
    ours = ops.convert_to_numpy(block(values))
    middle = values + block.attention(block.attention_norm(values))
    hidden = block.ffn_in(block.ffn_norm(middle))
    from scipy.special import erf

    hidden = 0.5 * hidden * (1 + erf(np.array(hidden) / np.sqrt(2)))
    np.testing.assert_allclose(ours, middle + block.ffn_out(hidden), atol=2e-6)


def test_dropout_acts_in_training_only(tokens):
    values, _ = tokens
    block = EncoderBlock(3, 4, dropout=0.5, initializer="xavier")
    still = [ops.convert_to_numpy(block(values, training=False)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert (ops.convert_to_numpy(block(values, training=True)) != still[0]).any()


@pytest.mark.parametrize("dropped", [False, True])
def test_mixing_has_the_gradients_of_the_plain_expression(tokens, dropped):
    rng = np.random.default_rng(2)
    parts = [tf.constant(rng.normal(size=(4, 2, 6, 3)), tf.float32) for _ in range(3)]
    mask = tokens[1].copy()
    mask[:, 0] = True
    bias = key_bias(ops.convert_to_tensor(mask), "float32")
    keep = tf.constant(rng.integers(0, 2, (4, 2, 6, 6)) * 2.0, tf.float32) if dropped else None

    def plain(query, key, value):
        weights = tf.nn.softmax(query @ tf.transpose(key, (0, 1, 3, 2)) + bias)
        return (weights if keep is None else weights * keep) @ value

    found = []
    for function in (lambda *three: mix(*three, bias, keep), plain):
        with tf.GradientTape() as tape:
            tape.watch(parts)
            loss = tf.reduce_sum(tf.sin(function(*parts)))
        found.append([loss, *tape.gradient(loss, parts)])
    for left, right in zip(*found, strict=True):
        np.testing.assert_allclose(left, right, atol=5e-6)
