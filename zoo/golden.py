"""A golden case and how a handler reports on it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Case:
    """A golden case.

    Attributes
    ----------
    family, name : str
        Folder and file name without suffix.
    config : dict
        Contents of the JSON; empty if there is none.
    arrays : dict of str to numpy array
        Contents of the npz under its own keys.
    """

    family: str
    name: str
    config: dict[str, Any]
    arrays: dict[str, Any]

    def group(self, prefix: str) -> dict[str, Any]:
        """Give the arrays below ``prefix/`` without the prefix."""
        start = f"{prefix}/"
        return {key[len(start) :]: value for key, value in self.arrays.items() if key.startswith(start)}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Largest difference of one output, and what it may be."""

    output: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the difference is a number and within the tolerance."""
        return self.difference <= self.tolerance


@dataclasses.dataclass(frozen=True)
class NotCarried:
    """An output of a case that the zoo has no counterpart of, and why."""

    output: str
    reason: str


def unknown(output: str) -> Comparison:
    """Give the comparison, never passed, of an output whose name no handler knows."""
    return Comparison(f"{output} (unknown)", float("nan"), 0.0)


def compare(output: str, ours, theirs, tolerance: float, relative_to: float = 1.0) -> Comparison:
    """Give the largest absolute difference of two arrays, divided by ``relative_to``."""
    ours, theirs = np.asarray(ours, "float64"), np.asarray(theirs, "float64")
    if ours.shape != theirs.shape:
        raise ValueError(f"{output}: shape {ours.shape} where the case has {theirs.shape}")
    difference = np.max(np.abs(ours - theirs), initial=0.0) / relative_to
    return Comparison(output, float(difference), tolerance)


def gradients(function, variables) -> list:
    """Give the gradients of a scalar function of nothing with respect to variables, as NumPy arrays."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = function()
    variables = [variable.value for variable in variables]
    found = tape.gradient(value, variables, unconnected_gradients="zero")
    return [tf.convert_to_tensor(gradient).numpy() for gradient in found]
