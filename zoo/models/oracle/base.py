"""What the recurrent classifiers of light curves with static columns have in common."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.observations import ObservationMatrix
from zoo.layers.recurrent import RecurrentEncoder
from zoo.layers.static_columns import StaticColumns
from zoo.models.network import Network
from zoo.models.oracle.config import MEAN_WAVELENGTHS, RecurrentConfig
from zoo.registry import ModelInfo


class RecurrentClassifier(Network):
    """Observation matrix, recurrent encoder and static columns; a subclass makes a latent vector of them in `embed`.

    Inputs are those of the view ``packed`` with the parts `RecurrentConfig.parts`; the output is a dict with
    ``logits`` (batch, output), one an entry of ``info.outputs``.

    Parameters
    ----------
    config : RecurrentConfig
        Hyperparameters.
    info : ModelInfo
        Classes or nodes, bands and columns of the data.
    """

    cell = ""
    heads = ("logits",)
    primary = "logits"

    def __init__(self, config: RecurrentConfig, info: ModelInfo, **kwargs):
        # Keras would cast times and tables to bfloat16 on the way in; each layer casts what it may.
        super().__init__(autocast=False, **kwargs)
        self.config, self.info = config, info
        self.observations = ObservationMatrix(
            len(info.bands),
            config.time_scale,
            config.flux_transform,
            config.flux_scale,
            self._wavelengths() if config.band == "wavelength" else None,
            name="observations",
        )
        self.encoder = RecurrentEncoder(self.cell, config.units, config.layers, dtype=self.dtype_policy, name="encoder")
        if config.static:
            self.columns = StaticColumns(
                len(info.static),
                config.sentinels,
                config.quantiles if config.static_scale == "quantile" else None,
                config.missing == "indicator",
                config.drop_empty_static,
                name="columns",
            )

    def _wavelengths(self) -> list[float]:
        table = MEAN_WAVELENGTHS | self.config.wavelengths
        lost = [band for band in self.info.bands if band not in table]
        if lost:
            raise UsageError(
                "the network reads a band as its mean wavelength in micron: state it with --wavelengths "
                f"'{{{lost[0]}: 0.5}}', or set --band one_hot. Known: {', '.join(table)}. Received: {', '.join(lost)}"
            )
        return [float(table[band]) for band in self.info.bands]

    @staticmethod
    def dense(units: int, activation=None, name: str = "") -> keras.layers.Dense:
        """Give a Dense layer behind the encoder: float32, as it costs nothing beside the recurrent layers."""
        return keras.layers.Dense(units, activation=activation, dtype="float32", name=name)

    def embed(self, state, static):
        """Give the latent vector (batch, latent) of the state (batch, units) and the static columns, None without."""
        raise NotImplementedError

    def decide(self, state, static):
        """Give the logits (batch, output) of the state (batch, units) and the static columns, None without them."""
        return self.output_layer(self.embed(state, static))

    def _read(self, inputs):
        matrix = self.observations(*(inputs[name] for name in self.observations.INPUTS))
        static = self.columns(ops.cast(inputs["static"], "float32")) if self.config.static else None
        return ops.cast(self.encoder(matrix, inputs["mask"]), "float32"), static

    def represent(self, inputs):
        """Give the latent vector before the logits, (batch, latent), float32."""
        return ops.cast(self.embed(*self._read(inputs)), "float32")

    def call(self, inputs, training=None):
        return {"logits": self.decide(*self._read(inputs))}

    def fitted(self):
        """Give the layers that are fitted on the training split, by the part that they read."""
        return {"static": self.columns} if self.config.static and self.config.static_scale == "quantile" else {}
