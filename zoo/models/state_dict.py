"""Arrays of PyTorch state dicts as the values of Keras layers: triples for `zoo.models.oracle.reference.fill`.

Convolutions there are (out, in, height, width), dense layers (out, in), images channel first and flattened so. Each
function yields (variable, names of the arrays it is made of, value).
"""

from __future__ import annotations

import re

import numpy as np

from zoo.models.oracle.reference import array


def without_counters(arrays):
    """Leave out the counters of batches that batch normalisation keeps."""
    return {name: value for name, value in arrays.items() if not name.endswith("num_batches_tracked")}


def convolution(layer, name, arrays):
    """Give kernel and bias of a convolution, or of a transposed one, whose arrays are (in, out, height, width)."""
    kernel = np.transpose(array(arrays, f"{name}.weight"), (2, 3, 1, 0))
    yield layer.kernel, [f"{name}.weight"], kernel
    yield layer.bias, [f"{name}.bias"], array(arrays, f"{name}.bias")


def convolution_1d(layer, name, arrays):
    """Give kernel and bias of a convolution along one axis, whose arrays are (out, in, width)."""
    yield layer.kernel, [f"{name}.weight"], np.transpose(array(arrays, f"{name}.weight"), (2, 1, 0))
    yield layer.bias, [f"{name}.bias"], array(arrays, f"{name}.bias")


def dense(layer, name, arrays, images_in=None, images_out=None):
    """Give kernel and bias of a dense layer.

    Parameters
    ----------
    layer : keras.layers.Dense
    name : str
    arrays : dict
    images_in, images_out : (height, width, channel), optional
        What goes in was flattened, or what comes out will be unflattened, as images.
    """
    kernel, bias = array(arrays, f"{name}.weight").T, array(arrays, f"{name}.bias")
    if images_in is not None:
        kernel = channels_last(kernel.T, images_in).T
    if images_out is not None:
        kernel, bias = channels_last(kernel, images_out), channels_last(bias, images_out)
    yield layer.kernel, [f"{name}.weight"], kernel
    yield layer.bias, [f"{name}.bias"], bias


def channels_last(values, shape):
    """Reorder the last axis from flattened (channel, height, width) to (height, width, channel)."""
    height, width, channels = shape
    parts = np.reshape(values, (*values.shape[:-1], channels, height, width))
    return np.reshape(np.moveaxis(parts, -3, -1), values.shape)


def batch_norm(layer, name, arrays):
    """Give the four arrays of a batch normalisation."""
    ours = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    for theirs, attribute in ours.items():
        yield getattr(layer, attribute), [f"{name}.{theirs}"], array(arrays, f"{name}.{theirs}")


GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def recurrent(layer, name, place, arrays):
    """Give the arrays of one recurrent layer, LSTM, GRU (``reset_after``) or plain.

    Gates are (i, f, g, o) as here; those of a GRU (r, z, n) where ours are (z, r, n). Of the two biases ours is the
    sum, or both for a GRU.
    """
    parts = {part: f"{name}.{part}_l{place}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    values = {part: array(arrays, key) for part, key in parts.items()}
    units = values["weight_hh"].shape[1]
    gates = len(values["weight_hh"]) // units
    if gates == GATES["gru"]:
        order = np.arange(3 * units).reshape(3, units)[[1, 0, 2]].ravel()
        values = {part: value[order] for part, value in values.items()}
        bias = np.stack([values["bias_ih"], values["bias_hh"]])
    else:
        bias = values["bias_ih"] + values["bias_hh"]
    cell = layer.cell
    yield cell.kernel, [parts["weight_ih"]], values["weight_ih"].T
    yield cell.recurrent_kernel, [parts["weight_hh"]], values["weight_hh"].T
    yield cell.bias, [parts["bias_ih"], parts["bias_hh"]], bias


def recurrent_sizes(arrays, name: str = "rnn") -> dict:
    """Give ``cell``, ``units`` and ``layers`` of recurrent layers by the shapes of their arrays."""
    rows, units = array(arrays, f"{name}.weight_hh_l0").shape
    cell = {count: kind for kind, count in GATES.items()}[rows // units]
    layers = sum(bool(re.fullmatch(rf"{re.escape(name)}\.weight_hh_l\d+", key)) for key in arrays)
    return {"cell": cell, "units": units, "layers": layers}
