"""Classification of objects: one class each, probabilities over all."""

from __future__ import annotations

import numpy as np
from keras import ops
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from tfrecords.errors import UsageError
from zoo.losses.classification import LOSSES, WEIGHTED, class_weights
from zoo.metrics.confusion import ConfusionMatrix
from zoo.registry import unknown
from zoo.tasks.base import Task


def weighted_logits(weights, outputs):
    """Give Σ w_h · logits_h (batch, class) over the heads that have a weight."""
    return sum(outputs[head] * weights[head] for head in outputs if weights.get(head))


class Classify(Task):
    """One of the run's classes an object.

    The loss is the sum over the network's heads, each with weight 1; predictions come from its primary
    head. A network has ``heads`` (names), ``primary`` (one of them) and gives a dict of logits.
    """

    monitor = "val_macro_f1"
    mode = "max"

    def __init__(self, spec, run):
        super().__init__(spec, run)
        if run.loss not in LOSSES:
            raise UsageError(unknown("loss for classification", run.loss, LOSSES))
        if run.loss in WEIGHTED and run.sampling != "natural":
            raise UsageError(f"loss {run.loss} weighs the classes: it goes with sampling natural. "
                             f"Received: {run.sampling}")  # fmt: skip
        self.loss_options = {"smoothing": run.label_smoothing}

    def prepare(self, counts):
        if self.run.loss in WEIGHTED:
            self.loss_options["weights"] = class_weights(counts)

    def loss(self, network, outputs, targets):
        function = LOSSES[self.run.loss]
        labels = targets["label"]
        heads = [function(labels, outputs[head], **self.loss_options) for head in network.heads]
        return sum(heads[1:], heads[0])

    def metrics(self, network):
        return [_PrimaryConfusion(network.primary, len(self.spec.classes))]

    def columns(self):
        return [f"p_{name}" for name in self.spec.classes]

    def _logits(self, network, outputs):
        return weighted_logits(self.calibration or {network.primary: 1.0}, outputs)

    def predictions(self, network, outputs):
        return ops.softmax(self._logits(network, outputs), axis=-1)

    def fit_calibration(self, kind, network, outputs, labels):
        """Give the weights of the heads' logits with the least mean -ln softmax(Σ w_h logits_h) of the true class.

        ``temperature`` weighs the primary head alone, with 1 / T (Guo et al. 2017, arXiv:1706.04599); ``heads`` all
        of them, none below 0.
        """
        heads = [network.primary] if kind == "temperature" else list(network.heads)
        logits = np.stack([outputs[head] for head in heads]).astype("float64")
        rows = np.arange(len(labels))
        chosen = logits[:, rows, labels]

        def loss_and_slope(weights):
            scaled = np.tensordot(weights, logits, 1)
            probabilities = softmax(scaled, axis=1)
            loss = np.mean(logsumexp(scaled, axis=1) - scaled[rows, labels])
            slope = np.mean(np.sum(logits * probabilities, axis=2) - chosen, axis=1)
            return loss, slope

        start = np.full(len(heads), 1.0 / len(heads))
        found = minimize(loss_and_slope, start, jac=True, bounds=[(0.0, None)] * len(heads), method="L-BFGS-B")
        if not np.any(found.x > 1e-3):
            return {network.primary: 1.0}
        return {head: round(float(weight), 6) for head, weight in zip(heads, found.x, strict=True)}

    def answer(self, network, outputs):
        logits = self._logits(network, outputs)
        probabilities = ops.softmax(logits, axis=-1)
        return {
            "logits": logits,
            "probabilities": probabilities,
            "class_index": ops.cast(ops.argmax(logits, axis=-1), "int32"),
        }


class _PrimaryConfusion(ConfusionMatrix):
    """The confusion matrix of one head, updated with a task's targets and outputs."""

    def __init__(self, head: str, classes: int):
        super().__init__(classes)
        self.head = head

    def update_state(self, targets, outputs, sample_weight=None):
        super().update_state(targets["label"], outputs[self.head], sample_weight)
