"""GalSpecNet: classes from spectra."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.initializers import dense
from zoo.models.galspecnet.config import GalSpecNetConfig
from zoo.models.galspecnet.encoder import GalSpecNetEncoder
from zoo.models.network import Network
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class GalSpecNet(Network):
    """Convolutions on a spectrum and a linear layer behind them.

    Inputs are those of the part ``spectrum``; the output is a dict with ``logits`` (batch, class). An object without
    a spectrum has zeros in its place.

    Parameters
    ----------
    config : GalSpecNetConfig
    info : ModelInfo
        Classes, and size of the grid.
    """

    heads = ("logits",)
    primary = "logits"

    def __init__(self, config: GalSpecNetConfig, info: ModelInfo, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        self.spectra = GalSpecNetEncoder(config, info, dtype=self.dtype_policy, name="spectra")
        self.head = dense(len(info.outputs), self.spectra.width, "fan_in", "head", dtype="float32")

    def represent(self, inputs):
        """Give the flattened features, (batch, width), float32."""
        return self.spectra(inputs, training=False)

    def call(self, inputs, training=None):
        return {"logits": ops.cast(self.head(self.spectra(inputs, training=training)), "float32")}

    def fitted(self):
        """Give the layers that are fitted on the training split: none."""
        return {}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"spectra": self.spectra, "head": self.head}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, by `ModelInfo` field."""
        return {"classes": [self.head.path]}
