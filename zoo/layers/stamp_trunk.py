"""The convolutional trunk of the stamp classifiers (Carrasco-Davis et al. 2021, after Deep-HiTS)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.dropout import Dropout

POOLED = (1, 4)
"""Convolutions that a pool follows."""


@keras.saving.register_keras_serializable(package="zoo")
class StampTrunk(keras.layers.Layer):
    """Zero padding, convolutions and poolings, perhaps a dense layer: an image becomes a vector.

    3 pixels of zeros at each side; convolution 4x4 of ``filters`` without padding, one of the same width with padding;
    maximum of 2x2; three convolutions twice as wide; maximum of 2x2; flattened. With ``units`` a dense layer and
    dropout follow. All with ReLU, or leaky ReLU.

    Parameters
    ----------
    kernel : int
        Size of the convolutions after the first.
    filters : int
        Width of the first two convolutions.
    slope : float
        Of the activation below 0.
    units : int, optional
        Width of the dense layer.
    dropout : float
        Rate after the dense layer.
    """

    def __init__(self, kernel=5, filters=32, slope=0.0, units=None, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"kernel": kernel, "filters": filters, "slope": slope, "units": units, "dropout": dropout}
        policy = self.dtype_policy
        kinds = [(filters, 4, "valid"), (filters, kernel, "same"), *[(2 * filters, kernel, "same")] * 3]
        self.convolutions = [
            keras.layers.Conv2D(width, size, padding=padding, dtype=policy, name=f"conv_{place}")
            for place, (width, size, padding) in enumerate(kinds, 1)
        ]
        self.pool = keras.layers.MaxPooling2D(2, dtype=policy, name="pool")
        if units:
            self.dense = keras.layers.Dense(units, dtype=policy, name="dense")
            self.dropout = Dropout(dropout, dtype=policy, name="dropout")

    @property
    def first_kernel(self):
        """Kernel of the first convolution."""
        return self.convolutions[0].kernel

    def values(self, side: int) -> int:
        """Give the number of values behind the last pool for stamps of so many pixels a side."""
        return ((side + 3) // 2 // 2) ** 2 * 2 * self.settings["filters"]

    def build(self, images_shape):
        width = images_shape[-1]
        for layer in self.convolutions:
            layer.build((None, None, None, width))
            width = layer.filters
        if self.settings["units"]:
            self.dense.build((None, self.values(images_shape[1])))

    def _active(self, values):
        slope = self.settings["slope"]
        return ops.leaky_relu(values, slope) if slope else ops.relu(values)

    def _convolved(self, images, places):
        for place in places:
            images = self.convolutions[place](images)
            # The activation does not decrease: behind the pool it gives the same, of a quarter of the values.
            images = self._active(self.pool(images) if place in POOLED else images)
        return images

    def first_block(self, images):
        """Give what leaves the first pooling, (batch, side, side, filters)."""
        images = ops.pad(ops.cast(images, self.compute_dtype), ((0, 0), (3, 3), (3, 3), (0, 0)))
        return self._convolved(images, (0, 1))

    def call(self, images, training=None):
        """Turn (batch, size, size, channel) into (batch, units), or (batch, row · column · filter) without units."""
        hidden = self._convolved(self.first_block(images), (2, 3, 4))
        hidden = ops.reshape(hidden, (-1, self.values(images.shape[1])))
        if not self.settings["units"]:
            return hidden
        return self.dropout(self._active(self.dense(hidden)), training=training)

    def compute_output_shape(self, images_shape):
        return (images_shape[0], self.settings["units"] or self.values(images_shape[1]))

    def get_config(self):
        return super().get_config() | self.settings
