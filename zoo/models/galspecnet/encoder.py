"""The convolutions of GalSpecNet, which AstroM3 uses for spectra (Rizhko & Bloom 2025, arXiv:2411.08842)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.dropout import Dropout
from zoo.layers.initializers import FanInUniform


@keras.saving.register_keras_serializable(package="zoo")
class GalSpecNetEncoder(keras.layers.Layer):
    """Convolution, ReLU and max pooling of a spectrum, without a pool behind the last; flattened, dropout.

    Inputs are those of the part ``spectrum``; the output is (batch, width), float32, with the channels one after
    another.

    Parameters
    ----------
    config : GalSpecNetConfig
    info : ModelInfo
        Size of the grid.
    """

    def __init__(self, config, info, **kwargs):
        # Keras would cast the spectra to bfloat16 on the way in.
        super().__init__(autocast=False, **kwargs)
        self.config, policy = config, self.dtype_policy
        self.points = config.points(info.spectrum_size)
        self.convolutions = []
        before = self.inputs = 1 + config.use_err + config.use_scale
        for place, filters in enumerate(config.channels):
            self.convolutions.append(
                keras.layers.Conv1D(
                    filters,
                    config.kernel,
                    kernel_initializer=FanInUniform(before * config.kernel),
                    bias_initializer=FanInUniform(before * config.kernel),
                    dtype=policy,
                    name=f"conv_{place}",
                )
            )
            before = filters
        self.pool = keras.layers.MaxPooling1D(config.pool, dtype=policy, name="pool")
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")

    @property
    def width(self) -> int:
        """Number of features that come out."""
        return self.points * self.config.channels[-1]

    def build(self, input_shape=None):
        before = self.inputs
        for layer in self.convolutions:
            layer.build((None, None, before))
            before = layer.filters
        self.built = True

    def channels(self, inputs):
        """Give what the first convolution reads, (batch, wavelength, channel), float32."""
        flux = ops.cast(inputs["spectrum"], "float32")
        found = [flux]
        if self.config.use_err:
            found.append(ops.cast(inputs["spectrum_err"], "float32"))
        if self.config.use_scale:
            found.append(ops.cast(inputs["spectrum_scale"], "float32") + ops.zeros_like(flux))
        return ops.stack(found, axis=-1)

    def features(self, spectra):
        """Give what every layer makes of spectra (batch, wavelength, channel).

        Yields
        ------
        name : str
            ``conv``, before ReLU, or ``pool``, behind it; the last ``conv`` has its ReLU.
        values : tensor (batch, point, channel)
        """
        values = ops.cast(spectra, self.compute_dtype)
        for place, layer in enumerate(self.convolutions):
            values = layer(values)
            yield "conv", values
            if place + 1 < len(self.convolutions):
                # ReLU and maximum may be exchanged: behind the pool there is less to do.
                values = ops.relu(self.pool(values))
                yield "pool", values

    def flat(self, values):
        """Give the features (batch, width) of what the last convolution gives, channel after channel."""
        values = ops.transpose(ops.relu(values), (0, 2, 1))
        return ops.reshape(values, (-1, self.width))

    def call(self, inputs, training=None):
        """Turn a spectrum into features (batch, width)."""
        *_, (_, values) = self.features(self.channels(inputs))
        return ops.cast(self.dropout(self.flat(values), training=training), "float32")

    def present(self, inputs):
        """Give which objects have a spectrum, (batch,), bool."""
        return ops.any(inputs["spectrum_mask"], axis=1)
