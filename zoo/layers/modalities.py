"""Objects that lack a part of their input: embeddings side by side, hidden in training, put together."""

from __future__ import annotations

import math

import keras
from keras import ops


def unit(values):
    """Give vectors (batch, width) divided by their length, float32; 0 where that is 0."""
    values = ops.cast(values, "float32")
    return values / ops.sqrt(ops.maximum(ops.sum(ops.square(values), axis=1, keepdims=True), 1e-12))


@keras.saving.register_keras_serializable(package="zoo")
class ModalityDropout(keras.layers.Layer):
    """In training, hide each modality that an object has with a probability, and never all of them.

    Parameters
    ----------
    rate : float
        Probability, in [0, 1).
    seed : int, optional
        Drawn from Keras's global seed when absent.
    """

    def __init__(self, rate, seed=None, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.rate, self.seed = rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, present, training=None):
        """Turn what is there (batch, modality), bool, into what is shown."""
        if not training or not self.rate:
            return present
        luck = keras.random.uniform(ops.shape(present), seed=self.seed_generator)
        luck = ops.where(present, luck, -1.0)
        # Of those that would all be hidden, the luckiest stays.
        shown = ops.logical_or(luck >= self.rate, luck >= ops.max(luck, axis=1, keepdims=True))
        return ops.logical_and(present, shown)

    def compute_output_shape(self, present_shape):
        return present_shape

    def get_config(self):
        return super().get_config() | {"rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package="zoo")
class Fusion(keras.layers.Layer):
    """Put the embeddings of several modalities together.

    ``avg`` takes the mean over those that are there, 0 without any; ``concat`` sets them side by side, with a learned
    vector in place of each that is missing.

    Parameters
    ----------
    kind : {"avg", "concat"}
    """

    def __init__(self, kind, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if kind not in ("avg", "concat"):
            raise ValueError(f"Unknown fusion. Valid: avg, concat. Received: {kind!r}")
        self.kind = kind

    def build(self, embeddings_shape, present_shape=None):
        if self.kind == "concat":
            shape = tuple(embeddings_shape[1:])
            self.stand_in = self.add_weight(name="stand_in", shape=shape, initializer="zeros")

    def call(self, embeddings, present):
        """Put together.

        Parameters
        ----------
        embeddings : tensor (batch, modality, width), float32
        present : tensor (batch, modality), bool

        Returns
        -------
        tensor (batch, width) or (batch, modality · width), float32
        """
        if self.kind == "avg":
            return mean_of_present(embeddings, present)
        found = ops.where(present[:, :, None], embeddings, ops.cast(self.stand_in, "float32")[None])
        return ops.reshape(found, (-1, found.shape[1] * found.shape[2]))

    def compute_output_shape(self, embeddings_shape, present_shape=None):
        batch, modalities, width = embeddings_shape
        return (batch, width if self.kind == "avg" else modalities * width)

    def get_config(self):
        return super().get_config() | {"kind": self.kind}


def mean_of_present(embeddings, present):
    """Give the mean (batch, width) of embeddings (batch, modality, width) over those present, 0 without any."""
    weight = ops.cast(present, "float32")
    total = ops.sum(ops.where(present[:, :, None], embeddings, 0.0), axis=1)
    return total / ops.maximum(ops.sum(weight, axis=1, keepdims=True), 1.0)


@keras.saving.register_keras_serializable(package="zoo")
class Within(keras.constraints.Constraint):
    """Keep a weight between two numbers, after every step of the optimizer.

    Unlike a clipped output, the bound that a weight stands at leaves its gradient alone.
    """

    def __init__(self, low, high):
        self.low, self.high = low, high

    def __call__(self, value):
        return ops.clip(value, self.low, self.high)

    def get_config(self):
        return {"low": self.low, "high": self.high}


LARGEST_SCALE = 100.0


@keras.saving.register_keras_serializable(package="zoo")
class PairScales(keras.layers.Layer):
    """Learned numbers between 1 and 100 that cosines are multiplied with, exp(w) by name.

    Parameters
    ----------
    names : sequence of str
    start : float
        All of them at first.
    compat : bool
        Clip exp(w), as published: its gradient is 0 beyond, at 100 too as float32 makes that 100.00001. Else w itself
        stays between 0 and ln 100.
    """

    def __init__(self, names, start, compat=False, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.settings = {"names": list(names), "start": start, "compat": compat}

    def build(self, input_shape=None):
        start = keras.initializers.Constant(math.log(self.settings["start"]))
        bounds = None if self.settings["compat"] else Within(0.0, math.log(LARGEST_SCALE))
        self.logarithms = {
            name: self.add_weight(name=name, shape=(), initializer=start, constraint=bounds)
            for name in self.settings["names"]
        }

    def values(self) -> dict:
        """Give the numbers by name."""
        found = {name: ops.exp(weight) for name, weight in self.logarithms.items()}
        if self.settings["compat"]:
            return {name: ops.clip(value, 1.0, LARGEST_SCALE) for name, value in found.items()}
        return found

    def get_config(self):
        return super().get_config() | self.settings
