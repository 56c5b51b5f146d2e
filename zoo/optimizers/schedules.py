"""Learning rates that swing between two bounds."""

from __future__ import annotations

import keras
from keras import ops

CYCLES = ("triangular", "triangular2", "triangular_exp")


@keras.saving.register_keras_serializable(package="zoo")
class Cyclical(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises and falls in straight lines (Smith 2017, arXiv:1506.01186).

    low + (high − low) · s · max(0, 1 − |step / half − 2c + 1|) in cycle c = ⌊1 + step / (2 half)⌋. The swing
    s is 1 (``triangular``), ½^(c−1) (``triangular2``) or decay^step (``triangular_exp``).

    Parameters
    ----------
    kind : {"triangular", "triangular2", "triangular_exp"}
    low, high : float
        Bounds of the rate.
    half : float
        Steps from one bound to the other.
    decay : float
        Factor of the swing a step, for ``triangular_exp``.
    """

    def __init__(self, kind: str, low: float, high: float, half: float, decay: float = 1.0):
        if kind not in CYCLES:
            raise ValueError(f"Unknown cyclical schedule. Valid: {', '.join(CYCLES)}. Received: {kind!r}")
        if not half > 0:
            raise ValueError(f"half must be positive. Received: {half}")
        self.settings = {"kind": kind, "low": low, "high": high, "half": half, "decay": decay}

    def __call__(self, step):
        """Give the learning rate at a step."""
        kind, low, high, half, decay = self.settings.values()
        step = ops.cast(step, "float32")
        cycle = ops.floor(1.0 + step / (2.0 * half))
        height = ops.maximum(1.0 - ops.abs(step / half - 2.0 * cycle + 1.0), 0.0)
        if kind == "triangular2":
            height = height * ops.power(0.5, cycle - 1.0)
        elif kind == "triangular_exp":
            height = height * ops.power(ops.cast(decay, "float32"), step)
        return low + (high - low) * height

    def get_config(self):
        return dict(self.settings)
