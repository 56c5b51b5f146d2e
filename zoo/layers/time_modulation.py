"""How observing time and band enter the tokens of a light curve."""

from __future__ import annotations

import math

import keras
from keras import ops

from zoo.layers.initializers import dense


@keras.saving.register_keras_serializable(package="zoo")
class TimeModulation(keras.layers.Layer):
    """Modulate flux embeddings by learned Fourier series of time, one set a band.

    With harmonics k = 0 … M−1, s_k = sin(2πkt/T), c_k = cos(2πkt/T):
    α = s·A_sin + c·A_cos, β = s·B_sin + c·B_cos, token = embedding ⊙ α + β (ATAT, arXiv:2405.03078).
    Harmonics are computed in float32 whatever the policy: days up to several thousand do not fit bfloat16.

    Parameters
    ----------
    bands : int
        Number of bands C.
    width : int
        Token width d.
    harmonics : int
        M.
    max_period : float
        T in days.
    initial_std : float
        Standard deviation of the initial A and B.
    """

    def __init__(self, bands, width, harmonics=64, max_period=1500.0, initial_std=1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.settings = {
            "bands": bands,
            "width": width,
            "harmonics": harmonics,
            "max_period": max_period,
            "initial_std": initial_std,
        }

    def build(self, embedding_shape, time_shape=None):
        bands, width, harmonics = (self.settings[key] for key in ("bands", "width", "harmonics"))
        # Rows: sines then cosines; columns: α then β. Row 0 (sine of k = 0) never gets a gradient; it is
        # kept because published weights have it.
        self.kernel = self.add_weight(
            name="kernel",
            shape=(bands, 2 * harmonics, 2 * width),
            initializer=keras.initializers.RandomNormal(stddev=self.settings["initial_std"]),
        )

    def call(self, embedding, time):
        """Modulate.

        Parameters
        ----------
        embedding : tensor (band, slot, width)
        time : tensor (band, slot), float32
            Days from the reference of the view.

        Returns
        -------
        tensor (band, slot, width)
        """
        kernel = ops.cast(self.kernel, self.compute_dtype)
        series = ops.matmul(ops.cast(self._waves(time), self.compute_dtype), kernel)
        factor, offset = ops.split(series, 2, axis=-1)
        return ops.cast(embedding, self.compute_dtype) * factor + offset

    def of_flux(self, flux, kernel, bias, time):
        """Modulate the embedding ``flux · kernel + bias`` of one channel, which is never formed.

        (f w + b) ⊙ α + β = [f s, f c, s, c] · [A ⊙ w; A ⊙ b + B]: one product for all of it.

        Parameters
        ----------
        flux, time : tensor (band, slot), float32
        kernel, bias : tensor (width,)

        Returns
        -------
        tensor (band, slot, width)
        """
        waves = self._waves(time)
        factor, offset = ops.split(ops.cast(self.kernel, "float32"), 2, axis=-1)
        kernel, bias = ops.cast(kernel, "float32"), ops.cast(bias, "float32")
        both = ops.concatenate([factor * kernel, factor * bias + offset], axis=1)
        waves = ops.concatenate([ops.cast(flux, "float32")[..., None] * waves, waves], axis=-1)
        return ops.matmul(ops.cast(waves, self.compute_dtype), ops.cast(both, self.compute_dtype))

    def _waves(self, time):
        """Give sines, then cosines (band, slot, 2 · harmonic), float32."""
        order = ops.arange(self.settings["harmonics"], dtype="float32")
        angle = ops.cast(time, "float32")[..., None] * (order * (2.0 * math.pi / self.settings["max_period"]))
        return ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)

    def compute_output_shape(self, embedding_shape, time_shape=None):
        return embedding_shape

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class SinusoidEncoding(keras.layers.Layer):
    """Add a fixed sinusoid of time: even columns sin(t·w_j), odd columns cos(t·w_j), w_j = T^(−2j/d).

    It carries no band information; ``band_embedding`` adds a learned vector a band, which starts at zero.

    Parameters
    ----------
    bands, width, max_period
        As `TimeModulation`.
    band_embedding : bool
        Whether to add the learned vector of the band.
    """

    def __init__(self, bands, width, max_period=1500.0, band_embedding=False, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if width % 2:
            raise ValueError(f"{self.name}: the width must be even. Received: {width}")
        self.settings = {
            "bands": bands,
            "width": width,
            "max_period": max_period,
            "band_embedding": band_embedding,
        }

    def build(self, embedding_shape, time_shape=None):
        if self.settings["band_embedding"]:
            self.bands = self.add_weight(
                name="band_embedding",
                shape=(self.settings["bands"], 1, self.settings["width"]),
                initializer="zeros",
            )

    def call(self, embedding, time):
        """Add the encoding; shapes as `TimeModulation.call`."""
        width = self.settings["width"]
        pair = ops.arange(width // 2, dtype="float32")
        rate = ops.exp(pair * (-2.0 * math.log(self.settings["max_period"]) / width))
        angle = ops.cast(time, "float32")[..., None] * rate
        waves = ops.stack([ops.sin(angle), ops.cos(angle)], axis=-1)
        waves = ops.reshape(waves, (*ops.shape(angle)[:-1], width))
        tokens = ops.cast(embedding, self.compute_dtype) + ops.cast(waves, self.compute_dtype)
        if self.settings["band_embedding"]:
            tokens = tokens + ops.cast(self.bands, self.compute_dtype)
        return tokens

    def compute_output_shape(self, embedding_shape, time_shape=None):
        return embedding_shape

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class BandTokens(keras.layers.Layer):
    """Turn the band-major grid of a light curve into packed tokens: embed, encode time, gather.

    Parameters
    ----------
    encoding : keras.layers.Layer
        `TimeModulation` or `SinusoidEncoding`.
    channels : int
        Values a slot: 1 (flux) or 2 (flux, flux error).
    initializer : str
        Kernel initializer of the embedding.
    """

    def __init__(self, encoding, channels=1, initializer="normal", **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.encoding = encoding
        self.channels = channels
        self.initializer = initializer
        self.width = encoding.settings["width"]
        self.embedding = dense(self.width, channels, initializer, "embedding", self.dtype_policy)

    def build(self, values_shape, time_shape=None, pack_index_shape=None):
        bands = self.encoding.settings["bands"]
        self.embedding.build((bands, None, self.channels))
        self.encoding.build((bands, None, self.width), (bands, None))

    def call(self, values, time, pack_index):
        """Compute packed tokens.

        Parameters
        ----------
        values : tensor (batch, band, slot, channel)
        time : tensor (batch, band, slot), float32 days
        pack_index : tensor (batch, token), int32
            For every packed row its place ``band · slots + slot`` in the grid.

        Returns
        -------
        tensor (batch, token, width)
        """
        batch, bands, slots = (ops.shape(time)[axis] for axis in range(3))
        values = ops.reshape(ops.transpose(values, (1, 0, 2, 3)), (bands, batch * slots, -1))
        time = ops.reshape(ops.transpose(time, (1, 0, 2)), (bands, batch * slots))
        if self.channels == 1 and isinstance(self.encoding, TimeModulation):
            grid = self.encoding.of_flux(values[..., 0], self.embedding.kernel[0], self.embedding.bias, time)
        else:
            grid = self.encoding(self.embedding(values), time)
        grid = ops.reshape(grid, (bands * batch * slots, self.width))
        pack_index = ops.cast(pack_index, "int32")
        row = ops.arange(batch, dtype="int32")[:, None]
        place = (pack_index // slots * batch + row) * slots + pack_index % slots
        return ops.take(grid, place, axis=0)

    def compute_output_shape(self, values_shape, time_shape, pack_index_shape):
        return (*pack_index_shape, self.width)

    def get_config(self):
        return super().get_config() | {
            "encoding": keras.saving.serialize_keras_object(self.encoding),
            "channels": self.channels,
            "initializer": self.initializer,
        }

    @classmethod
    def from_config(cls, config):
        encoding = keras.saving.deserialize_keras_object(config["encoding"])
        return cls(**{**config, "encoding": encoding})
