"""ATAT: transformers for light curves and tables (arXiv:2405.03078)."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.preprocess import FluxScale, QuantileNormalizer
from zoo.layers.redshift import RestFrame, distance_modulus
from zoo.layers.tabular import FeatureTokenizer, NormHead, TableEncoder
from zoo.layers.time_modulation import BandTokens, SinusoidEncoding, TimeModulation
from zoo.layers.transformer import TransformerEncoder
from zoo.models.atat.config import AtatConfig
from zoo.models.network import Network
from zoo.registry import ModelInfo

SENTINEL = -9999.0


@keras.saving.register_keras_serializable(package="zoo")
class Atat(Network):
    """Light-curve transformer, tabular transformer and their fusion.

    Only the modules that the objective trains are built. Inputs are those of the view
    ``packed_by_band`` with the parts `AtatConfig.parts`; the output is a dict of logits
    (batch, class), one a head, in the order of `heads`.

    Parameters
    ----------
    config : AtatConfig
        Hyperparameters.
    info : ModelInfo
        Classes, bands and columns of the data.
    """

    def __init__(self, config: AtatConfig, info: ModelInfo, **kwargs):
        # Keras would cast times and tables to bfloat16 on the way in; each layer casts what it may.
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        self.heads = config.heads()
        self.primary = self.heads[-1]
        self.width = config.num_heads * config.head_dim
        policy = self.dtype_policy
        shared = {"initializer": config.initializer, "dtype": policy}
        head = {"classes": len(info.outputs), **shared}
        if config.uses("light_curve"):
            self.flux_scale = FluxScale(config.flux_transform, config.flux_scale, name="flux_scale")
            self.tokens = BandTokens(self._time_encoding(), self._channels(), name="tokens", **shared)
            self.encoder = TransformerEncoder(
                config.layers,
                config.num_heads,
                config.head_dim,
                dropout=config.dropout,
                name="encoder",
                **shared,
            )
        if config.uses("static") or config.uses("features"):
            self._build_columns()
            if config.tabular == "transformer":
                self.tokenizer = FeatureTokenizer(self._tab_width(), dtype=policy, name="tokenizer")
            if config.tabular == "mlp":
                self.table_encoder = TableEncoder(
                    config.mlp_width,
                    config.mlp_layers,
                    config.mlp_input_dropout,
                    config.mlp_dropout,
                    name="table_encoder",
                    **shared,
                )
            if config.tabular == "transformer" and not config.combine_tokens:
                self.tab_encoder = TransformerEncoder(
                    config.layers,
                    config.tab_num_heads,
                    config.tab_head_dim,
                    dropout=config.dropout,
                    name="tab_encoder",
                    **shared,
                )
        if "lc" in self.heads:
            self.lc_head = NormHead(name="lc_head", **head)
        if "tab" in self.heads:
            self.tab_head = NormHead(name="tab_head", **head)
        if "mix" in self.heads:
            self.mix_head = NormHead(hidden=2, dropout=config.head_dropout, name="mix_head", **head)

    def _tab_width(self):
        config = self.config
        return self.width if config.combine_tokens else config.tab_num_heads * config.tab_head_dim

    def _channels(self):
        return 1 + self.config.use_flux_err + self.config.relative_flux + self.config.absolute_flux

    def redshift_column(self):
        """Give the place of the redshift among the static columns."""
        names = self.info.static
        if self.config.redshift not in names:
            raise UsageError(
                "rest_frame and absolute_flux need the static column with the redshift. "
                f"Valid for --redshift: {', '.join(names) or 'none'}. Received: {self.config.redshift!r}"
            )
        return names.index(self.config.redshift)

    def _redshift(self, inputs):
        """Give the redshift (batch,), float32, not positive where there is none."""
        values = ops.cast(inputs["static"], "float32")[:, self.redshift_column()]
        return ops.where(ops.isfinite(values), values, 0.0)

    def _rest_frame(self, sets):
        found = []
        for key in ("rest_fluxes", "rest_times"):
            wanted = getattr(self.config, key)
            names = self.info.features
            found.append([place for place, name in enumerate(names) if name.partition("_")[2] in wanted])
            if not found[-1]:
                raise UsageError(
                    f"{key}: no computed feature has one of these names behind its band. "
                    f"Valid: names such as {', '.join(names[:3]) or 'none'}. Received: {wanted}"
                )
        return RestFrame(*found, self.config.quantiles, sets, name="rest_frame")

    def _time_encoding(self):
        config, policy = self.config, self.dtype_policy
        settings = {"bands": len(self.info.bands), "width": self.width, "dtype": policy}
        if config.time_encoding == "modulation":
            return TimeModulation(
                harmonics=config.harmonics,
                max_period=config.max_period,
                initial_std=config.modulation_std,
                name="modulation",
                **settings,
            )
        return SinusoidEncoding(
            max_period=config.max_period,
            band_embedding=config.band_embedding,
            name="sinusoid",
            **settings,
        )

    def _build_columns(self):
        config, info = self.config, self.info
        fill = SENTINEL if config.missing == "sentinel" else None
        days = len(info.feature_days) if config.quantile_days == "per_day" else 1
        self.columns = {}
        if config.quantile and config.uses("static"):
            self.columns["static"] = self.static_quantiles = QuantileNormalizer(
                len(info.static), config.quantiles, fill=fill, name="static_quantiles"
            )
        if config.quantile and config.uses("features"):
            self.columns["features"] = self.feature_quantiles = QuantileNormalizer(
                len(info.features), config.quantiles, max(days, 1), fill, name="feature_quantiles"
            )
        if config.rest_frame:
            self.rest_frame = self._rest_frame(max(days, 1))

    def table(self, inputs):
        """Give the tabular input (batch, column) after the quantile transform: static, then features.

        With ``missing="indicator"`` one more column a column says whether it is missing (1) or not (0).
        """
        columns, missing = [], []
        for part in ("static", "features"):
            if not self.config.uses(part):
                continue
            values = ops.cast(inputs[part], "float32")
            finite = ops.isfinite(values)
            missing.append(ops.cast(ops.logical_not(finite), "float32"))
            layer = self.columns.get(part)
            if layer is None:
                fill = SENTINEL if self.config.missing == "sentinel" else 0.0
                values = ops.where(finite, values, fill)
            elif part == "features" and self.config.quantile_days == "per_day":
                values = layer(values, inputs["feature_set"])
            else:
                values = layer(values)
            columns.append(values)
        if self.config.rest_frame:
            index = inputs["feature_set"] if self.config.quantile_days == "per_day" else None
            columns.append(self.rest_frame(ops.cast(inputs["features"], "float32"), self._redshift(inputs), index))
        if self.config.missing == "indicator":
            columns += missing
        return ops.concatenate(columns, axis=-1)

    def light_curve_tokens(self, inputs):
        """Give the packed tokens (batch, time, width) of the light curve."""
        flux, flux_err = self.flux_scale(inputs["grid_flux"], inputs["grid_flux_err"])
        channels = [flux, flux_err] if self.config.use_flux_err else [flux]
        if self.config.relative_flux:
            # Over the valid rows alone: whatever stands in unused slots of the grid never counts.
            raw = inputs["grid_flux"]
            rows = ops.reshape(raw, (ops.shape(raw)[0], -1))
            rows = ops.abs(ops.take_along_axis(rows, inputs["pack_index"], axis=1))
            largest = ops.max(ops.where(inputs["mask"], rows, 0.0), axis=1)[:, None, None]
            channels.append(raw / ops.where(largest > 0, largest, 1.0))
        if self.config.absolute_flux:
            modulus = distance_modulus(self._redshift(inputs))
            # The luminosity distance in Gpc, squared; a modulus of 40 is 1 Gpc.
            factor = ops.where(ops.isfinite(modulus), 10.0 ** (0.4 * (modulus - 40.0)), 0.0)
            channels.append(self.flux_scale(inputs["grid_flux"] * factor[:, None, None], inputs["grid_flux_err"])[0])
        return self.tokens(ops.stack(channels, axis=-1), inputs["grid_time"], inputs["pack_index"])

    def embed_light_curve(self, inputs, table=None, training=None):
        """Give the embedding (batch, width) of the light curve, with the table's tokens if combined."""
        tokens, mask = self.light_curve_tokens(inputs), inputs["mask"]
        if table is not None:
            extra = self.tokenizer(table)
            tokens = ops.concatenate([ops.cast(extra, tokens.dtype), tokens], axis=1)
            mask = ops.concatenate([ops.ones(ops.shape(extra)[:2], dtype="bool"), mask], axis=1)
        if self.config.pooling == "average":
            tokens = self.encoder(tokens, mask, first_only=False, training=training)[:, 1:]
            weight = ops.cast(mask, tokens.dtype)[..., None]
            # A light curve without observations has the embedding 0.
            return ops.sum(tokens * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1.0)
        if table is not None and self.config.combine_read == "first":
            return self.encoder(tokens, mask, first_only=False, training=training)[:, 1]
        return self.encoder(tokens, mask, training=training)

    def embed_table(self, table, training=None):
        """Give the embedding of the table: (batch, tabular width), or the columns themselves."""
        if self.config.tabular == "raw":
            return ops.cast(table, self.compute_dtype)
        if self.config.tabular == "mlp":
            return self.table_encoder(table, training=training)
        return self.tab_encoder(self.tokenizer(table), training=training)

    def embeddings(self, inputs, training=None):
        """Give the embeddings (batch, width) that the heads read, by name: ``lc``, ``tab`` or both."""
        config = self.config
        table = None
        if config.uses("static") or config.uses("features"):
            table = self.table(inputs)
        if config.combine_tokens:
            return {"lc": self.embed_light_curve(inputs, table, training=training)}
        found = {}
        if config.uses("light_curve"):
            found["lc"] = self.embed_light_curve(inputs, training=training)
        if table is not None:
            found["tab"] = self.embed_table(table, training=training)
        return found

    def represent(self, inputs):
        """Give the embeddings before the heads, light curve first, (batch, dimension), float32."""
        found = self.embeddings(inputs, training=False).values()
        return ops.concatenate([ops.cast(values, "float32") for values in found], axis=-1)

    def call(self, inputs, training=None):
        found = self.embeddings(inputs, training)
        if "mix" in self.heads:
            found["mix"] = ops.concatenate([found["tab"], found["lc"]], axis=-1)
        heads = {name: getattr(self, f"{name}_head") for name in self.heads}
        return {name: self._logits(head, found[name], training) for name, head in heads.items()}

    @staticmethod
    def _logits(head, embedding, training):
        return ops.cast(head(embedding, training=training), "float32")

    def fitted(self):
        """Give the layers that are fitted on the training split, by the part that they read."""
        layers = dict(getattr(self, "columns", {}))
        return layers | ({"rest_frame": self.rest_frame} if self.config.rest_frame else {})

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        names = ("tokens", "encoder", "tokenizer", "tab_encoder", "table_encoder", "lc_head", "tab_head", "mix_head")
        parts = {name: getattr(self, name) for name in names if hasattr(self, name)}
        if "tokens" in parts:
            parts["modulation"] = self.tokens.encoding
        return parts

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, bands or columns, by `ModelInfo` field."""
        heads = [getattr(self, f"{name}_head").output_layer.path for name in self.heads]
        bands = [self.tokens.encoding.path] if hasattr(self, "tokens") else []
        columns = [self.tokenizer.path] if hasattr(self, "tokenizer") else []
        if self.config.tabular == "mlp":
            columns += [self.table_encoder.path]
        if self.config.tabular == "raw":
            columns += [getattr(self, f"{name}_head").path for name in self.heads if name != "lc"]
        return {"classes": heads, "bands": bands, "static": columns, "features": columns}
