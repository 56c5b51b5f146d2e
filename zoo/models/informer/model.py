"""Informer: ProbSparse attention on the rows of a light curve, the photometric part of AstroM3 (arXiv:2411.08842)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.initializers import FanInUniform
from zoo.models.informer.config import InformerConfig
from zoo.models.informer.encoder import InformerEncoder
from zoo.models.network import Network
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class Informer(Network):
    """`InformerEncoder` and a dense layer on its long vector.

    Inputs are those of the view ``photometry``, with the part ``static`` where the configuration has columns. The
    output is a dict with the logits (batch, class) of the head ``logits``, float32.

    Parameters
    ----------
    config : InformerConfig
        Hyperparameters.
    info : ModelInfo
        Classes and columns of the data.
    """

    heads, primary = ("logits",), "logits"

    def __init__(self, config: InformerConfig, info: ModelInfo, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        policy = self.dtype_policy
        self.photo = InformerEncoder(config, info, dtype=policy, name="photo")
        start = FanInUniform(self.photo.width)
        self.head = keras.layers.Dense(
            len(info.outputs), kernel_initializer=start, bias_initializer=FanInUniform(self.photo.width), dtype=policy,
            name="head",
        )  # fmt: skip

    def represent(self, inputs):
        """Give the mean of the encoder's tokens over the rows, (batch, d_model), float32."""
        return self.photo.mean(inputs)

    def call(self, inputs, training=None):
        return {"logits": ops.cast(self.head(self.photo(inputs, training=training)), "float32")}

    def fitted(self):
        """Give the layers that are fitted on the training split, by the part that they read."""
        return self.photo.fitted()

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"photo": self.photo, "head": self.head}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, bands or columns, by `ModelInfo` field."""
        # Columns are found by their names.
        return {"classes": [self.head.path], "bands": [], "static": [], "features": []}
