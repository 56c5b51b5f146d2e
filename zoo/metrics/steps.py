"""Accuracy over the steps of sequences."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class StepAccuracy(keras.metrics.Metric):
    """Share of the labelled steps whose class is the most probable one; every step of every object counts alike."""

    def __init__(self, name="step_accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.right = self.add_variable(shape=(), initializer="zeros", name="right")
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")

    def update_state(self, labels, logits, sample_weight=None):
        """Count steps.

        Parameters
        ----------
        labels : tensor (batch, step), int32
            −1 = the step does not count.
        logits : tensor (batch, step, class)
        sample_weight : tensor (batch,), optional
            Objects of weight 0 do not count; others do, by it.
        """
        weight = ops.cast(labels >= 0, "float32")
        if sample_weight is not None:
            weight = weight * ops.cast(sample_weight, "float32")[:, None]
        right = ops.cast(ops.cast(ops.argmax(logits, axis=-1), "int32") == labels, "float32")
        self.right.assign(self.right + ops.sum(right * weight))
        self.total.assign(self.total + ops.sum(weight))

    def result(self):
        """Give ``{"step_accuracy": share}``; 0 without any step."""
        share = self.right / ops.maximum(self.total, 1e-9)
        return {self.name: share}
