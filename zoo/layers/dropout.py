"""Dropout that draws few random bits."""

from __future__ import annotations

import math

import keras
from keras import ops

STEPS = 256
"""Values of the eight bits that decide on an element."""


@keras.saving.register_keras_serializable(package="zoo")
class Dropout(keras.layers.Dropout):
    """Set a share r of the elements to zero in training and divide the others by 1 − r.

    Elements are kept or dropped independently. In each call r is one of the two multiples of 1/256 next to ``rate``,
    drawn so that its mean is ``rate``: eight random bits then decide on an element. Keras draws a float for each, which
    takes longer than all the rest; with a ``noise_shape`` so does this layer.
    """

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        if self.noise_shape is not None:
            return super().call(inputs, training=training)
        number = math.prod(ops.shape(inputs))
        # A draw of 32 bits decides on four elements; views need a last axis whose length is known beforehand.
        shape = (-(-number // 4), 1)
        draws = keras.random.randint(shape, -(2**31), 2**31 - 1, dtype="int32", seed=self.seed_generator)
        draws = ops.reshape(ops.reshape(ops.view(draws, "int8"), (-1,))[:number], ops.shape(inputs))
        dropped = ops.floor(self.rate * STEPS + keras.random.uniform((), seed=self.seed_generator))
        dropped = ops.minimum(dropped, STEPS - 1)
        keep = ops.cast(draws >= ops.cast(dropped - STEPS // 2, "int8"), inputs.dtype)
        # A product, whose gradient is one more; a choice would take two passes over memory in both directions.
        return inputs * (keep * ops.cast(STEPS / (STEPS - dropped), inputs.dtype))
