"""Options of the optimizer and of the learning rate that do not go together."""

from __future__ import annotations

from tfrecords.errors import UsageError
from zoo.registry import unknown

OPTIMIZERS = ("adam", "amsgrad", "adamw", "sgd", "lamb", "rmsprop", "rectified_adam", "ranger")
DECAYING = ("adamw", "lamb", "rectified_adam", "ranger")
"""Optimizers that take a weight decay."""

BY_EPOCHS = ("plateau", "exponential_epochs")
"""Schedules whose rate is constant within an epoch."""


def check(run) -> None:
    """Refuse what does not fit in a `zoo.training.config.RunConfig`.

    Raises
    ------
    UsageError
    """
    _check_optimizer(run)
    _check_patience(run)
    _check_warmup(run)
    _check_schedule(run)


def _check_optimizer(run) -> None:
    if run.optimizer not in OPTIMIZERS:
        raise UsageError(unknown("optimizer", run.optimizer, OPTIMIZERS))
    if run.weight_decay and run.optimizer not in DECAYING:
        raise UsageError(
            f"weight_decay goes with optimizer {', '.join(DECAYING)}; set weight_decay to 0, or use coupled_decay. "
            f"Received: {run.optimizer}"
        )
    if not 0 <= run.coupled_decay < float("inf"):
        raise UsageError(f"coupled_decay must be >= 0 and finite. Received: {run.coupled_decay}")
    if run.lookahead < 0 or not 0 < run.lookahead_step <= 1:
        raise UsageError(
            f"lookahead must be >= 0 and lookahead_step lie in (0, 1]. Received: {run.lookahead}, {run.lookahead_step}"
        )
    if run.clip_norm is not None and not run.clip_norm > 0:
        raise UsageError(f"clip_norm must be positive. Received: {run.clip_norm}")
    for key in ("beta_1", "beta_2", "weight_average"):
        if not 0 <= getattr(run, key) < 1:
            raise UsageError(f"{key} must lie in [0, 1). Received: {getattr(run, key)}")


def _check_patience(run) -> None:
    if run.patience < 0 or run.warmup_epochs < 0:
        raise UsageError(f"patience and warmup_epochs must be >= 0. Received: {run.patience}, {run.warmup_epochs}")
    if run.patience_start < 0:
        raise UsageError(f"patience_start must be >= 0. Received: {run.patience_start}")
    if not 0 < run.plateau_factor < 1:
        raise UsageError(f"plateau_factor must lie in (0, 1). Received: {run.plateau_factor}")
    if run.plateau_cooldown < 0 or (run.plateau_patience is not None and run.plateau_patience < 1):
        raise UsageError(
            "plateau_patience must be at least 1 and plateau_cooldown >= 0. "
            f"Received: {run.plateau_patience}, {run.plateau_cooldown}"
        )
    if not 0 <= run.plateau_threshold < 1:
        raise UsageError(f"plateau_threshold must lie in [0, 1). Received: {run.plateau_threshold}")


def _check_warmup(run) -> None:
    if not run.warmup_epochs:
        return
    if run.warmup == "epochs":
        if run.schedule not in ("constant", *BY_EPOCHS):
            raise UsageError(
                f"warmup epochs goes with schedule constant, {', '.join(BY_EPOCHS)}. Received: {run.schedule}"
            )
        if run.warmup_epochs != int(run.warmup_epochs):
            raise UsageError(f"warmup epochs takes a whole number of warmup_epochs. Received: {run.warmup_epochs}")
    elif run.schedule in BY_EPOCHS:
        raise UsageError(
            f"schedule {run.schedule} changes the rate between epochs: use warmup epochs, or set warmup_epochs 0. "
            f"Received: warmup {run.warmup}"
        )
    elif run.schedule == "adjustable" or run.schedule.startswith("triangular"):
        raise UsageError(f"schedule {run.schedule} takes no warmup_epochs. Received: {run.warmup_epochs}")


def _check_schedule(run) -> None:
    if not run.cycle_epochs > 0 or not 0 < run.cycle_decay <= 1:
        raise UsageError(
            "cycle_epochs must be positive and cycle_decay lie in (0, 1]. "
            f"Received: {run.cycle_epochs}, {run.cycle_decay}"
        )
    for key in ("adjustable_scale", "warmup_learning"):
        if not getattr(run, key) > 0:
            raise UsageError(f"{key} must be positive. Received: {getattr(run, key)}")
    if run.decay_steps is not None and (run.schedule != "exponential" or run.decay_steps < 1):
        raise UsageError(
            "decay_steps must be at least 1 and goes with schedule exponential. "
            f"Received: {run.decay_steps} with {run.schedule}"
        )
    if not 0 < run.decay_rate <= 1:
        raise UsageError(f"decay_rate must lie in (0, 1]. Received: {run.decay_rate}")
    if not 0 <= run.final_rate <= 1:
        raise UsageError(f"final_rate must lie in [0, 1]. Received: {run.final_rate}")
