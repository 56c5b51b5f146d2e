"""What happens to the stamps and columns of an alert on their way into a network (Carrasco-Davis et al. 2021)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

NORMALISATIONS = ("per_image", "per_sample", "per_image_-1_1", "l2", "none")

LIMITS = {
    **{f"{name}{number}": (-1.0, None) for name in ("sgscore", "distpsnr") for number in (1, 2, 3)},
    "distnr": (-1.0, None),
    "magnr": (-1.0, None),
    "fwhm": (None, 10.0),
    "ndethist": (None, 20.0),
    "ncovhist": (None, 3000.0),
    "chinr": (-1.0, 15.0),
    "sharpnr": (-1.0, 1.5),
    "non_detections": (None, 2000.0),
}
"""Published limits of the columns of a ZTF alert; columns that are not here are not clipped."""

SENTINEL = -999.0
"""Stands for a missing value in ZTF's alerts."""


def centre_crop(images, size: int):
    """Cut the middle out of images (..., height, width, channel): from height // 2 − size // 2 on."""
    starts = [side // 2 - size // 2 for side in images.shape[-3:-1]]
    return images[..., starts[0] : starts[0] + size, starts[1] : starts[1] + size, :]


@keras.saving.register_keras_serializable(package="zoo")
class StampPreprocess(keras.layers.Layer):
    """Choose channels, cut the middle out and bring pixels to one scale; statistics are those of the cut.

    ``per_image``: x − min, then divided by its maximum, of every image and channel; ``per_sample``: the same over all
    channels of an image together; ``per_image_-1_1``: 2x − 1 of the first; ``l2``: divided by the root of the sum of
    squares of every image and channel; ``none``. NaN and infinite pixels do not count in any of them; they and all
    pixels of a constant image become ``nan_to`` at the end.

    Parameters
    ----------
    size : int
        Height and width that are left; a difference to those of the stamps must be even.
    channels : sequence of int
        Which channels of a stamp are taken, in order.
    normalize : str
        One of `NORMALISATIONS`.
    nan_to : float
        Value of unknown pixels.
    """

    def __init__(self, size, channels, normalize="per_image", nan_to=0.0, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        if normalize not in NORMALISATIONS:
            raise ValueError(f"Unknown normalize. Valid: {', '.join(NORMALISATIONS)}. Received: {normalize!r}")
        self.settings = {"size": size, "channels": list(channels), "normalize": normalize, "nan_to": nan_to}

    def call(self, images):
        """Turn (..., height, width, channel) into (..., size, size, chosen channel), float32."""
        chosen = self.settings["channels"]
        images = centre_crop(ops.cast(images, "float32"), self.settings["size"])
        if chosen != list(range(images.shape[-1])):
            images = ops.take(images, ops.convert_to_tensor(chosen, "int32"), axis=-1)
        known = ops.isfinite(images)
        scaled = self._scaled(images, known)
        known = ops.logical_and(known, ops.isfinite(scaled))
        return ops.where(known, scaled, self.settings["nan_to"])

    def _scaled(self, images, known):
        kind = self.settings["normalize"]
        images = ops.where(known, images, 0.0)
        if kind == "none":
            return images
        if kind == "l2":
            # By the largest first: squares of large pixels would overflow.
            most = self._most(ops.abs(images), (-3, -2))
            images = images / most
            return images / ops.sqrt(self._positive(ops.sum(ops.square(images), axis=(-3, -2), keepdims=True)))
        axes = (-3, -2, -1) if kind == "per_sample" else (-3, -2)
        least = ops.min(ops.where(known, images, float("inf")), axis=axes, keepdims=True)
        shifted = ops.where(known, images - ops.where(ops.isfinite(least), least, 0.0), 0.0)
        scaled = shifted / self._most(shifted, axes)
        return 2.0 * scaled - 1.0 if kind == "per_image_-1_1" else scaled

    def _most(self, images, axes):
        return self._positive(ops.max(images, axis=axes, keepdims=True))

    @staticmethod
    def _positive(values):
        """Give NaN in the place of 0 and of overflow: such an image has no scale."""
        return ops.where(ops.logical_and(values > 0, ops.isfinite(values)), values, float("nan"))

    def compute_output_shape(self, images_shape):
        size = self.settings["size"]
        return (*images_shape[:-3], size, size, len(self.settings["channels"]))

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class AlertColumns(keras.layers.Layer):
    """Clip the columns of an alert and standardise them with mean and standard deviation of the training split.

    A missing value (NaN, infinite, −999) becomes the lower limit of its column where there is one, else the mean. A
    column that is constant in training is only shifted.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    limits : dict of str to (float or None, float or None)
        Lower and upper limits by name.
    standardize : bool
        False leaves the clipped values as they are, and a missing value without a lower limit 0.
    """

    def __init__(self, names, limits=LIMITS, standardize=True, **kwargs):
        kwargs |= {"dtype": "float32", "trainable": False}
        super().__init__(autocast=False, **kwargs)
        limits = {name: tuple(limits[name]) for name in names if name in limits}
        self.settings = {"names": list(names), "limits": limits, "standardize": standardize}
        pairs = [limits.get(name, (None, None)) for name in names]
        self._low = np.array([-np.inf if low is None else low for low, _ in pairs], "float32")
        self._high = np.array([np.inf if high is None else high for _, high in pairs], "float32")

    def build(self, values_shape=None):
        shape = (len(self.settings["names"]),)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=shape, initializer="ones", trainable=False)

    def fit(self, rows):
        """Store mean and deviation of training rows (row, column), NumPy, clipped; missing ones do not count."""
        if not self.built:
            self.build()
            self.built = True
        rows = np.array(rows, "float64")
        missing = ~np.isfinite(rows) | (rows == SENTINEL)
        floor = np.broadcast_to(self._low, rows.shape)
        rows = np.where(missing, np.where(np.isfinite(floor), floor, np.nan), np.clip(rows, self._low, self._high))
        count = np.isfinite(rows).sum(axis=0)
        rows = np.where(count, rows, 0.0)
        self.set_statistics(np.nanmean(rows, axis=0), np.nanstd(rows, axis=0))

    def set_statistics(self, mean, deviation):
        """Store mean and deviation (column,); a deviation of 0 counts as 1."""
        deviation = np.asarray(deviation, "float32")
        self.mean.assign(np.asarray(mean, "float32"))
        self.deviation.assign(np.where(deviation > 0, deviation, 1.0))

    def call(self, values):
        """Turn (..., column) into the same shape, float32."""
        values = ops.cast(values, "float32")
        missing = ops.logical_or(ops.logical_not(ops.isfinite(values)), values == SENTINEL)
        low, high = ops.convert_to_tensor(self._low), ops.convert_to_tensor(self._high)
        mean = ops.convert_to_tensor(self.mean)
        instead = ops.where(ops.isfinite(low), low, mean)
        clipped = ops.clip(ops.where(missing, 0.0, values), low, high)
        values = ops.where(missing, instead, clipped)
        if not self.settings["standardize"]:
            return values
        return (values - mean) / ops.convert_to_tensor(self.deviation)

    def compute_output_shape(self, values_shape):
        return values_shape

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class QuarterTurns(keras.layers.Layer):
    """Stack the four rotations of images on the batch axis: 0, 90, 180 and 270 degrees counter-clockwise.

    Row r · batch + b is image b turned by r quarter turns, as in ALeRCE's stamp classifier and Deep-HiTS.
    """

    turns = 4

    def call(self, images, training=None):
        """Turn (batch, size, size, channel) into (4 · batch, size, size, channel)."""
        across = ops.transpose(images, (0, 2, 1, 3))
        quarter, half = ops.flip(across, axis=1), ops.flip(ops.flip(images, axis=1), axis=2)
        return ops.concatenate([images, quarter, half, ops.flip(across, axis=2)], axis=0)

    def compute_output_shape(self, images_shape):
        return (None if images_shape[0] is None else 4 * images_shape[0], *images_shape[1:])


@keras.saving.register_keras_serializable(package="zoo")
class CyclicPool(keras.layers.Layer):
    """Mean over rotations that are stacked on the batch axis, rotation by rotation (Dieleman et al. 2016)."""

    def __init__(self, turns=4, **kwargs):
        super().__init__(**kwargs)
        self.turns = turns

    def call(self, values):
        """Turn (turns · batch, width) into (batch, width)."""
        return ops.mean(ops.reshape(values, (self.turns, -1, values.shape[-1])), axis=0)

    def compute_output_shape(self, values_shape):
        return (None if values_shape[0] is None else values_shape[0] // self.turns, *values_shape[1:])

    def get_config(self):
        return super().get_config() | {"turns": self.turns}
