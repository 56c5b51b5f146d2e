"""Classification of objects at every frame of a sequence of stamps."""

from __future__ import annotations

from keras import ops

from tfrecords.errors import UsageError
from zoo.losses.classification import crossentropy
from zoo.metrics.confusion import ConfusionMatrix
from zoo.tasks.classify import Classify, weighted_logits


class PerFrame(Classify):
    """One class an object, asked for after every frame.

    The network's head gives logits (batch, frame, class), which behind the last valid frame repeat those of it. The
    loss of an object is the cross-entropy summed over its valid frames, times the weight of its class; the network
    gives ``mask`` (batch, frame) beside. As a classification of objects, the answer is that of the last frame.
    """

    def check(self):
        if self.run.loss != "crossentropy":
            raise UsageError(f"the loss of per_frame is crossentropy. Received: {self.run.loss}")

    def loss(self, network, outputs, targets):
        logits, mask = outputs[network.primary], ops.cast(outputs["mask"], "float32")
        frames = ops.shape(mask)[1]
        labels = ops.repeat(ops.cast(targets["label"], "int32")[:, None], frames, axis=1)
        each = crossentropy(labels, logits, smoothing=self.run.label_smoothing)
        return self.weighted(ops.sum(each * mask, axis=1), targets)

    def metrics(self, network):
        return [_LastFrame(self, network.primary, len(self.spec.classes))]

    def object_outputs(self, outputs):
        return {head: values[:, -1] for head, values in outputs.items() if head != "mask"}

    def _logits(self, network, outputs):
        heads = {head: outputs[head][:, -1] for head in network.heads}
        return weighted_logits(self.calibration or {network.primary: 1.0}, heads)

    def answer(self, network, outputs):
        heads = {head: outputs[head] for head in network.heads}
        logits = weighted_logits(self.calibration or {network.primary: 1.0}, heads)
        frames = {"frame_probabilities": ops.softmax(logits, axis=-1), "frame_mask": outputs["mask"]}
        return super().answer(network, outputs) | frames


class _LastFrame(ConfusionMatrix):
    """The confusion matrix at the last frame, updated with a task's targets and outputs."""

    def __init__(self, task, head: str, classes: int):
        super().__init__(classes)
        self.task, self.head = task, head

    def update_state(self, targets, outputs, sample_weight=None):
        super().update_state(targets["label"], outputs[self.head][:, -1], sample_weight)
