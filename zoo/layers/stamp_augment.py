"""Stamps turned by any angle and shifted by any number of pixels."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def rotate(images, angles, interpolation: str = "nearest", fill_mode: str = "constant", fill_value: float = 0.0):
    """Turn images about their centre.

    Parameters
    ----------
    images : tensor (batch, height, width, channel), float
    angles : tensor (batch,)
        Radians, counter-clockwise as an image is shown.
    interpolation : {"nearest", "bilinear"}
    fill_mode : {"constant", "nearest", "reflect", "wrap"}
        What lies outside an image.
    fill_value : float
        It, for ``constant``.
    """
    height, width = ops.shape(images)[1], ops.shape(images)[2]
    angles = ops.cast(angles, "float32")
    sine, cosine = ops.sin(angles), ops.cos(angles)
    right, bottom = ops.cast(width - 1, "float32"), ops.cast(height - 1, "float32")
    # From a place in the result to one in the image, about the centre ((width − 1)/2, (height − 1)/2).
    x_offset = 0.5 * (right - (cosine * right - sine * bottom))
    y_offset = 0.5 * (bottom - (sine * right + cosine * bottom))
    return _transform(images, [cosine, -sine, x_offset, sine, cosine, y_offset], interpolation, fill_mode, fill_value)


def translate(images, shifts, interpolation: str = "nearest", fill_mode: str = "constant", fill_value: float = 0.0):
    """Shift images.

    Parameters
    ----------
    images : tensor (batch, height, width, channel), float
    shifts : tensor (batch, 2)
        Pixels to the right and down.
    interpolation, fill_mode, fill_value
        As in `rotate`.
    """
    shifts = ops.cast(shifts, "float32")
    one, none = ops.ones_like(shifts[:, 0]), ops.zeros_like(shifts[:, 0])
    return _transform(
        images, [one, none, -shifts[:, 0], none, one, -shifts[:, 1]], interpolation, fill_mode, fill_value
    )


def _transform(images, rows, interpolation, fill_mode, fill_value):
    if fill_mode not in FILL_MODES:
        raise ValueError(f"Unknown fill_mode. Valid: {', '.join(FILL_MODES)}. Received: {fill_mode!r}")
    none = ops.zeros_like(rows[0])
    return ops.image.affine_transform(
        images,
        ops.stack([*rows, none, none], axis=1),
        interpolation,
        fill_mode,
        fill_value,
        data_format="channels_last",
    )


@keras.saving.register_keras_serializable(package="zoo")
class StampAugment(keras.layers.Layer):
    """In training, turn every stamp by a random angle and shift it by a random number of pixels.

    A stamp of the sky has no up: any angle is as good. All channels of a stamp move together. Outside training
    stamps pass as they are.

    Parameters
    ----------
    max_angle : float
        Angles are uniform in ± this, radians; π for any.
    max_shift : float
        Shifts are uniform in ± this along each axis, pixels.
    interpolation, fill_mode
        As in `rotate`.
    seed : int, optional
    """

    def __init__(self, max_angle: float = float(np.pi), max_shift: float = 0.0, interpolation: str = "bilinear",
                 fill_mode: str = "reflect", seed: int | None = None, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        if max_angle < 0 or max_shift < 0:
            raise ValueError(f"max_angle and max_shift must be >= 0. Received: {max_angle}, {max_shift}")
        self.settings = {"max_angle": max_angle, "max_shift": max_shift, "interpolation": interpolation,
                         "fill_mode": fill_mode, "seed": seed}  # fmt: skip
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, stamps, training=None):
        """Give stamps (batch, height, width, channel) of the same shape."""
        if not training:
            return stamps
        angle, shift = self.settings["max_angle"], self.settings["max_shift"]
        how = self.settings["interpolation"], self.settings["fill_mode"]
        count = ops.shape(stamps)[0]
        if shift:
            shifts = keras.random.uniform((count, 2), -shift, shift, seed=self.seed_generator)
            stamps = translate(stamps, shifts, *how)
        if angle:
            stamps = rotate(stamps, keras.random.uniform((count,), -angle, angle, seed=self.seed_generator), *how)
        return stamps

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | self.settings
