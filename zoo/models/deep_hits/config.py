"""Deep-HiTS: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses

from zoo.models.stamp_config import StampConfig
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class DeepHitsConfig(StampConfig):
    """Hyperparameters of Deep-HiTS; the defaults are the published ones (arXiv:1701.00458).

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
    filters : int
        Of the first two convolutions; the other three have twice as many.
    width : int
        Of the two dense layers.
    dropout : float
        Rate behind each of them.
    slope : float
        Of the leaky ReLU below 0.
    """

    channels: list[str] = dataclasses.field(default_factory=lambda: ["template", "science", "difference", "snr"])
    filters: int = 32
    width: int = 64
    dropout: float = 0.5
    slope: float = 0.01


ENTRIES = [
    Entry(
        name="deep_hits",
        family="deep_hits",
        summary="Convolutions on four turns of a stamp, joined by concatenation",
        config=DeepHitsConfig,
        model="zoo.models.deep_hits.model:DeepHits",
        task="classify",
        view="stamp",
        paper="Cabrera-Vives et al. 2017, ApJ 836, 97, arXiv:1701.00458",
        importer="zoo.models.deep_hits.reference:import_weights",
    )
]

GOLDEN = {"stamps": ["zoo.models.deep_hits.parity:check_model"]}
