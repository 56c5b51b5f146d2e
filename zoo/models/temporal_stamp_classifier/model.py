"""The temporal stamp classifier (Neira et al. 2024): stamps of a few alerts in a row."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.alert_columns import AlertColumns
from zoo.layers.batch_norm import MaskedBatchNorm
from zoo.layers.dropout import Dropout
from zoo.layers.recurrent import RecurrentEncoder
from zoo.layers.sequence_cores import ConvolutionCore, DelayCore, GammaCore, front, last
from zoo.layers.stamp_trunk import StampTrunk
from zoo.layers.stamp_turns import CyclicPool, RandomTurns
from zoo.layers.static_columns import StaticColumns
from zoo.models.stamp_network import StampNetwork
from zoo.models.temporal_stamp_classifier.config import DYNAMIC, TemporalStampClassifierConfig
from zoo.registry import ModelInfo


@keras.saving.register_keras_serializable(package="zoo")
class TemporalStampClassifier(StampNetwork):
    """The stamp classifier's trunk on every alert, days since the alert before, a core over time, static columns.

    Inputs are those of the view ``stamp_sequence`` with the parts of the configuration; the output is a dict with
    ``logits`` (batch, output), float32. Columns that are not dynamic are those of the last alert. All widths follow
    from the lists of columns: the paper's table contradicts its lists.

    Parameters
    ----------
    config : TemporalStampClassifierConfig
        Hyperparameters.
    info : ModelInfo
        Classes, channels and columns of the data.
    """

    heads = ("logits",)
    primary = "logits"

    def __init__(self, config: TemporalStampClassifierConfig, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        if config.images:
            self.turn = RandomTurns(config.turns, config.theta, config.crop, dtype="float32", name="turn")
            self.encoder = StampTrunk(
                config.kernel, config.filters, units=config.units, dropout=config.dropout, dtype=self.dtype_policy,
                name="encoder",
            )  # fmt: skip
            self.pool = CyclicPool(config.turns, dtype="float32", name="pool")
        names = info.alert_columns if config.features else ()
        dynamic = self._dynamic(names)
        self.dynamic = [names.index(name) for name in dynamic]
        self.fixed = [place for place, name in enumerate(names) if name not in dynamic]
        if names:
            self.columns = AlertColumns(names, name="columns")
        if self.dynamic:
            self.dynamic_norm = MaskedBatchNorm(dtype="float32", name="dynamic_norm")
        if config.static:
            self.table = StaticColumns(len(info.static), (), config.quantiles, True, name="table")
        if self.fixed or config.static:
            self.static_norm = MaskedBatchNorm(dtype="float32", name="static_norm")
        self.core = self._core()
        self.merge = keras.layers.Dense(config.units, "relu", dtype="float32", name="merge")
        self.latent = keras.layers.Dense(config.units, "relu", dtype="float32", name="latent")
        self.dropout = Dropout(config.dropout, dtype="float32", name="dropout")
        self.output_layer = keras.layers.Dense(len(info.outputs), dtype="float32", name="logits")

    def _dynamic(self, names) -> list[str]:
        if self.config.dynamic is None:
            return [name for name in DYNAMIC if name in names]
        for name in self.config.dynamic:
            if name not in names:
                raise UsageError(
                    "dynamic: the model takes no such column of an alert; alert_columns names those it takes. "
                    f"Valid: {', '.join(names) or 'none'}. Received: {name!r}"
                )
        return list(self.config.dynamic)

    def _core(self):
        config, options = self.config, {"dtype": self.dtype_policy, "name": "core"}
        if config.core == "conv":
            return ConvolutionCore(config.frames, config.core_units, config.conv_kernel, **options)
        if config.core == "tdnn":
            return DelayCore(config.frames, config.core_units, **options)
        if config.core == "gamma":
            return GammaCore(config.frames, config.core_units, config.taps, **options)
        return RecurrentEncoder(config.core, config.core_units, config.layers, **options)

    def embed(self, stamps, training=None):
        """Give a vector (batch, frame, units) of every stamp (batch, frame, height, width, channel)."""
        turned = self.turn(self.preprocess(stamps)[0], training=training)
        hidden = self.encoder(ops.reshape(turned, (-1, *turned.shape[2:])), training=training)
        hidden = self.pool(ops.cast(hidden, "float32"))
        shape = ops.shape(stamps)
        return ops.reshape(hidden, (shape[0], shape[1], self.config.units))

    def represent(self, inputs):
        """Give what the logits are made of, (batch, units), float32."""
        return ops.cast(self._latent(inputs, training=False), "float32")

    def call(self, inputs, training=None):
        return {"logits": self.output_layer(self._latent(inputs, training))}

    def _latent(self, inputs, training):
        """Give what the logits are made of, (batch, units)."""
        mask = inputs["mask"]
        parts = [inputs["time"][..., None] / self.config.time_scale]
        if self.dynamic or self.fixed:
            parts.append(self.columns(inputs["alerts"]))
        if self.config.images:
            parts.append(self.embed(inputs["stamps"], training))
        rows, count = front(ops.concatenate(parts, axis=-1), mask)
        # Only now, with valid frames in front, is the one before a frame the alert before.
        valid = ops.arange(ops.shape(mask)[1], dtype="int32")[None, :] < count[:, None]
        limit = ops.minimum(count, self.config.frames)
        valid = ops.logical_and(valid, ops.cumsum(ops.cast(valid, "int32"), axis=1) <= self.config.frames)
        time, width = rows[..., 0], len(self.dynamic) + len(self.fixed)
        since = time - ops.concatenate([time[:, :1], time[:, :-1]], axis=1)
        columns, hidden = rows[..., 1 : 1 + width], rows[..., 1 + width :]
        sequence = [hidden, ops.where(valid, since, 0.0)[..., None]]
        if self.dynamic:
            dynamic = ops.take(columns, ops.convert_to_tensor(self.dynamic, "int32"), axis=-1)
            sequence.append(self.dynamic_norm(dynamic, valid, training=training))
        sequence = ops.where(valid[..., None], ops.concatenate(sequence, axis=-1), 0.0)
        state = [ops.cast(self.core(sequence, valid), "float32")]
        static = self._static(columns, limit, inputs)
        if static is not None:
            there = ops.ones((ops.shape(static)[0], 1), "bool")
            state.append(self.static_norm(static[:, None, :], there, training=training)[:, 0])
        hidden = self.dropout(self.merge(ops.concatenate(state, axis=-1)), training=training)
        return self.latent(hidden)

    def _static(self, columns, count, inputs):
        """Give the columns (batch, column) that are read once; None without any."""
        parts = []
        if self.fixed:
            fixed = ops.take(columns, ops.convert_to_tensor(self.fixed, "int32"), axis=-1)
            parts.append(last(fixed, count))
        if self.config.static:
            parts.append(self.table(ops.cast(inputs["static"], "float32")))
        return ops.concatenate(parts, axis=-1) if parts else None

    def fitted(self):
        """Give the layers that are fitted on the training split, by the part that they read."""
        found = {"alert": self.columns} if self.dynamic or self.fixed else {}
        return found | ({"static": self.table} if self.config.static else {})

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        names = ("encoder", "dynamic_norm", "static_norm", "core", "merge", "latent")
        return {name: getattr(self, name) for name in names if hasattr(self, name)} | {"head": self.output_layer}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, channels or columns, by `ModelInfo` field."""
        norms = [getattr(self, name).path for name in ("dynamic_norm", "static_norm") if hasattr(self, name)]
        columns = [*norms, self.core.path, self.merge.path] if self.dynamic or self.fixed else []
        channels = [self.encoder.convolutions[0].path] if self.config.images and not self.config.channels else []
        static = [self.static_norm.path, self.merge.path] if self.config.static else []
        return {"classes": [self.output_layer.path], "channels": channels, "alert_columns": columns, "static": static}
