"""Learning rates that are constant within an epoch: warm-up by epochs, plateau, exponential decay by epochs."""

from __future__ import annotations

import math

from zoo.training.optimisation import BY_EPOCHS

WARMUP_START = 1e-5
"""Share of the rate in the first epoch of a warm-up by epochs."""

LEAST_CHANGE = 1e-8
"""A plateau's step that would change the rate by no more than this is not taken (PyTorch's ReduceLROnPlateau)."""


class EpochRates:
    """The rate of every epoch of a run.

    During a warm-up of W epochs the rate of epoch e = 0, 1 ... is lr · (1e-5 + (1 − 1e-5) · e / W); the schedule
    follows the epochs from e = W on. ``plateau``: after ``plateau_patience`` epochs in succession without improvement
    the rate is multiplied by ``plateau_factor``. A value x is an improvement on the best b if x < b · (1 − t), of a
    score that should rise if x > b · (1 + t), for the relative threshold t, and by more than ``min_delta``.
    ``exponential_epochs``: lr · decay_rate^(e − W).

    Parameters
    ----------
    run : RunConfig
    state : dict
        ``learning_rate`` (None before the first epoch), ``plateau_best`` and ``plateau_wait`` are kept here.
    """

    def __init__(self, run, state: dict):
        self.run, self.state = run, state
        self.warmup = int(run.warmup_epochs) if run.warmup == "epochs" else 0
        self.active = run.schedule in BY_EPOCHS or self.warmup > 0
        state.setdefault("plateau_best", state.get("best"))
        if self.active and state["learning_rate"] is None:
            state["learning_rate"] = self._growth(0) if self.warmup else run.learning_rate

    def _growth(self, epoch: int) -> float:
        share = min(epoch, self.warmup) / self.warmup
        return self.run.learning_rate * (WARMUP_START + (1.0 - WARMUP_START) * share)

    def step(self, epoch: int, value: float, sign: float) -> None:
        """Settle the rate of the next epoch at the end of one.

        Parameters
        ----------
        epoch : int
            The one that has ended, from 0.
        value : float
            What the plateau goes by.
        sign : float
            1 where more of it is better, -1 where less.
        """
        run, state = self.run, self.state
        if epoch < self.warmup:
            state["learning_rate"] = self._growth(epoch + 1)
        elif run.schedule == "plateau":
            self._plateau(value, sign)
        elif run.schedule == "exponential_epochs":
            state["learning_rate"] = run.learning_rate * run.decay_rate ** (epoch + 1 - self.warmup)

    def _plateau(self, value: float, sign: float) -> None:
        run, state = self.run, self.state
        best = state["plateau_best"]
        if math.isfinite(value) and (
            best is None or sign * (value - best * (1.0 + sign * run.plateau_threshold)) > run.min_delta
        ):
            state |= {"plateau_best": value, "plateau_wait": 0}
            return
        state["plateau_wait"] += 1
        if state["plateau_wait"] < (run.plateau_patience or max(1, run.patience // 3)):
            return
        state["plateau_wait"] = -run.plateau_cooldown
        rate = max(state["learning_rate"] * run.plateau_factor, run.learning_rate * run.final_rate)
        if state["learning_rate"] - rate > LEAST_CHANGE:
            state["learning_rate"] = rate
