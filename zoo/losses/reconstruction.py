"""Losses of reconstructions by name: one value an object, over the points that were observed.

``target`` and ``prediction`` are float32 and of any shape (batch, ...): (batch, step, band) of light curves, (batch,
height, width, channel) of stamps, with an axis of frames of sequences. ``observed`` of the same shape says where
there is a target. Every name but RMSE and KLD_RMSE is a mean of an error e of single points.
"""

from __future__ import annotations

import math

from keras import ops

from zoo import collective

CLIP = 1e-7
"""MSLE takes values below as this."""


def squared(target, prediction):
    """Give e = (x − x̂)²."""
    return ops.square(target - prediction)


def squared_log(target, prediction):
    """Give e = (ln(1 + x) − ln(1 + x̂))², both clipped at 1e-7 from below."""
    return ops.square(ops.log1p(ops.maximum(target, CLIP)) - ops.log1p(ops.maximum(prediction, CLIP)))


def huber(target, prediction):
    """Give e = d² / 2 where d = |x − x̂| ≤ 1, and d − 1/2 beyond."""
    distance = ops.abs(target - prediction)
    return ops.where(distance <= 1.0, 0.5 * ops.square(distance), distance - 0.5)


def absolute(target, prediction):
    """Give e = |x − x̂|."""
    return ops.abs(target - prediction)


def log_cosh(target, prediction):
    """Give e = ln cosh(x̂ − x)."""
    distance = ops.abs(prediction - target)
    return distance + ops.softplus(-2.0 * distance) - math.log(2.0)


POINTS = {
    "MSE": squared,
    "MSLE": squared_log,
    "Huber": huber,
    "MAE": absolute,
    "LCE": log_cosh,
    "RMSE": squared,
    "KLD_RMSE": squared,
}
"""Error of a point by the name of the loss. KLD_RMSE is RMSE; its penalty on weights is the network's business."""

LOSSES = tuple(POINTS)
"""Losses that ``--loss`` takes for reconstructions."""

ROOTS = ("RMSE", "KLD_RMSE")
"""Losses that take the root of the mean."""

REDUCTIONS = ("observed", "all_points")


def weight_map(observed, error):
    """Give the weights 1 / σ² of observed points (batch, step, band), 0 where no error is known."""
    known = ops.logical_and(observed, error > 0)
    return ops.where(known, 1.0 / ops.square(ops.where(known, error, 1.0)), 0.0)


def weighted_mean(points, weight):
    """Give Σ w e / Σ w of every object, (batch,); 0 where all weights are 0."""
    axes = _inner(points)
    total = ops.sum(weight, axis=axes)
    return ops.sum(weight * points, axis=axes) / ops.where(total > 0, total, 1.0)


def _inner(points) -> tuple[int, ...]:
    """Give all axes but the first."""
    return tuple(range(1, len(points.shape)))


def root(values):
    """Give √v with the gradient 0 at v = 0, where an object has no points or is met exactly."""
    there = values > 0
    return ops.where(there, ops.sqrt(ops.where(there, values, 1.0)), 0.0)


def reconstruction_loss(name: str, target, prediction, observed, *, weight=None, reduction: str = "observed",
                        sample_weight=None):  # fmt: skip
    """Give the loss of every object, (batch,), float32.

    Parameters
    ----------
    name : str
        One of `LOSSES`.
    target, prediction : tensor (batch, ...)
    observed : tensor (batch, ...), bool
    weight : tensor (batch, ...), optional
        Of the points, see `weight_map`; 1 each when absent. Points that were not observed have none.
    reduction : {"observed", "all_points"}
        Mean over an object's observed points; or, as the original has it, over all points with 0 for prediction
        and target where nothing was observed. Then RMSE is one root over the whole batch, of all replicas, and
        every object has its value.
    sample_weight : tensor (batch,), optional
        Objects that count in a loss of the whole batch.
    """
    target, prediction = (ops.cast(item, "float32") for item in (target, prediction))
    if reduction == "all_points":
        points = POINTS[name](target, ops.where(observed, prediction, 0.0))
        objects = ops.mean(points, axis=_inner(points))
        if name not in ROOTS:
            return objects
        return root(collective.global_mean(objects, sample_weight)) + ops.zeros_like(objects)
    present = ops.cast(observed, "float32")
    # Before the error: what stands at other points may be anything, infinities among it.
    prediction = ops.where(observed, prediction, target)
    objects = weighted_mean(POINTS[name](target, prediction), present if weight is None else weight * present)
    return root(objects) if name in ROOTS else objects
