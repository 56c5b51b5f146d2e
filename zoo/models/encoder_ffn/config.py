"""Encoder and classifier trained end to end: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.models.ae_classifier.config import AeClassifierConfig
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class EncoderFfnConfig(AeClassifierConfig):
    """Hyperparameters: those of the classifier on an autoencoder's encoder, and of the penalty on the encoder.

    Attributes
    ----------
    num_layers, d_model, num_heads, dff : int
        Blocks, width of a token, heads and width of the feed-forward layers, in the classifier too.
    dropout : float
        Rate on tokens, attention and feed-forward layers, and in the classifier.
    embed : bool
        Whether a dense layer makes tokens of the bands' fluxes, or the fluxes are the token.
    normalise : {"minmax", "none"}
        Scale each object's flux to [0, 1], or leave it.
    mask_policy : {"any", "band0"}
        A step is missing if no band was observed; or if the first band is 0, as in the original.
    context_transform : {"asinh", "none"}
        The smallest and largest flux of an object as an input: their asinh, or themselves as in the original.
    pool_mask : bool
        Whether the maximum over the steps leaves out steps without observation; the original takes all.
    kld_alpha : float
        Weight of the sparsity penalty on the encoder's first kernel; 0 for none.
    kld_rho : float
        Its target: the mean absolute weight that costs nothing.
    kld_mode : {"layer", "unit", "elementwise", "seed"}
        What is compared with the target, see ``zoo.losses.sparsity``.
    """

    kld_alpha: float = 0.3
    kld_rho: float = 1e-5
    kld_mode: Literal["layer", "unit", "elementwise", "seed"] = "layer"

    def __post_init__(self):
        super().__post_init__()
        if not self.kld_alpha >= 0:
            raise UsageError(f"kld_alpha must be >= 0. Received: {self.kld_alpha}")
        if not 0 < self.kld_rho < 1:
            raise UsageError(f"kld_rho must lie in (0, 1). Received: {self.kld_rho}")


ENTRIES = [
    Entry(
        name="encoder_ffn",
        family="encoder_ffn",
        summary="Transformer encoder and feed-forward classifier on a regular grid, trained end to end",
        config=EncoderFfnConfig,
        model="zoo.models.encoder_ffn.model:EncoderFfn",
        task="classify",
        view="grid",
        paper="Encoder: Vaswani et al. 2017, arXiv:1706.03762",
        importer="zoo.models.encoder_ffn.model:import_weights",
    )
]
