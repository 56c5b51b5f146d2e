"""Variational deep embedding: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from zoo.models.stamp_config import StampConfig
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class VadeConfig(StampConfig):
    """Hyperparameters of the variational autoencoder with a mixture as its prior; the defaults are the published ones.

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
    components : int
        Gaussians of the mixture, the clusters.
    filters : int
        Of every convolution.
    variance_head : bool
        Whether the variance of the pixels, one an image, is learned from the code or is 1.
    width : int
        Of the hidden layer of the variance's head.
    objective : {"vade", "vae"}
        Prior of the codes: the mixture, or a standard normal for the training that comes before.
    fit_prior : bool
        Whether training begins with a mixture fitted to the codes of training objects.
    full_density : bool
        Whether the responsibilities have the Gaussians' normalisers; the paper's formula has not.
    draws : int
        Codes that are drawn an image outside training; in training it is one.
    kld_alpha : float
        Weight of the sparsity penalty under the loss KLD_RMSE.
    kld_rho : float
        Its target: the mean absolute weight that costs nothing.
    kld_mode : {"layer", "unit", "elementwise", "seed"}
        What is compared with the target, see ``zoo.losses.sparsity``.
    """

    channels: list[str] = dataclasses.field(default_factory=lambda: ["snr"])
    normalize: Literal["per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"] = "none"
    latent: int = 21
    components: int = 10
    filters: int = 64
    variance_head: bool = True
    width: int = 36
    objective: Literal["vade", "vae"] = "vade"
    fit_prior: bool = False
    full_density: bool = True
    draws: int = 10
    kld_alpha: float = 0.3
    kld_rho: float = 1e-5
    kld_mode: Literal["layer", "unit", "elementwise", "seed"] = "layer"


ENTRIES = [
    Entry(
        name="vade",
        family="vade",
        summary="Variational autoencoder of stamps whose codes form clusters",
        config=VadeConfig,
        model="zoo.models.vade.model:Vade",
        task="reconstruct_stamps",
        view="stamp",
        paper="Astorga et al. 2018, IJCNN; Jiang et al. 2017, arXiv:1611.05148",
        importer="zoo.models.vade.reference:import_weights",
    )
]

GOLDEN = {"stamps": ["zoo.models.vade.parity:check_model"]}
