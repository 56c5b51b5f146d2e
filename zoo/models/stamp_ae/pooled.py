"""Autoencoder of stamps with average pooling, and a classifier on its code."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.dropout import Dropout
from zoo.models.stamp_network import StampAutoencoder
from zoo.registry import ModelInfo

SIDE = 21
ENCODER = ((1, 4), (2, 3), "pool", (2, 3), (4, 3), "pool", (4, 3), (8, 3), "pool", (8, 3), "pool")
"""Convolutions, as (filters over those of the first, size), and pools of 2 × 2."""

DECODER = ((4, 2, 2), (4, 3, 2), (2, 1, 1), (2, 2, 2), (2, 1, 1), (1, 3, 2), (1, 1, 1))
"""Transposed convolutions: (filters over those of the first, size, stride)."""


@keras.saving.register_keras_serializable(package="zoo")
class PooledEncoder(keras.layers.Layer):
    """Three pixels of zeros around the stamp, then convolutions with ReLU and average pools down to one pixel.

    Parameters
    ----------
    filters : int
        Of the first convolution.
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        options = {"padding": "same", "activation": "relu", "dtype": self.dtype_policy}
        kinds = [item for item in ENCODER if item != "pool"]
        self.convolutions = [keras.layers.Conv2D(filters * times, size, name=f"conv_{place}", **options)
                             for place, (times, size) in enumerate(kinds)]  # fmt: skip
        self.pool = keras.layers.AveragePooling2D(2, dtype=self.dtype_policy, name="pool")

    @property
    def first_kernel(self):
        """Kernel of the first convolution."""
        return self.convolutions[0].kernel

    def build(self, images_shape):
        width = images_shape[-1]
        for convolution in self.convolutions:
            convolution.build((None, None, None, width))
            width = convolution.filters

    def call(self, images):
        """Give codes (batch, 8 · filters) of images (batch, 21, 21, channel)."""
        images, convolutions = ops.pad(images, [[0, 0], [3, 3], [3, 3], [0, 0]]), iter(self.convolutions)
        for item in ENCODER:
            images = self.pool(images) if item == "pool" else next(convolutions)(images)
        return ops.reshape(images, (-1, 8 * self.filters))

    def compute_output_shape(self, images_shape):
        return (images_shape[0], 8 * self.filters)

    def get_config(self):
        return super().get_config() | {"filters": self.filters}


@keras.saving.register_keras_serializable(package="zoo")
class PooledDecoder(keras.layers.Layer):
    """Transposed convolutions from one pixel to 21 × 21, each with ReLU.

    Parameters
    ----------
    filters : int
        Of the last but one; the others have 1, 2 or 4 times as many.
    channels : int
        Of the image.
    """

    def __init__(self, filters, channels, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"filters": filters, "channels": channels}
        kinds = [(filters * times, size, stride) for times, size, stride in DECODER] + [(channels, 1, 1)]
        self.convolutions = [
            keras.layers.Conv2DTranspose(count, size, stride, dtype=self.dtype_policy, name=f"conv_{place}")
            for place, (count, size, stride) in enumerate(kinds)
        ]

    @property
    def first_kernel(self):
        """Kernel of the first transposed convolution."""
        return self.convolutions[0].kernel

    def build(self, latent_shape):
        width = latent_shape[-1]
        for convolution in self.convolutions:
            convolution.build((None, None, None, width))
            width = convolution.filters

    def call(self, latent):
        """Give images (batch, 21, 21, channel) of codes (batch, 8 · filters)."""
        images = latent[:, None, None, :]
        for convolution in self.convolutions:
            images = ops.relu(convolution(images))
        return images

    def compute_output_shape(self, latent_shape):
        return (latent_shape[0], SIDE, SIDE, self.settings["channels"])

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class StampAeClassifier(StampAutoencoder):
    """Autoencoder without normalisation layers; dropout and four dense layers on its code.

    Inputs are those of the view ``stamp``; the output is the dict of `zoo.models.stamp_ae.model.StampAe` and
    ``classifier``: logits (batch, class). The original applied a softmax before its cross-entropy; logits are what
    that is of here.

    Parameters
    ----------
    config : StampAeClassifierConfig
    info : ModelInfo
        Channels and size of the stamps, classes.
    """

    heads, primary = ("classifier",), "classifier"

    def __init__(self, config, info: ModelInfo, **kwargs):
        if config.crop != SIDE:
            raise UsageError(f"crop must be {SIDE}: the decoder's images are of that size. Received: {config.crop}")
        super().__init__(config, info, **kwargs)
        policy = self.dtype_policy
        self.encoder = PooledEncoder(config.filters, dtype=policy, name="encoder")
        self.decoder = PooledDecoder(config.filters, len(config.channels), dtype=policy, name="decoder")
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")
        self.hidden = [keras.layers.Dense(config.width, activation="relu", dtype=policy, name=f"hidden_{place}")
                       for place in range(3)]  # fmt: skip
        self.head = keras.layers.Dense(len(info.outputs), dtype=policy, name="head")

    def classify(self, latent, training=None):
        """Give logits (batch, class), float32, of codes."""
        values = self.dropout(latent, training=training)
        for layer in self.hidden:
            values = layer(values)
        return ops.cast(self.head(values), "float32")

    def represent(self, inputs):
        """Give the code, (batch, 8 · filters), float32."""
        return ops.cast(self.encoder(self.computed(self.preprocess(inputs["stamp"])[0])), "float32")

    def call(self, inputs, training=None):
        images, valid = self.preprocess(inputs["stamp"])
        latent = self.encoder(self.computed(images))
        found = ops.cast(self.decoder(latent), "float32")
        self.penalise()
        return {
            "classifier": self.classify(latent, training),
            "reconstruction": found,
            "target": images,
            "observed": valid,
            "latent": ops.cast(latent, "float32"),
        }

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        hidden = {layer.name: layer for layer in self.hidden}
        return {"encoder": self.encoder, "decoder": self.decoder, **hidden, "head": self.head}
