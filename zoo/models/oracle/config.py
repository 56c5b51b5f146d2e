"""ORACLE: what can be set, and its entries in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.registry import Entry

MEAN_WAVELENGTHS = {"u": 0.360, "g": 0.476, "r": 0.6215, "i": 0.7545, "z": 0.870, "y": 1.015, "Y": 1.015}
"""Mean wavelengths in micron by the name of the band, as published."""


@dataclasses.dataclass(frozen=True)
class RecurrentConfig:
    """What recurrent classifiers of light curves with static columns have in common; see the subclasses."""

    units: int = 100
    layers: int = 2
    time_scale: float = 100.0
    flux_transform: Literal["linear", "asinh"] = "linear"
    flux_scale: float = 1000.0
    band: Literal["wavelength", "one_hot"] = "wavelength"
    wavelengths: dict[str, float] = dataclasses.field(default_factory=dict)
    static: bool = True
    sentinels: list[float] = dataclasses.field(default_factory=lambda: [-9.0, -99.0, -999.0, -9999.0, 999.0])
    missing: Literal["sentinel", "indicator"] = "sentinel"
    static_scale: Literal["none", "quantile"] = "none"
    quantiles: int = 1000
    drop_empty_static: bool = True

    def __post_init__(self):
        sizes = [field.name for field in dataclasses.fields(self) if field.type in (int, "int")]
        for key in sizes:
            if getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1. Received: {getattr(self, key)}")
        for key in ("time_scale", "flux_scale"):
            if not getattr(self, key) > 0:
                raise UsageError(f"{key} must be positive. Received: {getattr(self, key)}")
        if self.quantiles < 2:
            raise UsageError(f"quantiles must be at least 2. Received: {self.quantiles}")
        if self.static_scale == "none" and self.missing == "indicator":
            raise UsageError(
                "missing indicator goes with static_scale quantile, where a missing value is 0 and not -9. "
                "Received: static_scale none"
            )

    def for_rows(self, rows: int) -> RecurrentConfig:
        """Adapt to the number of training rows: there are no more quantiles than rows."""
        return dataclasses.replace(self, quantiles=max(2, min(self.quantiles, rows)))

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("light_curve", "static") if self.static else ("light_curve",)


@dataclasses.dataclass(frozen=True)
class OracleConfig(RecurrentConfig):
    """Hyperparameters of ORACLE; the defaults are the published ones (arXiv:2501.01496).

    Attributes
    ----------
    units : int
        Width of every GRU layer.
    layers : int
        Number of GRU layers.
    time_scale : float
        Days that count as 1.
    flux_transform : {"linear", "asinh"}
        Flux and its error divided by ``flux_scale``, or the inverse hyperbolic sine of both.
    flux_scale : float
        Flux that counts as 1.
    band : {"wavelength", "one_hot"}
        A band is its mean wavelength in micron, or one column a band.
    wavelengths : dict of str to float
        Mean wavelengths in micron of bands other than u, g, r, i, z, y (Y), or in their place.
    static : bool
        Whether static columns enter.
    sentinels : list of float
        Values of static columns that mean missing; NaN always does.
    missing : {"sentinel", "indicator"}
        A missing value is -9 (0 under static_scale quantile); ``indicator`` adds a column a column that says so.
    static_scale : {"none", "quantile"}
        Static columns as they are, or mapped through their training quantiles to a standard normal.
    quantiles : int
        Stored quantiles of a column; at most the number of training rows.
    drop_empty_static : bool
        Static columns that are all -9 enter as zeros, as in the published network.
    dense : int
        Width of the layer on the light curve's state, and of the first layer on light curve and table together.
    static_units : int
        Width of the layer on the static columns.
    latent : int
        Width of the last layer before the logits.
    """

    dense: int = 100
    static_units: int = 10
    latent: int = 64


@dataclasses.dataclass(frozen=True)
class OracleLiteConfig(OracleConfig):
    __doc__ = OracleConfig.__doc__

    static: bool = False


_SHARED = {
    "family": "oracle",
    "model": "zoo.models.oracle.model:Oracle",
    "task": "classify",
    "view": "packed",
    "paper": "Shah et al. 2025, ApJ 995, 4, arXiv:2501.01496",
    "importer": "zoo.models.oracle.reference:import_weights",
}

ENTRIES = [
    Entry(
        name="oracle_gru",
        summary="Two GRU layers on the light curve, a table beside them",
        config=OracleConfig,
        **_SHARED,
    ),
    Entry(
        name="oracle_gru_lite",
        summary="Two GRU layers on the light curve alone",
        config=OracleLiteConfig,
        **_SHARED,
    ),
]

GOLDEN = {
    "hierarchical": [
        "zoo.models.oracle.parity:check_model",
        "zoo.training.packed_preparation:check_preparation",
    ]
}
