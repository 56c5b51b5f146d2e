"""Autoencoders of single stamps and classifiers on them: what can be set, and their entries in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from zoo.models.stamp_config import StampConfig
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class StampAeConfig(StampConfig):
    """Hyperparameters of the convolutional autoencoder.

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
        Width of the code.
    filters : int
        Of every convolution.
    output : {"relu", "linear"}
        Activation of the reconstruction; pixels that may be negative need linear.
    kld_alpha : float
        Weight of the sparsity penalty under the loss KLD_RMSE.
    kld_rho : float
        Its target: the mean absolute weight that costs nothing.
    kld_mode : {"layer", "unit", "elementwise", "seed"}
        What is compared with the target, see ``zoo.losses.sparsity``.
    """

    channels: list[str] = dataclasses.field(default_factory=lambda: ["template", "science", "difference"])
    latent: int = 50
    filters: int = 64
    output: Literal["relu", "linear"] = "relu"
    kld_alpha: float = 0.3
    kld_rho: float = 1e-5
    kld_mode: Literal["layer", "unit", "elementwise", "seed"] = "layer"


@dataclasses.dataclass(frozen=True)
class StampAeClassifierConfig(StampConfig):
    """Hyperparameters of the autoencoder with average pooling and a classifier on its code.

    Attributes
    ----------
    channels : list of str
        Channels of the stamps in the order in which they enter; ``snr`` is the difference over its robust standard
        deviation.
    crop : int
        Pixels of a side that are cut out of the centre: 21, for which the decoder is made.
    normalize : {"per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"}
        Scale of the pixels of the cut: x − min over its maximum for every image and channel, the same over all
        channels together, 2x − 1 of the first, x over the root of the sum of squares; x − median of the whole image;
        or none.
    nan_to : float
        Value of unknown pixels, and of a constant image, after scaling.
    filters : int
        Of the first convolution; the others have 1 to 8 times as many, the code 8 times.
    width : int
        Of the classifier's three layers.
    dropout : float
        Rate on the code before the classifier.
    reconstruction_share : float
        Share of the reconstruction's loss; the rest is that of the classes.
    kld_alpha : float
        Weight of the sparsity penalty under the loss KLD_RMSE.
    kld_rho : float
        Its target: the mean absolute weight that costs nothing.
    kld_mode : {"layer", "unit", "elementwise", "seed"}
        What is compared with the target, see ``zoo.losses.sparsity``.
    """

    filters: int = 16
    width: int = 64
    dropout: float = 0.8
    reconstruction_share: float = 0.95
    kld_alpha: float = 0.3
    kld_rho: float = 1e-5
    kld_mode: Literal["layer", "unit", "elementwise", "seed"] = "layer"


@dataclasses.dataclass(frozen=True)
class LinearProbeConfig(StampConfig):
    """Hyperparameters of the linear classifier on a code; those of the encoder must be the autoencoder's.

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
        Width of the code.
    filters : int
        Of every convolution.
    """

    channels: list[str] = dataclasses.field(default_factory=lambda: ["template", "science", "difference"])
    latent: int = 50
    filters: int = 64


_SHARED = {"family": "stamp_ae", "view": "stamp"}

ENTRIES = [
    Entry(
        name="stamp_ae",
        summary="Convolutional autoencoder of stamps",
        config=StampAeConfig,
        model="zoo.models.stamp_ae.model:StampAe",
        task="reconstruct_stamps",
        paper="Encoder and decoder after Astorga et al. 2018 (IJCNN), as in public code",
        importer="zoo.models.stamp_ae.reference:import_weights",
        **_SHARED,
    ),
    Entry(
        name="stamp_ae_classifier",
        summary="Autoencoder of stamps with average pooling, and a classifier on its code",
        config=StampAeClassifierConfig,
        model="zoo.models.stamp_ae.pooled:StampAeClassifier",
        task="reconstruct_classify",
        paper="Public code of a course project on ZTF alerts",
        importer="zoo.models.stamp_ae.reference:import_pooled",
        **_SHARED,
    ),
    Entry(
        name="linear_probe",
        summary="One linear layer on the code of a trained autoencoder of stamps",
        config=LinearProbeConfig,
        model="zoo.models.stamp_ae.model:LinearProbe",
        task="classify",
        paper="Alain & Bengio 2016, arXiv:1610.01644",
        **_SHARED,
    ),
]

GOLDEN = {
    "stamps": [
        "zoo.models.stamp_ae.parity:check_autoencoder",
        "zoo.models.stamp_ae.parity:check_pooled",
    ]
}
