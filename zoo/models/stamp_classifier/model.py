"""ALeRCE's stamp classifier (Carrasco-Davis et al. 2021, arXiv:2008.03309)."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.alert_columns import AlertColumns
from zoo.layers.batch_norm import MaskedBatchNorm
from zoo.layers.dropout import Dropout
from zoo.layers.stamp_trunk import StampTrunk
from zoo.layers.stamp_turns import CyclicPool, quarter_turns
from zoo.models.stamp_classifier.config import StampClassifierConfig
from zoo.models.stamp_network import StampNetwork
from zoo.registry import ModelInfo


class RotationInvariant(StampNetwork):
    """Trunk over turned copies of a stamp, mean over the copies, columns of the alert, dense layers.

    Inputs are those of the view ``stamp``; the output is a dict with ``logits`` (batch, output), float32. Without
    columns the second dense layer stands before the mean, as published. A subclass says how stamps are turned.

    Parameters
    ----------
    config : StampClassifierConfig
        Hyperparameters.
    info : ModelInfo
        Classes, channels and columns of the data.
    """

    heads = ("logits",)
    primary = "logits"

    def __init__(self, config: StampClassifierConfig, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        self.encoder = StampTrunk(
            config.kernel, config.filters, units=config.units, dropout=config.dropout, dtype=self.dtype_policy,
            name="encoder",
        )  # fmt: skip
        self.pool = CyclicPool(getattr(config, "turns", 4), dtype="float32", name="pool")
        if config.features:
            if not info.alert_columns:
                raise UsageError(
                    "features true needs columns of an alert: name some with alert_columns. Received: none"
                )
            self.columns = AlertColumns(info.alert_columns, standardize=config.standardize, name="columns")
            self.norm = MaskedBatchNorm(dtype="float32", name="norm")
        names = ("merge", "latent") if config.features else ("merge",)
        self.hidden = [keras.layers.Dense(config.units, "relu", dtype="float32", name=name) for name in names]
        self.dropout = Dropout(config.dropout, dtype="float32", name="dropout")
        self.output_layer = keras.layers.Dense(len(info.outputs), dtype="float32", name="logits")

    def turn(self, images, training=None):
        """Give turned copies (turns · batch, crop, crop, channel) of prepared images, turn by turn."""
        raise NotImplementedError

    def pooled(self, images, training=None):
        """Give the mean over the copies, (batch, units), of prepared images (batch, size, size, channel)."""
        hidden = ops.cast(self.encoder(self.turn(images, training=training), training=training), "float32")
        if not self.config.features:
            hidden = self.dropout(self.hidden[0](hidden), training=training)
        return self.pool(hidden)

    def fused(self, pooled, columns, training=None):
        """Give the mean beside the normalised columns (batch, units + column)."""
        valid = ops.ones((ops.shape(columns)[0], 1), "bool")
        columns = self.norm(columns[:, None, :], valid, training=training)[:, 0]
        return ops.concatenate([pooled, columns], axis=-1)

    def embed(self, images, columns, training=None):
        """Give what the logits are made of, (batch, units), for prepared images and columns, None without them."""
        hidden = self.pooled(images, training)
        if self.config.features:
            hidden = self.fused(hidden, columns, training)
            for layer in self.hidden:
                hidden = self.dropout(layer(hidden), training=training)
        return hidden

    def decide(self, images, columns, training=None):
        """Give the logits (batch, output) of prepared images and columns, None without them."""
        return self.output_layer(self.embed(images, columns, training))

    def _prepared(self, inputs):
        columns = self.columns(inputs["alert"]) if self.config.features else None
        return self.preprocess(inputs["stamp"])[0], columns

    def represent(self, inputs):
        """Give what the logits are made of, (batch, units), float32."""
        return ops.cast(self.embed(*self._prepared(inputs), training=False), "float32")

    def call(self, inputs, training=None):
        return {"logits": self.decide(*self._prepared(inputs), training)}

    def fitted(self):
        """Give the layers that are fitted on the training split, by the part that they read."""
        return {"alert": self.columns} if self.config.features and self.config.standardize else {}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        parts = {"encoder": self.encoder} | {layer.name: layer for layer in self.hidden}
        return parts | ({"norm": self.norm} if self.config.features else {}) | {"head": self.output_layer}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, channels or columns, by `ModelInfo` field."""
        columns = [self.norm.path, self.hidden[0].path] if self.config.features else []
        channels = [] if self.config.channels else [self.encoder.convolutions[0].path]
        return {"classes": [self.output_layer.path], "channels": channels, "alert_columns": columns}


@keras.saving.register_keras_serializable(package="zoo")
class StampClassifier(RotationInvariant):
    """ALeRCE's stamp classifier: four rotations, in training and elsewhere; see `RotationInvariant`."""

    def turn(self, images, training=None):
        return quarter_turns(images)
