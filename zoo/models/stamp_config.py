"""What the configurations of networks on stamps have in common, and how they are checked."""

from __future__ import annotations

import dataclasses
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
    normalize : {"per_image", "sky", "none"}
        Scale every image and channel to [0, 1] after the cut, or subtract the median of the whole image, or leave it.
    """

    channels: list[str] = dataclasses.field(default_factory=three_channels)
    crop: int = 21
    normalize: Literal["per_image", "sky", "none"] = "per_image"

    def __post_init__(self):
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise UsageError(f"channels must be named, each once. Received: {self.channels}")
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
