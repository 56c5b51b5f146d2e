"""Activations that Keras computes in a form which other runtimes lack."""

from __future__ import annotations

import math

from keras import ops


def gelu(values):
    """Give exact GELU, x/2 · (1 + erf(x/√2)); Keras's form needs erfc, which ONNX does not have."""
    return values * (0.5 + 0.5 * ops.erf(values * (1.0 / math.sqrt(2.0))))
