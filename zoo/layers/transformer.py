"""Pre-norm transformer encoder with a key mask."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.activations import gelu
from zoo.layers.attention import SelfAttention, key_bias
from zoo.layers.dropout import Dropout
from zoo.layers.initializers import dense
from zoo.layers.layer_norm import LayerNorm, linear


@keras.saving.register_keras_serializable(package="zoo")
class EncoderBlock(keras.layers.Layer):
    """Pre-norm encoder block: ``x + MHA(LN(x))``, then ``x + FFN(LN(x))`` with exact GELU.

    Parameters
    ----------
    num_heads, head_dim : int
        Heads and width of one head; the token width is their product.
    ffn_factor : int
        The feed-forward layer is ``ffn_factor`` times the token width.
    dropout : float
        Rate on attention weights and after both feed-forward layers.
    initializer : str
        Kernel initializer, see `zoo.layers.initializers.kernel_initializer`.
    """

    def __init__(self, num_heads, head_dim, ffn_factor=2, dropout=0.0, initializer="normal", **kwargs):
        super().__init__(**kwargs)
        self.settings = {
            "num_heads": num_heads,
            "head_dim": head_dim,
            "ffn_factor": ffn_factor,
            "dropout": dropout,
            "initializer": initializer,
        }
        width, policy = num_heads * head_dim, self.dtype_policy
        self.attention_norm = LayerNorm(epsilon=1e-5, dtype=policy, name="attention_norm")
        self.attention = SelfAttention(num_heads, head_dim, dropout, initializer, dtype=policy, name="attention")
        self.ffn_norm = LayerNorm(epsilon=1e-5, dtype=policy, name="ffn_norm")
        self.ffn_in = dense(ffn_factor * width, width, initializer, "ffn_in", policy)
        self.ffn_out = dense(width, ffn_factor * width, initializer, "ffn_out", policy)
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape):
        self.attention_norm.build(input_shape)
        self.attention.build(input_shape)
        self.ffn_norm.build(input_shape)
        self.ffn_in.build(input_shape)
        self.ffn_out.build((*input_shape[:-1], self.ffn_in.units))

    def _feed_forward(self, tokens, training):
        first, second = self.ffn_in, self.ffn_out
        # As matrices: TensorFlow fuses a product with the bias, GELU or sum behind it where no reshape is between.
        flat = ops.reshape(tokens, (-1, ops.shape(tokens)[-1]))
        hidden = gelu(linear(self.ffn_norm.plain(flat), *self.ffn_norm.folded(first.kernel, first.bias)))
        hidden = linear(self.dropout(hidden, training=training), second.kernel, second.bias)
        return ops.reshape(flat + self.dropout(hidden, training=training), ops.shape(tokens))

    def call(self, tokens, bias=None, first_only=False, training=None):
        """Transform tokens.

        Parameters
        ----------
        tokens : tensor (batch, token, width)
        bias : tensor (batch, 1, 1, token), optional
            Additive key bias, see `zoo.layers.attention.key_bias`.
        first_only : bool
            Compute the output of the first token only, with the same numbers: (batch, 1, width).
        """
        plain, norm = self.attention_norm.plain(tokens), self.attention_norm
        if first_only:
            # Normalised once more, as a second slice would have a second gradient as large as all tokens.
            tokens, query = tokens[:, :1], norm.plain(tokens[:, :1])
            tokens = tokens + self.attention.from_one(query, plain, bias, norm=norm, training=training)
        else:
            tokens = tokens + self.attention(plain, bias, norm=norm, training=training)
        return self._feed_forward(tokens, training)

    def compute_output_shape(self, input_shape, *_args, first_only=False, **_kwargs):
        return (input_shape[0], 1, input_shape[2]) if first_only else input_shape

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class TransformerEncoder(keras.layers.Layer):
    """A learned class token in front of the tokens, then a stack of `EncoderBlock`; no final norm.

    Parameters
    ----------
    layers : int
        Number of blocks.
    class_token : bool
        Whether a learned token, N(0, 1) at the start, is put first (always valid).
    **settings
        As `EncoderBlock`.
    """

    def __init__(self, layers, num_heads, head_dim, class_token=True, **kwargs):
        block_keys = ("ffn_factor", "dropout", "initializer")
        block = {key: kwargs.pop(key) for key in block_keys if key in kwargs}
        super().__init__(**kwargs)
        self.settings = {
            "layers": layers,
            "num_heads": num_heads,
            "head_dim": head_dim,
            "class_token": class_token,
            **block,
        }
        self.width = num_heads * head_dim
        self.blocks = [
            EncoderBlock(num_heads, head_dim, **block, dtype=self.dtype_policy, name=f"block_{index}")
            for index in range(layers)
        ]

    def build(self, input_shape):
        if self.settings["class_token"]:
            self.token = self.add_weight(
                name="class_token",
                shape=(1, 1, self.width),
                initializer=keras.initializers.RandomNormal(stddev=1.0),
            )
        for block in self.blocks:
            block.build((input_shape[0], None, self.width))

    def call(self, tokens, mask=None, first_only=True, training=None):
        """Encode tokens.

        Parameters
        ----------
        tokens : tensor (batch, token, width)
        mask : tensor (batch, token) bool, optional
            True = valid; all valid when absent.
        first_only : bool
            Return only the first token, (batch, width); the last block is then computed for it alone.

        Returns
        -------
        tensor (batch, width), or (batch, token [+ 1], width)
        """
        tokens = ops.cast(tokens, self.compute_dtype)
        if self.settings["class_token"]:
            batch = ops.shape(tokens)[0]
            token = ops.broadcast_to(self.token, (batch, 1, self.width))
            tokens = ops.concatenate([ops.cast(token, self.compute_dtype), tokens], axis=1)
            if mask is not None:
                mask = ops.concatenate([ops.ones((batch, 1), dtype="bool"), mask], axis=1)
        bias = None if mask is None else key_bias(mask, self.compute_dtype)
        for block in self.blocks[:-1]:
            tokens = block(tokens, bias, training=training)
        tokens = self.blocks[-1](tokens, bias, first_only=first_only, training=training)
        return tokens[:, 0] if first_only else tokens

    def compute_output_shape(self, input_shape, *_args, first_only=True, **_kwargs):
        if first_only:
            return (input_shape[0], self.width)
        length = input_shape[1]
        extra = int(self.settings["class_token"])
        return (input_shape[0], None if length is None else length + extra, self.width)

    def get_config(self):
        return super().get_config() | self.settings
