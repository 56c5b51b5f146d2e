"""A confusion matrix that accumulates over batches and replicas."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops


def f1_scores(matrix) -> np.ndarray:
    """Give F1 (class,) of a confusion matrix (true class, predicted class); NaN for an absent class.

    F1 = 2·TP / (true + predicted); a class that is neither true nor predicted anywhere has none.
    """
    matrix = np.asarray(matrix, "float64")
    total = matrix.sum(axis=0) + matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, 2 * np.diag(matrix) / total, np.nan)


def _one_hot(labels, logits, classes: int, sample_weight):
    """Give true and predicted classes (batch, class), float32; a true row of an object that does not count is 0."""
    counted = labels >= 0
    if sample_weight is not None:
        counted = ops.logical_and(counted, sample_weight > 0)
    true = ops.one_hot(ops.maximum(labels, 0), classes, dtype="float32")
    true = true * ops.cast(counted, "float32")[:, None]
    return true, ops.one_hot(ops.argmax(logits, axis=-1), classes, dtype="float32")


@keras.saving.register_keras_serializable(package="zoo")
class ConfusionMatrix(keras.metrics.Metric):
    """Counts (true class, predicted class), from which macro F1 and accuracy follow.

    Macro F1 is the mean over the classes that occur, in truth or in prediction, as scikit-learn counts.

    Parameters
    ----------
    classes : int
        Number of classes K.
    """

    def __init__(self, classes: int, name="confusion", **kwargs):
        super().__init__(name=name, **kwargs)
        self.classes = classes
        self.matrix = self.add_weight(shape=(classes, classes), initializer="zeros", name="matrix")

    def update_state(self, labels, logits, sample_weight=None):
        """Add a batch.

        Parameters
        ----------
        labels : tensor (batch,), int
            Class index; a negative one is not counted.
        logits : tensor (batch, class)
        sample_weight : tensor (batch,), optional
            Only zero or not matters: rows that fill up a batch are not counted.
        """
        true, predicted = _one_hot(labels, logits, self.classes, sample_weight)
        self.matrix.assign_add(ops.matmul(ops.transpose(true), predicted))

    def result(self):
        """Give ``macro_f1`` and ``accuracy``."""
        matrix = ops.convert_to_tensor(self.matrix)
        hits = ops.diagonal(matrix)
        total = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1)
        f1 = 2.0 * hits / ops.maximum(total, 1.0)
        occurring = ops.sum(ops.cast(total > 0, "float32"))
        return {
            "macro_f1": ops.sum(f1) / ops.maximum(occurring, 1.0),
            "accuracy": ops.sum(hits) / ops.maximum(ops.sum(matrix), 1.0),
        }

    def get_config(self):
        return super().get_config() | {"classes": self.classes}


@keras.saving.register_keras_serializable(package="zoo")
class MacroF1ByCut(keras.metrics.Metric):
    """Macro F1, as `ConfusionMatrix` has it, of each of several cuts of the light curves, and the mean over the cuts.

    Parameters
    ----------
    classes : int
        Number of classes K.
    cuts : sequence of str
        Names of the cuts.
    name : str
        Name of the mean.
    """

    def __init__(self, classes: int, cuts, name="macro_f1_over_days", **kwargs):
        super().__init__(name=name, **kwargs)
        self.classes, self.cuts = classes, list(cuts)
        self.matrices = self.add_weight(shape=(len(self.cuts), classes, classes), initializer="zeros", name="matrices")

    def update_state(self, labels, logits, cut, sample_weight=None):
        """Add a batch.

        Parameters
        ----------
        labels, logits, sample_weight
            See `ConfusionMatrix.update_state`.
        cut : tensor (batch,), int
            Number of each object's cut.
        """
        true, predicted = _one_hot(labels, logits, self.classes, sample_weight)
        place = ops.one_hot(cut, len(self.cuts), dtype="float32")
        self.matrices.assign_add(ops.einsum("bd,bi,bj->dij", place, true, predicted))

    def result(self):
        """Give the mean under the metric's name, and ``macro_f1_<cut>`` of every cut."""
        matrices = ops.convert_to_tensor(self.matrices)
        total = ops.sum(matrices, axis=1) + ops.sum(matrices, axis=2)
        f1 = 2.0 * ops.diagonal(matrices, axis1=1, axis2=2) / ops.maximum(total, 1.0)
        occurring = ops.sum(ops.cast(total > 0, "float32"), axis=1)
        scores = ops.sum(f1, axis=1) / ops.maximum(occurring, 1.0)
        return {self.name: ops.mean(scores)} | {f"macro_f1_{cut}": scores[at] for at, cut in enumerate(self.cuts)}

    def get_config(self):
        return super().get_config() | {"classes": self.classes, "cuts": self.cuts}
