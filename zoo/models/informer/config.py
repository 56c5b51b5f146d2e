"""Informer: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class InformerConfig:
    """Hyperparameters of the Informer encoder; sizes and dropout as in AstroM3 (arXiv:2411.08842).

    Attributes
    ----------
    length : int
        Rows of a light curve that are read; shorter ones are padded, what lies behind is left out.
    d_model : int
        Width of a token, even; heads are as wide as it divided by their number, rounded down.
    num_heads : int
        Heads of the attention.
    dff : int
        Width of the feed-forward layer of a block.
    layers : int
        Blocks.
    factor : int
        Of n rows factor · ⌈ln n⌉ queries attend, and as many keys are sampled to choose them.
    activation : {"gelu", "relu"}
        Of the feed-forward layers; gelu is the exact one.
    dropout : float
        Rate in the blocks and on what comes out of the last.
    embedding_dropout : float
        Rate on the embedded rows.
    head_merge : {"standard", "mixed"}
        Heads side by side in each row; or mixed with the rows, as in the published code, which reads the array
        (head, row, component) as (row, head · component).
    key_sampling : {"random", "fixed", "all"}
        Keys that choose the queries: drawn anew in every pass, in inference too, as in the published code; drawn once
        and kept with the weights; or all.
    positions : {"rows", "time"}
        What the sinusoids of a row are of: its number, as published, or ``length`` times its time, phase or share of
        the range of time, whose meaning does not depend on how many rows there are.
    pooling : {"rows", "mean"}
        What is read of the last tokens: all of them side by side, as published, or their mean.
    mask_attention : bool
        Padded rows change nothing: neither the convolution, which is circular, nor means, scores, and the numbers of
        queries and keys, which go by each light curve's own rows. False computes with ``length`` rows of every object,
        as the published code does.
    use_scale : bool
        Two more channels: logarithm of the light curve's spread, and its length in years.
    photo_cols : list of str
        Static columns that enter as channels, constant over the rows: standardised on the training split, a column
        ``period`` as its logarithm, a missing value as the mean. Published: amplitude, period, lksl_statistic,
        rfr_score.
    photo_transform : bool
        False for tables that hold such logarithms already, as the published ones.
    """

    length: int = 200
    d_model: int = 128
    num_heads: int = 4
    dff: int = 512
    layers: int = 8
    factor: int = 1
    activation: Literal["gelu", "relu"] = "gelu"
    dropout: float = 0.2
    embedding_dropout: float = 0.1
    head_merge: Literal["standard", "mixed"] = "standard"
    key_sampling: Literal["random", "fixed", "all"] = "all"
    positions: Literal["rows", "time"] = "rows"
    pooling: Literal["rows", "mean"] = "rows"
    mask_attention: bool = True
    use_scale: bool = True
    photo_cols: list[str] = dataclasses.field(default_factory=list)
    photo_transform: bool = True

    def __post_init__(self):
        for key in ("d_model", "num_heads", "dff", "layers", "factor"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1. Received: {getattr(self, key)}")
        if self.length < 2:
            raise UsageError(f"length must be at least 2. Received: {self.length}")
        if self.d_model % 2 or self.d_model < self.num_heads:
            raise UsageError(
                f"d_model must be even and at least num_heads. Received: d_model {self.d_model}, "
                f"num_heads {self.num_heads}"
            )
        for key in ("dropout", "embedding_dropout"):
            if not 0 <= getattr(self, key) < 1:
                raise UsageError(f"{key} must lie in [0, 1). Received: {getattr(self, key)}")

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("light_curve", "static") if self.photo_cols else ("light_curve",)


ENTRIES = [
    Entry(
        name="informer",
        family="informer",
        summary="Informer encoder on the rows of a light curve: few queries attend, the others take the mean",
        config=InformerConfig,
        model="zoo.models.informer.model:Informer",
        task="classify",
        view="photometry",
        paper="Rizhko & Bloom 2025, arXiv:2411.08842; after Zhou et al. 2021, arXiv:2012.07436",
        importer="zoo.models.informer.reference:import_weights",
    )
]

GOLDEN = {"astrom3": ["zoo.models.informer.parity:check_model"]}
