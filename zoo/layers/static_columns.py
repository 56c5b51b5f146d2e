"""Static columns on their way into a network: sentinels, missing values, scale."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from zoo.layers.preprocess import QuantileNormalizer

FILL = -9.0
"""What stands for a missing value in the published hierarchical classifiers."""


@keras.saving.register_keras_serializable(package="zoo")
class StaticColumns(keras.layers.Layer):
    """Replace missing values and sentinels, and bring columns to one scale if wanted.

    Parameters
    ----------
    columns : int
        Number of columns.
    sentinels : list of float
        Values that mean missing, compared exactly; NaN and ±inf always do.
    quantiles : int, optional
        Map columns through so many training quantiles to a standard normal, missing values to 0. When absent
        values stay and missing ones become −9.
    indicator : bool
        One more column a column: 1 where missing, else 0.
    drop_empty : bool
        Make all columns 0 where every one of them is −9, as a Keras ``Masking`` layer on a table does.
    """

    def __init__(self, columns, sentinels=(), quantiles=None, indicator=False, drop_empty=False, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        self.settings = {
            "columns": columns,
            "sentinels": [float(value) for value in sentinels],
            "quantiles": quantiles,
            "indicator": indicator,
            "drop_empty": drop_empty,
        }
        self.scale = QuantileNormalizer(columns, quantiles, fill=None, name="scale") if quantiles else None

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return self.settings["columns"] * (1 + self.settings["indicator"])

    def build(self, values_shape):
        if self.scale is not None and not self.scale.built:
            self.scale.build(values_shape)

    def fit(self, rows):
        """Store the quantiles of training rows (row, column), NumPy."""
        if not self.built:
            self.build((None, self.settings["columns"]))
            self.built = True
        rows = np.asarray(rows, "float32")
        self.scale.fit(np.where(np.isin(rows, np.array(self.settings["sentinels"], "float32")), np.nan, rows))

    def call(self, values):
        """Turn (batch, column) into (batch, width), float32."""
        missing = ops.logical_not(ops.isfinite(values))
        for sentinel in self.settings["sentinels"]:
            missing = ops.logical_or(missing, values == sentinel)
        if self.scale is None:
            values = ops.where(missing, FILL, values)
        else:
            values = self.scale(ops.where(missing, float("nan"), values))
        if self.settings["drop_empty"]:
            there = ops.any(values != FILL, axis=-1, keepdims=True)
            values = ops.where(there, values, 0.0)
        if self.settings["indicator"]:
            values = ops.concatenate([values, ops.cast(missing, "float32")], axis=-1)
        return values

    def compute_output_shape(self, values_shape):
        return (*values_shape[:-1], self.width)

    def get_config(self):
        return super().get_config() | self.settings
