"""ALeRCE's stamp classifier: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from tfrecords.errors import UsageError
from zoo.registry import Entry

CHECKED_SIZES = ("crop", "kernel", "units", "filters", "turns", "window", "frames", "layers", "taps", "quantiles",
                 "conv_kernel", "conv_filters", "core_units")  # fmt: skip


def check_stamps(config) -> None:
    """Refuse values of hyperparameters that stamp classifiers have in common, by name where a model has them."""
    for key in CHECKED_SIZES:
        if hasattr(config, key) and getattr(config, key) < 1:
            raise UsageError(f"{key} must be at least 1. Received: {getattr(config, key)}")
    if not 0 <= config.dropout < 1:
        raise UsageError(f"dropout must lie in [0, 1). Received: {config.dropout}")
    if not math.isfinite(config.nan_to):
        raise UsageError(f"nan_to must be a finite number. Received: {config.nan_to}")
    if config.channels is not None and (not config.channels or len(set(config.channels)) != len(config.channels)):
        raise UsageError(f"channels must be different names, one at least. Received: {config.channels}")
    if hasattr(config, "theta") and not 0 <= config.theta < math.inf:
        raise UsageError(f"theta must be >= 0 radians. Received: {config.theta}")
    if hasattr(config, "window") and (config.window < config.crop or (config.window - config.crop) % 2):
        raise UsageError(
            "window must be crop or an even number of pixels more, so that the middle stays the middle. "
            f"Received: window {config.window}, crop {config.crop}"
        )


@dataclasses.dataclass(frozen=True)
class StampClassifierConfig:
    """Hyperparameters of the rotation-invariant stamp classifier; the defaults are the published ones.

    Attributes
    ----------
    crop : int
        Height and width of the middle of a stamp that is read, pixels.
    channels : list of str, optional
        Channels of a stamp that are read, in order; all when absent.
    normalize : {"per_image", "per_sample", "per_image_-1_1", "l2", "none"}
        Scale of the pixels of the cut: x − min over its maximum for every image and channel, the same over all
        channels together, 2x − 1 of the first, x over the root of the sum of squares, or none.
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

    crop: int = 21
    channels: list[str] | None = None
    normalize: Literal["per_image", "per_sample", "per_image_-1_1", "l2", "none"] = "per_image"
    nan_to: float = 0.0
    features: bool = True
    standardize: bool = True
    kernel: int = 5
    filters: int = 32
    units: int = 64
    dropout: float = 0.5

    def __post_init__(self):
        check_stamps(self)

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("stamps",)


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
