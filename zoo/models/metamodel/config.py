"""MetaModel: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class MetaModelConfig:
    """Hyperparameters of the network on metadata; the defaults are those of AstroM3 (arXiv:2411.08842).

    Attributes
    ----------
    hidden_dim : int
        Width of both layers.
    dropout : float
        Rate behind each of them.
    columns : list of str, optional
        Static columns that enter; all of the run when absent.
    transform : bool
        Magnitudes become absolute by the column ``parallax``, ``l`` and ``b`` cosine and sine, ``period`` its
        logarithm. False for tables that hold such values already.
    scaling : {"standard", "none"}
        Mean 0 and standard deviation 1 on the training split, or the columns as they are.
    """

    hidden_dim: int = 512
    dropout: float = 0.2
    columns: list[str] | None = None
    transform: bool = True
    scaling: Literal["standard", "none"] = "standard"

    def __post_init__(self):
        if self.hidden_dim < 1:
            raise UsageError(f"hidden_dim must be at least 1. Received: {self.hidden_dim}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must lie in [0, 1). Received: {self.dropout}")
        if self.columns is not None and (not self.columns or len(set(self.columns)) != len(self.columns)):
            raise UsageError(f"columns must be named, each once, or not at all. Received: {self.columns}")

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("static",)


ENTRIES = [
    Entry(
        name="metamodel",
        family="metamodel",
        summary="Two dense layers on the columns of stellar catalogues",
        config=MetaModelConfig,
        model="zoo.models.metamodel.model:MetaModel",
        task="classify",
        view="photometry",
        paper="AstroM3, Rizhko & Bloom 2025, arXiv:2411.08842",
        importer="zoo.models.metamodel.reference:import_weights",
    )
]

GOLDEN = {"astrom3": ["zoo.models.metamodel.parity:check_model", "zoo.models.metamodel.parity:check_columns"]}
