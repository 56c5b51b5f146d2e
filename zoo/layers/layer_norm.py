"""Layer normalization with few passes over memory, and products of what it gives."""

from __future__ import annotations

import keras
from keras import ops


def linear(values, kernel, bias):
    """Give ``values · kernel + bias`` (…, output) of values (…, input), in the dtype of the values.

    The product is one of matrices whatever the rank: libraries add the bias inside such a product, and in one with
    more axes they do not. The bias's gradient is a product with ones, which is quicker than their column sums.
    """
    kernel, bias = ops.cast(kernel, values.dtype), ops.cast(bias, values.dtype)
    if len(values.shape) == 2:
        return _product(values, kernel, bias)
    flat = _product(ops.reshape(values, (-1, kernel.shape[0])), kernel, bias)
    return ops.reshape(flat, (*ops.shape(values)[:-1], kernel.shape[1]))


@ops.custom_gradient
def _product(values, kernel, bias):
    def gradient(*arguments, upstream=None):
        if upstream is None:
            (upstream,) = arguments
        into = ops.matmul(upstream, ops.transpose(kernel))
        return into, ops.matmul(ops.transpose(values), upstream), _column_sums(upstream)

    return ops.add(ops.matmul(values, kernel), bias), gradient


@ops.custom_gradient
def _affine(values, gamma, beta):
    def gradient(*arguments, upstream=None):
        if upstream is None:
            (upstream,) = arguments
        return upstream * gamma, _column_sums(upstream * values), _column_sums(upstream)

    return values * gamma + beta, gradient


def _column_sums(values):
    flat = ops.reshape(values, (-1, values.shape[-1]))
    return ops.matmul(ops.ones((1, ops.shape(flat)[0]), dtype=flat.dtype), flat)[0]


def standardise(values, epsilon):
    """Give (x − mean) / √(variance + ε) over the last axis, float32.

    The gradient is written out, (g − mean g − y · mean(g · y)) / √(variance + ε) with the result y: half the passes
    over memory of what differentiating the expression takes.

    Parameters
    ----------
    values : tensor (…, width), float32
    epsilon : float
        ε.
    """

    @ops.custom_gradient
    def apply(inputs):
        centred = inputs - ops.mean(inputs, axis=-1, keepdims=True)
        scale = ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + epsilon)
        result = centred * scale

        def gradient(*arguments, upstream=None):
            if upstream is None:
                (upstream,) = arguments
            along = ops.mean(upstream * result, axis=-1, keepdims=True)
            return (upstream - ops.mean(upstream, axis=-1, keepdims=True) - result * along) * scale

        return result, gradient

    return apply(values)


@keras.saving.register_keras_serializable(package="zoo")
class LayerNorm(keras.layers.LayerNormalization):
    """Layer normalization over the last axis, γ · standardise(x) + β, whose affine part can go into a product."""

    def plain(self, values):
        """Give standardise(x) without γ and β, in the compute dtype."""
        return ops.cast(standardise(ops.cast(values, "float32"), self.epsilon), self.compute_dtype)

    def folded(self, kernel, bias):
        """Give kernel' and bias' with ``plain(x) · kernel' + bias' = call(x) · kernel + bias``.

        Parameters
        ----------
        kernel : tensor (width, output)
        bias : tensor (output,)
        """
        kernel, bias = ops.cast(kernel, "float32"), ops.cast(bias, "float32")
        return self.gamma[:, None] * kernel, bias + ops.matmul(self.beta, kernel)

    def call(self, inputs):
        plain = standardise(ops.cast(inputs, "float32"), self.epsilon)
        scaled = _affine(plain, ops.cast(self.gamma, "float32"), ops.cast(self.beta, "float32"))
        return ops.cast(scaled, self.compute_dtype)
