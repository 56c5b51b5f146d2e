"""RAPID: causal networks that give class probabilities at every step of a light curve (arXiv:1904.00014)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.causal import CausalConvolutions, RecurrentStack, last_valid
from zoo.layers.preprocess import FluxScale
from zoo.models.network import Network
from zoo.models.rapid.config import RapidConfig
from zoo.registry import ModelInfo


class Rapid(Network):
    """Causal encoder and a softmax layer that is the same at every step.

    Inputs are those of the view ``grid``, with the part ``static`` where the configuration has metadata. The output
    is ``{"steps": logits}``, (batch, step, 1 + class), float32, the first logit of the class before the explosion.
    What is said at a step depends on it and earlier ones alone. Steps under a False mask repeat the logits of the
    last valid one, so the last step always is the answer to everything seen; an object without a valid step gets
    the logits of an encoding of zeros.

    Parameters
    ----------
    config : RapidConfig
        Hyperparameters.
    info : ModelInfo
        Classes, bands and columns of the data.
    """

    heads, primary = ("steps",), "steps"

    def __init__(self, config: RapidConfig, info: ModelInfo, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        self.flux_scale = FluxScale(config.flux_transform, config.flux_scale, name="flux_scale")
        self.encoder = self._encoder()
        self.head = keras.layers.Dense(1 + len(info.outputs), dtype=self.dtype_policy, name="head")

    def channels(self, inputs):
        """Give the network's channels (batch, step, band + static), float32, 0 under a False mask."""
        mask = inputs["mask"][..., None]
        there = ops.logical_and(inputs["observed"], mask)
        flux = ops.where(there, inputs["flux"], 0.0)
        flux, _ = self.flux_scale(flux, ops.zeros_like(flux))
        if not self.config.metadata:
            return flux
        static = ops.cast(inputs["static"], "float32")
        static = ops.where(ops.isfinite(static), static, 0.0)[:, None, :]
        return ops.concatenate([flux, ops.where(mask, static, 0.0)], axis=-1)

    def encode(self, channels, mask, training=None):
        """Give the encoding (batch, step, units) of every step."""
        return self.encoder(ops.cast(channels, self.compute_dtype), training=training)

    def _hidden(self, inputs, training):
        mask = inputs["mask"]
        return last_valid(self.encode(self.channels(inputs), mask, training), mask)

    def represent(self, inputs):
        """Give the encoding of the last valid step, (batch, units), float32."""
        return ops.cast(self._hidden(inputs, training=False)[:, -1], "float32")

    def call(self, inputs, training=None):
        return {"steps": ops.cast(self.head(self._hidden(inputs, training)), "float32")}

    def fitted(self):
        """Give the layers that are fitted on the training split: none."""
        return {}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, "head": self.head}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, bands or columns, by `ModelInfo` field."""
        entrance = [layer.path for layer in self._entrance()]
        columns = entrance if self.config.metadata else []
        return {"classes": [self.head.path], "bands": entrance, "static": columns}


class _Recurrent(Rapid):
    """Recurrent layers."""

    cell = ""

    def _encoder(self):
        config = self.config
        return RecurrentStack(
            self.cell, config.units, config.layers, config.gate, getattr(config, "reset_after", False),
            config.batch_norm, config.dropout, dtype=self.dtype_policy, name="encoder",
        )  # fmt: skip

    def _entrance(self):
        return self.encoder.layers[:1]

    def encode(self, channels, mask, training=None, every=False):
        skip = ops.any(channels != 0, axis=-1) if self.config.zero_masking else None
        channels = ops.cast(channels, self.compute_dtype)
        return self.encoder(channels, mask, skip, training=training, every=every)


@keras.saving.register_keras_serializable(package="zoo")
class RapidGru(_Recurrent):
    """RAPID with GRU layers, the network of the paper; see `Rapid`."""

    cell = "gru"


@keras.saving.register_keras_serializable(package="zoo")
class RapidLstm(_Recurrent):
    """RAPID with LSTM layers, as released for ZTF without redshift; see `Rapid`."""

    cell = "lstm"


@keras.saving.register_keras_serializable(package="zoo")
class RapidTcn(Rapid):
    """RAPID with causal convolutions, as released for ZTF with redshift and for PS1; see `Rapid`."""

    def _encoder(self):
        config = self.config
        return CausalConvolutions(
            config.units, config.kernel_size, config.dilations, config.activation, config.dropout,
            dtype=self.dtype_policy, name="encoder",
        )  # fmt: skip

    def _entrance(self):
        return [self.encoder.pairs[0], *([self.encoder.match] if self.encoder.matches else [])]
