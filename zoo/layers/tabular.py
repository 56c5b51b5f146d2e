"""Tokens from table columns."""

from __future__ import annotations

import keras

from zoo.layers.activations import gelu
from zoo.layers.dropout import Dropout
from zoo.layers.initializers import dense


@keras.saving.register_keras_serializable(package="zoo")
class FeatureTokenizer(keras.layers.Layer):
    """One token a column: token_j = W_j · f_j + b_j with learned W, b of N(0, 1) (ATAT, arXiv:2405.03078).

    Parameters
    ----------
    width : int
        Token width.
    """

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def build(self, input_shape):
        shape, normal = (1, input_shape[-1], self.width), keras.initializers.RandomNormal
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=normal(stddev=1.0))
        self.bias = self.add_weight(name="bias", shape=shape, initializer=normal(stddev=1.0))

    def call(self, features):
        """Turn (batch, column) into (batch, column, width)."""
        return features[..., None] * self.kernel + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.width)

    def get_config(self):
        return super().get_config() | {"width": self.width}


@keras.saving.register_keras_serializable(package="zoo")
class TableEncoder(keras.layers.Layer):
    """Embedding of a table: dropout on its columns, then ``layers`` × (Dense, LayerNorm, exact GELU, dropout).

    Parameters
    ----------
    width : int
        Width of every layer.
    layers : int
        Number of layers.
    input_dropout, dropout : float
        Rate on the columns, and after each layer.
    initializer : str
        Kernel initializer.
    """

    def __init__(self, width, layers=2, input_dropout=0.0, dropout=0.0, initializer="xavier", **kwargs):
        super().__init__(**kwargs)
        self.settings = {
            "width": width,
            "layers": layers,
            "input_dropout": input_dropout,
            "dropout": dropout,
            "initializer": initializer,
        }
        policy = self.dtype_policy
        self.input_dropout = Dropout(input_dropout, dtype=policy, name="input_dropout")
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape):
        settings, policy, shape = self.settings, self.dtype_policy, input_shape
        self.hidden, self.norms = [], []
        for index in range(settings["layers"]):
            layer = dense(settings["width"], shape[-1], settings["initializer"], f"hidden_{index}", policy)
            norm = keras.layers.LayerNormalization(epsilon=1e-5, dtype=policy, name=f"norm_{index}")
            layer.build(shape)
            shape = (*input_shape[:-1], settings["width"])
            norm.build(shape)
            self.hidden.append(layer)
            self.norms.append(norm)

    def call(self, columns, training=None):
        """Turn (batch, column) into (batch, width)."""
        values = self.input_dropout(columns, training=training)
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            values = self.dropout(gelu(norm(layer(values))), training=training)
        return values

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.settings["width"])

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class NormHead(keras.layers.Layer):
    """Classifier head: LayerNorm, ``hidden`` × (Dense, exact GELU, dropout) of the input's width, Dense.

    Parameters
    ----------
    classes : int
        Number of logits.
    hidden : int
        Number of hidden layers.
    dropout : float
        Rate after each hidden layer.
    initializer : str
        Kernel initializer.
    """

    def __init__(self, classes, hidden=0, dropout=0.0, initializer="normal", **kwargs):
        super().__init__(**kwargs)
        self.settings = {
            "classes": classes,
            "hidden": hidden,
            "dropout": dropout,
            "initializer": initializer,
        }
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy, name="norm")
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape):
        width, settings, policy = input_shape[-1], self.settings, self.dtype_policy
        self.norm.build(input_shape)
        self.hidden = [
            dense(width, width, settings["initializer"], f"hidden_{index}", policy)
            for index in range(settings["hidden"])
        ]
        self.output_layer = dense(settings["classes"], width, settings["initializer"], "logits", policy)
        for layer in (*self.hidden, self.output_layer):
            layer.build(input_shape)

    def call(self, embedding, training=None):
        """Turn (batch, width) into logits (batch, class)."""
        values = self.norm(embedding)
        for layer in self.hidden:
            values = gelu(layer(values))
            values = self.dropout(values, training=training)
        return self.output_layer(values)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.settings["classes"])

    def get_config(self):
        return super().get_config() | self.settings
