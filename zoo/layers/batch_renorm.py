"""Batch renormalisation (Ioffe 2017, arXiv:1702.03275) of images."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.stamp_conv import ImageBatchNorm


@keras.saving.register_keras_serializable(package="zoo")
class BatchRenorm(ImageBatchNorm):
    """`ImageBatchNorm` that in training gives y = γ (x̂ r + d) + β, near what it gives outside training.

    x̂ is x normalised by the mean μ_b and deviation σ_b of the batch, μ and σ are the running ones, and r = σ_b / σ
    within [1 / r_max, r_max] and d = (μ_b − μ) / σ within ± d_max have no gradient. The limits grow linearly from 1
    and 0, plain batch normalisation, over the first steps.

    Parameters
    ----------
    momentum, epsilon : float
        See `ImageBatchNorm`.
    r_max, d_max : float
        Limits in the end.
    ramp : int
        Steps of growth.
    """

    def __init__(self, momentum=0.99, epsilon=1e-3, r_max=3.0, d_max=5.0, ramp=10000, **kwargs):
        super().__init__(momentum, epsilon, **kwargs)
        self.settings |= {"r_max": r_max, "d_max": d_max, "ramp": ramp}

    def build(self, images_shape, counted_shape=None):
        super().build(images_shape, counted_shape)
        self.steps = self.add_weight(
            shape=(), initializer="zeros", trainable=False, autocast=False, aggregation="mean", name="steps"
        )

    def learn(self, rows, weight, mean, variance):
        epsilon = self.settings["epsilon"]
        # Keras hands out the variables themselves, which are about to move.
        mean, variance = mean + 0.0, variance + 0.0
        batch = self.statistics(rows, weight, mean, variance)
        center, spread, _ = batch
        part = ops.minimum(ops.convert_to_tensor(self.steps) / self.settings["ramp"], 1.0)
        self.steps.assign_add(1.0)
        largest, furthest = 1.0 + part * (self.settings["r_max"] - 1.0), part * self.settings["d_max"]
        ratio = ops.sqrt((spread + epsilon) / (variance + epsilon))
        ratio = ops.stop_gradient(ops.clip(ratio, 1.0 / largest, largest))
        shift = ops.stop_gradient(ops.clip((center - mean) * ops.rsqrt(variance + epsilon), -furthest, furthest))
        return batch, ratio, shift
