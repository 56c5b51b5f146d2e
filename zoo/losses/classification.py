"""Losses of classifiers: one value an object."""

from __future__ import annotations

import keras
from keras import ops

from zoo.losses import triplet
from zoo.losses.focal import sigmoid_focal as _sigmoid_focal


def crossentropy(labels, logits, smoothing: float = 0.0):
    """Give −log p(true class), (batch,), from logits.

    Parameters
    ----------
    labels : tensor (batch,), int
        Class index.
    logits : tensor (batch, class)
    smoothing : float
        Share of the target that is spread evenly over all classes.
    """
    logprob = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    true = ops.one_hot(labels, ops.shape(logits)[-1], dtype="float32")
    return -ops.sum(smooth(true, smoothing) * logprob, axis=-1)


def weighted_crossentropy(labels, logits, smoothing: float = 0.0, weights=None):
    """Give −w log p(true class), (batch,): the cross-entropy times a weight of the class.

    Parameters
    ----------
    labels : tensor (batch,), int
        Class index.
    logits : tensor (batch, class)
    smoothing : float
        See `crossentropy`.
    weights : array (class,), optional
        1 when absent.
    """
    loss = crossentropy(labels, logits, smoothing)
    return loss if weights is None else loss * of_class(labels, weights)


def focal(labels, logits, smoothing: float = 0.0, gamma: float = 2.0):
    """Give the focal loss −(1 − p)^γ log p of the true class, (batch,) (Lin et al. 2017)."""
    true = ops.one_hot(labels, ops.shape(logits)[-1], dtype="float32")
    return keras.losses.categorical_focal_crossentropy(
        smooth(true, smoothing), ops.cast(logits, "float32"), alpha=1.0, gamma=gamma, from_logits=True
    )


def sigmoid_focal(labels, logits, smoothing: float = 0.0):
    """Give the focal loss of every class on its own, summed, (batch,), see `zoo.losses.focal`."""
    true = ops.one_hot(labels, ops.shape(logits)[-1], dtype="float32")
    return _sigmoid_focal(smooth(true, smoothing), logits)


def triplet_semihard(labels, logits, smoothing: float = 0.0):
    """Give the crossentropy plus the semi-hard triplet loss of the logits' directions, (batch,).

    The triplets alone would leave open which direction is which class. Margin 0.2 (Schroff et al. 2015).
    """
    return crossentropy(labels, logits, smoothing) + triplet.triplet_semihard(labels, _unit(logits), 0.2)


def triplet_hard(labels, logits, smoothing: float = 0.0):
    """Give the crossentropy plus the hard triplet loss of the logits' directions, (batch,); margin 0.2."""
    return crossentropy(labels, logits, smoothing) + triplet.triplet_hard(labels, _unit(logits), 0.2)


def _unit(logits):
    logits = ops.cast(logits, "float32")
    return logits / ops.sqrt(ops.maximum(ops.sum(ops.square(logits), axis=-1, keepdims=True), 1e-12))


def entropy(logits):
    """Give the Shannon entropy −Σ p log p, (batch,), in nats, of the probabilities of logits (batch, class)."""
    logprob = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    return -ops.sum(ops.exp(logprob) * logprob, axis=-1)


def smooth(true, smoothing: float):
    """Spread a share of one-hot targets (..., class) evenly over all classes."""
    return true * (1.0 - smoothing) + smoothing / ops.shape(true)[-1]


def of_class(labels, weights):
    """Give the weight of each object's class, (batch,), float32.

    Parameters
    ----------
    labels : tensor (batch,), int
        Class index.
    weights : array (class,)
    """
    true = ops.one_hot(labels, len(weights), dtype="float32")
    return ops.matmul(true, ops.convert_to_tensor(weights, dtype="float32"))


LOSSES = {
    "crossentropy": crossentropy,
    "weighted_crossentropy": weighted_crossentropy,
    "focal": focal,
    "sigmoid_focal": sigmoid_focal,
    "triplet_semihard": triplet_semihard,
    "triplet_hard": triplet_hard,
}
"""Losses that ``--loss`` takes for classifiers, beside ``hierarchical``."""

WEIGHTED = ("weighted_crossentropy",)
"""Those that take a weight for each class, from the numbers of training objects."""
