"""The layers of AstroM3 on metadata (Rizhko & Bloom 2025, arXiv:2411.08842)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.catalogue import CatalogueColumns
from zoo.layers.dropout import Dropout
from zoo.layers.initializers import dense


@keras.saving.register_keras_serializable(package="zoo")
class MetaEncoder(keras.layers.Layer):
    """Static columns on one scale, then twice a dense layer, ReLU and dropout.

    The input is ``static`` (batch, static) as it is in the records, NaN where missing; the output is
    (batch, hidden_dim), float32.

    Parameters
    ----------
    config : MetaModelConfig
    info : ModelInfo
        Names of the static columns.
    """

    def __init__(self, config, info, **kwargs):
        # Keras would cast the columns to bfloat16 on the way in.
        super().__init__(autocast=False, **kwargs)
        self.config, policy = config, self.dtype_policy
        columns = info.static if config.columns is None else config.columns
        roles = None if config.transform else {}
        self.columns = CatalogueColumns(info.static, columns, roles, config.scaling == "standard", name="columns")
        before = self.inputs = len(columns)
        self.hidden, self.dropouts = [], []
        for place in range(2):
            self.hidden.append(dense(config.hidden_dim, before, "fan_in", f"hidden_{place}", policy))
            self.dropouts.append(Dropout(config.dropout, dtype=policy, name=f"dropout_{place}"))
            before = config.hidden_dim

    @property
    def width(self) -> int:
        """Number of features that come out."""
        return self.config.hidden_dim

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns that enter, in order."""
        return tuple(self.columns.settings["columns"])

    def build(self, input_shape=None):
        if not self.columns.built:
            self.columns.build()
            self.columns.built = True
        before = self.inputs
        for layer in self.hidden:
            layer.build((None, before))
            before = self.width
        self.built = True

    def call(self, inputs, training=None):
        """Turn ``static`` into features (batch, hidden_dim)."""
        values = ops.cast(self.columns(ops.cast(inputs["static"], "float32")), self.compute_dtype)
        for layer, dropout in zip(self.hidden, self.dropouts, strict=True):
            values = dropout(ops.relu(layer(values)), training=training)
        return ops.cast(values, "float32")

    def present(self, inputs):
        """Give which objects have any of the columns, (batch,), bool."""
        return self.columns.present(inputs["static"])
