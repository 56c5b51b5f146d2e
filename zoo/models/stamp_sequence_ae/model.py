"""Recurrent networks on the codes of an object's stamps."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.causal import RecurrentStack, last_valid
from zoo.layers.dropout import Dropout
from zoo.layers.stamp_conv import StampDecoder, StampEncoder
from zoo.models.stamp_ae.pooled import SIDE, PooledEncoder
from zoo.models.stamp_network import StampAutoencoder, StampNetwork
from zoo.registry import ModelInfo


def merged(values):
    """Give (batch, frame, ...) as (batch · frame, ...)."""
    return ops.reshape(values, (-1, *values.shape[2:]))


def apart(values, mask):
    """Give (batch · frame, ...) as (batch, frame, ...) of a mask (batch, frame), 0 where that is False."""
    values = ops.reshape(values, (*ops.shape(mask), *values.shape[1:]))
    wide = ops.reshape(mask, (*ops.shape(mask), *[1] * (len(values.shape) - 2)))
    return ops.where(wide, values, ops.zeros_like(values))


class OnCodes(StampNetwork):
    """Encoder of every frame, recurrent layers over the codes, and what they know after the last valid frame.

    Inputs are those of the view ``stamp_sequence``. Valid frames come first. An object without a frame gets the
    logits of a state of zeros.

    Parameters
    ----------
    config, info
        As in `StampNetwork`.
    """

    def code(self, images, mask, training=None):
        """Give the codes (batch, frame, latent) of prepared images (batch, frame, crop, crop, channel)."""
        found = self.encoder(self.computed(merged(images)), merged(mask), training=training)
        return apart(found, mask)

    def represent(self, inputs):
        """Give the last recurrent layer's output at the last valid frame, (batch, units), float32."""
        mask = inputs["mask"]
        codes = self.code(self.preprocess(inputs["stamps"])[0], mask, training=False)
        return ops.cast(last_valid(self.recurrent(codes, mask, training=False), mask)[:, -1], "float32")


@keras.saving.register_keras_serializable(package="zoo")
class LatentRnn(OnCodes):
    """Recurrent layers, dense ReLU, dropout and logits on the codes of `zoo.models.stamp_ae.model.StampAe`.

    ``--init-from encoder=RUN --freeze encoder`` takes a trained encoder, of that model or of `StampRecurrentAe`. The
    output is ``{"logits": (batch, class)}``.

    Parameters
    ----------
    config : LatentRnnConfig
    info : ModelInfo
        Channels and size of the stamps, classes.
    """

    heads, primary = ("logits",), "logits"

    def __init__(self, config, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        policy = self.dtype_policy
        self.encoder = StampEncoder(config.latent, filters=config.filters, dtype=policy, name="encoder")
        self.recurrent = RecurrentStack(config.cell, config.units, config.layers, dtype=policy, name="recurrent")
        self.projection = keras.layers.Dense(config.latent, activation="relu", dtype=policy, name="projection")
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")
        self.head = keras.layers.Dense(len(info.outputs), dtype=policy, name="head")

    def project(self, codes, mask, training=None):
        """Give the recurrent codes (batch, frame, latent) of codes; behind the last valid frame they repeat."""
        hidden = last_valid(self.recurrent(codes, mask, training=training), mask)
        return self.dropout(self.projection(hidden), training=training)

    def decide(self, projected):
        """Give the logits (batch, class), float32, of recurrent codes."""
        return ops.cast(self.head(projected[:, -1]), "float32")

    def call(self, inputs, training=None):
        mask = inputs["mask"]
        codes = self.code(self.preprocess(inputs["stamps"])[0], mask, training)
        return {"logits": self.decide(self.project(codes, mask, training))}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, "recurrent": self.recurrent, "projection": self.projection, "head": self.head}


@keras.saving.register_keras_serializable(package="zoo")
class StampRecurrentAe(StampAutoencoder, LatentRnn):
    """`LatentRnn` with a decoder for the recurrent codes, or for the codes themselves.

    The output is a dict:

    - ``classifier`` (batch, class): logits;
    - ``reconstruction`` (batch, frame, crop, crop, channel), float32, 0 at frames under a False mask;
    - ``target`` and ``observed`` of the same shape, as in `zoo.models.stamp_ae.model.StampAe`;
    - ``latent`` (batch, frame, latent): the codes that are decoded.

    Parameters
    ----------
    config : StampRecurrentAeConfig
    info : ModelInfo
        Channels and size of the stamps, classes.
    """

    heads, primary = ("classifier",), "classifier"

    def __init__(self, config, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        self.decoder = StampDecoder(
            config.crop, len(config.channels), config.output, config.filters, dtype=self.dtype_policy, name="decoder"
        )

    def decode(self, codes, mask, training=None):
        """Give images (batch, frame, crop, crop, channel), float32, of codes (batch, frame, latent)."""
        found = self.decoder(merged(codes), merged(mask), training=training)
        return apart(ops.cast(found, "float32"), mask)

    def call(self, inputs, training=None):
        mask = inputs["mask"]
        images, valid = self.preprocess(inputs["stamps"])
        wide = mask[..., None, None, None]
        codes = self.code(images, mask, training)
        projected = self.project(codes, mask, training)
        codes = projected if self.config.reconstruct == "recurrent" else codes
        found = self.decode(codes, mask, training)
        self.penalise()
        return {
            "classifier": self.decide(projected),
            "reconstruction": found,
            "target": ops.where(wide, images, 0.0),
            "observed": ops.logical_and(valid, wide),
            "latent": ops.cast(codes, "float32"),
        }

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {**LatentRnn.parts_of_model(self), "decoder": self.decoder}


@keras.saving.register_keras_serializable(package="zoo")
class StampGru(OnCodes):
    """GRU layers on the codes of `zoo.models.stamp_ae.pooled.StampAeClassifier`, and four dense layers.

    ``--init-from encoder=RUN --freeze encoder`` takes a trained encoder. The output is ``{"logits": (batch, class)}``.

    Parameters
    ----------
    config : StampGruConfig
    info : ModelInfo
        Channels and size of the stamps, classes.
    """

    heads, primary = ("logits",), "logits"

    def __init__(self, config, info: ModelInfo, **kwargs):
        if config.crop != SIDE:
            raise UsageError(f"crop must be {SIDE}: the encoder is made for that size. Received: {config.crop}")
        super().__init__(config, info, **kwargs)
        policy = self.dtype_policy
        self.encoder = PooledEncoder(config.filters, dtype=policy, name="encoder")
        self.recurrent = RecurrentStack("gru", config.units, config.layers, dtype=policy, name="recurrent")
        widths = [config.width // share or 1 for share in (1, 2, 4)]
        self.hidden = [keras.layers.Dense(width, activation="relu", dtype=policy, name=f"hidden_{place}")
                       for place, width in enumerate(widths)]  # fmt: skip
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")
        self.head = keras.layers.Dense(len(info.outputs), dtype=policy, name="head")

    def code(self, images, mask, training=None):
        """Give the codes (batch, frame, 8 · filters) of prepared images."""
        return apart(self.encoder(self.computed(merged(images))), mask)

    def decide(self, codes, mask, training=None):
        """Give logits (batch, class), float32, of codes (batch, frame, 8 · filters)."""
        values = last_valid(self.recurrent(codes, mask, training=training), mask)[:, -1]
        for place, layer in enumerate(self.hidden):
            values = layer(values)
            values = self.dropout(values, training=training) if place == 0 else values
        return ops.cast(self.head(values), "float32")

    def call(self, inputs, training=None):
        mask = inputs["mask"]
        codes = self.code(self.preprocess(inputs["stamps"])[0], mask, training)
        return {"logits": self.decide(codes, mask, training)}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        hidden = {layer.name: layer for layer in self.hidden}
        return {"encoder": self.encoder, "recurrent": self.recurrent, **hidden, "head": self.head}
