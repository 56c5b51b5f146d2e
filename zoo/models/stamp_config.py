"""What the configurations of networks on stamps have in common, and how they are checked."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from tfrecords.errors import UsageError


def three_channels() -> list[str]:
    """Give the channels of an alert in the order of ALeRCE's classifier."""
    return ["science", "template", "difference"]


@dataclasses.dataclass(frozen=True)
class StampConfig:
    """Hyperparameters that all networks on stamps share.

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
    """

    channels: list[str] = dataclasses.field(default_factory=three_channels)
    crop: int = 21
    normalize: Literal["per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"] = "per_image"
    nan_to: float = 0.0

    def __post_init__(self):
        if self.channels is not None and (not self.channels or len(set(self.channels)) != len(self.channels)):
            raise UsageError(f"channels must be named, each once. Received: {self.channels}")
        if not math.isfinite(self.nan_to):
            raise UsageError(f"nan_to must be a finite number. Received: {self.nan_to}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and value < 1:
                raise UsageError(f"{field.name} must be at least 1. Received: {value}")
        rate = getattr(self, "dropout", 0.0)
        if not 0 <= rate < 1:
            raise UsageError(f"dropout must lie in [0, 1). Received: {rate}")
        share = getattr(self, "reconstruction_share", 0.0)
        if not 0 <= share <= 1:
            raise UsageError(f"reconstruction_share must lie in [0, 1]. Received: {share}")
        if not getattr(self, "kld_alpha", 0.0) >= 0:
            raise UsageError(f"kld_alpha must be >= 0. Received: {self.kld_alpha}")
        if not 0 < getattr(self, "kld_rho", 0.5) < 1:
            raise UsageError(f"kld_rho must lie in (0, 1). Received: {self.kld_rho}")

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("stamps",)

    @property
    def reads(self) -> tuple[str, ...]:
        """What of an alert is read: ``images``, ``columns`` or both."""
        return ("images",)

    @property
    def cut(self) -> int:
        """Pixels of a side that are cut out of a stamp and scaled."""
        return self.crop


def check_turns(config) -> None:
    """Refuse what cannot be turned by any angle: ``theta``, and ``window`` as it is to ``crop``."""
    if not 0 <= config.theta < math.inf:
        raise UsageError(f"theta must be >= 0 radians. Received: {config.theta}")
    if config.window < config.crop or (config.window - config.crop) % 2:
        raise UsageError(
            "window must be crop or an even number of pixels more, so that the middle stays the middle. "
            f"Received: window {config.window}, crop {config.crop}"
        )
