"""AstroM3: photometry, spectra and metadata of variable stars in one space (Rizhko & Bloom 2025, arXiv:2411.08842)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.initializers import dense
from zoo.layers.modalities import Fusion, ModalityDropout, PairScales, mean_of_present, unit
from zoo.losses.clip import MODALITIES, PAIRS, name_of
from zoo.models.astrom3.config import AstroM3ClipConfig, AstroM3Config, TrimodalConfig
from zoo.models.galspecnet.encoder import GalSpecNetEncoder
from zoo.models.informer.encoder import InformerEncoder
from zoo.models.metamodel.encoder import MetaEncoder
from zoo.models.network import Network
from zoo.registry import ModelInfo

ENCODERS = {"photo": InformerEncoder, "spectra": GalSpecNetEncoder, "meta": MetaEncoder}


class Trimodal(Network):
    """Base: an encoder and a projection for each modality, embeddings of length 1.

    Inputs are those of the view ``photometry`` with the parts ``spectrum`` and ``static``. An object may lack any of
    the three: its light curve where no row is valid, its spectrum where no grid point is, its metadata where all
    columns are NaN. What stands in their place then changes nothing.

    Parameters
    ----------
    config : TrimodalConfig
    info : ModelInfo
        Classes, static columns, and size of the spectra's grid.
    """

    def __init__(self, config: TrimodalConfig, info: ModelInfo, **kwargs):
        # Keras would cast what comes in to bfloat16; each layer casts what it may.
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        policy = self.dtype_policy
        self.photo, self.spectra, self.meta = (
            kind(config.part(name, info), info, dtype=policy, name=name) for name, kind in ENCODERS.items()
        )
        self.photo_projection, self.spectra_projection, self.meta_projection = (
            dense(config.hidden_dim, getattr(self, name).width, "fan_in", f"{name}_projection", policy)
            for name in MODALITIES
        )
        self.modality_dropout = ModalityDropout(config.modality_dropout, name="modality_dropout")

    def present(self, inputs) -> dict:
        """Give which objects have a modality, (batch,) bool, by its name."""
        return {
            "photo": ops.any(inputs["mask"], axis=1),
            "spectra": self.spectra.present(inputs),
            "meta": self.meta.present(inputs),
        }

    def project(self, name: str, features):
        """Give the embedding (batch, hidden_dim), float32 and of length 1, of the features of a modality."""
        return unit(getattr(self, f"{name}_projection")(features))

    def shown(self, inputs, training=None):
        """Give embeddings (batch, modality, hidden_dim), 0 where missing, and which are shown, (batch, modality).

        In training modalities are hidden at random, see `ModalityDropout`.
        """
        there = self.present(inputs)
        present = self.modality_dropout(ops.stack([there[name] for name in MODALITIES], axis=1), training=training)
        found = [self.project(name, getattr(self, name)(inputs, training=training)) for name in MODALITIES]
        return ops.where(present[:, :, None], ops.stack(found, axis=1), 0.0), present

    def embeddings(self, inputs) -> dict:
        """Give the embeddings by modality, (batch, hidden_dim), float32, 0 where an object lacks one."""
        found, _ = self.shown(inputs, training=False)
        return {name: found[:, place] for place, name in enumerate(MODALITIES)}

    def represent(self, inputs):
        """Give the mean of the embeddings of the modalities that are there, (batch, hidden_dim), float32."""
        return mean_of_present(*self.shown(inputs, training=False))

    def fitted(self):
        """Give the layers that are fitted on the training split, by the part that they read."""
        found = {"static": self.meta.columns} if self.config.meta_scaling == "standard" else {}
        return found | ({"static_photo": self.photo.columns} if self.config.photo_cols else {})

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        parts = {name: getattr(self, name) for name in MODALITIES}
        return parts | {f"{name}_projection": getattr(self, f"{name}_projection") for name in MODALITIES}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes or columns, by `ModelInfo` field."""
        return {"static": [self.meta.hidden[0].path]}

    def tied_names(self, aspect):
        """Give the names that the rows of `tied_to` stand for: of static columns those of the metadata."""
        return self.meta.column_names if aspect == "static" else super().tied_names(aspect)


@keras.saving.register_keras_serializable(package="zoo")
class AstroM3(Trimodal):
    """Classes from all modalities: fusion of the embeddings, linear layer; the output is ``logits`` (batch, class)."""

    heads = ("logits",)
    primary = "logits"

    def __init__(self, config: AstroM3Config, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        self.fusion = Fusion(config.fusion, name="fusion")
        width = config.hidden_dim * (len(MODALITIES) if config.fusion == "concat" else 1)
        self.head = dense(len(info.outputs), width, "fan_in", "head", "float32")

    def call(self, inputs, training=None):
        return {"logits": self.head(self.fusion(*self.shown(inputs, training=training)))}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        fusion = {"fusion": self.fusion} if self.config.fusion == "concat" else {}
        return super().parts_of_model() | fusion | {"head": self.head}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes or columns, by `ModelInfo` field."""
        return super().tied_to() | {"classes": [self.head.path]}


@keras.saving.register_keras_serializable(package="zoo")
class AstroM3Clip(Trimodal):
    """Embeddings for the task contrast.

    The output is a dict with ``photo``, ``spectra`` and ``meta`` (batch, hidden_dim), float32, and ``has_photo``,
    ``has_spectra`` and ``has_meta`` (batch,), bool.
    """

    heads, primary = MODALITIES, "photo"

    def __init__(self, config: AstroM3ClipConfig, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        names = [name_of(pair) for pair in PAIRS]
        self.pair_scales = PairScales(names, config.init_scale, config.scale_compat, name="scales")

    def build(self, input_shape=None):
        if not self.pair_scales.built:
            self.pair_scales.build()
            self.pair_scales.built = True

    def scales(self) -> dict:
        """Give what the cosines of a pair are multiplied with, by its name."""
        return self.pair_scales.values()

    def call(self, inputs, training=None):
        found, present = self.shown(inputs, training=training)
        return {name: found[:, place] for place, name in enumerate(MODALITIES)} | {
            f"has_{name}": present[:, place] for place, name in enumerate(MODALITIES)
        }

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return super().parts_of_model() | {"scales": self.pair_scales}
