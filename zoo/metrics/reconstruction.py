"""Metrics of reconstructions that accumulate over batches and replicas."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class ObservedRmse(keras.metrics.Metric):
    """Root of the mean squared error over the observed points of all objects."""

    def __init__(self, name="rmse", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")

    def update_state(self, target, prediction, observed, sample_weight=None):
        """Add a batch.

        Parameters
        ----------
        target, prediction : tensor (batch, ...)
        observed : tensor (batch, ...), bool
        sample_weight : tensor (batch,), optional
            Only zero or not matters.
        """
        counted = ops.cast(observed, "float32")
        if sample_weight is not None:
            weight = ops.cast(sample_weight > 0, "float32")
            counted = counted * ops.reshape(weight, (-1, *[1] * (len(counted.shape) - 1)))
        self.total.assign_add(ops.sum(counted * ops.square(ops.where(observed, target - prediction, 0.0))))
        self.count.assign_add(ops.sum(counted))

    def result(self):
        """Give ``rmse``, 0 without any point."""
        return {"rmse": ops.sqrt(self.total / ops.maximum(self.count, 1.0))}
