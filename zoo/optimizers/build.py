"""Optimizers and learning-rate schedules by name."""

from __future__ import annotations

import math

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.optimizers.adam import Adam
from zoo.optimizers.lamb import Lamb
from zoo.optimizers.lookahead import Lookahead
from zoo.optimizers.rectified_adam import RectifiedAdam
from zoo.optimizers.schedules import CYCLES, Cyclical

KINDS = ("constant", "cosine", "exponential", "linear")


@keras.saving.register_keras_serializable(package="zoo")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear growth from 0, then constant, half a cosine, an exponential or a line down to a share of the rate.

    Parameters
    ----------
    kind : {"constant", "cosine", "exponential", "linear"}
    rate : float
        Largest learning rate.
    warmup, total : int
        Steps of growth, and steps until the end is reached.
    final : float
        Share of the rate at the end.
    """

    def __init__(self, kind: str, rate: float, warmup: int, total: int, final: float):
        if kind not in KINDS:
            raise ValueError(f"Unknown schedule. Valid: {', '.join(KINDS)}. Received: {kind!r}")
        self.settings = {
            "kind": kind, "rate": rate, "warmup": warmup, "total": total, "final": final
        }  # fmt: skip

    def __call__(self, step):
        """Give the learning rate at a step."""
        rate, warmup, final = (self.settings[key] for key in ("rate", "warmup", "final"))
        step = ops.cast(step, "float32")
        part = ops.clip((step - warmup) / max(self.settings["total"] - warmup, 1), 0.0, 1.0)
        factor = ops.ones_like(part)
        if self.settings["kind"] == "cosine":
            factor = final + (1.0 - final) * 0.5 * (1.0 + ops.cos(math.pi * part))
        elif self.settings["kind"] == "exponential":
            factor = ops.exp(part * math.log(max(final, 1e-6)))
        elif self.settings["kind"] == "linear":
            # The last step has the final rate, as in the warm-up that tensorflow-addons built into RectifiedAdam.
            part = ops.clip((step + 1.0 - warmup) / max(self.settings["total"] - warmup, 1), 0.0, 1.0)
            factor = 1.0 - (1.0 - final) * part
        growth = ops.minimum((step + 1.0) / max(warmup, 1), 1.0) if warmup else 1.0
        return rate * factor * growth

    def get_config(self):
        return dict(self.settings)


@keras.saving.register_keras_serializable(package="zoo")
class Adjustable(keras.optimizers.schedules.LearningRateSchedule):
    """The rate (d · S)^(−1/2) · min(s^(−1/2), s · w^e) at step s, 0 at step 0; its peak is at s = w for e = −1.5.

    With S = 1 it is the schedule of Vaswani et al. 2017, arXiv:1706.03762.

    Parameters
    ----------
    width : int
        d, the width of the model's tokens.
    scale, warmup, exponent : float
        S, w and e.
    """

    def __init__(self, width: int, scale: float = 1e4, warmup: float = 10.0, exponent: float = -1.5):
        self.settings = {"width": width, "scale": scale, "warmup": warmup, "exponent": exponent}

    def __call__(self, step):
        """Give the learning rate at a step."""
        width, scale, warmup, exponent = self.settings.values()
        step = ops.cast(step, "float32")
        falling = 1.0 / ops.sqrt(ops.maximum(step, 1.0))
        return (width * scale) ** -0.5 * ops.minimum(falling, step * warmup**exponent)

    def get_config(self):
        return dict(self.settings)


def optimizer(run, steps_per_epoch: int, width: int | None = None) -> keras.optimizers.Optimizer:
    """Give the optimizer of a run configuration.

    ``clip_norm`` is not its business: Keras clips on each replica before gradients are added up, which is
    another number than the norm of the whole gradient. The train step does it.

    Parameters
    ----------
    run : RunConfig
    steps_per_epoch : int
    width : int, optional
        Width of the model's tokens, for the schedule "adjustable".
    """
    if run.optimizer not in _OPTIMIZERS:
        raise ValueError(f"Unknown optimizer. Valid: {', '.join(_OPTIMIZERS)}. Received: {run.optimizer!r}")
    averaging = {"use_ema": True, "ema_momentum": run.weight_average} if run.weight_average else {}
    period = run.lookahead or (6 if run.optimizer == "ranger" else 0)
    rate = _rate(run, steps_per_epoch, width)
    if not period:
        return _OPTIMIZERS[run.optimizer](run, learning_rate=rate, **averaging)
    return Lookahead(_OPTIMIZERS[run.optimizer](run, learning_rate=rate), period, run.lookahead_step, **averaging)


def _rate(run, steps_per_epoch: int, width: int | None):
    """Give the learning rate of a run: a schedule, or a number, which may change between epochs."""
    if run.schedule == "adjustable":
        if width is None:
            raise UsageError("schedule adjustable needs a model with the option d_model. Received: one without")
        return Adjustable(width, run.adjustable_scale, run.warmup_learning, run.exponential_learning)
    if run.schedule in CYCLES:
        half = run.cycle_epochs * steps_per_epoch / 2
        low = run.learning_rate * run.final_rate
        return Cyclical(run.schedule, low, run.learning_rate, half, run.cycle_decay ** (0.5 / half))
    if run.schedule in ("cosine", "exponential", "linear") or (run.warmup_epochs and run.warmup == "steps"):
        warmup = round(run.warmup_epochs * steps_per_epoch)
        total, final = run.epochs * steps_per_epoch, run.final_rate
        if run.decay_steps is not None:
            final = run.decay_rate ** ((total - warmup) / run.decay_steps)
        return Schedule(run.schedule, run.learning_rate, warmup, total, final)
    return run.learning_rate


def _moments(run) -> dict[str, float]:
    return {"beta_1": run.beta_1, "beta_2": run.beta_2, "epsilon": run.epsilon}


def _adam(run, **common):
    return Adam(**common, **_moments(run))


def _amsgrad(run, **common):
    return keras.optimizers.Adam(amsgrad=True, **common, **_moments(run))


def _adamw(run, **common):
    return keras.optimizers.AdamW(weight_decay=run.weight_decay, **common, **_moments(run))


def _sgd(run, **common):
    return keras.optimizers.SGD(momentum=run.beta_1, **common)


def _lamb(run, **common):
    return Lamb(weight_decay=run.weight_decay, **common, **_moments(run))


def _rmsprop(run, **common):
    return keras.optimizers.RMSprop(rho=run.beta_2, epsilon=run.epsilon, **common)


def _rectified_adam(run, **common):
    return RectifiedAdam(weight_decay=run.weight_decay, **common, **_moments(run))


_OPTIMIZERS = {
    "adam": _adam,
    "amsgrad": _amsgrad,
    "adamw": _adamw,
    "sgd": _sgd,
    "lamb": _lamb,
    "rmsprop": _rmsprop,
    "rectified_adam": _rectified_adam,
    "ranger": _rectified_adam,
}
