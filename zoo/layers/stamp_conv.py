"""Convolutional encoder and decoder of stamps (Astorga & Huijse 2018; the same layers in its followers)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.batch_norm import MaskedBatchNorm

STRIDES = (1, 2, 1, 2)


def halved(size: int) -> int:
    """Give the side of an image after a "same" convolution of stride 2."""
    return -(-size // 2)


def doubled_convolution(images, kernel, size: int):
    """Convolve images whose pixels are repeated to a side of 2n or 2n − 1, without making the larger images.

    Row i of the larger images is row ⌊i / 2⌋ of the smaller, and columns likewise. (The resizing of TensorFlow takes
    other rows for 2n − 1.) The 2 × 2 copies of a pixel meet the kernel one step apart. Together they are a transposed
    convolution of stride 2, whose kernel (4, 4) is the sum of four shifted ones: 16 n² products instead of 36 n².

    Parameters
    ----------
    images : tensor (batch, n, n, channel)
    kernel : tensor (3, 3, channel, filter)
    size : int
        Side of the result.

    Returns
    -------
    tensor (batch, size, size, filter)
        As of a "same" convolution of stride 1.
    """
    side = images.shape[1]
    if size not in (2 * side, 2 * side - 1):
        raise ValueError(f"the side doubles, or is one less. Valid: {2 * side - 1}, {2 * side}. Received: {size}")
    odd = size < 2 * side
    spread = _with_shifted(_with_shifted(kernel, 0), 1)
    # The transposed convolution wants its axes so, and turns the kernel.
    spread = ops.transpose(ops.flip(spread, (0, 1)), (0, 1, 3, 2))
    kernel, spread = -ops.cast(kernel, images.dtype), ops.cast(spread, images.dtype)
    found = ops.conv_transpose(
        images, spread, 2, "same", output_padding=1 if odd else None, data_format="channels_last"
    )
    if not odd:
        return found
    # The last row and column of pixels have no second copy: what it gave to their only neighbour goes.
    last = ops.repeat(images[:, -1:], 2, axis=2)
    row = ops.conv(last, kernel[2:], 1, "same", "channels_last")[:, :, :size]
    last = ops.repeat(images[:, :, -1:], 2, axis=1)[:, :size]
    column = ops.conv(last, kernel[:, 2:], 1, "same", "channels_last")
    found = found + ops.pad(row, [[0, 0], [size - 1, 0], [0, 0], [0, 0]])
    return found + ops.pad(column, [[0, 0], [0, 0], [size - 1, 0], [0, 0]])


def _with_shifted(kernel, axis):
    """Give the kernel and itself shifted by one along an axis, added up: longer by one there."""
    before, after = ([[0, 0]] * len(kernel.shape) for _ in range(2))
    before[axis], after[axis] = [1, 0], [0, 1]
    return ops.pad(kernel, before) + ops.pad(kernel, after)


@keras.saving.register_keras_serializable(package="zoo")
class ImageBatchNorm(MaskedBatchNorm):
    """`MaskedBatchNorm` of images: the statistics are over all pixels of the images that count."""

    def build(self, images_shape, counted_shape=None):
        super().build(images_shape)

    def call(self, images, counted=None, training=None):
        """Normalise images (batch, height, width, channel); ``counted`` (batch,), bool: those that count, or all."""
        mask = None if counted is None else ops.broadcast_to(counted[:, None, None], ops.shape(images)[:3])
        return super().call(images, mask, training=training)

    def compute_output_shape(self, images_shape, counted_shape=None):
        return images_shape


def normalised(images, convolution, norm, counted=None, training=None, size=None):
    """Give what an `ImageBatchNorm` makes of a convolution's result; outside training the two are one convolution.

    Parameters
    ----------
    images : tensor (batch, side, side, channel)
    convolution : keras.layers.Conv2D
        Without activation.
    norm : ImageBatchNorm
    counted : tensor (batch,), bool, optional
    size : int, optional
        The images are doubled to this side before, see `doubled_convolution`.
    """
    if training and norm.trainable:
        return norm(_convolved(images, convolution.kernel, convolution.bias, convolution, size), counted, training=True)
    scale, shift = norm.affine()
    kernel = ops.cast(convolution.kernel, "float32") * scale
    bias = ops.cast(convolution.bias, "float32") * scale + shift
    return _convolved(images, kernel, bias, convolution, size)


def _convolved(images, kernel, bias, convolution, size):
    bias = ops.cast(bias, images.dtype)
    if size:
        return doubled_convolution(images, kernel, size) + bias
    kernel = ops.cast(kernel, images.dtype)
    return ops.conv(images, kernel, convolution.strides, convolution.padding, "channels_last") + bias


def _convolutions(filters, strides, policy):
    convolutions = [
        keras.layers.Conv2D(count, 3, stride, padding="same", dtype=policy, name=f"conv_{place}")
        for place, (count, stride) in enumerate(zip(filters, strides, strict=True))
    ]
    return convolutions


@keras.saving.register_keras_serializable(package="zoo")
class StampEncoder(keras.layers.Layer):
    """Four 3 × 3 convolutions of strides 1, 2, 1, 2, each with batch normalisation and ReLU, and dense heads.

    Parameters
    ----------
    latent : int
        Width of a head's result.
    heads : int
        Linear layers on the last convolution, each with a result of its own.
    filters : int
        Of every convolution.
    momentum, epsilon : float
        See `ImageBatchNorm`.
    """

    def __init__(self, latent, heads=1, filters=64, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"latent": latent, "heads": heads, "filters": filters, "momentum": momentum,
                         "epsilon": epsilon}  # fmt: skip
        policy = self.dtype_policy
        self.convolutions = _convolutions([filters] * len(STRIDES), STRIDES, policy)
        self.norms = [ImageBatchNorm(momentum, epsilon, dtype=policy, name=f"norm_{n}") for n in range(len(STRIDES))]
        self.dense = [keras.layers.Dense(latent, dtype=policy, name=f"dense_{place}") for place in range(heads)]

    @property
    def first_kernel(self):
        """Kernel of the first convolution."""
        return self.convolutions[0].kernel

    def build(self, images_shape, counted_shape=None):
        shape, filters = tuple(images_shape), self.settings["filters"]
        for convolution, norm, stride in zip(self.convolutions, self.norms, STRIDES, strict=True):
            convolution.build(shape)
            side = halved(shape[1]) if stride == 2 else shape[1]
            shape = (shape[0], side, side, filters)
            norm.build(shape)
        for dense in self.dense:
            dense.build((shape[0], shape[1] * shape[2] * filters))

    def call(self, images, counted=None, training=None):
        """Give the heads' results (batch, latent), a tuple if there are several.

        Parameters
        ----------
        images : tensor (batch, side, side, channel)
        counted : tensor (batch,), bool, optional
            Images that count in the normalisation.
        """
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            images = ops.relu(normalised(images, convolution, norm, counted, training))
        values = ops.reshape(images, (ops.shape(images)[0], -1))
        found = tuple(dense(values) for dense in self.dense)
        return found if len(found) > 1 else found[0]

    def compute_output_shape(self, images_shape, counted_shape=None):
        shape = (images_shape[0], self.settings["latent"])
        return (shape,) * self.settings["heads"] if self.settings["heads"] > 1 else shape

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class StampDecoder(keras.layers.Layer):
    """Dense ReLU to the encoder's last image, then two convolutions at each of its sides back up to the stamp.

    Between the sides pixels are repeated, see `doubled_convolution`. Convolutions are 3 × 3 of stride 1 with batch
    normalisation and ReLU; the last one has neither but ``activation``.

    Parameters
    ----------
    side, channels : int
        Of the image that comes out.
    activation : {"relu", "linear"}
        Of the last convolution.
    filters, momentum, epsilon
        As in `StampEncoder`.
    """

    def __init__(self, side, channels, activation="relu", filters=64, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"side": side, "channels": channels, "activation": activation, "filters": filters,
                         "momentum": momentum, "epsilon": epsilon}  # fmt: skip
        policy = self.dtype_policy
        self.sides = (halved(halved(side)), halved(side), side)
        self.dense = keras.layers.Dense(self.sides[0] ** 2 * filters, activation="relu", dtype=policy, name="dense")
        self.convolutions = _convolutions([*[filters] * 5, channels], [1] * 6, policy)
        self.norms = [ImageBatchNorm(momentum, epsilon, dtype=policy, name=f"norm_{place}") for place in range(5)]
        self.activation = keras.activations.get(activation)

    @property
    def first_kernel(self):
        """Kernel of the dense layer."""
        return self.dense.kernel

    def build(self, latent_shape, counted_shape=None):
        filters = self.settings["filters"]
        self.dense.build(latent_shape)
        for place, convolution in enumerate(self.convolutions):
            side = self.sides[place // 2]
            convolution.build((None, side, side, filters))
            if place < len(self.norms):
                self.norms[place].build((None, side, side, filters))

    def call(self, latent, counted=None, training=None):
        """Give images (batch, side, side, channel) of codes (batch, latent); ``counted`` as in `StampEncoder`."""
        first = self.sides[0]
        images = ops.reshape(self.dense(latent), (-1, first, first, self.settings["filters"]))
        for place, norm in enumerate(self.norms):
            size = self.sides[place // 2] if place in (2, 4) else None
            images = ops.relu(normalised(images, self.convolutions[place], norm, counted, training, size))
        return self.activation(self.convolutions[-1](images))

    def compute_output_shape(self, latent_shape, counted_shape=None):
        return (latent_shape[0], self.settings["side"], self.settings["side"], self.settings["channels"])

    def get_config(self):
        return super().get_config() | self.settings
