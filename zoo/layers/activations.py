"""Activations in a form that is cheap to differentiate and that other runtimes have."""

from __future__ import annotations

import math

import keras
from keras import ops


def gelu(values):
    """Give exact GELU, x · Φ(x) with Φ(x) = (1 + erf(x/√2)) / 2.

    Keras's form needs erfc, which ONNX does not have; this one TensorFlow fuses with the product before it. The
    gradient is written out, Φ(x) + x · φ(x) with the normal density φ: half the passes over memory of what
    differentiating the expression takes.
    """
    return _gelu(values)


@ops.custom_gradient
def _gelu(values):
    scaled = values * math.sqrt(0.5)
    share = 0.5 * (1.0 + ops.erf(scaled))

    def gradient(*arguments, upstream=None):
        if upstream is None:
            (upstream,) = arguments
        # The factor of the density is in its exponent: a pass less.
        density = ops.exp(-0.5 * math.log(2.0 * math.pi) - ops.square(scaled))
        return upstream * (share + values * density)

    return values * share, gradient


@keras.saving.register_keras_serializable(package="zoo")
def hard_sigmoid(values):
    """Give clip(0.2 x + 0.5, 0, 1), the gate of recurrent networks that Keras before version 3 trained.

    Keras 3 gives another slope under the same name, clip(x / 6 + 0.5, 0, 1).
    """
    return ops.clip(0.2 * values + 0.5, 0.0, 1.0)
