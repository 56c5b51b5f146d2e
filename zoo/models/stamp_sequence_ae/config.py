"""Recurrent networks on the codes of an object's stamps: what can be set, and their entries in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from zoo.models.stamp_config import StampConfig
from zoo.registry import Entry


def _template_first() -> list[str]:
    return ["template", "science", "difference"]


@dataclasses.dataclass(frozen=True)
class LatentRnnConfig(StampConfig):
    """Hyperparameters of the recurrent classifier on codes; those of the encoder must be the autoencoder's.

    Attributes
    ----------
    channels : list of str
        Channels of the stamps in the order in which they enter; ``snr`` is the difference over its robust standard
        deviation.
    crop : int
        Pixels of a side that are cut out of the centre.
    normalize : {"per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"}
        Scale of the pixels of the cut: x − min over its maximum for every image and channel, the same over all
        channels together, 2x − 1 of the first, x over the root of the sum of squares; x − median of the whole image;
        or none.
    nan_to : float
        Value of unknown pixels, and of a constant image, after scaling.
    latent : int
        Width of the code, and of the layer behind the recurrent ones.
    filters : int
        Of every convolution.
    cell : {"lstm", "gru", "rnn"}
        Kind of recurrent layer.
    units : int
        Width of a recurrent layer.
    layers : int
        Recurrent layers.
    dropout : float
        Rate before the logits.
    """

    channels: list[str] = dataclasses.field(default_factory=_template_first)
    latent: int = 50
    filters: int = 64
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    units: int = 128
    layers: int = 1
    dropout: float = 0.5


@dataclasses.dataclass(frozen=True)
class StampRecurrentAeConfig(LatentRnnConfig):
    """Hyperparameters of the recurrent autoencoder with a classifier.

    Attributes
    ----------
    channels : list of str
        Channels of the stamps in the order in which they enter; ``snr`` is the difference over its robust standard
        deviation.
    crop : int
        Pixels of a side that are cut out of the centre.
    normalize : {"per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"}
        Scale of the pixels of the cut: x − min over its maximum for every image and channel, the same over all
        channels together, 2x − 1 of the first, x over the root of the sum of squares; x − median of the whole image;
        or none.
    nan_to : float
        Value of unknown pixels, and of a constant image, after scaling.
    latent : int
        Width of the code, before and behind the recurrent layers.
    filters : int
        Of every convolution.
    cell : {"lstm", "gru", "rnn"}
        Kind of recurrent layer.
    units : int
        Width of a recurrent layer.
    layers : int
        Recurrent layers.
    dropout : float
        Rate on what is behind the recurrent layers, before the logits and in training before the decoder.
    reconstruct : {"recurrent", "frames"}
        Decode what the recurrent layers make of the codes, or the codes themselves.
    reconstruction_share : float
        Share of the reconstruction's loss; the rest is that of the classes.
    output : {"relu", "linear"}
        Activation of the reconstruction.
    kld_alpha : float
        Weight of the sparsity penalty under the loss KLD_RMSE.
    kld_rho : float
        Its target: the mean absolute weight that costs nothing.
    kld_mode : {"layer", "unit", "elementwise", "seed"}
        What is compared with the target, see ``zoo.losses.sparsity``.
    """

    layers: int = 2
    reconstruct: Literal["recurrent", "frames"] = "recurrent"
    reconstruction_share: float = 0.5
    output: Literal["relu", "linear"] = "relu"
    kld_alpha: float = 0.3
    kld_rho: float = 1e-5
    kld_mode: Literal["layer", "unit", "elementwise", "seed"] = "layer"


@dataclasses.dataclass(frozen=True)
class StampGruConfig(StampConfig):
    """Hyperparameters of the GRU on codes of ``stamp_ae_classifier``.

    Attributes
    ----------
    channels : list of str
        Channels of the stamps in the order in which they enter; ``snr`` is the difference over its robust standard
        deviation.
    crop : int
        Pixels of a side that are cut out of the centre: 21, for which the encoder is made.
    normalize : {"per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"}
        Scale of the pixels of the cut: x − min over its maximum for every image and channel, the same over all
        channels together, 2x − 1 of the first, x over the root of the sum of squares; x − median of the whole image;
        or none.
    nan_to : float
        Value of unknown pixels, and of a constant image, after scaling.
    filters : int
        As in ``stamp_ae_classifier``; the code is 8 times as wide.
    units : int
        Width of a recurrent layer.
    layers : int
        Recurrent layers.
    width : int
        Of the first layer behind them; the next have a half and a quarter.
    dropout : float
        Rate behind that first layer.
    """

    filters: int = 16
    units: int = 32
    layers: int = 2
    width: int = 64
    dropout: float = 0.3


_SHARED = {"family": "stamp_sequence_ae", "view": "stamp_sequence"}
_SEED = "Public code on sequences of ZTF stamps, after Astorga et al. 2018 (IJCNN)"

ENTRIES = [
    Entry(
        name="stamp_recurrent_ae",
        summary="Recurrent autoencoder of stamp sequences with a classifier",
        config=StampRecurrentAeConfig,
        model="zoo.models.stamp_sequence_ae.model:StampRecurrentAe",
        task="reconstruct_classify",
        paper=_SEED,
        importer="zoo.models.stamp_sequence_ae.reference:import_autoencoder",
        **_SHARED,
    ),
    Entry(
        name="latent_rnn",
        summary="Recurrent classifier of the codes of stamps by a trained autoencoder",
        config=LatentRnnConfig,
        model="zoo.models.stamp_sequence_ae.model:LatentRnn",
        task="classify",
        paper=_SEED,
        importer="zoo.models.stamp_sequence_ae.reference:import_latent_rnn",
        **_SHARED,
    ),
    Entry(
        name="stamp_gru",
        summary="GRU layers on the codes of stamps by stamp_ae_classifier",
        config=StampGruConfig,
        model="zoo.models.stamp_sequence_ae.model:StampGru",
        task="classify",
        paper="Public code of a course project on ZTF alerts",
        importer="zoo.models.stamp_sequence_ae.reference:import_gru",
        **_SHARED,
    ),
]

GOLDEN = {
    "stamps": [
        "zoo.models.stamp_sequence_ae.parity:check_autoencoder",
        "zoo.models.stamp_sequence_ae.parity:check_latent_rnn",
        "zoo.models.stamp_sequence_ae.parity:check_gru",
    ]
}
