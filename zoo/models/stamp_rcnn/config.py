"""Recurrent convolutional network on image sequences: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from tfrecords.errors import UsageError
from zoo.models.stamp_config import StampConfig
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class StampRcnnConfig(StampConfig):
    """Hyperparameters of the network; sizes are the published ones (arXiv:1807.03869).

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
    window : int
        Consecutive frames that are seen together at a step.
    times : bool
        Whether the days since the object's first frame enter beside every frame of a window.
    zero_point : str
        Column of an alert with the photometric zero point of its images, magnitudes, by which their fluxes are
        brought to that of ``reference_zero_point``; as they are if empty.
    reference_zero_point : float
        Magnitudes.
    filters : int
        Of every convolution.
    dense : int
        Width of the layer behind the convolutions.
    dropout : float
        Rate behind it.
    units : int
        Of the LSTM.
    r_max : float
        Limit of the batch renormalisation's factor.
    d_max : float
        Limit of its shift.
    ramp : int
        Steps over which the limits grow from 1 and 0.
    """

    channels: list[str] = dataclasses.field(default_factory=lambda: ["science"])
    normalize: Literal["per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"] = "sky"
    window: int = 3
    times: bool = True
    zero_point: str = ""
    reference_zero_point: float = 26.0
    filters: int = 64
    dense: int = 1024
    dropout: float = 0.5
    units: int = 512
    r_max: float = 3.0
    d_max: float = 5.0
    ramp: int = 10000

    def __post_init__(self):
        super().__post_init__()
        if not self.r_max >= 1 or not self.d_max >= 0:
            raise UsageError(f"r_max must be >= 1 and d_max >= 0. Received: {self.r_max}, {self.d_max}")
        if not math.isfinite(self.reference_zero_point):
            raise UsageError(f"reference_zero_point must be finite. Received: {self.reference_zero_point}")
        if self.zero_point and self.normalize not in ("sky", "none"):
            raise UsageError(
                f"zero_point scales fluxes, which normalize would undo. Valid: sky, none. Received: {self.normalize}"
            )

    @property
    def reads(self) -> tuple[str, ...]:
        """What of an alert is read: ``images``, ``columns`` or both."""
        return ("images", "columns") if self.zero_point else ("images",)


ENTRIES = [
    Entry(
        name="stamp_rcnn",
        family="stamp_rcnn",
        summary="Convolutions and an LSTM on image sequences: classes after every frame",
        config=StampRcnnConfig,
        model="zoo.models.stamp_rcnn.model:StampRcnn",
        task="per_frame",
        view="stamp_sequence",
        paper="Carrasco-Davis et al. 2019, PASP 131, 108006, arXiv:1807.03869",
    )
]
