"""Deep-HiTS: real or bogus, from four turns of a stamp (arXiv:1701.00458)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.dropout import Dropout
from zoo.layers.stamp_trunk import StampTrunk
from zoo.layers.stamp_turns import quarter_turns
from zoo.models.stamp_network import StampNetwork
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class DeepHits(StampNetwork):
    """`StampTrunk` on the stamp in four turns, the four results side by side, and three dense layers.

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
        self.encoder = StampTrunk(3, config.filters, config.slope, dtype=policy, name="encoder")
        self.hidden = [keras.layers.Dense(config.width, dtype=policy, name=f"hidden_{place}") for place in range(2)]
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")
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
        return ops.cast(self.embed(self.joined(self.preprocess(inputs["stamp"])[0]), training=False), "float32")

    def call(self, inputs, training=None):
        images, _ = self.preprocess(inputs["stamp"])
        return {"logits": ops.cast(self.head(self.embed(self.joined(images), training)), "float32")}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, **{layer.name: layer for layer in self.hidden}, "head": self.head}
