"""Multi-head self-attention with a key mask, in full or for the first token only."""

from __future__ import annotations

import math

import keras
from keras import ops

from zoo.layers.initializers import FanInUniform, kernel_initializer

MASKED_SCORE = -1e9
"""Added to the score of a masked key: exp underflows to exactly 0 beside any valid key."""


def key_bias(mask, dtype):
    """Give the additive score bias of a key mask.

    Parameters
    ----------
    mask : tensor (batch, token), bool
        True = valid.
    dtype : str
        Floating dtype of the scores.

    Returns
    -------
    tensor (batch, 1, 1, token)
        0 where valid, a large negative finite number elsewhere.
    """
    bias = ops.where(mask, ops.cast(0.0, dtype), ops.cast(MASKED_SCORE, dtype))
    return bias[:, None, None, :]


@keras.saving.register_keras_serializable(package="zoo")
class SelfAttention(keras.layers.Layer):
    """Scaled dot-product self-attention with biased projections.

    ``softmax(q·kᵀ/√d_h + bias)·v`` for every head, heads concatenated, then an output projection; the
    width of input and output is ``num_heads · head_dim``. The key bias adds one number to all scores of a
    query, which the softmax cancels: it is kept because published weights have it, and never computed, so
    that its gradient is exactly zero instead of rounding noise that an optimizer would amplify.

    Parameters
    ----------
    num_heads, head_dim : int
        Number of heads h and width of one head d_h.
    dropout : float
        Rate of dropout on the attention weights.
    initializer : str
        Kernel initializer, see `zoo.layers.initializers.kernel_initializer`.
    """

    def __init__(self, num_heads, head_dim, dropout=0.0, initializer="normal", **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.rate = dropout
        self.initializer = initializer
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape):
        width = self.num_heads * self.head_dim
        if input_shape[-1] != width:
            raise ValueError(
                f"{self.name}: the last axis must be num_heads * head_dim = {width}. "
                f"Received: input shape {tuple(input_shape)}"
            )
        # One initializer an array: the fan-in rules and orthogonality hold for each projection by itself.
        for part in ("query", "key", "value", "output"):
            kernel = self.add_weight(
                name=f"{part}_kernel",
                shape=(width, width),
                initializer=kernel_initializer(self.initializer),
            )
            bias = self.add_weight(name=f"{part}_bias", shape=(width,), initializer=FanInUniform(width))
            setattr(self, f"{part}_kernel", kernel)
            setattr(self, f"{part}_bias", bias)
        self.dropout.build((None, self.num_heads, None, None))

    def _heads(self, tokens):
        batch, length = ops.shape(tokens)[0], ops.shape(tokens)[1]
        split = ops.reshape(tokens, (batch, length, self.num_heads, self.head_dim))
        return ops.transpose(split, (0, 2, 1, 3))

    def call(self, tokens, bias=None, training=None):
        """Attend from every token to every valid token.

        Parameters
        ----------
        tokens : tensor (batch, token, width)
        bias : tensor (batch, 1, 1, token), optional
            Added to the scores, see `key_bias`.

        Returns
        -------
        tensor (batch, token, width)
        """
        # One product for all three, the scale inside the kernel, and a split instead of slices: the gradient
        # of a split is one concatenation, that of a slice an array of zeros each.
        scale = 1.0 / math.sqrt(self.head_dim)
        kernel = ops.concatenate([self.query_kernel * scale, self.key_kernel, self.value_kernel], axis=1)
        query, key, value = ops.split(ops.matmul(tokens, kernel), 3, axis=-1)
        query = self._heads(query + self.query_bias * scale)
        key, value = self._heads(key), self._heads(value + self.value_bias)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        if bias is not None:
            scores = scores + bias
        weights = self.dropout(ops.softmax(scores, axis=-1), training=training)
        mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        mixed = ops.reshape(mixed, ops.shape(tokens))
        return ops.matmul(mixed, self.output_kernel) + self.output_bias

    def first(self, tokens, bias=None, training=None):
        """Attend from the first token only: the same numbers as ``call(...)[:, :1]`` with less work.

        Keys and values are never formed: per head, q·(W_k x) = (W_kᵀ q)·x and
        Σ a (W_v x + b_v) = W_v (Σ a x) + b_v Σ a.
        """
        heads, size = self.num_heads, self.head_dim
        width = heads * size
        batch = ops.shape(tokens)[0]
        query = ops.matmul(tokens[:, 0], self.query_kernel) + self.query_bias
        query = ops.reshape(query * (1.0 / math.sqrt(size)), (batch, heads, size))
        key_kernel = ops.reshape(self.key_kernel, (width, heads, size))
        probe = ops.einsum("bhe,dhe->bhd", query, key_kernel)
        scores = ops.matmul(probe, ops.transpose(tokens, (0, 2, 1)))
        if bias is not None:
            scores = scores + bias[:, 0]
        weights = ops.softmax(scores, axis=-1)
        weights = self.dropout(weights[:, :, None, :], training=training)[:, :, 0, :]
        summed = ops.matmul(weights, tokens)
        value_kernel = ops.reshape(self.value_kernel, (width, heads, size))
        value_bias = ops.reshape(self.value_bias, (heads, size))
        mixed = ops.einsum("bhd,dhe->bhe", summed, value_kernel)
        mixed = mixed + ops.sum(weights, axis=-1)[..., None] * value_bias
        mixed = ops.reshape(mixed, (batch, 1, width))
        return ops.matmul(mixed, self.output_kernel) + self.output_bias

    def compute_output_shape(self, input_shape, *_args, **_kwargs):
        return input_shape

    def get_config(self):
        return super().get_config() | {
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "dropout": self.rate,
            "initializer": self.initializer,
        }
