"""Initial values that published models start from and Keras does not name."""

from __future__ import annotations

import math

import keras


@keras.saving.register_keras_serializable(package="zoo")
class FanInUniform(keras.initializers.Initializer):
    """Uniform values in ±1/√fan_in, the bias rule of PyTorch's linear layers.

    Parameters
    ----------
    fan_in : int
        Number of inputs of the layer that the bias belongs to.
    seed : int, optional
        Seed; drawn from Keras's global seed when absent.
    """

    def __init__(self, fan_in: int, seed: int | None = None):
        self.fan_in = fan_in
        bound = 1.0 / math.sqrt(fan_in)
        self._uniform = keras.initializers.RandomUniform(-bound, bound, seed=seed)

    def __call__(self, shape, dtype=None):
        return self._uniform(shape, dtype=dtype)

    def get_config(self):
        return {"fan_in": self.fan_in, "seed": self._uniform.get_config()["seed"]}


def kernel_initializer(name: str) -> keras.initializers.Initializer:
    """Give the kernel initializer of a short name: ``normal`` (σ = 0.02), ``orthogonal``, ``xavier``."""
    if name == "normal":
        return keras.initializers.RandomNormal(stddev=0.02)
    if name == "orthogonal":
        return keras.initializers.Orthogonal()
    if name == "xavier":
        return keras.initializers.GlorotUniform()
    raise ValueError(f"Unknown initializer. Valid: normal, orthogonal, xavier. Received: {name!r}")


def dense(units: int, fan_in: int, initializer: str, name: str, dtype=None) -> keras.layers.Dense:
    """Give a Dense layer whose kernel starts from ``initializer`` and whose bias from ±1/√fan_in.

    ``fan_in`` is the bias rule for the kernel too, as PyTorch has it.
    """
    return keras.layers.Dense(
        units,
        kernel_initializer=FanInUniform(fan_in) if initializer == "fan_in" else kernel_initializer(initializer),
        bias_initializer=FanInUniform(fan_in),
        dtype=dtype,
        name=name,
    )
