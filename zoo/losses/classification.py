"""Losses of classifiers: one value an object."""

from __future__ import annotations

import keras
from keras import ops


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


def _smooth(true, smoothing):
    return true * (1.0 - smoothing) + smoothing / ops.shape(true)[-1]


LOSSES = {"crossentropy": crossentropy, "focal": focal}
"""Losses that ``--loss`` takes for classifiers."""
