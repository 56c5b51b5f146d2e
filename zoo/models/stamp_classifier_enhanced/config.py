"""The enhanced stamp classifier: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses

from zoo.models.stamp_classifier.config import StampClassifierConfig
from zoo.models.stamp_config import check_turns
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class EnhancedStampClassifierConfig(StampClassifierConfig):
    """Hyperparameters of the enhanced stamp classifier; the defaults are the published ones (Neira et al. 2024).

    Attributes
    ----------
    crop : int
        Height and width of the middle of a turned stamp that the convolutions read, pixels.
    channels : list of str, optional
        Channels of a stamp that are read, in order; all when absent.
    normalize : {"per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"}
        Scale of the pixels: see the stamp classifier.
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
    turns : int
        Copies of a stamp at evenly spaced angles.
    theta : float
        In training every angle is off by a random number of radians up to this.
    window : int
        Height and width of the middle of a stamp that is scaled and turned, before ``crop``.
    """

    crop: int = 33
    turns: int = 6
    theta: float = 0.08
    window: int = 45

    def __post_init__(self):
        super().__post_init__()
        check_turns(self)

    @property
    def cut(self) -> int:
        """Pixels of a side that are cut out of a stamp and scaled."""
        return self.window


ENTRIES = [
    Entry(
        name="stamp_classifier_enhanced",
        family="stamp_classifier_enhanced",
        summary="The stamp classifier over more rotations with random jitter of a wider stamp",
        config=EnhancedStampClassifierConfig,
        model="zoo.models.stamp_classifier_enhanced.model:EnhancedStampClassifier",
        task="classify",
        view="stamp",
        paper="Neira et al. 2024",
    )
]
