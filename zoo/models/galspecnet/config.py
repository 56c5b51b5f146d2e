"""GalSpecNet: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses

from tfrecords.errors import UsageError
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class GalSpecNetConfig:
    """Hyperparameters of the network on spectra; the defaults are those of AstroM3 (arXiv:2411.08842).

    Attributes
    ----------
    channels : list of int
        Filters of every convolution.
    kernel : int
        Grid points that a convolution sees at once.
    pool : int
        Grid points that become one after every convolution but the last.
    dropout : float
        Rate on the flattened features.
    use_err : bool
        The third column of a spectrum, scaled as the flux, as a channel.
    use_scale : bool
        The logarithm of the scale of the flux as a channel, constant over the grid.
    """

    channels: list[int] = dataclasses.field(default_factory=lambda: [64, 64, 32, 32])
    kernel: int = 3
    pool: int = 4
    dropout: float = 0.2
    use_err: bool = True
    use_scale: bool = True

    def __post_init__(self):
        if not self.channels or min(self.channels) < 1:
            raise UsageError(f"channels must name at least one number of filters. Received: {self.channels}")
        for key in ("kernel", "pool"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1. Received: {getattr(self, key)}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must lie in [0, 1). Received: {self.dropout}")

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("spectrum",)

    def points(self, size: int) -> int:
        """Give how many points a grid of a size has behind the last convolution.

        Raises
        ------
        UsageError
            If none is left.
        """
        left = size
        for place in range(len(self.channels)):
            left = (left // self.pool if place else left) - self.kernel + 1
            if left < 1:
                raise UsageError(
                    f"the grid of the spectra is too short for {len(self.channels)} convolutions of {self.kernel} "
                    f"points with pools of {self.pool} between them: fewer channels, or a finer grid. "
                    f"Received: {size} grid points"
                )
        return left


ENTRIES = [
    Entry(
        name="galspecnet",
        family="galspecnet",
        summary="Convolutions on spectra",
        config=GalSpecNetConfig,
        model="zoo.models.galspecnet.model:GalSpecNet",
        task="classify",
        view="photometry",
        paper="Wu et al. 2024 (GalSpecNet), as in AstroM3, Rizhko & Bloom 2025, arXiv:2411.08842",
        importer="zoo.models.galspecnet.reference:import_weights",
    )
]

GOLDEN = {"astrom3": ["zoo.models.galspecnet.parity:check_model"]}
