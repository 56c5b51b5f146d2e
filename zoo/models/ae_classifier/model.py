"""Classifiers of a regular series by the encoder of the transformer autoencoder."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.dropout import Dropout
from zoo.layers.object_scale import extent, observed_flux, offset_and_range, scaled
from zoo.models.network import Network
from zoo.models.transformer_autoencoder.model import (
    build_encoder,
    check_width,
    mean_of_valid,
    row_valid,
    with_start,
)
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class StepClassifier(keras.layers.Layer):
    """Dense, dropout and dense at every row, the maximum over the rows, and a dense layer to the logits.

    Parameters
    ----------
    width, classes : int
        Width of the two hidden layers, and number of logits.
    dropout : float
        Rate between the hidden layers.
    """

    def __init__(self, width, classes, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"width": width, "classes": classes, "dropout": dropout}
        policy = self.dtype_policy
        self.ffn_in = keras.layers.Dense(width, activation="relu", dtype=policy, name="ffn_in")
        self.ffn_out = keras.layers.Dense(width, activation="relu", dtype=policy, name="ffn_out")
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")
        self.output_layer = keras.layers.Dense(classes, dtype=policy, name="output_layer")

    def build(self, input_shape):
        width = self.settings["width"]
        self.ffn_in.build(input_shape)
        self.ffn_out.build((*input_shape[:-1], width))
        self.output_layer.build((input_shape[0], width))

    def call(self, rows, valid, training=None):
        """Give the logits (batch, class) of rows (batch, row, width), those not ``valid`` (batch, row) left out."""
        hidden = self.ffn_out(self.dropout(self.ffn_in(rows), training=training))
        # Behind a relu 0 is the least there is: an object without a valid row has it.
        pooled = ops.max(ops.where(valid[:, :, None], hidden, 0.0), axis=1)
        return self.output_layer(pooled)

    def compute_output_shape(self, input_shape, *_args, **_kwargs):
        return (input_shape[0], self.settings["classes"])

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class AeClassifier(Network):
    """Encoder of the autoencoder, and a `StepClassifier` on its tokens beside the object's smallest and largest flux.

    The encoder is the layer of the same name in the autoencoder: ``--init-from encoder=RUN`` fills it,
    ``--freeze encoder`` keeps it. Inputs are those of the view ``grid``, the output is a dict of logits
    (batch, class).

    Parameters
    ----------
    config : AeClassifierConfig
    info : ModelInfo
        Classes and bands.
    """

    heads, primary = ("classifier",), "classifier"

    def __init__(self, config, info: ModelInfo, **kwargs):
        # Keras would cast times and fluxes to bfloat16 on the way in.
        super().__init__(autocast=False, **kwargs)
        check_width(config, len(info.bands))
        self.config, self.info = config, info
        policy = self.dtype_policy
        self.encoder = build_encoder(config, policy)
        self.classifier = StepClassifier(
            config.dff, len(info.outputs), config.dropout, dtype=policy, name="classifier"
        )  # fmt: skip

    def encode(self, rows, seen, training=None):
        """Give tokens (batch, row, width) of rows (batch, row, band), the start row first, and which are valid."""
        valid = row_valid(self.config.mask_policy, rows, seen)
        return self.encoder(rows, valid, training=training), valid

    def classify(self, tokens, context, valid, training=None):
        """Give the logits (batch, class), float32, of tokens beside the context (batch, 2) of their object."""
        shape = (*ops.shape(tokens)[:2], 2)
        beside = ops.cast(ops.broadcast_to(context[:, None], shape), tokens.dtype)
        rows = ops.concatenate([tokens, beside], axis=2)
        valid = valid if self.config.pool_mask else ops.ones_like(valid)
        return ops.cast(self.classifier(rows, valid, training=training), "float32")

    def call(self, inputs, training=None):
        flux, _, seen = observed_flux(inputs)
        tokens, valid = self.encode(*self._rows(flux, seen), training)
        context = ops.stack(extent(flux), axis=1)
        if self.config.context_transform == "asinh":
            context = ops.arcsinh(context)
        return {self.primary: self.classify(tokens, context, valid, training)}

    def _rows(self, flux, seen):
        source = scaled(flux, seen, *offset_and_range(flux, self.config.normalise))
        return with_start(source), with_start(seen)

    def represent(self, inputs):
        """Give the mean of the encoder's tokens over the valid rows, (batch, width), float32."""
        flux, _, seen = observed_flux(inputs)
        return mean_of_valid(*self.encode(*self._rows(flux, seen), training=False))

    def fitted(self):
        """Give the layers that are fitted on the training split: none."""
        return {}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, "classifier": self.classifier}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes or bands."""
        first = self.encoder.embed if self.config.embed else self.encoder
        return {"classes": [self.classifier.output_layer.path], "bands": [first.path]}
