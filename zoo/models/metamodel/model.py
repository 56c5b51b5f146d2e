"""MetaModel: classes from metadata."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.initializers import dense
from zoo.models.metamodel.config import MetaModelConfig
from zoo.models.metamodel.encoder import MetaEncoder
from zoo.models.network import Network
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class MetaModel(Network):
    """Two dense layers on static columns and a linear layer behind them.

    The input is ``static``; the output is a dict with ``logits`` (batch, class).

    Parameters
    ----------
    config : MetaModelConfig
    info : ModelInfo
        Classes, and names of the static columns.
    """

    heads = ("logits",)
    primary = "logits"

    def __init__(self, config: MetaModelConfig, info: ModelInfo, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        self.meta = MetaEncoder(config, info, dtype=self.dtype_policy, name="meta")
        self.head = dense(len(info.outputs), self.meta.width, "fan_in", "head", dtype="float32")

    def represent(self, inputs):
        """Give what the second layer gives, (batch, hidden_dim), float32."""
        return self.meta(inputs, training=False)

    def call(self, inputs, training=None):
        return {"logits": ops.cast(self.head(self.meta(inputs, training=training)), "float32")}

    def fitted(self):
        """Give the layers that are fitted on the training split, by the part that they read."""
        return {"static": self.meta.columns} if self.config.scaling == "standard" else {}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"meta": self.meta, "head": self.head}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes or columns, by `ModelInfo` field."""
        return {"classes": [self.head.path], "static": [self.meta.hidden[0].path]}

    def tied_names(self, aspect):
        """Give the names that the rows of `tied_to` stand for: of static columns those that enter."""
        return self.meta.column_names if aspect == "static" else super().tied_names(aspect)
