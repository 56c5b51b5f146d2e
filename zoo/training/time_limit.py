"""Stopping by wall time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import keras


class TimeLimit(keras.callbacks.Callback):
    """Begin no epoch that would end after the limit, if it lasted as long as the longest so far.

    Stands after the `zoo.training.callbacks.Recorder`, which has saved the epoch by then.

    Parameters
    ----------
    hours : float
    started : float
        When the run began, by ``time.monotonic``.
    path : Path
        Run directory, for the message.
    team : zoo.training.workers.Workers
        The chief's clock decides for all.
    quiet : bool
    """

    def __init__(self, hours: float, started: float, path: Path, team, quiet: bool = False):
        super().__init__()
        self.hours, self.started, self.path, self.team, self.quiet = hours, started, path, team, quiet
        self.longest = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        self.longest = max(self.longest, now - self.begun)
        over = now + self.longest - self.started > self.hours * 3600.0
        if self.team.chief_does(lambda: "stop" if over else "go on") != "stop" or self.model.stop_training:
            return
        self.model.stop_training = True
        if not self.quiet:
            print(f"stopped after epoch {epoch + 1}: max_hours {self.hours:g}; to go on: --resume {self.path}",
                  file=sys.stderr, flush=True)  # fmt: skip
