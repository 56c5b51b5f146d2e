"""t2: a transformer encoder on interpolated light curves (arXiv:2105.06178)."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.dropout import Dropout
from zoo.layers.preprocess import RobustScaler
from zoo.models.network import Network
from zoo.models.t2.config import T2Config
from zoo.models.t2.layers import T2Block, interleaved, positions
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class T2(Network):
    """Embedding of every step, sinusoidal positions, post-norm blocks, average over the steps, logits.

    Inputs are ``features`` (batch, step · band), float32: the derived group of a regular grid, step after step
    and in each the bands of the band table, NaN where there is no grid; and ``static`` with the redshift columns.
    The output is a dict with the logits (batch, class) of the head ``lc``.

    Parameters
    ----------
    config : T2Config
        Hyperparameters.
    info : ModelInfo
        Classes, bands and columns of the data.

    Raises
    ------
    UsageError
        If the group's columns are no such grid, or a redshift column is missing.
    """

    heads = ("lc",)
    primary = "lc"

    def __init__(self, config: T2Config, info: ModelInfo, **kwargs):
        # Keras would cast the grid to bfloat16 before it is scaled.
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        self.steps = _steps(info)
        self.redshift_places = [] if config.redshift == "none" else _places(config.redshift_columns, info.static)
        policy = self.dtype_policy
        if config.scaling == "robust":
            self.scaler = RobustScaler(self.steps, len(info.bands), name="scaler")
        self.length = self.steps + (len(self.redshift_places) if config.redshift == "L" else 0)
        self.positions = positions(self.length, config.d_model)
        # A convolution of kernel 1 is a product of the channels of each step alone.
        self.embedding = keras.layers.Dense(config.d_model, activation="relu", dtype=policy, name="embedding")
        self.blocks = [
            T2Block(
                config.num_heads,
                config.d_model // config.num_heads,
                config.dff,
                config.dropout,
                dtype=policy,
                name=f"block_{index}",
            )
            for index in range(config.layers)
        ]
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")
        self.lc_head = keras.layers.Dense(len(info.outputs), dtype=policy, name="lc_head")

    def grid(self, inputs):
        """Give the grid as it came, (batch, step, band), float32 flux, NaN where there is none."""
        return ops.reshape(ops.cast(inputs["features"], "float32"), (-1, self.steps, len(self.info.bands)))

    def sequence(self, inputs):
        """Give what the network reads, (batch, length, channel), float32: scaled grid and redshift."""
        bands = len(self.info.bands)
        values = ops.cast(inputs["features"], "float32")
        if self.config.scaling == "robust":
            values = self.scaler(values)
        values = ops.where(ops.isfinite(values), values, 0.0)
        values = ops.reshape(values, (-1, self.steps, bands))
        if self.config.redshift == "none":
            return values
        static = ops.cast(inputs["static"], "float32")
        columns = ops.stack([static[:, place] for place in self.redshift_places], axis=-1)
        columns = ops.where(ops.isfinite(columns), columns, 0.0)
        if self.config.redshift == "L":
            return ops.concatenate([values, interleaved(columns, bands)], axis=1)
        return ops.concatenate([values, ops.repeat(columns[:, None], self.steps, axis=1)], axis=2)

    def embed(self, sequence):
        """Give the tokens (batch, length, d_model) before the blocks, positions included."""
        tokens = self.embedding(sequence)
        return tokens + ops.cast(self.positions, tokens.dtype)

    def tokens(self, inputs, training=None):
        """Give the tokens (batch, length, d_model) behind the blocks; in mode L the redshift's are the last."""
        tokens = self.embed(self.sequence(inputs))
        for block in self.blocks:
            tokens = block(tokens, training=training)
        return tokens

    def represent(self, inputs):
        """Give the mean of the tokens behind the blocks, (batch, d_model), float32."""
        return ops.cast(ops.mean(self.tokens(inputs, training=False), axis=1), "float32")

    def call(self, inputs, training=None):
        pooled = ops.mean(self.tokens(inputs, training=training), axis=1)
        logits = self.lc_head(self.dropout(pooled, training=training))
        return {"lc": ops.cast(logits, "float32")}

    def class_activation(self, inputs):
        """Give the class-activation map: how much every step speaks for every class.

        A_tc = Σ_d x_td W_dc with the tokens x behind the blocks and the head's kernel W (Zhou et al. 2016,
        arXiv:1512.04150). The mean over the steps plus the head's bias is the logit.

        Returns
        -------
        tensor (batch, length, class), float32
        """
        tokens = ops.cast(self.tokens(inputs, training=False), "float32")
        return ops.matmul(tokens, ops.cast(self.lc_head.kernel, "float32"))

    def fitted(self):
        """Give the layers that are fitted on the training split, by the part that they read."""
        return {"features": self.scaler} if self.config.scaling == "robust" else {}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        parts = {"embedding": self.embedding, "lc_head": self.lc_head}
        return parts | {block.name: block for block in self.blocks}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, bands or columns, by `ModelInfo` field."""
        # The redshift columns are found by their names, and all steps share the embedding.
        return {"classes": [self.lc_head.path], "bands": [self.embedding.path], "static": [], "features": []}


def _steps(info: ModelInfo) -> int:
    """Give the number of steps of the grid that the derived group's columns are."""
    bands = len(info.bands) or 1
    steps, rest = divmod(len(info.features), bands)
    ordered = all(name.endswith(f"_{info.bands[place % bands]}") for place, name in enumerate(info.features))
    if not steps or rest or not ordered:
        raise UsageError(
            "t2 takes a derived group with one column a step and band, step after step, names ending in _<band>, as "
            "python -m data_tools.gp_grid DIR makes it (--feature-group gp_grid). "
            f"Valid: a multiple of {bands} columns for the bands {', '.join(info.bands)}. "
            f"Received: {len(info.features)} columns, {', '.join(info.features[:3])} ..."
        )
    return steps


def _places(columns, static) -> list[int]:
    for name in columns:
        if name not in static:
            raise UsageError(
                "redshift_columns: the static columns lack this one; set --redshift-columns, or --redshift none. "
                f"Valid: {', '.join(static) or 'none'}. Received: {name!r}"
            )
    return [static.index(name) for name in columns]
