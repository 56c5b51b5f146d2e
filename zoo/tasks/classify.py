"""Classification of objects: one class each, probabilities over all."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
from keras import ops
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from tfrecords.errors import UsageError
from zoo.inputs.cuts import WHOLE
from zoo.losses.classification import LOSSES, WEIGHTED, entropy, of_class
from zoo.losses.hierarchical import balanced_weights
from zoo.metrics.agreement import CohenKappa, MatthewsCorrelation
from zoo.metrics.confusion import ConfusionMatrix, MacroF1ByCut
from zoo.registry import unknown
from zoo.tasks.base import Task

OVER = {"days": "macro_f1_over_days", "fractions": "macro_f1_over_fractions"}
"""Mean macro F1 over the days, or shares of the light curves, of ``--validation-days`` or ``-fractions``."""


def weighted_logits(weights, outputs):
    """Give Σ w_h · logits_h (batch, class) over the heads that have a weight."""
    return sum(outputs[head] * weights[head] for head in outputs if weights.get(head))


class Classify(Task):
    """One of the run's classes an object.

    The loss is the sum over the network's heads, each with weight 1, times the weight of the object's class under
    ``class_weights``; predictions come from its primary head. A network has ``heads`` (names), ``primary`` (one of
    them) and gives a dict of logits.
    """

    monitor = "val_macro_f1"
    mode = "max"
    scores = {
        "cohen_kappa": CohenKappa,
        "cohen_kappa_linear": partial(CohenKappa, weighting="linear"),
        "cohen_kappa_quadratic": partial(CohenKappa, weighting="quadratic"),
        "matthews": MatthewsCorrelation,
    }

    def __init__(self, spec, run):
        super().__init__(spec, run)
        self.weights = self.class_weights = None
        self.check()

    def check(self) -> None:
        """Refuse what the run says of the loss where it does not fit."""
        if self.run.loss not in LOSSES:
            raise UsageError(unknown("loss for classification", self.run.loss, [*LOSSES, "hierarchical"]))

    def prepare(self, counts):
        kind, names, absent = self.run.class_weights, self.spec.classes, self.run.absent_nodes
        if kind != "none":
            total = np.max(counts) * len(counts) if kind == "largest" else None
            self.class_weights = balanced_weights(counts, names, absent, total)
        if self.run.loss in WEIGHTED:
            self.weights = balanced_weights(counts, names, absent)

    def weighted(self, losses, targets):
        """Give the losses of objects, (batch,), times the weights of their classes."""
        if self.run.class_weights == "none":
            return losses
        if self.class_weights is None:
            raise UsageError(
                f"class_weights {self.run.class_weights} needs the numbers of training objects: call prepare(counts) "
                "of the task first. Received: no numbers"
            )
        return losses * of_class(targets["label"], self.class_weights)

    def head_loss(self, targets, logits):
        """Give the loss of every object, (batch,), at one head."""
        options = {"weights": self.weights} if self.run.loss in WEIGHTED else {}
        return LOSSES[self.run.loss](targets["label"], logits, smoothing=self.run.label_smoothing, **options)

    def class_logits(self, logits):
        """Give numbers (batch, class) from a head's logits whose softmax are the probabilities of the classes."""
        return logits

    def loss(self, network, outputs, targets):
        heads = [self.head_loss(targets, outputs[head]) for head in network.heads]
        if self.run.entropy_weight:
            heads += [-self.run.entropy_weight * entropy(self.class_logits(outputs[head])) for head in network.heads]
        return self.weighted(sum(heads[1:], heads[0]), targets)

    def metrics(self, network):
        classes = len(self.spec.classes)
        further = [_PrimaryScore(network.primary, name, self.scores[name](classes), self.class_logits)
                   for name in dict.fromkeys(self.run.metrics or ())]  # fmt: skip
        return [_PrimaryConfusion(network.primary, classes, self.class_logits), *further]

    @classmethod
    def monitors(cls, run):
        found = super().monitors(run) | dict.fromkeys(("accuracy", *(run.metrics or ())), "max")
        # Whole light curves alone have no mean over days.
        by = {cut.fraction is None for cut in run.cuts if cut != WHOLE}
        return found | {OVER["days" if is_day else "fractions"]: "max" for is_day in by}

    def validation_metrics(self, network):
        if self.run.cuts == (WHOLE,):
            return []
        by = "days" if self.run.cuts[0].fraction is None else "fractions"
        return [_CutScores(self, network, OVER[by])]

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

    def __init__(self, head: str, classes: int, class_logits):
        super().__init__(classes)
        self.head, self.class_logits = head, class_logits

    def update_state(self, targets, outputs, sample_weight=None):
        super().update_state(targets["label"], self.class_logits(outputs[self.head]), sample_weight)


class _CutScores(MacroF1ByCut):
    """Macro F1 by cut, updated with a task's targets and outputs."""

    def __init__(self, task, network, name: str):
        super().__init__(len(task.spec.classes), [cut.name for cut in task.run.cuts], name)
        self.task, self.head = task, network.primary

    def update_state(self, targets, outputs, sample_weight=None):
        logits = self.task.class_logits(self.task.object_outputs(outputs)[self.head])
        super().update_state(targets["label"], logits, targets["cut"], sample_weight)


class _PrimaryScore(keras.metrics.Metric):
    """A further score of one head, updated with a task's targets and outputs."""

    def __init__(self, head: str, name: str, metric, class_logits):
        super().__init__(name=name)
        self.head, self.metric, self.class_logits = head, metric, class_logits

    def update_state(self, targets, outputs, sample_weight=None):
        # Weights only tell the objects from the rows that fill up a batch, as in the confusion matrix.
        counted = None if sample_weight is None else ops.cast(sample_weight > 0, "float32")
        self.metric.update_state(targets["label"], self.class_logits(outputs[self.head]), counted)

    def result(self):
        return {self.name: self.metric.result()}
