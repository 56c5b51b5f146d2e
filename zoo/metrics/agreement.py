"""Agreement of predicted and true classes beyond chance."""

from __future__ import annotations

import keras
from keras import ops

WEIGHTINGS = ("none", "linear", "quadratic")


class _Agreement(keras.metrics.Metric):
    """Weighted counts (true class, predicted class), and a number made of them.

    Parameters
    ----------
    classes : int
        Number of classes K.
    """

    def __init__(self, classes: int, name: str, **kwargs):
        super().__init__(name=name, **kwargs)
        self.classes = classes
        self.counts = self.add_weight(shape=(classes, classes), initializer="zeros", name="counts")

    def update_state(self, labels, logits, sample_weight=None):
        """Add a batch.

        Parameters
        ----------
        labels : tensor (batch,), int
            Class index; a negative one is not counted.
        logits : tensor (batch, class)
            The largest is the prediction.
        sample_weight : tensor (batch,), optional
        """
        weight = ops.cast(ops.cast(labels, "int32") >= 0, "float32")
        if sample_weight is not None:
            weight = weight * ops.cast(sample_weight, "float32")
        true = ops.one_hot(ops.maximum(labels, 0), self.classes, dtype="float32") * weight[:, None]
        predicted = ops.one_hot(ops.argmax(logits, axis=-1), self.classes, dtype="float32")
        self.counts.assign_add(ops.matmul(ops.transpose(true), predicted))

    def get_config(self):
        return super().get_config() | {"classes": self.classes}


@keras.saving.register_keras_serializable(package="zoo")
class CohenKappa(_Agreement):
    """Cohen's κ = 1 − Σ w O / Σ w E (Cohen 1960; weighted: 1968); 0 where there is nothing to disagree on.

    O are the counts (true, predicted), E the product of their margins divided by their sum, and w the cost of a
    confusion: 1 off the diagonal (``none``), |i − j| (``linear``) or (i − j)² (``quadratic``). The weighted
    forms are for classes in an order.

    Parameters
    ----------
    classes : int
        Number of classes K.
    weighting : {"none", "linear", "quadratic"}
    """

    def __init__(self, classes: int, weighting: str = "none", name="cohen_kappa", **kwargs):
        super().__init__(classes, name, **kwargs)
        if weighting not in WEIGHTINGS:
            raise ValueError(f"Unknown weighting. Valid: {', '.join(WEIGHTINGS)}. Received: {weighting!r}")
        self.weighting = weighting

    def result(self):
        """Give κ."""
        counts = ops.convert_to_tensor(self.counts)
        place = ops.arange(self.classes, dtype="float32")
        apart = ops.abs(place[:, None] - place[None, :])
        every = {"none": ops.cast(apart > 0, "float32"), "linear": apart, "quadratic": ops.square(apart)}
        costs = every[self.weighting]
        margins = ops.sum(counts, axis=1)[:, None] * ops.sum(counts, axis=0)[None, :]
        expected = ops.sum(costs * margins) / ops.maximum(ops.sum(counts), 1e-12)
        possible = expected > 0
        kappa = 1.0 - ops.sum(costs * counts) / ops.where(possible, expected, 1.0)
        return ops.where(possible, kappa, 0.0)

    def get_config(self):
        return super().get_config() | {"weighting": self.weighting}


@keras.saving.register_keras_serializable(package="zoo")
class MatthewsCorrelation(_Agreement):
    """The correlation coefficient of Matthews for K classes (Gorodkin 2004); 0 where it is not defined.

    (c·s − Σ t p) / √((s² − Σ p²)(s² − Σ t²)) with the number of correct objects c, of all s, and of each class in
    truth t and prediction p.
    """

    def __init__(self, classes: int, name="matthews", **kwargs):
        super().__init__(classes, name, **kwargs)

    def result(self):
        """Give the coefficient."""
        counts = ops.convert_to_tensor(self.counts)
        # Shares and not counts: squares of counts lose digits in float32.
        counts = counts / ops.maximum(ops.sum(counts), 1e-12)
        true, predicted = ops.sum(counts, axis=1), ops.sum(counts, axis=0)
        total = ops.sum(counts)
        above = ops.sum(ops.diagonal(counts)) * total - ops.sum(true * predicted)
        below = (ops.square(total) - ops.sum(ops.square(predicted))) * (ops.square(total) - ops.sum(ops.square(true)))
        # What rounding leaves of nothing is nothing.
        defined = below > 1e-12
        return ops.where(defined, above / ops.sqrt(ops.where(defined, below, 1.0)), 0.0)
