"""Losses of classifiers: one value an object."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

LEAST_LOG = -15 * math.log(10.0)
"""ln 1e-15: below, the challenge clips probabilities."""


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
    return -ops.sum(_smooth(true, smoothing) * logprob, axis=-1)


def focal(labels, logits, smoothing: float = 0.0, gamma: float = 2.0):
    """Give the focal loss −(1 − p)^γ log p of the true class, (batch,) (Lin et al. 2017)."""
    true = ops.one_hot(labels, ops.shape(logits)[-1], dtype="float32")
    return keras.losses.categorical_focal_crossentropy(
        _smooth(true, smoothing), ops.cast(logits, "float32"), alpha=1.0, gamma=gamma, from_logits=True
    )


def weighted_log_loss(labels, logits, smoothing: float = 0.0, weights=None):
    """Give −w log p of the true class, (batch,): the log-loss of the PLAsTiCC challenge, every class alike.

    The challenge's −(1/C) Σ_c (1/N_c) Σ_{i in c} log p_i over C classes of N_c objects is the mean of −w log p over all
    N objects with w_c = N / (C N_c). Counted in each batch, N_c would make an object's loss depend on its
    neighbours; that of the training set gives the same on average and adds up over devices.

    Parameters
    ----------
    labels : tensor (batch,), int
    logits : tensor (batch, class)
    smoothing : float
        As in `crossentropy`.
    weights : array (class,), optional
        w, see `class_weights`; all 1 when absent.
    """
    logprob = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    logprob = ops.maximum(logprob, LEAST_LOG)
    true = _smooth(ops.one_hot(labels, ops.shape(logits)[-1], dtype="float32"), smoothing)
    if weights is not None:
        true = true * ops.convert_to_tensor(weights, "float32")
    return -ops.sum(true * logprob, axis=-1)


def class_weights(counts) -> np.ndarray:
    """Give w_c = N / (C N_c) (class,), float32, of the numbers N_c of training objects.

    A class without objects has the weight 0 and does not count among the C.
    """
    counts = np.asarray(counts)
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights.astype("float32")


def _smooth(true, smoothing):
    return true * (1.0 - smoothing) + smoothing / ops.shape(true)[-1]


LOSSES = {"crossentropy": crossentropy, "focal": focal, "weighted_log_loss": weighted_log_loss}
"""Losses that ``--loss`` takes for classifiers."""

WEIGHTED = ("weighted_log_loss",)
"""Those that take a weight for each class, from the numbers of training objects."""
