"""Batch normalisation over the valid steps of sequences, the same on one and on several replicas."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class MaskedBatchNorm(keras.layers.Layer):
    """Normalise channels by mean and variance over the valid steps of the whole batch.

    In training y = γ (x − μ) / √(σ² + ε) + β with μ and σ² over all valid steps of all replicas, and running means
    of both are kept; otherwise those are used. Keras's own layer counts padding, or, with a mask, each replica's
    part of the batch by itself.

    Parameters
    ----------
    momentum : float
        Share of the running means that stays in a step.
    epsilon : float
        Added to the variance.
    """

    def __init__(self, momentum=0.99, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"momentum": momentum, "epsilon": epsilon}

    def build(self, values_shape, mask_shape=None):
        options = {"shape": (values_shape[-1],), "autocast": False}
        self.gamma = self.add_weight(name="gamma", initializer="ones", **options)
        self.beta = self.add_weight(name="beta", initializer="zeros", **options)
        # All replicas compute the same value, but tf.distribute wants to be told how to join them.
        options |= {"trainable": False, "aggregation": "mean"}
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **options)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **options)

    def call(self, values, mask, training=None):
        """Normalise.

        Parameters
        ----------
        values : tensor (batch, step, channel)
        mask : tensor (batch, step), bool
            True = valid. Values of other steps do not count; what comes out there has no meaning.
        """
        dtype, values = values.dtype, ops.cast(values, "float32")
        mean, variance = ops.convert_to_tensor(self.moving_mean), ops.convert_to_tensor(self.moving_variance)
        gamma, beta = ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta)
        if training and self.trainable:
            mean, factor, shift = self.learn(values, mask, mean, variance)
            beta = beta if shift is None else beta + gamma * shift
        else:
            factor = ops.rsqrt(variance + self.settings["epsilon"])
        return ops.cast((values - mean) * (gamma * factor) + beta, dtype)

    def learn(self, values, mask, mean, variance):
        """Move the running means towards the batch's statistics; give m, f, s (channel,) of x̂ = (x − m) f + s.

        s is None for 0.
        """
        center, spread = self.statistics(values, mask, mean, variance)
        return center, ops.rsqrt(spread + self.settings["epsilon"]), None

    def statistics(self, values, mask, mean, variance):
        """Give the batch's mean and variance (channel,), and move the running means towards them."""
        weight = ops.cast(mask, "float32")[..., None]
        count = _global_mean(ops.sum(weight, axis=1))
        # Without any valid step the running means stand in, and stay.
        safe, some = ops.maximum(count, 1e-9), count > 0
        center = ops.where(some, _global_mean(ops.sum(weight * values, axis=1)) / safe, mean)
        spread = ops.sum(weight * ops.square(values - center), axis=1)
        spread = ops.where(some, _global_mean(spread) / safe, variance)
        rest = 1.0 - self.settings["momentum"]
        self.moving_mean.assign(mean + rest * (center - mean))
        self.moving_variance.assign(variance + rest * (spread - variance))
        return center, spread

    def compute_output_shape(self, values_shape, mask_shape=None):
        return values_shape

    def get_config(self):
        return super().get_config() | self.settings


def _global_mean(values):
    """Give the mean (channel,) of (batch, channel) over all replicas, which hold equally many objects."""
    # Only TensorFlow's replicas see parts of a batch; the other backends shard whole arrays.
    together = keras.backend.backend() == "tensorflow"
    return ops.moments(values, axes=[0], synchronized=together)[0]
