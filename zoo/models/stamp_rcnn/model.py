"""Recurrent convolutional network on image sequences (arXiv:1807.03869)."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.batch_renorm import BatchRenorm
from zoo.layers.causal import last_valid
from zoo.layers.dropout import Dropout
from zoo.layers.stamp_conv import halved
from zoo.models.stamp_network import StampNetwork
from zoo.models.stamp_sequence_ae.model import apart, merged
from zoo.registry import ModelInfo

BLOCKS = 6
"""Convolutions; a pool follows the third and the last."""

FARTHEST = 25.0
"""Magnitudes between a zero point and the reference beyond which it is taken for missing."""


@keras.saving.register_keras_serializable(package="zoo")
class RenormEncoder(keras.layers.Layer):
    """Batch renormalisation, then twice: three convolutions 3 × 3 with ReLU and renormalisation, and a pool 2 × 2.

    Parameters
    ----------
    filters : int
        Of every convolution.
    r_max, d_max, ramp
        See `BatchRenorm`.
    """

    def __init__(self, filters, r_max=3.0, d_max=5.0, ramp=10000, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"filters": filters, "r_max": r_max, "d_max": d_max, "ramp": ramp}
        policy = self.dtype_policy
        self.convolutions = [
            keras.layers.Conv2D(filters, 3, padding="same", activation="relu", dtype=policy, name=f"conv_{place}")
            for place in range(BLOCKS)
        ]
        self.norms = [BatchRenorm(r_max=r_max, d_max=d_max, ramp=ramp, dtype=policy, name=f"norm_{place}")
                      for place in range(BLOCKS + 1)]  # fmt: skip
        self.pool = keras.layers.MaxPooling2D(2, padding="same", dtype=policy, name="pool")

    @property
    def first_kernel(self):
        """Kernel of the first convolution."""
        return self.convolutions[0].kernel

    def build(self, images_shape, counted_shape=None):
        shape = tuple(images_shape)
        self.norms[0].build(shape)
        for convolution, norm in zip(self.convolutions, self.norms[1:], strict=True):
            convolution.build(shape)
            shape = (*shape[:-1], self.settings["filters"])
            norm.build(shape)

    def call(self, images, counted, training=None):
        """Give (batch, row · column · filter) of images (batch, side, side, channel); those ``counted`` count."""
        images = self.norms[0](images, counted, training=training)
        for place, (convolution, norm) in enumerate(zip(self.convolutions, self.norms[1:], strict=True)):
            images = norm(convolution(images), counted, training=training)
            images = self.pool(images) if place % 3 == 2 else images
        return ops.reshape(images, (-1, images.shape[1] * images.shape[2] * images.shape[3]))

    def compute_output_shape(self, images_shape, counted_shape=None):
        return (images_shape[0], halved(halved(images_shape[1])) ** 2 * self.settings["filters"])

    def get_config(self):
        return super().get_config() | self.settings


def windows(values, size: int):
    """Put beside each frame of (batch, frame, ..., channel) the size − 1 before it, earliest first, 0 before the first.

    Gives (batch, frame, ..., size · channel).
    """
    frames, free = ops.shape(values)[1], [[0, 0]] * (len(values.shape) - 2)
    padded = ops.pad(values, [[0, 0], [size - 1, 0], *free])
    return ops.concatenate([padded[:, place : place + frames] for place in range(size)], axis=-1)


def flux_factor(zero_points, reference: float):
    """Give 10^((reference − zero point) / 2.5), by which fluxes come to the zero point ``reference``.

    A zero point that is missing, or more than 25 magnitudes from the reference, gives 1. All in magnitudes.
    """
    away = reference - ops.cast(zero_points, "float32")
    # A comparison with NaN is False; so are those with the sentinels of missing values, −999 among them.
    return ops.power(10.0, ops.where(ops.abs(away) <= FARTHEST, away, 0.0) / 2.5)


@keras.saving.register_keras_serializable(package="zoo")
class StampRcnn(StampNetwork):
    """`RenormEncoder` and a dense layer on each window of frames, an LSTM over the windows, logits after each.

    Inputs are those of the view ``stamp_sequence``; valid frames come first. The output is a dict of ``logits``
    (batch, frame, class), which behind the last valid frame repeat those of it, and ``mask`` (batch, frame), bool:
    frames that end a whole window. An object with fewer frames than a window gets the logits of a state of zeros.

    Parameters
    ----------
    config : StampRcnnConfig
    info : ModelInfo
        Channels and size of the stamps, columns of an alert, classes.
    """

    heads, primary = ("logits",), "logits"

    def __init__(self, config, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        if config.zero_point and config.zero_point not in info.alert_columns:
            raise UsageError(
                f"zero_point must be a column of the alerts: {', '.join(info.alert_columns) or 'there are none'}. "
                f"Received: {config.zero_point}"
            )
        policy = self.dtype_policy
        self.encoder = RenormEncoder(
            config.filters, config.r_max, config.d_max, config.ramp, dtype=policy, name="encoder"
        )
        self.dense = keras.layers.Dense(config.dense, activation="relu", dtype=policy, name="dense")
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")
        # It sees days, which bfloat16 would round.
        self.recurrent = keras.layers.LSTM(config.units, return_sequences=True, dtype="float32", name="recurrent")
        self.head = keras.layers.Dense(len(info.outputs), dtype=policy, name="head")

    def _images(self, inputs, mask):
        """Give the prepared images (batch, frame, crop, crop, channel), 0 under a False mask."""
        images, _ = self.preprocess(inputs["stamps"])
        if self.config.zero_point:
            column = self.info.alert_columns.index(self.config.zero_point)
            factor = flux_factor(inputs["alerts"][..., column], self.config.reference_zero_point)
            images = images * factor[..., None, None, None]
        return ops.where(mask[..., None, None, None], images, 0.0)

    def _hidden(self, inputs, training):
        """Give the LSTM's state (batch, frame, units) after each window, and which windows are whole."""
        mask, size = inputs["mask"], self.config.window
        images = windows(self._images(inputs, mask), size)
        whole = ops.logical_and(mask, ops.arange(ops.shape(mask)[1])[None] >= size - 1)
        values = self.encoder(self.computed(merged(images)), merged(whole), training=training)
        values = self.dropout(self.dense(values), training=training)
        values = apart(ops.cast(values, "float32"), whole)
        if self.config.times:
            time = ops.cast(inputs["time"], "float32")
            days = ops.where(mask, time - time[:, :1], 0.0)
            values = ops.concatenate([values, windows(days[..., None], size)], axis=-1)
        # Whole windows to the front: the state begins with zeros at the first of them.
        values = ops.concatenate([values[:, size - 1 :], ops.zeros_like(values[:, : size - 1])], axis=1)
        front = ops.concatenate([whole[:, size - 1 :], ops.zeros_like(whole[:, : size - 1])], axis=1)
        hidden = last_valid(self.recurrent(values, training=training), front)
        return hidden, whole

    def represent(self, inputs):
        """Give the LSTM's state after the last window, (batch, units), float32."""
        return self._hidden(inputs, False)[0][:, -1]

    def call(self, inputs, training=None):
        hidden, whole = self._hidden(inputs, training)
        # Back to the frames that end the windows.
        places = ops.arange(ops.shape(hidden)[1], dtype="int32") - (self.config.window - 1)
        frames = ops.take(hidden, ops.maximum(places, 0), axis=1)
        count = ops.any(whole, axis=1)[:, None, None]
        frames = ops.where(count, frames, ops.zeros_like(frames))
        return {"logits": ops.cast(self.head(self.computed(frames)), "float32"), "mask": whole}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, "dense": self.dense, "recurrent": self.recurrent, "head": self.head}
