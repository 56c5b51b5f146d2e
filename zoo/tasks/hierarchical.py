"""Classification over a tree of classes: one logit a node, probabilities of all nodes and of the run's classes."""

from __future__ import annotations

import numpy as np
from keras import ops
from scipy.optimize import minimize

from tfrecords.errors import UsageError
from zoo.losses import hierarchical
from zoo.tasks.classify import Classify

PREFIX = "node_"


class Hierarchical(Classify):
    """One of the run's classes an object, each a node of a taxonomy.

    The loss is the weighted hierarchical cross-entropy; with ``phase_aware`` its α is that of an object's observed
    fraction, ``fraction`` (batch,) of the targets. The path probability P of a node is the product of the
    softmax over siblings along its path. A class has the leaves at or below its node that are below no deeper
    class; where the run's classes do not cover all leaves, their probabilities are scaled to add up to 1.
    """

    def __init__(self, spec, run):
        self.tree = spec.tree
        super().__init__(spec, run)

    def check(self):
        if self.tree is None:
            raise UsageError(
                "loss hierarchical needs a taxonomy that holds the run's classes: --taxonomy NAME. Received: none"
            )
        self.places = self.spec.places

    def prepare(self, counts):
        super().prepare(counts)
        if self.run.node_weights == "counts":
            nodes = hierarchical.node_counts(counts, self.tree, self.places)
            self.weights = hierarchical.balanced_weights(nodes, self.tree.nodes, self.run.absent_nodes, nodes[0])

    def head_loss(self, targets, logits):
        if self.weights is None and self.run.node_weights == "counts":
            raise UsageError(
                "node_weights counts needs the numbers of training objects: call prepare(counts) of the task first, "
                "or take node_weights none. Received: no numbers"
            )
        alpha = self.run.hierarchy_alpha
        if self.run.phase_aware:
            alpha = hierarchical.phase_alpha(alpha, targets["fraction"], self.run.phase_beta)
        return hierarchical.hierarchical_crossentropy(
            targets["label"], logits, self.tree, self.places, weights=self.weights, alpha=alpha,
            by=self.run.hierarchy_by, smoothing=self.run.label_smoothing,
        )  # fmt: skip

    def class_logits(self, logits):
        return hierarchical.log_classes(logits, self.tree, self.places)

    def columns(self):
        return [*super().columns(), *(PREFIX + name for name in self.tree.nodes)]

    def predictions(self, network, outputs):
        logits = self._logits(network, outputs)
        classes = ops.softmax(self.class_logits(logits), axis=-1)
        return ops.concatenate([classes, ops.exp(hierarchical.log_path(logits, self.tree))], axis=-1)

    def fit_calibration(self, kind, network, outputs, labels):
        """Give the weights of the heads' logits with the least mean −log p of the true class, as `Classify` does.

        The weights are of the logits of all nodes alike, so the probabilities stay those of a tree.
        """
        heads = [network.primary] if kind == "temperature" else list(network.heads)
        logits = np.stack([outputs[head] for head in heads]).astype("float64")
        rows = np.arange(len(labels))

        def loss(weights):
            classes = ops.log_softmax(self.class_logits(np.tensordot(weights, logits, 1)), axis=-1)
            return -np.mean(ops.convert_to_numpy(classes)[rows, labels])

        start = np.full(len(heads), 1.0 / len(heads))
        found = minimize(loss, start, bounds=[(0.0, None)] * len(heads), method="L-BFGS-B", options={"eps": 1e-6})
        if not np.any(found.x > 1e-3):
            return {network.primary: 1.0}
        return {head: round(float(weight), 6) for head, weight in zip(heads, found.x, strict=True)}

    def answer(self, network, outputs):
        """Give logits (batch, node), probabilities (batch, class), class_index, conditional and path (batch, node)."""
        logits = self._logits(network, outputs)
        classes = self.class_logits(logits)
        return {
            "logits": logits,
            "probabilities": ops.softmax(classes, axis=-1),
            "class_index": ops.cast(ops.argmax(classes, axis=-1), "int32"),
            "conditional": ops.exp(hierarchical.log_conditional(logits, self.tree)),
            "path": ops.exp(hierarchical.log_path(logits, self.tree)),
        }
