"""Scores of embeddings of several modalities that accumulate over batches and replicas."""

from __future__ import annotations

import keras
from keras import ops

from zoo.losses.clip import PAIRS, Similarities, clip_losses, hits, name_of


@keras.saving.register_keras_serializable(package="zoo")
class ClipScores(keras.metrics.Metric):
    """Accuracy of finding an object again in its batch, and the loss of every pair of modalities.

    Both are of the batch over all replicas: they fall, or rise, with its size.
    """

    def __init__(self, name="clip_accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        size = 2 + 2 * len(PAIRS)
        self.sums = self.add_weight(shape=(size,), initializer="zeros", name="sums")

    def update_state(self, found: Similarities):
        """Add a batch."""
        hit, asked = hits(found)
        values = [ops.sum(hit), ops.sum(asked)]
        for losses in clip_losses(found).values():
            values += [ops.sum(losses * found.counted), ops.sum(found.counted)]
        self.sums.assign_add(ops.stack(values))

    def result(self):
        """Give ``clip_accuracy`` and ``loss_<pair>`` of every pair, 0 without any object."""
        names = [self.name, *(f"loss_{name_of(pair)}" for pair in PAIRS)]
        return {name: self.sums[2 * place] / ops.maximum(self.sums[2 * place + 1], 1.0)
                for place, name in enumerate(names)}  # fmt: skip
