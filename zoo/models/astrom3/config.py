"""AstroM3: what can be set, and its entries in the registry."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tfrecords.errors import UsageError
from zoo.models.galspecnet.config import GalSpecNetConfig
from zoo.models.informer.config import InformerConfig
from zoo.models.metamodel.config import MetaModelConfig
from zoo.registry import Entry


@dataclasses.dataclass(frozen=True)
class TrimodalConfig:
    """Hyperparameters of the networks on photometry, spectra and metadata; the defaults are the published sizes.

    The options ``photo_...``, ``spectra_...`` and ``meta_...`` are those of the models `informer`, `galspecnet` and
    `metamodel`, whose runs can be loaded into these parts (--init-from photo=RUN).

    Attributes
    ----------
    hidden_dim : int
        Width of the embeddings that the three have in common.
    modality_dropout : float
        Probability in training that a modality of an object is hidden; one that it has always stays.
    photo_length, photo_d_model, photo_num_heads, photo_dff, photo_layers, photo_factor : int
        As length, d_model, num_heads, dff, layers and factor of `informer`.
    photo_activation : {"gelu", "relu"}
        As activation of `informer`.
    photo_dropout, photo_embedding_dropout : float
        As dropout and embedding_dropout of `informer`.
    photo_head_merge : {"standard", "mixed"}
        As head_merge of `informer`.
    photo_key_sampling : {"random", "fixed", "all"}
        As key_sampling of `informer`.
    photo_positions : {"rows", "time"}
    photo_pooling : {"rows", "mean"}
        As positions and pooling of `informer`.
    photo_mask_attention, photo_use_scale : bool
        As mask_attention and use_scale of `informer`.
    photo_cols : list of str
    photo_transform : bool
        As photo_cols and photo_transform of `informer`.
    spectra_channels : list of int
        As channels of `galspecnet`.
    spectra_kernel, spectra_pool : int
        As kernel and pool of `galspecnet`.
    spectra_dropout : float
        As dropout of `galspecnet`.
    spectra_use_err, spectra_use_scale : bool
        As use_err and use_scale of `galspecnet`.
    meta_hidden_dim : int
        As hidden_dim of `metamodel`.
    meta_dropout : float
        As dropout of `metamodel`.
    meta_columns : list of str, optional
        As columns of `metamodel`; when absent, all static columns but ``photo_cols``.
    meta_transform : bool
        As transform of `metamodel`.
    meta_scaling : {"standard", "none"}
        As scaling of `metamodel`.
    """

    hidden_dim: int = 512
    modality_dropout: float = 0.0
    photo_length: int = 200
    photo_d_model: int = 128
    photo_num_heads: int = 4
    photo_dff: int = 512
    photo_layers: int = 8
    photo_factor: int = 1
    photo_activation: Literal["gelu", "relu"] = "gelu"
    photo_dropout: float = 0.2
    photo_embedding_dropout: float = 0.1
    photo_head_merge: Literal["standard", "mixed"] = "standard"
    photo_key_sampling: Literal["random", "fixed", "all"] = "all"
    photo_positions: Literal["rows", "time"] = "rows"
    photo_pooling: Literal["rows", "mean"] = "rows"
    photo_mask_attention: bool = True
    photo_use_scale: bool = True
    photo_cols: list[str] = dataclasses.field(default_factory=list)
    photo_transform: bool = True
    spectra_channels: list[int] = dataclasses.field(default_factory=lambda: [64, 64, 32, 32])
    spectra_kernel: int = 3
    spectra_pool: int = 4
    spectra_dropout: float = 0.2
    spectra_use_err: bool = True
    spectra_use_scale: bool = True
    meta_hidden_dim: int = 512
    meta_dropout: float = 0.2
    meta_columns: list[str] | None = None
    meta_transform: bool = True
    meta_scaling: Literal["standard", "none"] = "standard"

    def __post_init__(self):
        if self.hidden_dim < 1:
            raise UsageError(f"hidden_dim must be at least 1. Received: {self.hidden_dim}")
        if not 0 <= self.modality_dropout < 1:
            raise UsageError(f"modality_dropout must lie in [0, 1). Received: {self.modality_dropout}")
        for part, kind in PARTS.items():
            try:
                self.part(part)
            except UsageError as error:
                raise UsageError(f"the options {part}_... are those of {kind.__name__}: {error}") from None

    def part(self, name: str, info=None):
        """Give the configuration of a part: ``photo``, ``spectra`` or ``meta``.

        Parameters
        ----------
        name : str
        info : ModelInfo, optional
            The static columns, from which those of the metadata are taken where they are not named.
        """
        values = {key: getattr(self, option) for key, option in options(name).items()}
        if name == "meta" and values["columns"] is None and info is not None:
            values["columns"] = [column for column in info.static if column not in self.photo_cols]
            if not values["columns"]:
                raise UsageError(
                    "no static column is left for the metadata: name some more in --static-columns. "
                    f"Received: {', '.join(info.static) or 'none'}, all of them photo_cols"
                )
        return PARTS[name](**values)

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("light_curve", "static", "spectrum")


PARTS = {"photo": InformerConfig, "spectra": GalSpecNetConfig, "meta": MetaModelConfig}
"""Configurations of the parts, by their names."""


def options(part: str) -> dict[str, str]:
    """Give the options of a part, by their names in its own configuration."""
    names = [field.name for field in dataclasses.fields(PARTS[part])]
    return {name: name if name.startswith(f"{part}_") else f"{part}_{name}" for name in names}


@dataclasses.dataclass(frozen=True)
class AstroM3Config(TrimodalConfig):
    """Hyperparameters of the classifier; those of `TrimodalConfig` and:

    Attributes
    ----------
    fusion : {"avg", "concat"}
        Mean of the embeddings that an object has; or all side by side, with a learned vector for one that is missing.
    """

    fusion: Literal["avg", "concat"] = "avg"


@dataclasses.dataclass(frozen=True)
class AstroM3ClipConfig(TrimodalConfig):
    """Hyperparameters of contrastive training; those of `TrimodalConfig` and:

    Attributes
    ----------
    init_scale : float
        What cosines are multiplied with at first, of each pair its own learned number between 1 and 100.
    scale_compat : bool
        The published clamp: of the exponential, whose gradient is 0 beyond. Published is an init_scale of 100, which
        then only weight decay can move. False keeps the weight itself within the bounds.
    """

    init_scale: float = 1.0 / 0.07
    scale_compat: bool = False

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.init_scale <= 100:
            raise UsageError(f"init_scale must lie in [1, 100]. Received: {self.init_scale}")


_COMMON = {"family": "astrom3", "view": "photometry", "paper": "Rizhko & Bloom 2025, arXiv:2411.08842",
           "importer": "zoo.models.astrom3.reference:import_weights"}  # fmt: skip

ENTRIES = [
    Entry(
        name="astrom3",
        summary="Classes from photometry, spectrum and metadata together",
        config=AstroM3Config,
        model="zoo.models.astrom3.model:AstroM3",
        task="classify",
        **_COMMON,
    ),
    Entry(
        name="astrom3_clip",
        summary="Photometry, spectra and metadata in one space, by contrast",
        config=AstroM3ClipConfig,
        model="zoo.models.astrom3.model:AstroM3Clip",
        task="contrast",
        **_COMMON,
    ),
]

GOLDEN = {"astrom3": ["zoo.models.astrom3.parity:check_model", "zoo.losses.clip_parity:check_loss"]}
