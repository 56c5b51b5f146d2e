"""The transformer of t2: fixed positions and post-norm blocks."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from zoo.layers.attention import SelfAttention
from zoo.layers.dropout import Dropout


def positions(length: int, width: int) -> np.ndarray:
    """Give the sinusoidal position table (length, width), float32, sines and cosines interleaved.

    P[p, 2i] = sin(p / 10000^(2i / width)), P[p, 2i + 1] = cos of the same (Vaswani et al. 2017).
    """
    pair = np.arange(width) // 2 * 2
    angle = np.arange(length)[:, None] / 10000.0 ** (pair / width)
    return np.where(np.arange(width) % 2, np.cos(angle), np.sin(angle)).astype("float32")


@keras.saving.register_keras_serializable(package="zoo")
class PlainAttention(SelfAttention):
    """Self-attention in the order of operations of the original.

    Published weights give scores of 10^8: there float32 keeps only tens, and another order of the same sums gives
    other attention weights. No dropout on these.
    """

    def call(self, tokens, training=None):
        """Attend from every token to every token, (batch, token, width)."""
        query = self._heads(ops.matmul(tokens, self.query_kernel) + self.query_bias)
        # The softmax cancels this bias: its gradient is zero, and rounding must not make it another number.
        key = self._heads(ops.matmul(tokens, self.key_kernel) + ops.stop_gradient(self.key_bias))
        value = self._heads(ops.matmul(tokens, self.value_kernel) + self.value_bias)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / math.sqrt(self.head_dim)
        mixed = ops.transpose(ops.matmul(ops.softmax(scores, axis=-1), value), (0, 2, 1, 3))
        return ops.matmul(ops.reshape(mixed, ops.shape(tokens)), self.output_kernel) + self.output_bias


@keras.saving.register_keras_serializable(package="zoo")
class T2Block(keras.layers.Layer):
    """Post-norm encoder block: ``LN(x + MHA(x))``, then ``LN(x + FFN(x))`` with ReLU.

    Parameters
    ----------
    num_heads, head_dim : int
        Heads and width of one head; the token width is their product.
    dff : int
        Width of the feed-forward layer.
    dropout : float
        Rate on both branches before they are added.
    """

    def __init__(self, num_heads, head_dim, dff, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"num_heads": num_heads, "head_dim": head_dim, "dff": dff, "dropout": dropout}
        policy = self.dtype_policy
        self.attention = PlainAttention(num_heads, head_dim, initializer="xavier", dtype=policy, name="attention")
        self.ffn_in = keras.layers.Dense(dff, activation="relu", dtype=policy, name="ffn_in")
        self.ffn_out = keras.layers.Dense(num_heads * head_dim, dtype=policy, name="ffn_out")
        self.norm_1 = keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy, name="norm_1")
        self.norm_2 = keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy, name="norm_2")
        self.dropout_1 = Dropout(dropout, dtype=policy, name="dropout_1")
        self.dropout_2 = Dropout(dropout, dtype=policy, name="dropout_2")

    def build(self, input_shape):
        for layer in (self.attention, self.ffn_in, self.norm_1, self.norm_2):
            layer.build(input_shape)
        self.ffn_out.build((*input_shape[:-1], self.settings["dff"]))

    def call(self, tokens, training=None):
        """Transform tokens (batch, token, width)."""
        tokens = self.norm_1(tokens + self.dropout_1(self.attention(tokens), training=training))
        hidden = self.ffn_out(self.ffn_in(tokens))
        return self.norm_2(tokens + self.dropout_2(hidden, training=training))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | self.settings


def interleaved(columns, bands: int):
    """Give columns as more steps of a light curve: (batch, column) becomes (batch, column, band).

    The columns are repeated one after the other and then cut into steps, so that with columns (z, e) every step
    of an even number of bands reads z, e, z, e: published weights expect that order.
    """
    count = columns.shape[-1]
    return ops.reshape(ops.tile(columns, (1, bands)), (-1, count, bands))
