"""t2: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class T2Config:
    """Hyperparameters of t2; the defaults are the published ones (arXiv:2105.06178).

    Attributes
    ----------
    d_model : int
        Width of a token; a multiple of ``num_heads``.
    num_heads : int
        Heads of the transformer.
    dff : int
        Width of the feed-forward layer of a block.
    layers : int
        Blocks.
    dropout : float
        Rate in the blocks and on the averaged tokens.
    redshift : {"L", "M", "none"}
        Where the redshift columns enter: as more steps behind the light curve (L), as more channels beside the
        bands (M), or nowhere.
    redshift_columns : list of str
        Static columns with the redshift and its error; a missing value counts as 0.
    scaling : {"robust", "none"}
        Median and interquartile range of every band on the training split, or the grid as it is.
    """

    d_model: int = 32
    num_heads: int = 16
    dff: int = 128
    layers: int = 1
    dropout: float = 0.1
    redshift: Literal["L", "M", "none"] = "L"
    redshift_columns: list[str] = dataclasses.field(default_factory=lambda: ["hostgal_photoz", "hostgal_photoz_err"])
    scaling: Literal["robust", "none"] = "robust"

    def __post_init__(self):
        for key in ("d_model", "num_heads", "dff", "layers"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1. Received: {getattr(self, key)}")
        if self.d_model % self.num_heads:
            raise UsageError(
                f"d_model must be a multiple of num_heads. Received: d_model {self.d_model}, num_heads {self.num_heads}"
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must lie in [0, 1). Received: {self.dropout}")
        if self.redshift != "none" and not self.redshift_columns:
            raise UsageError(f"redshift {self.redshift} needs redshift_columns, or set it to none. Received: []")

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("features",) if self.redshift == "none" else ("static", "features")


ENTRIES = [
    Entry(
        name="t2",
        family="t2",
        summary="Transformer encoder on light curves interpolated by a Gaussian process",
        config=T2Config,
        model="zoo.models.t2.model:T2",
        task="classify",
        view="packed",
        paper="Allam & McEwen 2021, arXiv:2105.06178",
        importer="zoo.models.t2.reference:import_weights",
    )
]

GOLDEN = {"t2": ["zoo.models.t2.parity:check_model"]}
