"""Multi-head self-attention with a key mask, in full or for the first token only."""

from __future__ import annotations

import math

import keras
from keras import ops

from zoo.layers.dropout import Dropout
from zoo.layers.initializers import FanInUniform, kernel_initializer
from zoo.layers.layer_norm import linear

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


def attention_weights(query, key, bias=None):
    """Give ``softmax(q·kᵀ + bias)`` (batch, head, query, key) of queries that are scaled already, see `mix`."""
    scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
    if scores.shape[-1] == 1:
        # Keras warns of a softmax over one number, as the first row of a roll-out has it.
        return ops.ones_like(scores)
    return ops.softmax(scores if bias is None else scores + bias, axis=-1)


def mix(query, key, value, bias=None, keep=None):
    """Give ``softmax(q·kᵀ + bias)·v`` (batch, head, query, head width).

    The gradient is written out: that of the softmax needs Σ_k g_k w_k of every query, which is the product of the
    result with its own gradient (Dao et al. 2022, arXiv:2205.14135), and not two passes over all pairs of tokens.

    Parameters
    ----------
    query, key, value : tensor (batch, head, token, head width)
        The queries scaled already.
    bias : tensor that broadcasts to (batch, head, query, key), optional
        Added to the scores; gets no gradient.
    keep : tensor (batch, head, query, key), optional
        Multiplied with the weights behind the softmax, as dropout does.
    """

    @ops.custom_gradient
    def apply(query, key, value):
        weights = attention_weights(query, key, bias)
        kept = weights if keep is None else weights * keep
        result = ops.matmul(kept, value)

        def gradient(*arguments, upstream=None):
            if upstream is None:
                (upstream,) = arguments
            into = ops.matmul(upstream, ops.transpose(value, (0, 1, 3, 2)))
            into = into if keep is None else into * keep
            into = (into - ops.sum(upstream * result, axis=-1, keepdims=True)) * weights
            return (
                ops.matmul(into, key),
                ops.matmul(ops.transpose(into, (0, 1, 3, 2)), query),
                ops.matmul(ops.transpose(kept, (0, 1, 3, 2)), upstream),
            )

        return result, gradient

    return apply(query, key, value)


def _folded(norm, kernel, bias):
    return (kernel, bias) if norm is None else norm.folded(kernel, bias)


def _split(kernel, heads, order):
    """Give a kernel (width, width) with its heads apart, the axes (input, head, head width) in another order."""
    width = kernel.shape[0]
    return ops.transpose(ops.reshape(kernel, (width, heads, width // heads)), order)


def _per_head(values, kernels):
    """Multiply (batch, head, a) of every head with its own kernel, (head, a, b): (batch, head, b)."""
    kernels = ops.cast(kernels, values.dtype)
    return ops.transpose(ops.matmul(ops.transpose(values, (1, 0, 2)), kernels), (1, 0, 2))


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
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

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

    def call(self, tokens, bias=None, norm=None, training=None):
        """Attend from every token to every valid token.

        Parameters
        ----------
        tokens : tensor (batch, token, width)
        bias : tensor (batch, 1, 1, token), optional
            Added to the scores, see `key_bias`.
        norm : LayerNorm, optional
            The tokens are what its `plain` gives; its affine part goes into the projections.

        Returns
        -------
        tensor (batch, token, width)
        """
        # One product for all three, the scale inside the kernel, and one transposition instead of three.
        scale = 1.0 / math.sqrt(self.head_dim)
        kernel = ops.concatenate([self.query_kernel * scale, self.key_kernel, self.value_kernel], axis=1)
        shifts = [self.query_bias * scale, ops.zeros((tokens.shape[-1],), self.compute_dtype), self.value_bias]
        projected = linear(tokens, *_folded(norm, kernel, ops.concatenate(shifts)))
        batch, length = ops.shape(tokens)[0], ops.shape(tokens)[1]
        projected = ops.reshape(projected, (batch, length, 3, self.num_heads, self.head_dim))
        query, key, value = ops.unstack(ops.transpose(projected, (2, 0, 3, 1, 4)), 3, axis=0)
        keep = None
        if training and self.rate:
            # What dropout makes of ones is what it multiplies the weights with.
            keep = self.dropout(ops.ones((batch, self.num_heads, length, length), dtype=value.dtype), training=True)
        mixed = ops.transpose(mix(query, key, value, bias, keep), (0, 2, 1, 3))
        return linear(ops.reshape(mixed, ops.shape(tokens)), self.output_kernel, self.output_bias)

    def from_one(self, query, tokens, bias=None, norm=None, training=None):
        """Attend from one token: the same numbers as that token's row of the call with less work.

        Keys and values are never formed: per head, q·(W_k x) = (W_kᵀ q)·x and
        Σ a (W_v x + b_v) = W_v (Σ a x) + b_v Σ a.

        Parameters
        ----------
        query : tensor (batch, 1, width)
            The token.
        tokens, bias, norm
            As in `call`.

        Returns
        -------
        tensor (batch, 1, width)
        """
        heads, size = self.num_heads, self.head_dim
        width = heads * size
        batch = ops.shape(tokens)[0]
        scale = 1.0 / math.sqrt(size)
        query = linear(query, *_folded(norm, self.query_kernel * scale, self.query_bias * scale))
        key_kernel, _ = _folded(norm, self.key_kernel, self.key_bias)
        value_kernel, value_bias = _folded(norm, self.value_kernel, self.value_bias)
        probe = _per_head(ops.reshape(query, (batch, heads, size)), _split(key_kernel, heads, (1, 2, 0)))
        # The large array stands on the left, where neither the product nor its gradient has to transpose it.
        scores = ops.transpose(ops.matmul(tokens, ops.transpose(probe, (0, 2, 1))), (0, 2, 1))
        if bias is not None:
            scores = scores + bias[:, 0]
        weights = ops.softmax(scores, axis=-1)
        weights = self.dropout(weights[:, :, None, :], training=training)[:, :, 0, :]
        mixed = _per_head(ops.matmul(weights, tokens), _split(value_kernel, heads, (1, 0, 2)))
        value_bias = ops.cast(ops.reshape(value_bias, (heads, size)), mixed.dtype)
        mixed = mixed + ops.sum(weights, axis=-1)[..., None] * value_bias
        return linear(ops.reshape(mixed, (batch, 1, width)), self.output_kernel, self.output_bias)

    def compute_output_shape(self, input_shape, *_args, **_kwargs):
        return input_shape

    def get_config(self):
        return super().get_config() | {
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "dropout": self.rate,
            "initializer": self.initializer,
        }
