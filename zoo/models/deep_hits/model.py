"""Deep-HiTS: real or bogus, from four turns of a stamp (arXiv:1701.00458)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.quarter_turns import quarter_turns
from zoo.models.stamp_network import StampNetwork
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class HitsTrunk(keras.layers.Layer):
    """Three pixels of zeros around the stamp, convolutions 4 × 4 and 3 × 3, pool, three times 3 × 3, pool; flattened.

    Parameters
    ----------
    filters : int
        Of the first two convolutions; the others have twice as many.
    slope : float
        Of the leaky ReLU below 0.
    """

    def __init__(self, filters, slope=0.01, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"filters": filters, "slope": slope}
        policy = self.dtype_policy
        kinds = [(filters, 4, "valid"), (filters, 3, "same"), *[(2 * filters, 3, "same")] * 3]
        self.convolutions = [
            keras.layers.Conv2D(count, size, padding=padding, dtype=policy, name=f"conv_{place}")
            for place, (count, size, padding) in enumerate(kinds)
        ]
        self.pool = keras.layers.MaxPooling2D(2, dtype=policy, name="pool")

    @property
    def first_kernel(self):
        """Kernel of the first convolution."""
        return self.convolutions[0].kernel

    def width(self, side: int) -> int:
        """Give the number of values of a stamp of so many pixels a side."""
        return ((side + 3) // 2 // 2) ** 2 * 2 * self.settings["filters"]

    def build(self, images_shape):
        width = images_shape[-1]
        for convolution in self.convolutions:
            convolution.build((None, None, None, width))
            width = convolution.filters

    def call(self, images):
        """Give (batch, row · column · filter) of images (batch, side, side, channel)."""
        side, images = images.shape[1], ops.pad(images, [[0, 0], [3, 3], [3, 3], [0, 0]])
        for place, convolution in enumerate(self.convolutions):
            images = ops.leaky_relu(convolution(images), self.settings["slope"])
            images = self.pool(images) if place in (1, 4) else images
        return ops.reshape(images, (-1, self.width(side)))

    def compute_output_shape(self, images_shape):
        return (images_shape[0], self.width(images_shape[1]))

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class DeepHits(StampNetwork):
    """`HitsTrunk` on the stamp in four turns, the four results side by side, and three dense layers.

    Inputs are those of the view ``stamp``, the output is ``{"logits": (batch, class)}``.

    Parameters
    ----------
    config : DeepHitsConfig
    info : ModelInfo
        Channels and size of the stamps, classes.
    """

    heads, primary = ("logits",), "logits"

    def __init__(self, config, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        policy = self.dtype_policy
        self.encoder = HitsTrunk(config.filters, config.slope, dtype=policy, name="encoder")
        self.hidden = [keras.layers.Dense(config.width, dtype=policy, name=f"hidden_{place}") for place in range(2)]
        self.dropout = keras.layers.Dropout(config.dropout, dtype=policy, name="dropout")
        self.head = keras.layers.Dense(len(info.outputs), dtype=policy, name="head")

    def joined(self, images):
        """Give what the trunk makes of the four turns (batch, 4 · values) of prepared images."""
        found = self.encoder(quarter_turns(self.computed(images)))
        found = ops.reshape(found, (4, -1, found.shape[-1]))
        return ops.concatenate([found[turn] for turn in range(4)], axis=-1)

    def embed(self, joined, training=None):
        """Give the last hidden layer (batch, width) of what `joined` gives."""
        for layer in self.hidden:
            joined = self.dropout(ops.leaky_relu(layer(joined), self.config.slope), training=training)
        return joined

    def represent(self, inputs):
        """Give the last hidden layer, (batch, width), float32."""
        return ops.cast(self.embed(self.joined(self.scaling(inputs["stamp"])[0]), training=False), "float32")

    def call(self, inputs, training=None):
        images, _ = self.scaling(inputs["stamp"])
        return {"logits": ops.cast(self.head(self.embed(self.joined(images), training)), "float32")}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, **{layer.name: layer for layer in self.hidden}, "head": self.head}
