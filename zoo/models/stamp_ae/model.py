"""Convolutional autoencoder of stamps, and a linear classifier on its code."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.stamp_conv import StampDecoder, StampEncoder
from zoo.models.stamp_network import StampAutoencoder, StampNetwork
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class StampAe(StampAutoencoder):
    """Convolutions to a code and back.

    Inputs are those of the view ``stamp``; the output is a dict, of the stamps as the network sees them:

    - ``reconstruction`` (batch, crop, crop, channel), float32;
    - ``target`` of the same shape, 0 where not ``observed``;
    - ``observed`` of the same shape, bool: pixels that have a value;
    - ``latent`` (batch, latent): the code.

    Parameters
    ----------
    config : StampAeConfig
    info : ModelInfo
        Channels and size of the stamps.
    """

    def __init__(self, config, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        policy = self.dtype_policy
        self.encoder = StampEncoder(config.latent, filters=config.filters, dtype=policy, name="encoder")
        self.decoder = StampDecoder(
            config.crop, len(config.channels), config.output, config.filters, dtype=policy, name="decoder"
        )

    def encode(self, images, training=None):
        """Give the codes (batch, latent) of prepared images (batch, crop, crop, channel)."""
        return self.encoder(self.computed(images), training=training)

    def decode(self, latent, training=None):
        """Give images (batch, crop, crop, channel), float32, of codes (batch, latent)."""
        return ops.cast(self.decoder(latent, training=training), "float32")

    def represent(self, inputs):
        """Give the code, (batch, latent), float32."""
        return ops.cast(self.encode(self.preprocess(inputs["stamp"])[0], training=False), "float32")

    def call(self, inputs, training=None):
        images, valid = self.preprocess(inputs["stamp"])
        latent = self.encode(images, training)
        found = self.decode(latent, training)
        self.penalise()
        return {
            "reconstruction": found,
            "target": images,
            "observed": valid,
            "latent": ops.cast(latent, "float32"),
        }

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, "decoder": self.decoder}


@keras.saving.register_keras_serializable(package="zoo")
class LinearProbe(StampNetwork):
    """One dense layer on the code of `StampAe`.

    ``--init-from encoder=RUN --freeze encoder`` makes it a probe of a trained autoencoder. Inputs are those of the
    view ``stamp``, the output is ``{"logits": (batch, class)}``.

    Parameters
    ----------
    config : LinearProbeConfig
    info : ModelInfo
        Channels and size of the stamps, classes.
    """

    heads, primary = ("logits",), "logits"

    def __init__(self, config, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        policy = self.dtype_policy
        self.encoder = StampEncoder(config.latent, filters=config.filters, dtype=policy, name="encoder")
        self.head = keras.layers.Dense(len(info.outputs), dtype=policy, name="head")

    def represent(self, inputs):
        """Give the code, (batch, latent), float32."""
        return ops.cast(self._code(inputs, False), "float32")

    def _code(self, inputs, training):
        return self.encoder(self.computed(self.preprocess(inputs["stamp"])[0]), training=training)

    def call(self, inputs, training=None):
        return {"logits": ops.cast(self.head(self._code(inputs, training)), "float32")}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, "head": self.head}
