"""Early classification: probabilities of every class, and of none having begun yet, at every step of time."""

from __future__ import annotations

from keras import ops

from tfrecords.errors import UsageError
from zoo.losses.per_step import step_crossentropy, step_labels
from zoo.metrics.confusion import ConfusionMatrix
from zoo.metrics.steps import StepAccuracy
from zoo.tasks.classify import Classify

PRE_EXPLOSION = "Pre-explosion"


class PerStep(Classify):
    """One class a step: ``Pre-explosion`` until the explosion, then the object's.

    The network's heads give logits (batch, step, 1 + class), the first of ``Pre-explosion``, and repeat those of the
    last valid step behind it. The explosion is ``t0`` of the run's ``target_group`` where it is known and the
    reference time without a group; an object whose ``t0`` is NaN is of its class at every step. The loss of an object
    is the mean cross-entropy of its valid steps, summed over the heads, times the weight of its class under
    ``class_weights``. As a classification of objects, the probabilities are those of the last step under the
    condition that the explosion has been.
    """

    def __init__(self, spec, run):
        super().__init__(spec, run)
        self.step_classes = (PRE_EXPLOSION, *spec.classes)

    def check(self):
        if self.run.loss != "crossentropy":
            raise UsageError(f"the loss of per_step is crossentropy or hierarchical. Received: {self.run.loss}")

    def prepare(self, counts):
        super().prepare(counts)
        if self.run.entropy_weight:
            raise UsageError(f"entropy_weight goes with classes of objects. Received: {self.run.entropy_weight}")

    def labels(self, targets):
        """Give the class of every step (batch, step), int32: 0 before the explosion, −1 where there is no step."""
        if self.run.target_group is not None and "t0" not in targets:
            raise UsageError(
                f"per_step needs a column t0 in the derived group. Received: --target-group {self.run.target_group}"
            )
        return step_labels(targets["label"], targets["days"], targets.get("t0"))

    def loss(self, network, outputs, targets):
        labels = self.labels(targets)
        heads = [step_crossentropy(labels, outputs[head], self.run.label_smoothing) for head in network.heads]
        return self.weighted(sum(heads[1:], heads[0]), targets)

    def metrics(self, network):
        return [_LastStep(self, network, len(self.spec.classes)), _EveryStep(self, network)]

    def object_outputs(self, outputs):
        return {head: values[:, -1, 1:] for head, values in outputs.items()}

    def _logits(self, network, outputs):
        return super()._logits(network, self.object_outputs(outputs))

    def step_logits(self, logits):
        """Give numbers (batch, step, 1 + class) from a head's logits whose softmax are a step's probabilities."""
        return logits

    def step_columns(self):
        return [f"p_{name}" for name in self.step_classes]

    def step_predictions(self, network, outputs):
        return ops.softmax(self.step_logits(super()._logits(network, outputs)), axis=-1)

    def served(self, network, outputs, inputs):
        steps = {
            "step_probabilities": self.step_predictions(network, outputs),
            "step_time": inputs["time"],
            "step_mask": inputs["mask"],
        }
        return self.answer(network, outputs) | steps


class _LastStep(ConfusionMatrix):
    """The confusion matrix of the objects, updated with a task's targets and outputs."""

    def __init__(self, task, network, classes: int):
        super().__init__(classes)
        self.task, self.network = task, network

    def update_state(self, targets, outputs, sample_weight=None):
        logits = self.task.object_outputs(outputs)[self.network.primary]
        super().update_state(targets["label"], self.task.class_logits(logits), sample_weight)


class _EveryStep(StepAccuracy):
    """The accuracy over the steps, updated with a task's targets and outputs."""

    def __init__(self, task, network):
        super().__init__()
        self.task, self.network = task, network

    def update_state(self, targets, outputs, sample_weight=None):
        logits = self.task.step_logits(outputs[self.network.primary])
        super().update_state(self.task.labels(targets), logits, sample_weight)
