"""ALeRCE's stamp classifier: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses

from zoo.models.stamp_config import StampConfig
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class StampClassifierConfig(StampConfig):
    """Hyperparameters of the rotation-invariant stamp classifier; the defaults are the published ones.

    Attributes
    ----------
    crop : int
        Height and width of the middle of a stamp that is read, pixels.
    channels : list of str, optional
        Channels of a stamp that are read, in order; all when absent.
    normalize : {"per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"}
        Scale of the pixels of the cut: x − min over its maximum for every image and channel, the same over all
        channels together, 2x − 1 of the first, x over the root of the sum of squares; x − median of the whole image;
        or none.
    nan_to : float
        Value of unknown pixels, and of a constant image, after scaling.
    features : bool
        Whether the columns of an alert that ``alert_columns`` names enter.
    standardize : bool
        Whether these are standardised with mean and deviation of the training split after clipping.
    kernel : int
        Size of the convolutions after the first.
    filters : int
        Width of the first two convolutions, half that of the later ones.
    units : int
        Width of every dense layer.
    dropout : float
        Rate after every dense layer.
    """

    channels: list[str] | None = None
    features: bool = True
    standardize: bool = True
    kernel: int = 5
    filters: int = 32
    units: int = 64
    dropout: float = 0.5

    @property
    def reads(self) -> tuple[str, ...]:
        """What of an alert is read: ``images``, ``columns`` or both."""
        return ("images", "columns") if self.features else ("images",)


ENTRIES = [
    Entry(
        name="stamp_classifier",
        family="stamp_classifier",
        summary="Convolutions over four rotations of a stamp, columns of the alert beside them",
        config=StampClassifierConfig,
        model="zoo.models.stamp_classifier.model:StampClassifier",
        task="classify",
        view="stamp",
        paper="Carrasco-Davis et al. 2021, AJ 162, 231, arXiv:2008.03309",
        importer="zoo.models.stamp_classifier.reference:import_weights",
    )
]

GOLDEN = {
    family: ["zoo.models.stamp_classifier.parity:check_model", "zoo.models.stamp_classifier.parity:check_preparation"]
    for family in ("stamps", "stamp_classifier")
}
