"""The LSTM that came before ORACLE, with the state of the last valid row."""

from __future__ import annotations

import keras
from keras import ops

from zoo.models.oracle.base import RecurrentClassifier


@keras.saving.register_keras_serializable(package="zoo")
class HierarchicalLstm(RecurrentClassifier):
    """LSTM layers; their last valid state and the static columns, ReLU, Dense ReLU, then logits."""

    cell = "lstm"

    def __init__(self, config, info, **kwargs):
        super().__init__(config, info, **kwargs)
        self.merge = self.dense(config.hidden, "relu", name="merge")
        self.output_layer = self.dense(len(info.outputs), name="logits")

    def embed(self, state, static):
        values = state if static is None else ops.concatenate([state, static], axis=-1)
        if self.config.relu_first:
            values = ops.relu(values)
        return self.merge(values)

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, "merge": self.merge, "head": self.output_layer}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, bands or columns, by `ModelInfo` field."""
        bands = [self.encoder.stack[0].path] if self.config.band == "one_hot" else []
        static = [self.merge.path] if self.config.static else []
        return {"classes": [self.output_layer.path], "bands": bands, "static": static}
