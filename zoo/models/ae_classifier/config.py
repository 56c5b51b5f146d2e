"""Classifier on the autoencoder's encoder: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from zoo.models.transformer_autoencoder.config import check_encoder
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class AeClassifierConfig:
    """Hyperparameters of the classifier; those of the encoder must be the autoencoder's.

    Attributes
    ----------
    num_layers : int
        Blocks of the encoder.
    d_model : int
        Width of a token; without ``embed`` the number of bands.
    num_heads : int
        Heads; they divide ``d_model``.
    dff : int
        Width of the feed-forward layers, in the encoder and of the classifier.
    dropout : float
        Rate on tokens, attention and feed-forward layers, and in the classifier.
    embed : bool
        Whether a dense layer makes tokens of the bands' fluxes, or the fluxes are the token.
    normalise : {"minmax", "none"}
        As in the autoencoder: scale each object's flux to [0, 1], or leave it.
    mask_policy : {"any", "band0"}
        As in the autoencoder.
    context_transform : {"asinh", "none"}
        The smallest and largest flux of an object, which every step is given beside its token: their asinh, or
        themselves as in the original.
    pool_mask : bool
        Whether the maximum over the steps leaves out steps without observation; the original takes all.
    """

    num_layers: int = 8
    d_model: int = 128
    num_heads: int = 8
    dff: int = 64
    dropout: float = 0.0
    embed: bool = True
    normalise: Literal["minmax", "none"] = "minmax"
    mask_policy: Literal["any", "band0"] = "any"
    context_transform: Literal["asinh", "none"] = "asinh"
    pool_mask: bool = True

    def __post_init__(self):
        check_encoder(self)

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("light_curve",)


ENTRIES = [
    Entry(
        name="ae_classifier",
        family="ae_classifier",
        summary="Feed-forward classifier on the encoder of a trained transformer autoencoder",
        config=AeClassifierConfig,
        model="zoo.models.ae_classifier.model:AeClassifier",
        task="classify",
        view="grid",
        paper="Encoder: Vaswani et al. 2017, arXiv:1706.03762",
        importer="zoo.models.ae_classifier.reference:import_weights",
    )
]
