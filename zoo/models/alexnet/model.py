"""AlexNet (Krizhevsky et al. 2012) on stamps."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.dropout import Dropout
from zoo.layers.stamp_conv import ImageBatchNorm
from zoo.models.stamp_network import StampNetwork
from zoo.registry import ModelInfo

K, REACH, ALPHA, BETA = 2.0, 2, 1e-4, 0.75


def local_response(images):
    """Give x_c / (2 + 1e-4 Σ x²)^0.75 of images (batch, height, width, channel), the sum over channels c − 2 to c + 2.

    In float32; the result has the dtype of the images.
    """
    values = ops.cast(images, "float32")
    squares = ops.pad(ops.square(values), [[0, 0], [0, 0], [0, 0], [REACH, REACH]])
    count = images.shape[-1]
    total = sum(squares[..., place : place + count] for place in range(2 * REACH + 1))
    return ops.cast(values * ops.power(K + ALPHA * total, -BETA), images.dtype)


@keras.saving.register_keras_serializable(package="zoo")
class AlexnetEncoder(keras.layers.Layer):
    """Five convolutions with ReLU; normalisation behind the first two, pools 3 × 3 of stride 2 behind 1, 2 and 5.

    Parameters
    ----------
    filters : sequence of int
    first_size, first_stride, groups : int
    norm : {"lrn", "batch", "none"}
    l2 : float
        See `AlexnetConfig`.
    """

    def __init__(self, filters, first_size, first_stride, groups, norm, l2, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"filters": list(filters), "first_size": first_size, "first_stride": first_stride,
                         "groups": groups, "norm": norm, "l2": l2}  # fmt: skip
        policy = self.dtype_policy
        # Kernel, stride, padding and parts of the channels; TensorFlow has no grouped convolution on the CPU.
        kinds = [(first_size, first_stride, "valid", 1), (5, 1, "same", groups), (3, 1, "same", 1),
                 (3, 1, "same", groups), (3, 1, "same", groups)]  # fmt: skip
        self.convolutions = [
            [keras.layers.Conv2D(count // parts, size, stride, padding, activation="relu", dtype=policy,
                                 kernel_regularizer=decay(l2), name=f"conv_{place}_{part}") for part in range(parts)]
            for place, (count, (size, stride, padding, parts)) in enumerate(zip(filters, kinds, strict=True))
        ]  # fmt: skip
        self.norms = [ImageBatchNorm(dtype=policy, name=f"norm_{place}") for place in range(2 * (norm == "batch"))]
        self.pool = keras.layers.MaxPooling2D(3, 2, dtype=policy, name="pool")

    @property
    def first_kernel(self):
        """Kernel of the first convolution."""
        return self.convolutions[0][0].kernel

    def build(self, images_shape):
        width = images_shape[-1]
        for place, parts in enumerate(self.convolutions):
            for part in parts:
                part.build((None, None, None, width // len(parts)))
            width = self.settings["filters"][place]
            if place < len(self.norms):
                self.norms[place].build((None, None, None, width))

    def call(self, images, training=None):
        """Give images (batch, row, column, filter) of images (batch, side, side, channel)."""
        for place, parts in enumerate(self.convolutions):
            width = images.shape[-1] // len(parts)
            found = [part(images[..., at * width : (at + 1) * width]) for at, part in enumerate(parts)]
            images = found[0] if len(found) == 1 else ops.concatenate(found, axis=-1)
            if place < 2 and self.settings["norm"] == "lrn":
                images = local_response(images)
            elif place < len(self.norms):
                images = self.norms[place](images, training=training)
            images = self.pool(images) if place in (0, 1, 4) else images
        return images

    def get_config(self):
        return super().get_config() | self.settings


def decay(l2: float):
    """Give the regularizer l2 / 2 · Σ w², or None."""
    return keras.regularizers.L2(0.5 * l2) if l2 else None


@keras.saving.register_keras_serializable(package="zoo")
class Alexnet(StampNetwork):
    """`AlexnetEncoder`, then twice dropout and dense ReLU, and logits.

    Inputs are those of the view ``stamp``, the output is ``{"logits": (batch, class)}``. Biases start from 0, where
    the original set some to 1.

    Parameters
    ----------
    config : AlexnetConfig
    info : ModelInfo
        Channels and size of the stamps, classes.
    """

    heads, primary = ("logits",), "logits"

    def __init__(self, config, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        policy = self.dtype_policy
        self.encoder = AlexnetEncoder(
            config.convolutions, config.first_size, config.first_stride, config.groups, config.norm, config.l2,
            dtype=policy, name="encoder",
        )  # fmt: skip
        options = {"kernel_regularizer": decay(config.l2), "dtype": policy}
        self.hidden = [keras.layers.Dense(config.dense, activation="relu", name=f"hidden_{place}", **options)
                       for place in range(2)]  # fmt: skip
        self.dropout = Dropout(config.dropout, dtype=policy, name="dropout")
        self.head = keras.layers.Dense(len(info.outputs), name="head", **options)

    def embed(self, inputs, training=None):
        """Give the second dense layer's output (batch, dense)."""
        images, _ = self.preprocess(inputs["stamp"])
        values = self.encoder(self.computed(images), training=training)
        values = ops.reshape(values, (-1, values.shape[1] * values.shape[2] * values.shape[3]))
        for layer in self.hidden:
            values = layer(self.dropout(values, training=training))
        return values

    def represent(self, inputs):
        """Give the second dense layer's output, (batch, dense), float32."""
        return ops.cast(self.embed(inputs, training=False), "float32")

    def call(self, inputs, training=None):
        return {"logits": ops.cast(self.head(self.embed(inputs, training)), "float32")}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, **{layer.name: layer for layer in self.hidden}, "head": self.head}
