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
        values : tensor (batch, ..., channel)
        mask : tensor (batch, ...), bool, or None
            True = valid, all are without it. Values of other steps do not count; what comes out there has no meaning.
        """
        dtype, shape = values.dtype, ops.shape(values)
        if not (training and self.trainable):
            scale, shift = self.affine()
            return ops.cast(ops.cast(values, "float32") * scale + shift, dtype)
        mean, variance = ops.convert_to_tensor(self.moving_mean), ops.convert_to_tensor(self.moving_variance)
        # Keras hands out the variables themselves, which a gradient of one's own cannot take.
        gamma, beta = ops.convert_to_tensor(self.gamma) + 0.0, ops.convert_to_tensor(self.beta) + 0.0
        rows = ops.reshape(ops.cast(values, "float32"), (-1, self.gamma.shape[0]))
        weight = None if mask is None else ops.cast(ops.reshape(mask, (-1, 1)), "float32")
        batch, ratio, shift = self.learn(ops.stop_gradient(rows), weight, mean, variance)
        gamma, beta = (gamma, beta) if ratio is None else (gamma * ratio, beta + gamma * shift)
        found = _normalised(rows, gamma, beta, weight, batch, self.settings["epsilon"])
        return ops.cast(ops.reshape(found, shape), dtype)

    def affine(self):
        """Give s, t (channel,) of y = s x + t outside training, float32."""
        spread = ops.convert_to_tensor(self.moving_variance) + self.settings["epsilon"]
        scale = ops.convert_to_tensor(self.gamma) * ops.rsqrt(spread)
        return scale, ops.convert_to_tensor(self.beta) - ops.convert_to_tensor(self.moving_mean) * scale

    def learn(self, rows, weight, mean, variance):
        """Move the running means towards the batch's statistics; give those, and r, s of x̂ = r (x − μ) / √(σ² + ε) + s.

        r and s (channel,) are None for 1 and 0. Arguments and the first result are those of `statistics`.
        """
        return self.statistics(rows, weight, mean, variance), None, None

    def statistics(self, rows, weight, mean, variance):
        """Give the batch's statistics and move the running means towards them.

        Parameters
        ----------
        rows : tensor (row, channel), float32
        weight : tensor (row, 1), float32, or None
            1 = valid, 0 = not; all are valid without it.
        mean, variance : tensor (channel,)
            The running means.

        Returns
        -------
        center, spread : tensor (channel,)
            Mean and variance of the valid rows.
        count : tensor (1,)
            Valid rows of a replica, the mean over replicas.
        """
        valid = ops.cast(ops.shape(rows)[0], "float32") if weight is None else ops.sum(weight)
        count = _global_mean(ops.reshape(valid, (1, 1)))
        # Without any valid step the running means stand in, and stay.
        safe, some = ops.maximum(count, 1e-9), count > 0
        center = ops.where(some, _total(rows, weight) / safe, mean)
        spread = ops.where(some, _total(ops.square(rows - center), weight) / safe, variance)
        rest = 1.0 - self.settings["momentum"]
        self.moving_mean.assign(mean + rest * (center - mean))
        self.moving_variance.assign(variance + rest * (spread - variance))
        return center, spread, safe

    def compute_output_shape(self, values_shape, mask_shape=None):
        return values_shape

    def get_config(self):
        return super().get_config() | self.settings


def _normalised(rows, gamma, beta, weight, batch, epsilon):
    """Give γ (x − μ) / √(σ² + ε) + β, where the gradient knows that μ and σ² are means over the valid rows.

    With x̂ = (x − μ) f, f = 1 / √(σ² + ε), n valid rows and w = 1 for these: ∂L/∂x = γ f (g − w/n Σ g − w/n x̂ Σ g x̂)
    for ∂L/∂y = g. Written out, it passes over the values three times; differentiating the statistics takes twelve.

    Parameters
    ----------
    rows : tensor (row, channel), float32
    gamma, beta : tensor (channel,)
    weight, batch
        See `MaskedBatchNorm.statistics`.
    epsilon : float
    """
    center, spread, count = (ops.stop_gradient(item) for item in batch)
    factor = ops.rsqrt(spread + epsilon)

    @ops.custom_gradient
    def apply(rows, gamma, beta):
        def gradient(*arguments, upstream=None):
            if upstream is None:
                (upstream,) = arguments
            centred = rows - center
            sums = ops.sum(upstream, axis=0), ops.sum(upstream * centred, axis=0)
            share, slope = (_global_mean(item[None]) / count for item in (sums[0], sums[1] * factor * factor))
            through = centred * slope + share
            through = upstream - (through if weight is None else weight * through)
            return through * (gamma * factor), sums[1] * factor, sums[0]

        scale = gamma * factor
        return rows * scale + (beta - center * scale), gradient

    return apply(rows, gamma, beta)


def _total(rows, weight):
    """Give the sum (channel,) of rows, with weights (row, 1) if there are any, over replicas their mean."""
    # A product with the weights is the weighted sum without a copy of all values.
    total = ops.sum(rows, axis=0, keepdims=True) if weight is None else ops.matmul(ops.transpose(weight), rows)
    return _global_mean(total)


def _global_mean(values):
    """Give the mean (channel,) of (1, channel) over all replicas."""
    # Only TensorFlow's replicas see parts of a batch; the other backends shard whole arrays.
    together = keras.backend.backend() == "tensorflow"
    return ops.moments(values, axes=[0], synchronized=together)[0]
