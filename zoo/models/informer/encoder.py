"""The Informer's encoder: embedded rows, blocks of ProbSparse attention, one long vector an object."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from zoo.layers.activations import gelu
from zoo.layers.catalogue import CatalogueColumns
from zoo.layers.dropout import Dropout
from zoo.layers.initializers import FanInUniform
from zoo.layers.layer_norm import LayerNorm, linear
from zoo.layers.prob_sparse_attention import ProbSparseAttention, flat_places
from zoo.models.informer.config import InformerConfig
from zoo.registry import ModelInfo

EPSILON = 1e-5
"""Of the layer norms."""


def positions(length: int, width: int) -> np.ndarray:
    """Give the sinusoidal position table (length, width), float32, sines and cosines interleaved.

    P[p, 2i] = sin(p · r_i), P[p, 2i + 1] = cos(p · r_i) with r_i = 10000^(−2i / width). The rates are rounded to
    float32 where the published code rounds them: at row 200 the table shows it in the fifth decimal.
    """
    exponent = np.arange(0, width, 2, dtype="float32") * np.float32(-math.log(10000.0) / width)
    rate = np.exp(exponent.astype("float64")).astype("float32")
    angle = (np.arange(length, dtype="float32")[:, None] * rate).astype("float64")
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, width).astype("float32")


@keras.saving.register_keras_serializable(package="zoo")
class CircularEmbedding(keras.layers.Layer):
    """Convolution of kernel 3 over the rows of a closed ring, without bias: the last row stands before the first.

    Parameters
    ----------
    width : int
        Width of a token.
    """

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def build(self, input_shape):
        channels = input_shape[-1]
        # He's rule, as the published code has it.
        normal = keras.initializers.RandomNormal(stddev=math.sqrt(2.0 / (3 * channels)))
        self.kernel = self.add_weight(name="kernel", shape=(3, channels, self.width), initializer=normal)

    def call(self, rows, lengths=None):
        """Turn rows (batch, row, channel) into tokens (batch, row, width); of ``lengths`` (batch,) each ring is."""
        if lengths is None:
            before, after = ops.roll(rows, 1, axis=1), ops.roll(rows, -1, axis=1)
        else:
            count, channels = ops.shape(rows)[1], rows.shape[-1]
            flat, place = ops.reshape(rows, (-1, channels)), ops.arange(count, dtype="int32")[None]
            last = ops.maximum(lengths, 1)[:, None] - 1
            places = (ops.where(place == 0, last, place - 1), ops.where(place == last, 0, place + 1))
            before, after = (
                ops.reshape(ops.take(flat, flat_places(ops.minimum(item, count - 1), count), axis=0), ops.shape(rows))
                for item in places
            )
        kernel = ops.cast(ops.reshape(self.kernel, (-1, self.width)), rows.dtype)
        return ops.matmul(ops.concatenate([before, rows, after], axis=-1), kernel)

    def compute_output_shape(self, input_shape, *_args, **_kwargs):
        return (*input_shape[:-1], self.width)

    def get_config(self):
        return super().get_config() | {"width": self.width}


@keras.saving.register_keras_serializable(package="zoo")
class InformerBlock(keras.layers.Layer):
    """Post-norm block: ``LN(x + attention(x))``, then ``LN(x + FFN(x))``.

    Parameters
    ----------
    dff : int
        Width of the feed-forward layer.
    activation : {"gelu", "relu"}
    dropout : float
        Rate behind the attention and both feed-forward layers.
    **attention
        As `ProbSparseAttention`.
    """

    def __init__(self, dff, activation="gelu", dropout=0.0, name=None, dtype=None, **attention):
        super().__init__(name=name, dtype=dtype)
        self.settings = {"dff": dff, "activation": activation, "dropout": dropout, **attention}
        policy = self.dtype_policy
        self.attention = ProbSparseAttention(**attention, dtype=policy, name="attention")
        self.norm_1 = LayerNorm(epsilon=EPSILON, dtype=policy, name="norm_1")
        self.norm_2 = LayerNorm(epsilon=EPSILON, dtype=policy, name="norm_2")
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")
        self.activation = gelu if activation == "gelu" else ops.relu

    def build(self, input_shape):
        width, policy, dff = input_shape[-1], self.dtype_policy, self.settings["dff"]
        for layer in (self.attention, self.norm_1, self.norm_2):
            layer.build(input_shape)
        self.ffn_in, self.ffn_out = (
            keras.layers.Dense(units, kernel_initializer=FanInUniform(inputs), bias_initializer=FanInUniform(inputs),
                               dtype=policy, name=name)
            for name, inputs, units in (("ffn_in", width, dff), ("ffn_out", dff, width))
        )  # fmt: skip
        self.ffn_in.build(input_shape)
        self.ffn_out.build((*input_shape[:-1], dff))

    def call(self, tokens, lengths=None, index=None, training=None):
        """Transform tokens (batch, row, width); arguments as in `ProbSparseAttention`."""
        change = self.attention(tokens, lengths, index)
        # As matrices: TensorFlow fuses a product with what is behind it where no reshape is between.
        flat = ops.reshape(tokens + self.dropout(change, training=training), (-1, tokens.shape[-1]))
        flat = self.norm_1(flat)
        hidden = self.activation(linear(flat, self.ffn_in.kernel, self.ffn_in.bias))
        hidden = linear(self.dropout(hidden, training=training), self.ffn_out.kernel, self.ffn_out.bias)
        flat = self.norm_2(flat + self.dropout(hidden, training=training))
        return ops.reshape(flat, ops.shape(tokens))

    def compute_output_shape(self, input_shape, *_args, **_kwargs):
        return input_shape

    def get_config(self):
        return super().get_config() | self.settings


class InformerEncoder(keras.layers.Layer):
    """Rows of a light curve to one vector: `CircularEmbedding`, positions, blocks, a layer norm, rows side by side.

    Parameters
    ----------
    config : InformerConfig
        Hyperparameters.
    info : ModelInfo
        The static columns of the data.

    Raises
    ------
    UsageError
        If the data lack one of the columns.
    """

    def __init__(self, config: InformerConfig, info: ModelInfo, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        policy = self.dtype_policy
        if config.photo_cols:
            self.columns = CatalogueColumns(
                info.static, config.photo_cols, None if config.photo_transform else {}, name="columns"
            )
        # Phases in bfloat16 would keep eight bits.
        self.embedding = CircularEmbedding(config.d_model, dtype="float32", name="embedding")
        self.embedding_dropout = Dropout(config.embedding_dropout, dtype=policy, name="embedding_dropout")
        attention = {key: getattr(config, key)
                     for key in ("num_heads", "length", "factor", "head_merge", "key_sampling")}  # fmt: skip
        self.blocks = [
            InformerBlock(
                config.dff, config.activation, config.dropout, **attention, dtype=policy, name=f"block_{place}"
            )
            for place in range(config.layers)
        ]
        self.norm = LayerNorm(epsilon=EPSILON, dtype=policy, name="norm")
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")
        self.width = config.length * config.d_model if config.pooling == "rows" else config.d_model
        self.positions = positions(config.length, config.d_model)
        self.least = max(1, self.blocks[0].attention.most)

    def channels(self, inputs):
        """Give what is embedded, of the view ``photometry``.

        Rows under a False mask are 0, or hold the constant channels without ``mask_attention``, and stand behind all
        others.

        Returns
        -------
        channels : tensor (batch, row, channel), float32
            Time, flux, flux error, static columns, logarithm of the spread, length in years.
        mask : tensor (batch, row), bool
            Of at least u and at most ``length`` rows, of ``length`` without ``mask_attention``.
        """
        config, mask = self.config, inputs["mask"]
        rows = ops.stack([ops.cast(inputs[name], "float32") for name in ("time", "flux", "flux_err")], axis=-1)
        rows = ops.where(mask[..., None], rows, 0.0)
        # Where rows are missing in between, the others move up.
        order = ops.argsort(ops.cast(ops.logical_not(mask), "int32"), axis=1)
        count = ops.shape(mask)[1]
        rows = ops.take(ops.reshape(rows, (-1, 3)), flat_places(ops.cast(order, "int32"), count), axis=0)
        lengths = ops.minimum(ops.sum(ops.cast(mask, "int32"), axis=1), config.length)
        wanted = self.least if config.mask_attention else config.length
        rows = _at_least(rows, wanted)[:, : config.length]
        mask = ops.arange(ops.shape(rows)[1])[None] < lengths[:, None]
        constant = []
        if config.photo_cols:
            constant.append(self.columns(inputs["static"]))
        if config.use_scale:
            constant.append(ops.cast(inputs["curve_scale"], "float32"))
        if constant:
            values = ops.concatenate(constant, axis=-1)[:, None]
            values = ops.repeat(values, ops.shape(rows)[1], axis=1)
            if config.mask_attention:
                values = ops.where(mask[..., None], values, 0.0)
            rows = ops.concatenate([rows, values], axis=-1)
        return rows, mask

    def embed(self, channels, mask, training=None):
        """Give the tokens (batch, row, d_model) before the blocks."""
        tokens = self.embedding(channels, self._lengths(mask))
        if self.config.positions == "rows":
            places = ops.convert_to_tensor(self.positions)[: ops.shape(tokens)[1]]
        else:
            places = self._places(channels[..., 0])
        tokens = ops.cast(tokens + places, self.compute_dtype)
        return self.embedding_dropout(tokens, training=training)

    def _places(self, time):
        """Give the table at ``length`` times the time (batch, row), (batch, row, d_model)."""
        rate = 10000.0 ** -(2 * ops.arange(self.config.d_model // 2, dtype="float32") / self.config.d_model)
        angle = self.config.length * time[..., None] * rate
        pairs = ops.stack([ops.sin(angle), ops.cos(angle)], axis=-1)
        return ops.reshape(pairs, (*ops.shape(angle)[:-1], self.config.d_model))

    def _lengths(self, mask):
        return ops.sum(ops.cast(mask, "int32"), axis=1) if self.config.mask_attention else None

    def encode(self, channels, mask, indices=None, training=None):
        """Give the tokens (batch, row, d_model) behind the last norm.

        Parameters
        ----------
        channels, mask
            As `channels` gives them: rows that count are in front.
        indices : sequence of tensor (row, U), int32, optional
            The sampled keys of every block, in place of its own.
        """
        tokens, lengths = self.embed(channels, mask, training), self._lengths(mask)
        for place, block in enumerate(self.blocks):
            tokens = block(tokens, lengths, None if indices is None else indices[place], training=training)
        return self.norm(tokens)

    def call(self, inputs, training=None):
        """Turn a batch of the view ``photometry`` into (batch, length · d_model), float32.

        Time-major, 0 in padded rows; (batch, d_model) under ``pooling mean``.
        """
        channels, mask = self.channels(inputs)
        tokens = self.encode(channels, mask, training=training)
        if self.config.pooling == "mean":
            return self.dropout(_mean(tokens, mask), training=training)
        return self.flat(tokens, mask, training)

    def flat(self, tokens, mask, training=None):
        """Give tokens (batch, row, d_model) side by side, (batch, length · d_model), float32, 0 in padded rows."""
        tokens = ops.where(mask[..., None], self.dropout(tokens, training=training), ops.cast(0.0, tokens.dtype))
        return ops.cast(ops.reshape(_at_least(tokens, self.config.length), (-1, self.width)), "float32")

    def mean(self, inputs):
        """Give the mean of the tokens that count, (batch, d_model), float32, without dropout."""
        channels, mask = self.channels(inputs)
        return _mean(self.encode(channels, mask, training=False), mask)

    def fitted(self):
        """Give the layers that are fitted on the training split, by the part that they read."""
        return {"static": self.columns} if self.config.photo_cols else {}

    def compute_output_shape(self, *_args, **_kwargs):
        return (None, self.width)


def _mean(tokens, mask):
    """Give the mean (batch, width), float32, of the tokens (batch, row, width) that count; 0 where none does."""
    tokens = ops.where(mask[..., None], ops.cast(tokens, "float32"), 0.0)
    return ops.sum(tokens, axis=1) / ops.maximum(ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True), 1.0)


def _at_least(values, rows: int):
    """Give values (batch, row, channel) with zeros behind, so that there are at least so many rows."""
    count = ops.shape(values)[1]
    if isinstance(count, int):
        missing = max(0, rows - count)
        return ops.pad(values, ((0, 0), (0, missing), (0, 0))) if missing else values
    zeros = ops.zeros((ops.shape(values)[0], ops.maximum(rows - count, 0), values.shape[2]), values.dtype)
    return ops.concatenate([values, zeros], axis=1)
