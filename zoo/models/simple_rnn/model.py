"""An LSTM that reads a regular series and classifies it."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.dropout import Dropout
from zoo.layers.object_scale import observed_flux, offset_and_range, scaled
from zoo.models.network import Network
from zoo.models.simple_rnn.config import SimpleRnnConfig
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class SimpleRnn(Network):
    """LSTM over all steps, its state after the last valid one, a hidden layer with relu, logits.

    Inputs are those of the view ``grid``, the output is a dict of logits (batch, class).

    Parameters
    ----------
    config : SimpleRnnConfig
    info : ModelInfo
        Classes and bands.
    """

    heads, primary = ("classifier",), "classifier"

    def __init__(self, config: SimpleRnnConfig, info: ModelInfo, **kwargs):
        # Keras would cast times and fluxes to bfloat16 on the way in.
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        policy = self.dtype_policy
        self.lstm = keras.layers.LSTM(config.units, return_sequences=True, dtype=policy, name="lstm")
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")
        self.dense = keras.layers.Dense(config.dense, activation="relu", dtype=policy, name="dense")
        self.output_layer = keras.layers.Dense(len(info.outputs), dtype=policy, name="output_layer")

    def state(self, rows, mask, training=None):
        """Give the state (batch, units) after the last valid of the rows (batch, step, band).

        No mask enters the LSTM: what comes later cannot change a state, and without a mask it may use cuDNN.
        """
        states = self.lstm(ops.cast(rows, self.compute_dtype), training=training)
        if self.config.read == "last":
            return states[:, -1]
        last = ops.max(ops.where(mask, ops.arange(ops.shape(mask)[1])[None], 0), axis=1)
        return ops.take_along_axis(states, last[:, None, None], axis=1)[:, 0]

    def classify(self, state, training=None):
        """Give the logits (batch, class), float32."""
        hidden = self.dense(self.dropout(state, training=training))
        return ops.cast(self.output_layer(hidden), "float32")

    def _rows(self, inputs):
        flux, _, seen = observed_flux(inputs)
        return scaled(flux, seen, *offset_and_range(flux, self.config.normalise))

    def represent(self, inputs):
        """Give the state after the last valid step, (batch, units), float32."""
        return ops.cast(self.state(self._rows(inputs), inputs["mask"], training=False), "float32")

    def call(self, inputs, training=None):
        state = self.state(self._rows(inputs), inputs["mask"], training)
        return {self.primary: self.classify(state, training)}

    def fitted(self):
        """Give the layers that are fitted on the training split: none."""
        return {}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"lstm": self.lstm, "dense": self.dense, "output_layer": self.output_layer}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes or bands."""
        return {"classes": [self.output_layer.path], "bands": [self.lstm.path]}
