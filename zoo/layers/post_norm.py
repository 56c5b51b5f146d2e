"""Post-norm transformer blocks with separate masks, and a decoder that can be run row by row."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from zoo.layers.attention import MASKED_SCORE, mix
from zoo.layers.dropout import Dropout
from zoo.layers.layer_norm import LayerNorm, linear

EPSILON = 1e-6
"""Of the layer norms, as in the original transformer code."""


def score_bias(allowed, dtype):
    """Give the additive score bias of a mask: 0 where allowed, −1e9 elsewhere; same shape."""
    return ops.where(allowed, ops.cast(0.0, dtype), ops.cast(MASKED_SCORE, dtype))


def sinusoids(length, width: int):
    """Give the positions' table (length, width), float32.

    P[p, 2i] = sin(p / 10000^(2i / width)), P[p, 2i+1] = cos of the same (Vaswani et al. 2017, arXiv:1706.03762).

    Parameters
    ----------
    length : int or scalar tensor
    width : int
    """
    column = np.arange(width)
    rate = 10000.0 ** -((column // 2 * 2) / width)
    # In float64: the rounding of a rate in float32 would grow with the position.
    angle = ops.cast(ops.arange(length), "float64")[:, None] * ops.convert_to_tensor(rate[None], "float64")
    even = ops.convert_to_tensor((column % 2 == 0)[None])
    return ops.cast(ops.where(even, ops.sin(angle), ops.cos(angle)), "float32")


@keras.saving.register_keras_serializable(package="zoo")
class Attention(keras.layers.Layer):
    """Scaled dot-product attention of tokens on a memory, every projection with a bias.

    ``softmax(q·kᵀ/√d_h + bias)·v`` for every head, heads concatenated (head-major), then an output projection.
    The key bias cancels in the softmax; it is kept for published weights and never computed.

    Parameters
    ----------
    num_heads : int
        Divides the width of the tokens.
    """

    def __init__(self, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads

    def build(self, input_shape):
        width = input_shape[-1]
        if width % self.num_heads:
            raise ValueError(f"{self.name}: the heads must divide the width {width}. Received: {self.num_heads} heads")
        self.width = width
        for part in ("query", "key", "value", "output"):
            kernel = self.add_weight(name=f"{part}_kernel", shape=(width, width), initializer="glorot_uniform")
            bias = self.add_weight(name=f"{part}_bias", shape=(width,), initializer="zeros")
            setattr(self, f"{part}_kernel", kernel)
            setattr(self, f"{part}_bias", bias)

    @property
    def scale(self):
        """1/√d_h, which goes into the query's projection."""
        return 1.0 / math.sqrt(self.width // self.num_heads)

    def heads(self, projected, tokens, parts=1):
        """Give ``parts`` tensors (batch, head, token, head width) of (batch, token, parts · width) and its tokens."""
        # The tokens' shape: that of a product is a reshaped one's, and tf2onnx takes it for what it was before.
        batch, length = ops.shape(tokens)[0], ops.shape(tokens)[1]
        shape = (batch, length, parts, self.num_heads, self.width // self.num_heads)
        # One transposition for all parts; taking them apart behind it copies nothing.
        return ops.unstack(ops.transpose(ops.reshape(projected, shape), (2, 0, 3, 1, 4)), parts, axis=0)

    def queries(self, tokens):
        """Give the scaled queries (batch, token, width)."""
        return linear(tokens, self.query_kernel * self.scale, self.query_bias * self.scale)

    def keys_values(self, memory):
        """Give keys and values side by side, (batch, token, 2 · width), of a memory."""
        kernel = ops.concatenate([self.key_kernel, self.value_kernel], axis=1)
        return linear(memory, kernel, ops.concatenate([ops.zeros((self.width,), self.compute_dtype), self.value_bias]))

    def projections(self, tokens):
        """Give queries, keys and values, (batch, token, 3 · width), of tokens that attend to themselves."""
        kernel = ops.concatenate([self.query_kernel * self.scale, self.key_kernel, self.value_kernel], axis=1)
        shifts = [self.query_bias * self.scale, ops.zeros((self.width,), self.compute_dtype), self.value_bias]
        return linear(tokens, kernel, ops.concatenate(shifts))

    def attend(self, query, keys, values, bias=None):
        """Give (batch, query, width) from queries, keys and values with heads apart."""
        mixed = ops.transpose(mix(query, keys, values, bias), (0, 2, 1, 3))
        mixed = ops.reshape(mixed, (ops.shape(mixed)[0], ops.shape(mixed)[1], self.width))
        return linear(mixed, self.output_kernel, self.output_bias)

    def call(self, tokens, memory=None, bias=None):
        """Attend.

        Parameters
        ----------
        tokens : tensor (batch, query, width)
        memory : tensor (batch, key, width), optional
            The tokens themselves when absent.
        bias : tensor, optional
            Added to the scores (batch, head, query, key), see `score_bias`.
        """
        if memory is None:
            return self.attend(*self.heads(self.projections(tokens), tokens, 3), bias)
        query, both = self.heads(self.queries(tokens), tokens), self.heads(self.keys_values(memory), memory, 2)
        return self.attend(*query, *both, bias)

    def compute_output_shape(self, input_shape, *_args, **_kwargs):
        return input_shape

    def get_config(self):
        return super().get_config() | {"num_heads": self.num_heads}


class _Block(keras.layers.Layer):
    """What both blocks share: norms, feed-forward layer, dropout and settings."""

    norms: tuple[str, ...] = ()
    attentions: tuple[str, ...] = ()

    def __init__(self, num_heads, dff, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"num_heads": num_heads, "dff": dff, "dropout": dropout}
        policy = self.dtype_policy
        for name in self.attentions:
            setattr(self, name, Attention(num_heads, dtype=policy, name=name))
        for name in self.norms:
            setattr(self, name, LayerNorm(epsilon=EPSILON, dtype=policy, name=name))
        self.ffn_in = keras.layers.Dense(dff, dtype=policy, name="ffn_in")
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape):
        for name in (*self.attentions, *self.norms):
            getattr(self, name).build(input_shape)
        self.ffn_in.build(input_shape)
        self.ffn_out = keras.layers.Dense(input_shape[-1], dtype=self.dtype_policy, name="ffn_out")
        self.ffn_out.build((*input_shape[:-1], self.settings["dff"]))

    def _add(self, norm, tokens, change, training):
        return norm(tokens + self.dropout(change, training=training))

    def _feed_forward(self, norm, tokens, training):
        # As matrices: TensorFlow fuses a product with the bias, relu or sum behind it where no reshape is between.
        flat = ops.reshape(tokens, (-1, tokens.shape[-1]))
        hidden = ops.relu(linear(flat, self.ffn_in.kernel, self.ffn_in.bias))
        hidden = linear(hidden, self.ffn_out.kernel, self.ffn_out.bias)
        return ops.reshape(self._add(norm, flat, hidden, training), ops.shape(tokens))

    def compute_output_shape(self, input_shape, *_args, **_kwargs):
        return input_shape

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class PostNormEncoderBlock(_Block):
    """``LN(x + MHA(x))``, then ``LN(x + FFN(x))`` with relu.

    Parameters
    ----------
    num_heads, dff : int
        Heads, and width of the feed-forward layer.
    dropout : float
        Rate after attention and feed-forward layer.
    """

    attentions = ("self_attention",)
    norms = ("norm_1", "norm_2")

    def call(self, tokens, bias=None, training=None):
        """Transform tokens (batch, token, width); ``bias`` is added to the scores."""
        tokens = self._add(self.norm_1, tokens, self.self_attention(tokens, bias=bias), training)
        return self._feed_forward(self.norm_2, tokens, training)


@keras.saving.register_keras_serializable(package="zoo")
class PostNormDecoderBlock(_Block):
    """Self-attention, attention on a memory and feed-forward layer, each as ``LN(x + …)``; see the encoder's."""

    attentions = ("self_attention", "cross_attention")
    norms = ("norm_1", "norm_2", "norm_3")

    def call(self, tokens, memory, self_bias=None, cross_bias=None, training=None):
        """Transform tokens (batch, token, width) beside a memory (batch, key, width)."""
        tokens = self._add(self.norm_1, tokens, self.self_attention(tokens, bias=self_bias), training)
        change = self.cross_attention(tokens, memory, cross_bias)
        tokens = self._add(self.norm_2, tokens, change, training)
        return self._feed_forward(self.norm_3, tokens, training)

    def step(self, token, place, cache, memory, self_bias, cross_bias):
        """Transform one token beside cached keys and values.

        Parameters
        ----------
        token : tensor (batch, 1, width)
        place : tensor (1, 1, row, 1), bool
            True at the token's own row.
        cache, memory : pair of tensor (batch, head, row, head width)
            Keys and values of the rows so far, and of the memory.
        self_bias, cross_bias : tensor
            Added to the scores (batch, head, 1, row).

        Returns
        -------
        token : tensor (batch, 1, width)
        cache : pair of tensor
            With the token's own keys and values.
        """
        attention, crossing = self.self_attention, self.cross_attention
        query, *own = attention.heads(attention.projections(token), token, 3)
        cache = tuple(ops.where(place, new, old) for new, old in zip(own, cache, strict=True))
        token = self.norm_1(token + attention.attend(query, *cache, self_bias))
        (query,) = crossing.heads(crossing.queries(token), token)
        token = self.norm_2(token + crossing.attend(query, *memory, cross_bias))
        return self._feed_forward(self.norm_3, token, False), cache


class _Stack(keras.layers.Layer):
    """Rows to tokens, and blocks: what encoder and decoder share."""

    block: type

    def __init__(self, layers, width, num_heads, dff, embed=True, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"layers": layers, "width": width, "num_heads": num_heads, "dff": dff,
                         "embed": embed, "dropout": dropout}  # fmt: skip
        policy = self.dtype_policy
        if embed:
            self.embed = keras.layers.Dense(width, dtype=policy, name="embed")
        self.blocks = [
            self.block(num_heads, dff, dropout, dtype=policy, name=f"block_{place}") for place in range(layers)
        ]
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape):
        if self.settings["embed"]:
            self.embed.build(input_shape)
        for block in self.blocks:
            block.build((*input_shape[:-1], self.settings["width"]))

    @property
    def first_kernel(self):
        """The kernel that the rows meet first: of the embedding, or of the first block's queries."""
        return self.embed.kernel if self.settings["embed"] else self.blocks[0].self_attention.query_kernel

    def tokens(self, rows, positions, training=None):
        """Give the tokens (batch, row, width) of rows (batch, row, band): √width · embedding + position."""
        rows = ops.cast(rows, self.compute_dtype)
        if self.settings["embed"]:
            rows = self.embed(rows)
        tokens = rows * math.sqrt(self.settings["width"]) + ops.cast(positions, self.compute_dtype)
        return self.dropout(tokens, training=training)

    def compute_output_shape(self, input_shape, *_args, **_kwargs):
        return (*input_shape[:-1], self.settings["width"])

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class SeriesEncoder(_Stack):
    """Rows of a regular series through post-norm encoder blocks; the position is the row's number.

    Parameters
    ----------
    layers, width, num_heads, dff : int
        Blocks, width of a token, heads, width of the feed-forward layers.
    embed : bool
        Whether a dense layer turns rows into tokens; else a row must be as wide as a token.
    dropout : float
        Rate on the tokens and in the blocks.
    """

    block = PostNormEncoderBlock

    def call(self, rows, valid, training=None):
        """Encode rows (batch, row, band); rows not ``valid`` (batch, row) are attended by none."""
        tokens = self.tokens(rows, sinusoids(ops.shape(rows)[1], self.settings["width"]), training)
        bias = score_bias(valid, self.compute_dtype)[:, None, None, :]
        for block in self.blocks:
            tokens = block(tokens, bias, training=training)
        return tokens


@keras.saving.register_keras_serializable(package="zoo")
class SeriesDecoder(_Stack):
    """Rows beside a memory through post-norm decoder blocks, all at once or one after another."""

    block = PostNormDecoderBlock

    def call(self, rows, memory, allowed, memory_valid, training=None):
        """Decode rows (batch, row, band).

        Parameters
        ----------
        memory : tensor (batch, key, width)
        allowed : tensor (batch, row, row), bool
            Which row may attend to which.
        memory_valid : tensor (batch, key), bool

        Returns
        -------
        tensor (batch, row, width)
        """
        tokens = self.tokens(rows, sinusoids(ops.shape(rows)[1], self.settings["width"]), training)
        biases = (score_bias(allowed, self.compute_dtype)[:, None], self._memory_bias(memory_valid))
        for block in self.blocks:
            tokens = block(tokens, memory, *biases, training=training)
        return tokens

    def prefix(self, rows, memory, allowed, memory_valid, there):
        """Decode as the call does, as if only the rows that are ``there`` (row,), bool, existed."""
        tokens = self.tokens(rows, sinusoids(ops.shape(rows)[1], self.settings["width"]))
        # Far below the bias of a blocked row: beside blocked rows alone it still weighs nothing.
        absent = ops.where(there, ops.cast(0.0, self.compute_dtype), ops.cast(1e6 * MASKED_SCORE, self.compute_dtype))
        bias = score_bias(allowed, self.compute_dtype)[:, None] + absent
        cross_bias = self._memory_bias(memory_valid)
        for block in self.blocks:
            tokens = block(tokens, memory, bias, cross_bias, training=False)
        return tokens

    def _memory_bias(self, valid):
        return score_bias(valid, self.compute_dtype)[:, None, None, :]

    def start(self, memory, rows):
        """Give empty caches for ``rows`` rows, and the memory's keys and values, for every block."""
        heads, width = self.settings["num_heads"], self.settings["width"]
        shape = (ops.shape(memory)[0], heads, rows, width // heads)
        caches = tuple((ops.zeros(shape, self.compute_dtype),) * 2 for _ in self.blocks)
        crossing = [block.cross_attention for block in self.blocks]
        return caches, [layer.heads(layer.keys_values(memory), memory, 2) for layer in crossing]

    def step(self, row, number, position, caches, memory, allowed, memory_valid):
        """Decode one row (batch, 1, band), row ``number``, that may attend to rows (batch, row) ``allowed``.

        Returns
        -------
        token : tensor (batch, 1, width)
        caches : tuple
            See `start`.
        """
        token = self.tokens(row, position)
        place = ops.equal(ops.arange(ops.shape(allowed)[1]), number)[None, None, :, None]
        biases = (score_bias(allowed, self.compute_dtype)[:, None, None, :], self._memory_bias(memory_valid))
        filled = []
        for block, cache, known in zip(self.blocks, caches, memory, strict=True):
            token, cache = block.step(token, place, cache, known, *biases)
            filled.append(cache)
        return token, tuple(filled)
