"""RAPID: what can be set, and its entries in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class RapidConfig:
    """Hyperparameters that all networks of RAPID share; the defaults are the published ones (arXiv:1904.00014).

    Attributes
    ----------
    units : int
        Width: units of a recurrent layer, filters of a convolution.
    dropout : float
        Dropout rate.
    metadata : bool
        Whether the static columns, as a rule the redshift alone, enter as channels that repeat over the steps.
    flux_transform : {"none", "asinh"}
        Compression of the flux; the published networks take raw flux.
    flux_scale : float
        Flux unit of the asinh.
    """

    units: int = 100
    dropout: float = 0.2
    metadata: bool = True
    flux_transform: Literal["none", "asinh"] = "none"
    flux_scale: float = 10.0

    def __post_init__(self):
        if self.units < 1:
            raise UsageError(f"units must be at least 1. Received: {self.units}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must lie in [0, 1). Received: {self.dropout}")
        if not self.flux_scale > 0:
            raise UsageError(f"flux_scale must be positive. Received: {self.flux_scale}")

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("light_curve", "static") if self.metadata else ("light_curve",)


@dataclasses.dataclass(frozen=True)
class RapidLstmConfig(RapidConfig):
    """Hyperparameters of the LSTM network.

    Attributes
    ----------
    units : int
        Units of a recurrent layer.
    dropout : float
        Dropout rate after each layer.
    metadata : bool
        Whether the static columns, as a rule the redshift alone, enter as channels that repeat over the steps.
    flux_transform : {"none", "asinh"}
        Compression of the flux; the published networks take raw flux.
    flux_scale : float
        Flux unit of the asinh.
    layers : int
        Recurrent layers.
    batch_norm : bool
        Whether to normalise after each layer, over the valid steps of a batch.
    gate : {"sigmoid", "hard_sigmoid"}
        Activation of the gates; the published networks have the second, clip(0.2 x + 0.5, 0, 1). cuDNN, on a GPU,
        knows the first alone.
    zero_masking : bool
        Leave the state as it is at steps all of whose channels are 0, as the released LSTM does.
    """

    layers: int = 2
    dropout: float = 0.0
    batch_norm: bool = False
    gate: Literal["sigmoid", "hard_sigmoid"] = "hard_sigmoid"
    zero_masking: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.layers < 1:
            raise UsageError(f"layers must be at least 1. Received: {self.layers}")


@dataclasses.dataclass(frozen=True)
class RapidGruConfig(RapidLstmConfig):
    """Hyperparameters of the GRU network.

    Attributes
    ----------
    units : int
        Units of a recurrent layer.
    dropout : float
        Dropout rate after each layer.
    metadata : bool
        Whether the static columns, as a rule the redshift alone, enter as channels that repeat over the steps.
    flux_transform : {"none", "asinh"}
        Compression of the flux; the published networks take raw flux.
    flux_scale : float
        Flux unit of the asinh.
    layers : int
        Recurrent layers.
    batch_norm : bool
        Whether to normalise after each layer, over the valid steps of a batch.
    gate : {"sigmoid", "hard_sigmoid"}
        Activation of the gates; the published networks have the second, clip(0.2 x + 0.5, 0, 1). cuDNN, on a GPU,
        knows the first alone.
    zero_masking : bool
        Leave the state as it is at steps all of whose channels are 0, as the released LSTM does.
    reset_after : bool
        Apply the reset gate after the matrix product, as cuDNN does; the published networks do before.
    """

    dropout: float = 0.2
    batch_norm: bool = True
    reset_after: bool = False


@dataclasses.dataclass(frozen=True)
class RapidTcnConfig(RapidConfig):
    """Hyperparameters of the temporal convolutional network.

    Attributes
    ----------
    units : int
        Filters of a convolution.
    dropout : float
        Rate by which whole channels of an object are dropped, after each convolution.
    metadata : bool
        Whether the static columns, as a rule the redshift alone, enter as channels that repeat over the steps.
    flux_transform : {"none", "asinh"}
        Compression of the flux; the published networks take raw flux.
    flux_scale : float
        Flux unit of the asinh.
    kernel_size : int
        Steps that a convolution sees.
    dilations : list of int
        Distance of those steps, one for each block of two convolutions.
    activation : {"sigmoid", "relu", "tanh"}
        Activation after every convolution.
    """

    dropout: float = 0.0
    kernel_size: int = 2
    dilations: list[int] = dataclasses.field(default_factory=lambda: [1, 2, 4, 8])
    activation: Literal["sigmoid", "relu", "tanh"] = "sigmoid"

    def __post_init__(self):
        super().__post_init__()
        if self.kernel_size < 1:
            raise UsageError(f"kernel_size must be at least 1. Received: {self.kernel_size}")
        if not self.dilations or any(rate < 1 for rate in self.dilations):
            raise UsageError(f"dilations must be whole numbers of at least 1. Received: {self.dilations}")


def _entry(kind: str, summary: str, config: type) -> Entry:
    return Entry(
        name=f"rapid_{kind}",
        family="rapid",
        summary=summary,
        config=config,
        model=f"zoo.models.rapid.model:Rapid{kind.title()}",
        task="per_step",
        view="grid",
        paper="Muthukrishna et al. 2019, PASP 131, 118002, arXiv:1904.00014",
        importer="zoo.models.rapid.reference:import_weights",
    )


ENTRIES = [
    _entry("gru", "Early classification: class probabilities at every step, by two GRU layers", RapidGruConfig),
    _entry("lstm", "Early classification: class probabilities at every step, by two LSTM layers", RapidLstmConfig),
    _entry("tcn", "Early classification: class probabilities at every step, by causal convolutions", RapidTcnConfig),
]

GOLDEN = {"rapid": ["zoo.models.rapid.parity:check_model"]}
