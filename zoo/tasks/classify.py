"""Classification of objects: one class each, probabilities over all."""

from __future__ import annotations

from keras import ops

from tfrecords.errors import UsageError
from zoo.losses.classification import LOSSES
from zoo.metrics.confusion import ConfusionMatrix
from zoo.registry import unknown
from zoo.tasks.base import Task


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

    def loss(self, network, outputs, targets):
        function = LOSSES[self.run.loss]
        labels = targets["label"]
        heads = [function(labels, outputs[head], smoothing=self.run.label_smoothing) for head in network.heads]
        return sum(heads[1:], heads[0])

    def metrics(self, network):
        return [_PrimaryConfusion(network.primary, len(self.spec.classes))]

    def columns(self):
        return [f"p_{name}" for name in self.spec.classes]

    def predictions(self, network, outputs):
        return ops.softmax(outputs[network.primary], axis=-1)

    def answer(self, network, outputs):
        logits = outputs[network.primary]
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
