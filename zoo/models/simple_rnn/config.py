"""Simple RNN: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class SimpleRnnConfig:
    """Hyperparameters; the defaults are those of the original, but for the step that is read.

    Attributes
    ----------
    units : int
        Width of the LSTM.
    dense : int
        Width of the hidden layer.
    dropout : float
        Rate behind the LSTM.
    normalise : {"minmax", "none"}
        Scale each object's flux to [0, 1] by its smallest and largest value, 0 among them, or leave it.
    read : {"last_valid", "last"}
        The state after the object's last step, or after the batch's last, as in the original, which does not mask.
    """

    units: int = 100
    dense: int = 100
    dropout: float = 0.0
    normalise: Literal["minmax", "none"] = "minmax"
    read: Literal["last_valid", "last"] = "last_valid"

    def __post_init__(self):
        for key in ("units", "dense"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1. Received: {getattr(self, key)}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must lie in [0, 1). Received: {self.dropout}")

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("light_curve",)


ENTRIES = [
    Entry(
        name="simple_rnn",
        family="simple_rnn",
        summary="LSTM on a regular grid of steps, one class an object",
        config=SimpleRnnConfig,
        model="zoo.models.simple_rnn.model:SimpleRnn",
        task="classify",
        view="grid",
        paper="Hochreiter & Schmidhuber 1997; after RAPID, Muthukrishna et al. 2019, arXiv:1904.00014",
        importer="zoo.models.simple_rnn.reference:import_weights",
    )
]
