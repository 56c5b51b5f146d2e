"""ATAT: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.registry import Entry

REST_FLUXES = ("peak_flux", "maximum", "snr_flux", "weighted_mean", "standard_deviation", "amplitude", "mean")
REST_TIMES = ("snr_time_spread", "snr_time", "peak_time", "detected_duration", "rise_time", "decline_time")


@dataclasses.dataclass(frozen=True)
class AtatConfig:
    """Hyperparameters of ATAT; the defaults are the published ones (arXiv:2405.03078).

    Attributes
    ----------
    objective : {"lc", "tab", "all", "mix"}
        Heads that are trained: light curve, table, all three with their fusion, or the fusion alone.
    metadata : bool
        Whether static columns enter the tabular branch.
    features : bool
        Whether computed features enter the tabular branch.
    num_heads : int
        Heads of the light-curve transformer.
    head_dim : int
        Width of one of its heads.
    layers : int
        Blocks of either transformer.
    tab_num_heads : int
        Heads of the tabular transformer.
    tab_head_dim : int
        Width of one of its heads.
    time_encoding : {"modulation", "sinusoid"}
        Learned Fourier modulation a band, or the fixed sinusoid of the ablation.
    harmonics : int
        Harmonics of the modulation.
    modulation_std : float
        Standard deviation of the modulation's initial weights; 1 as published, which gives tokens of
        √harmonics and blocks that matter little at first.
    max_period : float
        Longest period in days, of either encoding.
    band_embedding : bool
        With the sinusoid: add a learned vector a band (the published ablation has no band information).
    use_flux_err : bool
        Whether the embedding sees the flux error beside the flux.
    flux_transform : {"none", "asinh"}
        Compression of flux and flux error; the published model takes raw flux.
    flux_scale : float
        Flux unit of the asinh.
    relative_flux : bool
        Whether the embedding also sees the flux divided by the object's largest absolute flux.
    quantile : bool
        Whether tabular columns pass the quantile transform ("QFT"), or enter raw ("FT").
    quantiles : int
        Stored quantiles of a column; at most the number of training rows.
    quantile_days : {"per_day", "last"}
        One table an evaluation day of the features, or that of the last day for all (as published).
    missing : {"sentinel", "median", "indicator"}
        A missing value is −9999 (as published), the median, or the median beside an indicator column.
    rest_frame : bool
        Whether the tabular branch also sees computed features in the frame of the source: fluxes as from a standard
        distance and times without the stretch by 1 + z, and the distance modulus. Needs metadata and features.
    redshift : str
        Static column with the redshift, 0 for objects of the Galaxy.
    rest_fluxes, rest_times : list of str
        Computed features that are fluxes and times, by their names without the band.
    absolute_flux : bool
        Whether the embedding of the light curve also sees the flux times the squared luminosity distance in Gpc;
        0 without a positive redshift. Needs metadata.
    tabular : {"transformer", "mlp", "raw"}
        Tabular transformer, a perceptron on all columns, or the columns themselves as the embedding.
    mlp_width, mlp_layers : int
        Width and number of the perceptron's layers.
    mlp_dropout, mlp_input_dropout : float
        Dropout after each of its layers, and on its columns.
    combine_tokens : bool
        Put tabular tokens into the light-curve sequence instead of a branch of their own.
    combine_read : {"class_token", "first"}
        With combined tokens: read the class token, or the first tabular token as the reference does.
    pooling : {"token", "average"}
        Light-curve embedding: class token, or mean over the valid tokens without it.
    dropout : float
        Rate in the transformers.
    head_dropout : float
        Rate in the fusion head.
    initializer : {"normal", "orthogonal", "xavier"}
        Dense kernels; normal is N(0, 0.02).
    """

    objective: Literal["lc", "tab", "all", "mix"] = "all"
    metadata: bool = True
    features: bool = False
    num_heads: int = 4
    head_dim: int = 48
    layers: int = 3
    tab_num_heads: int = 4
    tab_head_dim: int = 32
    time_encoding: Literal["modulation", "sinusoid"] = "modulation"
    harmonics: int = 64
    modulation_std: float = 1.0
    max_period: float = 1500.0
    band_embedding: bool = False
    use_flux_err: bool = False
    flux_transform: Literal["none", "asinh"] = "none"
    flux_scale: float = 10.0
    relative_flux: bool = False
    quantile: bool = True
    quantiles: int = 1000
    quantile_days: Literal["per_day", "last"] = "per_day"
    missing: Literal["sentinel", "median", "indicator"] = "sentinel"
    rest_frame: bool = False
    redshift: str = "hostgal_photoz"
    rest_fluxes: list[str] = dataclasses.field(default_factory=lambda: list(REST_FLUXES))
    rest_times: list[str] = dataclasses.field(default_factory=lambda: list(REST_TIMES))
    absolute_flux: bool = False
    tabular: Literal["transformer", "mlp", "raw"] = "transformer"
    mlp_width: int = 256
    mlp_layers: int = 2
    mlp_dropout: float = 0.5
    mlp_input_dropout: float = 0.2
    combine_tokens: bool = False
    combine_read: Literal["class_token", "first"] = "class_token"
    pooling: Literal["token", "average"] = "token"
    dropout: float = 0.0
    head_dropout: float = 0.0
    initializer: Literal["normal", "orthogonal", "xavier"] = "normal"

    def __post_init__(self):
        for key in ("num_heads", "head_dim", "layers", "tab_num_heads", "tab_head_dim", "harmonics",
                    "mlp_width", "mlp_layers"):  # fmt: skip
            if getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1. Received: {getattr(self, key)}")
        for key in ("max_period", "flux_scale", "modulation_std"):
            if not getattr(self, key) > 0:
                raise UsageError(f"{key} must be positive. Received: {getattr(self, key)}")
        for key in ("dropout", "head_dropout", "mlp_dropout", "mlp_input_dropout"):
            if not 0 <= getattr(self, key) < 1:
                raise UsageError(f"{key} must lie in [0, 1). Received: {getattr(self, key)}")
        if self.quantiles < 2:
            raise UsageError(f"quantiles must be at least 2. Received: {self.quantiles}")
        if self.objective != "lc" and not (self.metadata or self.features):
            raise UsageError(
                f"objective {self.objective!r} needs a tabular input: set metadata or features to true, "
                "or objective to lc. Received: metadata false, features false"
            )
        if self.combine_tokens and not (self.metadata or self.features):
            raise UsageError(
                "combine_tokens needs a tabular input: set metadata or features to true. "
                "Received: metadata false, features false"
            )
        if self.combine_tokens and self.objective == "tab":
            raise UsageError(
                "combine_tokens puts the table into the light-curve sequence: objective must be lc, all or "
                "mix. Received: tab"
            )
        if self.combine_tokens and self.tabular != "transformer":
            raise UsageError(f"combine_tokens needs tokens: tabular must be transformer. Received: {self.tabular}")
        if self.rest_frame and not (self.uses("static") and self.uses("features")):
            raise UsageError(
                "rest_frame needs the redshift and the computed features: set metadata and features to true and "
                f"objective to tab, all or mix. Received: metadata {self.metadata}, features {self.features}, "
                f"objective {self.objective}"
            )
        if self.absolute_flux and not self.uses("static"):
            raise UsageError(
                "absolute_flux needs the redshift: set metadata to true and objective to all or mix. "
                f"Received: metadata {self.metadata}, objective {self.objective}"
            )
        if self.band_embedding and self.time_encoding != "sinusoid":
            raise UsageError(
                "band_embedding goes with time_encoding sinusoid; the modulation knows the band. "
                f"Received: {self.time_encoding}"
            )

    def for_rows(self, rows: int) -> AtatConfig:
        """Adapt to the number of training rows: there are no more quantiles than rows."""
        return dataclasses.replace(self, quantiles=max(2, min(self.quantiles, rows)))

    def uses(self, part: str) -> bool:
        """Whether an input part is read: ``light_curve``, ``static`` or ``features``."""
        if part == "light_curve":
            return self.objective != "tab"
        if self.objective == "lc" and not self.combine_tokens:
            return False
        return self.metadata if part == "static" else self.features

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return tuple(part for part in ("light_curve", "static", "features") if self.uses(part))

    def heads(self) -> tuple[str, ...]:
        """Give the heads that are trained; the last one is the model's answer."""
        if self.combine_tokens:
            return ("lc",)
        return ("lc", "tab", "mix") if self.objective == "all" else (self.objective,)


ENTRIES = [
    Entry(
        name="atat",
        family="atat",
        summary="Transformers for light curves and tables with time modulation and quantile tokens",
        config=AtatConfig,
        model="zoo.models.atat.model:Atat",
        task="classify",
        view="packed_by_band",
        paper="Cabrera-Vives et al. 2024, A&A 689, A289, arXiv:2405.03078",
        importer="zoo.models.atat.reference:import_weights",
    )
]

GOLDEN = {
    "atat": [
        "zoo.inputs.atat_preparation:check_preparation",
        "zoo.models.atat.parity:check_model",
    ]
}
