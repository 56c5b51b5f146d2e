"""Hierarchical LSTM: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from zoo.models.oracle.config import RecurrentConfig
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class HierarchicalLstmConfig(RecurrentConfig):
    """Hyperparameters of the hierarchical LSTM; the defaults are those of its public code.

    Attributes
    ----------
    units : int
        Width of every LSTM layer.
    layers : int
        Number of LSTM layers.
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
        Static columns that are all -9 enter as zeros.
    hidden : int
        Width of the layer on light curve and table together.
    relu_first : bool
        ReLU on the light curve's state and the static columns before that layer, as in the public code; it makes
        every negative value 0, a missing one among them.
    """

    units: int = 64
    layers: int = 4
    time_scale: float = 1.0
    flux_transform: Literal["linear", "asinh"] = "asinh"
    flux_scale: float = 1.0
    band: Literal["wavelength", "one_hot"] = "one_hot"
    sentinels: list[float] = dataclasses.field(default_factory=lambda: [-9.0, -999.0, -9999.0, 999.0])
    drop_empty_static: bool = False
    hidden: int = 128
    relu_first: bool = True


ENTRIES = [
    Entry(
        name="hierarchical_lstm",
        family="hierarchical_lstm",
        summary="Four LSTM layers on the light curve between its detections, a table beside them",
        config=HierarchicalLstmConfig,
        model="zoo.models.hierarchical_lstm.model:HierarchicalLstm",
        task="classify",
        view="packed",
        paper="ELAsTiCC-Classification (public code), with the loss of Villar et al. 2023, arXiv:2312.02266",
        importer="zoo.models.hierarchical_lstm.reference:import_weights",
    )
]

GOLDEN = {"hierarchical": ["zoo.models.hierarchical_lstm.parity:check_model"]}
