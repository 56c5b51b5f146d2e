"""AlexNet: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.models.stamp_config import StampConfig
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class AlexnetConfig(StampConfig):
    """Hyperparameters of AlexNet; the defaults are a smaller one for stamps.

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
    convolutions : list of int
        Filters of the five convolutions.
    first_size : int
        Side of the first one's kernel.
    first_stride : int
        Its stride.
    groups : int
        Parts into which the channels are split at the second, fourth and fifth convolution, 2 in the original.
    norm : {"lrn", "batch", "none"}
        Local response normalisation after the first two convolutions, batch normalisation in its place, or neither.
    dense : int
        Width of the two dense layers.
    dropout : float
        Rate before each of them.
    l2 : float
        Weight decay: half of it times the sum of the squared kernels is added to the loss.
    """

    crop: int = 63
    convolutions: list[int] = dataclasses.field(default_factory=lambda: [64, 192, 384, 256, 256])
    first_size: int = 5
    first_stride: int = 2
    groups: int = 1
    norm: Literal["lrn", "batch", "none"] = "lrn"
    dense: int = 512
    dropout: float = 0.5
    l2: float = 5e-4

    def __post_init__(self):
        super().__post_init__()
        if len(self.convolutions) != 5 or any(count < 1 or count % self.groups for count in self.convolutions):
            raise UsageError(
                f"convolutions must be five numbers that groups ({self.groups}) divides. Received: {self.convolutions}"
            )
        if not self.l2 >= 0:
            raise UsageError(f"l2 must be >= 0. Received: {self.l2}")
        if self.sides()[-1] < 1:
            raise UsageError(f"crop must leave a pixel behind three pools: sides {self.sides()}. Received: {self.crop}")

    def sides(self) -> list[int]:
        """Give the sides of the images behind the first convolution and the three pools."""
        found = [(self.crop - self.first_size) // self.first_stride + 1]
        for _ in range(3):
            found.append((found[-1] - 3) // 2 + 1)
        return found


ENTRIES = [
    Entry(
        name="alexnet",
        family="alexnet",
        summary="Five convolutions with overlapping pools and three dense layers",
        config=AlexnetConfig,
        model="zoo.models.alexnet.model:Alexnet",
        task="classify",
        view="stamp",
        paper="Krizhevsky et al. 2012, NeurIPS 25",
    )
]
