"""ORACLE: GRU layers on the light curve beside static columns (arXiv:2501.01496)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.models.oracle.base import RecurrentClassifier


@keras.saving.register_keras_serializable(package="zoo")
class Oracle(RecurrentClassifier):
    """GRU layers, Dense tanh; beside them Dense on the static columns; together Dense ReLU twice, then logits."""

    cell = "gru"

    def __init__(self, config, info, **kwargs):
        super().__init__(config, info, **kwargs)
        self.series = self.dense(config.dense, "tanh", name="series")
        if config.static:
            self.table = self.dense(config.static_units, name="table")
        self.merge = self.dense(config.dense, "relu", name="merge")
        self.latent = self.dense(config.latent, "relu", name="latent")
        self.output_layer = self.dense(len(info.outputs), name="logits")

    def embed(self, state, static):
        """Give the latent vector (batch, latent) of the state (batch, units) and the static columns."""
        values = self.series(state)
        if static is not None:
            values = ops.concatenate([values, self.table(static)], axis=-1)
        return self.latent(self.merge(values))

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        names = ("encoder", "series", "table", "merge", "latent")
        return {name: getattr(self, name) for name in names if hasattr(self, name)} | {"head": self.output_layer}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, bands or columns, by `ModelInfo` field."""
        bands = [self.encoder.stack[0].path] if self.config.band == "one_hot" else []
        static = [self.table.path] if self.config.static else []
        return {"classes": [self.output_layer.path], "bands": bands, "static": static}
