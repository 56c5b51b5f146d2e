"""Dropout that draws few random bits."""

from __future__ import annotations

import keras

BITS = 16
"""A draw of 32 bits decides on two elements."""


@keras.saving.register_keras_serializable(package="zoo")
class Dropout(keras.layers.Dropout):
    """Set a share ``rate`` of the elements to zero in training and divide the others by 1 − rate.

    On TensorFlow an element is kept where 16 random bits are not below the rate, which is rounded to 1/65536, in the
    divisor too: drawing a float for each, as Keras does, takes longer than all the rest. Other backends draw as Keras
    does. Elements are kept or dropped independently; ``noise_shape`` is as in Keras, whose draws it then takes.
    """

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        if keras.backend.backend() != "tensorflow" or self.noise_shape is not None:
            return super().call(inputs, training=training)
        return _dropped(inputs, self.rate, self.seed_generator)


def _dropped(inputs, rate, generator):
    import tensorflow as tf

    threshold = min(round(rate * 2**BITS), 2**BITS - 1)
    seed = tf.bitcast(tf.cast(generator.next(), tf.uint32), tf.int32)
    shape = tf.shape(inputs)
    number = tf.reduce_prod(shape)
    draws = tf.random.stateless_uniform([(number + 1) // 2], seed, minval=None, maxval=None, dtype=tf.uint32)
    draws = tf.reshape(tf.bitcast(draws, tf.uint16), [-1])[:number]
    keep = tf.reshape(draws, shape) >= tf.constant(threshold, tf.uint16)
    # A product, whose gradient is one more; a choice would take two passes over memory in both directions.
    return inputs * (tf.cast(keep, inputs.dtype) * tf.constant(2**BITS / (2**BITS - threshold), inputs.dtype))
