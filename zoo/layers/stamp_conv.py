"""Convolutional encoder and decoder of stamps (Astorga & Huijse 2018; the same layers in its followers)."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.batch_norm import MaskedBatchNorm

STRIDES = (1, 2, 1, 2)


def halved(size: int) -> int:
    """Give the side of an image after a "same" convolution of stride 2."""
    return -(-size // 2)


def doubled(images, size: int):
    """Repeat every pixel of images (batch, n, n, channel) by its nearest neighbour to a side of 2n or 2n − 1.

    The row i of the result is the row ⌊i n / size⌋ of the image, which for these sizes is ⌊i / 2⌋. The resizing of
    TensorFlow takes other rows for 2n − 1.
    """
    side = images.shape[1]
    if size not in (2 * side, 2 * side - 1):
        raise ValueError(f"the side doubles, or is one less. Valid: {2 * side - 1}, {2 * side}. Received: {size}")
    rows, odd = [place // 2 for place in range(size)], 2 * side - size

    # The gradient, a sum over each pixel's copies, is written out: that of a gather is slower than a pool.
    @ops.custom_gradient
    def apply(images):
        def gradient(*arguments, upstream=None):
            if upstream is None:
                (upstream,) = arguments
            whole = ops.pad(upstream, [[0, 0], [0, odd], [0, odd], [0, 0]])
            return 4.0 * ops.average_pool(whole, 2, 2, data_format="channels_last")

        return ops.take(ops.take(images, rows, axis=1), rows, axis=2), gradient

    return apply(images)


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


def normalised(images, convolution, norm, counted=None, training=None):
    """Give what an `ImageBatchNorm` makes of a convolution's result; outside training the two are one convolution.

    Parameters
    ----------
    images : tensor (batch, side, side, channel)
    convolution : keras.layers.Conv2D
        Without activation.
    norm : ImageBatchNorm
    counted : tensor (batch,), bool, optional
    """
    if training and norm.trainable:
        return norm(convolution(images), counted, training=True)
    scale, shift = norm.affine()
    kernel = ops.cast(convolution.kernel, "float32") * scale
    bias = ops.cast(convolution.bias, "float32") * scale + shift
    found = ops.conv(images, ops.cast(kernel, images.dtype), convolution.strides, convolution.padding, "channels_last")
    return found + ops.cast(bias, images.dtype)


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

    Between the sides the image is repeated, see `doubled`. Convolutions are 3 × 3 of stride 1 with batch normalisation
    and ReLU; the last one has neither but ``activation``.

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
            if place in (2, 4):
                images = doubled(images, self.sides[place // 2])
            images = ops.relu(normalised(images, self.convolutions[place], norm, counted, training))
        return self.activation(self.convolutions[-1](images))

    def compute_output_shape(self, latent_shape, counted_shape=None):
        return (latent_shape[0], self.settings["side"], self.settings["side"], self.settings["channels"])

    def get_config(self):
        return super().get_config() | self.settings
