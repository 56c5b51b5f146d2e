"""The convolutional trunk of the stamp classifiers (Carrasco-Davis et al. 2021, after Deep-HiTS)."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class StampTrunk(keras.layers.Layer):
    """Zero padding, convolutions and poolings, Dense ReLU, dropout: an image becomes a vector.

    3 pixels of zeros at each side; convolution 4x4 of ``filters`` without padding, one of the same width with padding;
    maximum of 2x2; three convolutions twice as wide; maximum of 2x2; Dense. All with ReLU.

    Parameters
    ----------
    kernel : int
        Size of the convolutions after the first.
    units : int
        Width of the dense layer.
    filters : int
        Width of the first two convolutions.
    dropout : float
        Rate after the dense layer.
    """

    def __init__(self, kernel=5, units=64, filters=32, dropout=0.5, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"kernel": kernel, "units": units, "filters": filters, "dropout": dropout}
        policy, widths = self.dtype_policy, (filters, filters, *[2 * filters] * 3)
        self.convolutions = [
            keras.layers.Conv2D(width, 4 if place == 1 else kernel, padding="valid" if place == 1 else "same",
                                activation="relu", dtype=policy, name=f"conv_{place}")
            for place, width in enumerate(widths, 1)
        ]  # fmt: skip
        self.pool = keras.layers.MaxPooling2D(2, dtype=policy, name="pool")
        self.dense = keras.layers.Dense(units, activation="relu", dtype=policy, name="dense")
        self.dropout = keras.layers.Dropout(dropout, dtype=policy, name="dropout")

    def build(self, images_shape):
        side, width = images_shape[1] + 6, images_shape[-1]
        for place, layer in enumerate(self.convolutions):
            layer.build((None, side, side, width))
            side, width = (side - 3 if place == 0 else side), layer.filters
            side = side // 2 if place in (1, 4) else side
        self.dense.build((None, side * side * width))

    def first_block(self, images):
        """Give what leaves the first pooling, (batch, side, side, filters)."""
        images = ops.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)))
        return self.pool(self.convolutions[1](self.convolutions[0](images)))

    def call(self, images, training=None):
        """Turn (batch, size, size, channel) into (batch, units)."""
        hidden = self.first_block(ops.cast(images, self.compute_dtype))
        for layer in self.convolutions[2:]:
            hidden = layer(hidden)
        hidden = self.pool(hidden)
        hidden = ops.reshape(hidden, (-1, hidden.shape[1] * hidden.shape[2] * hidden.shape[3]))
        return self.dropout(self.dense(hidden), training=training)

    def compute_output_shape(self, images_shape):
        return (images_shape[0], self.settings["units"])

    def get_config(self):
        return super().get_config() | self.settings
