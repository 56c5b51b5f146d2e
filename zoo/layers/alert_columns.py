"""What happens to the columns of an alert on their way into a network (Carrasco-Davis et al. 2021)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

LIMITS = {
    **{f"{name}{number}": (-1.0, None) for name in ("sgscore", "distpsnr") for number in (1, 2, 3)},
    "distnr": (-1.0, None),
    "magnr": (-1.0, None),
    "fwhm": (None, 10.0),
    "ndethist": (None, 20.0),
    "ncovhist": (None, 3000.0),
    "chinr": (-1.0, 15.0),
    "sharpnr": (-1.0, 1.5),
    "non_detections": (None, 2000.0),
}
"""Published limits of the columns of a ZTF alert; columns that are not here are not clipped."""

SENTINEL = -999.0
"""Stands for a missing value in ZTF's alerts."""


@keras.saving.register_keras_serializable(package="zoo")
class AlertColumns(keras.layers.Layer):
    """Clip the columns of an alert and standardise them with mean and standard deviation of the training split.

    A missing value (NaN, infinite, −999) becomes the lower limit of its column where there is one, else the mean. A
    column that is constant in training is only shifted.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    limits : dict of str to (float or None, float or None)
        Lower and upper limits by name.
    standardize : bool
        False leaves the clipped values as they are, and a missing value without a lower limit 0.
    """

    def __init__(self, names, limits=LIMITS, standardize=True, **kwargs):
        kwargs |= {"dtype": "float32", "trainable": False}
        super().__init__(autocast=False, **kwargs)
        limits = {name: tuple(limits[name]) for name in names if name in limits}
        self.settings = {"names": list(names), "limits": limits, "standardize": standardize}
        pairs = [limits.get(name, (None, None)) for name in names]
        self._low = np.array([-np.inf if low is None else low for low, _ in pairs], "float32")
        self._high = np.array([np.inf if high is None else high for _, high in pairs], "float32")

    def build(self, values_shape=None):
        shape = (len(self.settings["names"]),)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=shape, initializer="ones", trainable=False)

    def fit(self, rows):
        """Store mean and deviation of training rows (row, column), NumPy, clipped; missing ones do not count."""
        if not self.built:
            self.build()
            self.built = True
        rows = np.array(rows, "float64")
        missing = ~np.isfinite(rows) | (rows == SENTINEL)
        floor = np.broadcast_to(self._low, rows.shape)
        rows = np.where(missing, np.where(np.isfinite(floor), floor, np.nan), np.clip(rows, self._low, self._high))
        count = np.isfinite(rows).sum(axis=0)
        rows = np.where(count, rows, 0.0)
        self.set_statistics(np.nanmean(rows, axis=0), np.nanstd(rows, axis=0))

    def set_statistics(self, mean, deviation):
        """Store mean and deviation (column,); a deviation of 0 counts as 1."""
        deviation = np.asarray(deviation, "float32")
        self.mean.assign(np.asarray(mean, "float32"))
        self.deviation.assign(np.where(deviation > 0, deviation, 1.0))

    def call(self, values):
        """Turn (..., column) into the same shape, float32."""
        values = ops.cast(values, "float32")
        missing = ops.logical_or(ops.logical_not(ops.isfinite(values)), values == SENTINEL)
        low, high = ops.convert_to_tensor(self._low), ops.convert_to_tensor(self._high)
        mean = ops.convert_to_tensor(self.mean)
        instead = ops.where(ops.isfinite(low), low, mean)
        clipped = ops.clip(ops.where(missing, 0.0, values), low, high)
        values = ops.where(missing, instead, clipped)
        if not self.settings["standardize"]:
            return values
        return (values - mean) / ops.convert_to_tensor(self.deviation)

    def compute_output_shape(self, values_shape):
        return values_shape

    def get_config(self):
        return super().get_config() | self.settings
