"""The loss of classification at every step of a sequence."""

from __future__ import annotations

from keras import ops


def step_labels(label, days, explosion=None):
    """Give the class of every step (batch, step), int32.

    Parameters
    ----------
    label : tensor (batch,), int
        Class of the object; −1 unlabelled.
    days : tensor (batch, step), float32
        Days of the step from the reference time; NaN = no step.
    explosion : tensor (batch,), float32, optional
        Day of the explosion; NaN where it is unknown, and then no step is before it. Day 0 when absent.

    Returns
    -------
    tensor
        0 up to the explosion, 1 + label after it, −1 where there is no step and after an unlabelled explosion.
    """
    label = ops.cast(label, "int32")[:, None]
    # No comparison with NaN holds.
    before = days <= (0.0 if explosion is None else explosion[:, None])
    after = ops.where(label >= 0, label + 1, -1)
    found = ops.where(before, 0, after + ops.zeros_like(days, dtype="int32"))
    return ops.where(ops.isnan(days), -1, found)


def step_crossentropy(labels, logits, smoothing: float = 0.0):
    """Give each object's mean cross-entropy over its labelled steps, −Σ_k q_k ln p_k.

    Parameters
    ----------
    labels : tensor (batch, step), int32
        −1 = the step does not count.
    logits : tensor (batch, step, class)
    smoothing : float
        ε: q is 1 − ε for the true class plus ε / class for every class.

    Returns
    -------
    tensor (batch,), float32
        0 for an object without labelled steps.
    """
    logarithms = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    chosen = ops.take_along_axis(logarithms, ops.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    if smoothing:
        chosen = (1.0 - smoothing) * chosen + smoothing * ops.mean(logarithms, axis=-1)
    return mean_of_steps(labels, -chosen)


def mean_of_steps(labels, values):
    """Give each object's mean of values (batch, step) over its labelled steps, 0 where it has none."""
    counts = ops.cast(labels >= 0, "float32")
    total = ops.sum(ops.where(counts > 0, values, 0.0), axis=1)
    return total / ops.maximum(ops.sum(counts, axis=1), 1.0)
