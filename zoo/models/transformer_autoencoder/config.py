"""Transformer autoencoder: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.registry import Entry


def check_encoder(config, minimum: tuple[str, ...] = ()) -> None:
    """Refuse sizes of an encoder that do not fit together."""
    for key in ("num_layers", "d_model", "num_heads", "dff", *minimum):
        if getattr(config, key) < 1:
            raise UsageError(f"{key} must be at least 1. Received: {getattr(config, key)}")
    if config.d_model % config.num_heads:
        raise UsageError(
            f"num_heads must divide d_model: every head has the width d_model / num_heads. "
            f"Received: num_heads {config.num_heads}, d_model {config.d_model}"
        )
    if not 0 <= config.dropout < 1:
        raise UsageError(f"dropout must lie in [0, 1). Received: {config.dropout}")


@dataclasses.dataclass(frozen=True)
class AutoencoderConfig:
    """Hyperparameters of the transformer autoencoder; the defaults are those of the original's command line.

    Attributes
    ----------
    num_layers : int
        Blocks of the encoder, and of the decoder.
    d_model : int
        Width of a token; without ``embed`` the number of bands.
    num_heads : int
        Heads; they divide ``d_model``.
    dff : int
        Width of the feed-forward layers.
    dropout : float
        Rate on tokens, attention and feed-forward layers.
    embed : bool
        Whether a dense layer makes tokens of the bands' fluxes, or the fluxes are the token.
    normalise : {"minmax", "none"}
        Scale each object's flux to [0, 1] by its smallest and largest value, 0 among them, and flux errors by the
        range; or leave both.
    mapping : {"true", "denoise"}
        Reconstruct the light curve itself, or the noiseless one that the records hold as ``target/flux``.
    mask_policy : {"any", "band0"}
        A step is missing if no band was observed; or if the first band is 0, as in the original, whose decoder then
        sees later steps where all earlier ones are missing.
    kld_alpha : float
        Weight of the sparsity penalty under the loss KLD_RMSE.
    kld_rho : float
        Its target: the mean absolute weight that costs nothing.
    kld_mode : {"layer", "unit", "elementwise", "seed"}
        What is compared with the target, see ``zoo.losses.sparsity``.
    """

    num_layers: int = 8
    d_model: int = 6
    num_heads: int = 6
    dff: int = 64
    dropout: float = 0.0
    embed: bool = False
    normalise: Literal["minmax", "none"] = "minmax"
    mapping: Literal["true", "denoise"] = "true"
    mask_policy: Literal["any", "band0"] = "any"
    kld_alpha: float = 0.3
    kld_rho: float = 1e-5
    kld_mode: Literal["layer", "unit", "elementwise", "seed"] = "layer"

    def __post_init__(self):
        check_encoder(self)
        if not self.kld_alpha >= 0:
            raise UsageError(f"kld_alpha must be >= 0. Received: {self.kld_alpha}")
        if not 0 < self.kld_rho < 1:
            raise UsageError(f"kld_rho must lie in (0, 1). Received: {self.kld_rho}")

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("light_curve", "target") if self.mapping == "denoise" else ("light_curve",)


ENTRIES = [
    Entry(
        name="transformer_autoencoder",
        family="transformer_autoencoder",
        summary="Transformer that reconstructs light curves on a regular grid of steps",
        config=AutoencoderConfig,
        model="zoo.models.transformer_autoencoder.model:TransformerAutoencoder",
        task="reconstruct",
        view="grid",
        paper="Vaswani et al. 2017, arXiv:1706.03762, on light curves; sparsity after Pasquet et al. 2019, "
        "A&A 627, A21, arXiv:1901.01298",
        importer="zoo.models.transformer_autoencoder.reference:import_weights",
    )
]

GOLDEN = {
    "transformer_autoencoder": [
        "zoo.models.transformer_autoencoder.parity:check_losses",
        "zoo.models.transformer_autoencoder.parity:check_autoencoder",
        "zoo.models.ae_classifier.parity:check_classifier",
        "zoo.models.simple_rnn.parity:check_rnn",
    ]
}
