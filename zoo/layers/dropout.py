"""Dropout that draws few random bits."""

from __future__ import annotations

import keras
from keras import ops

LEAST, MOST = -(2**15), 2**15
"""Of 16 bits as an integer with a sign, the upper end exclusive."""


@keras.saving.register_keras_serializable(package="zoo")
class Dropout(keras.layers.Dropout):
    """Set a share ``rate`` of the elements to zero in training and divide the others by 1 − rate.

    Elements are kept or dropped independently, by 16 random bits each: the rate is rounded to 1/65536, in the divisor
    too. Keras draws a float for each, which takes longer than all the rest; with a ``noise_shape`` so does this layer.
    """

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        if self.noise_shape is not None:
            return super().call(inputs, training=training)
        width = ops.shape(inputs)[-1]
        shape = (*ops.shape(inputs)[:-1], (width + 1) // 2)
        # A draw of 32 bits decides on two elements.
        draws = keras.random.randint(shape, -(2**31), 2**31 - 1, dtype="int32", seed=self.seed_generator)
        draws = ops.view(draws, "int16")[..., :width]
        first = min(round(LEAST + self.rate * (MOST - LEAST)), MOST - 1)
        keep = ops.cast(draws >= ops.cast(first, "int16"), inputs.dtype)
        # A product, whose gradient is one more; a choice would take two passes over memory in both directions.
        return inputs * (keep * ((MOST - LEAST) / (MOST - first)))
