"""A penalty that keeps the absolute weights of chosen kernels near a small number."""

from __future__ import annotations

import math

import keras
from keras import ops

FLOOR = 1e-7
"""Mean weights below count as this: the divergence has no finite value at 0."""

JOIN = 1e-3
"""From so far below 1 on the divergence goes on as a straight line."""

MODES = ("layer", "unit", "elementwise", "seed")


def bernoulli_divergence(rho: float, mean, join: float = JOIN):
    """Give KL(ρ‖q) = ρ ln(ρ/q) + (1 − ρ) ln((1 − ρ)/(1 − q)), element by element.

    Parameters
    ----------
    rho : float
        In (0, 1).
    mean : tensor, float32
        q ≥ 0; below 1e-7 it counts as that, above 1 − ``join`` the value goes on linearly with its slope there,
        so that the largest weights keep a gradient.
    """
    top = 1.0 - join
    constant = rho * math.log(rho) + (1.0 - rho) * math.log1p(-rho)
    inside = ops.clip(mean, FLOOR, top)
    rest = ops.where(mean < top, 1.0 - mean, join)
    slope = (1.0 - rho) / join - rho / top
    value = constant - rho * ops.log(inside) - (1.0 - rho) * ops.log(rest)
    return value + slope * ops.maximum(mean - top, 0.0)


def legacy(rho: float, weight):
    """Give what the original adds up, ρ ln(ρ/w) + (1 − ρ) ln(1 − ρ) / ln(1 − w); the second term is a ratio of logs.

    It is no divergence: it is not finite at w = 0 and w ≥ 1, and not smallest at w = ρ.
    """
    first = rho * ops.log(rho / weight)
    under = ops.log(1.0 - weight)
    over = ops.cast((1.0 - rho) * ops.log(ops.cast(1.0 - rho, "float32")), "float32")
    safe = ops.where(under == 0, 1.0, under)
    return first + ops.where(under == 0, 0.0, over / safe)


def sparsity(kernel, rho: float, mode: str = "layer"):
    """Give the divergence of a kernel's absolute weights from ρ, a scalar.

    Parameters
    ----------
    kernel : tensor (input, unit)
    rho : float
    mode : {"layer", "unit", "elementwise", "seed"}
        Of the mean of all absolute weights; of their mean over the inputs of each unit, summed; of each weight,
        summed; or the original's sum, see `legacy`.
    """
    weight = ops.abs(ops.cast(kernel, "float32"))
    if mode == "layer":
        return bernoulli_divergence(rho, ops.mean(weight))
    if mode == "unit":
        return ops.sum(bernoulli_divergence(rho, ops.mean(weight, axis=0)))
    if mode == "elementwise":
        return ops.sum(bernoulli_divergence(rho, weight))
    if mode == "seed":
        return ops.sum(legacy(rho, weight))
    raise ValueError(f"Unknown mode of the sparsity. Valid: {', '.join(MODES)}. Received: {mode!r}")


@keras.saving.register_keras_serializable(package="zoo")
class Sparsity(keras.regularizers.Regularizer):
    """α · `sparsity` of a kernel as it is now, in float32.

    Parameters
    ----------
    alpha, rho : float
    mode : str
        See `sparsity`.
    """

    def __init__(self, alpha: float = 0.3, rho: float = 1e-5, mode: str = "layer"):
        if mode not in MODES:
            raise ValueError(f"Unknown mode of the sparsity. Valid: {', '.join(MODES)}. Received: {mode!r}")
        self.alpha, self.rho, self.mode = alpha, rho, mode

    def __call__(self, kernel):
        return self.alpha * sparsity(kernel, self.rho, self.mode)

    def get_config(self):
        return {"alpha": self.alpha, "rho": self.rho, "mode": self.mode}
