"""Early classification over a tree of classes: at every step, all nodes, and none having begun yet."""

from __future__ import annotations

from keras import ops

from zoo.losses.per_step import mean_of_steps
from zoo.tasks.hierarchical import Hierarchical
from zoo.tasks.per_step import PerStep


class PerStepHierarchical(PerStep, Hierarchical):
    """`Pre-explosion` beside the root of a taxonomy at every step, the object's path below the root after it.

    The network's heads give logits (batch, step, 1 + node). ``Pre-explosion`` and the root are siblings: with their
    logits z and r, P(before) = e^z / (e^z + e^r). A step before the explosion has the loss −ln P(before), a later one
    −ln(1 − P(before)) plus the hierarchical cross-entropy of the object's class; the loss of an object is the mean over
    its valid steps.
    """

    def check(self):
        Hierarchical.check(self)

    def loss(self, network, outputs, targets):
        labels = self.labels(targets)
        heads = [self._step_loss(labels, outputs[head], targets) for head in network.heads]
        return self.weighted(sum(heads[1:], heads[0]), targets)

    def _step_loss(self, labels, logits, targets):
        began = ops.log_softmax(logits[..., :2], axis=-1)
        steps = {**targets, "label": ops.maximum(labels - 1, 0)}
        if "fraction" in targets:
            steps["fraction"] = targets["fraction"][:, None]
        later = self.head_loss(steps, logits[..., 1:]) - began[..., 1]
        return mean_of_steps(labels, ops.where(labels == 0, -began[..., 0], later))

    def step_logits(self, logits):
        began = ops.log_softmax(logits[..., :2], axis=-1)
        classes = ops.log_softmax(self.class_logits(logits[..., 1:]), axis=-1)
        return ops.concatenate([began[..., :1], began[..., 1:] + classes], axis=-1)
