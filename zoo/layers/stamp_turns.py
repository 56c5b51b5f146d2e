"""Turned copies of stamps as parts of a batch, and the mean over them."""

from __future__ import annotations

import math

import keras
from keras import ops

from zoo.layers.stamp_augment import rotate
from zoo.layers.stamps import centre_crop


def quarter_turns(images):
    """Give square images turned by 0, 90, 180 and 270 degrees counter-clockwise, one turn of all after another.

    As in ALeRCE's stamp classifier and Deep-HiTS.

    Parameters
    ----------
    images : tensor (batch, side, side, channel)

    Returns
    -------
    tensor (4 · batch, side, side, channel)
        Row r · batch + b is image b turned r times.
    """
    across = ops.transpose(images, (0, 2, 1, 3))
    return ops.concatenate(
        [images, ops.flip(across, axis=1), ops.flip(images, axis=(1, 2)), ops.flip(across, axis=2)], axis=0
    )


@keras.saving.register_keras_serializable(package="zoo")
class RandomTurns(keras.layers.Layer):
    """Stack k copies of images, turned by 2πj/k + U(−θ, θ), j = 0 … k − 1, on the batch axis; cut the middle out.

    The copies of Neira et al. (2024).

    The jitter is drawn anew for every object and copy in training, the same for all channels and frames of an object,
    and 0 elsewhere. Angles count counter-clockwise; pixels are interpolated bilinearly, those from outside are the
    nearest at the edge. Row j · batch + b is object b in its copy j.

    Parameters
    ----------
    turns : int
        k.
    theta : float
        θ in radians.
    size : int
        Height and width that are left.
    seed : int, optional
    """

    def __init__(self, turns=6, theta=0.08, size=33, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"turns": turns, "theta": theta, "size": size, "seed": seed}
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def turns(self) -> int:
        """Number of copies."""
        return self.settings["turns"]

    def call(self, images, training=None):
        """Turn (batch, [frame,] side, side, channel) into (turns · batch, [frame,] size, size, channel)."""
        turns, theta, size = (self.settings[key] for key in ("turns", "theta", "size"))
        shape = ops.shape(images)
        batch, frames = shape[0], shape[1:-3]
        angles = ops.arange(turns, dtype="float32")[:, None] * (2 * math.pi / turns)
        angles = angles + ops.zeros((1, batch))
        if training and theta:
            angles = angles + keras.random.uniform((turns, batch), -theta, theta, seed=self.seed_generator)
        for count in frames:
            angles = ops.repeat(angles, count, axis=1)
        flat = ops.reshape(images, (-1, *images.shape[-3:]))
        flat = ops.tile(flat, (turns, 1, 1, 1))
        flat = rotate(flat, ops.reshape(angles, (-1,)), "bilinear", "nearest")
        flat = centre_crop(flat, size)
        return ops.reshape(flat, (-1, *frames, size, size, images.shape[-1]))

    def compute_output_shape(self, images_shape):
        batch = None if images_shape[0] is None else self.turns * images_shape[0]
        return (batch, *images_shape[1:-3], self.settings["size"], self.settings["size"], images_shape[-1])

    def get_config(self):
        return super().get_config() | self.settings


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
