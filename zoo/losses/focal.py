"""Focal loss of independent classes."""

from __future__ import annotations

from keras import ops


def sigmoid_focal(true, logits, alpha: float = 0.25, gamma: float = 2.0):
    """Give the focal loss of every class on its own, summed over the classes, (batch,) (Lin et al. 2017).

    Σ −α_t (1 − p_t)^γ log p_t with p_t = σ(z) and α_t = α where the class is true, 1 − σ(z) and 1 − α elsewhere.
    Keras's ``binary_focal_crossentropy`` clips σ(z): an object that is far on the wrong side has no gradient
    there. Here it has.

    Parameters
    ----------
    true : tensor (batch, class)
        1 where a class is true, 0 elsewhere, or between.
    logits : tensor (batch, class)
    alpha : float
        Weight of the true classes against the others.
    gamma : float
        How little easy classes count.
    """
    logits, true = ops.cast(logits, "float32"), ops.cast(true, "float32")
    # −log σ(z) = softplus(−z) and 1 − σ(z) = σ(−z). A power of σ(z) = 0 would have a derivative that is no number.
    right, wrong = ops.softplus(-logits), ops.softplus(logits)
    positive = alpha * ops.exp(-gamma * wrong) * right
    negative = (1.0 - alpha) * ops.exp(-gamma * right) * wrong
    return ops.sum(true * positive + (1.0 - true) * negative, axis=-1)
