"""The hierarchical LSTM's weights under the names of its public code."""

from __future__ import annotations

import numpy as np

from zoo.models.oracle.reference import array, fill, info
from zoo.registry import create


def import_weights(arrays: dict[str, np.ndarray], config=None):
    """Build the model of the arrays' sizes and fill it; ``config`` names things as ``oracle.reference.info`` says.

    PyTorch's LSTM has two biases, of which only the sum counts; gates come in the order of Keras.
    """
    layers = 1
    while f"lstm.weight_ih_l{layers}" in arrays:
        layers += 1
    units = array(arrays, "lstm.weight_hh_l0").shape[1]
    hidden, width = array(arrays, "fc1.weight").shape
    outputs = len(array(arrays, "fc_final.weight"))
    hparams = {"units": units, "layers": layers, "hidden": hidden, "static": width > units}
    bands = array(arrays, "lstm.weight_ih_l0").shape[1] - 4
    model = create("hierarchical_lstm", info(outputs, width - units, bands, config), **hparams)
    fill(_pairs(model, arrays), arrays)
    return model


def _pairs(model, arrays):
    for place, layer in enumerate(model.encoder.stack):
        for variable, part in ((layer.cell.kernel, "weight_ih"), (layer.cell.recurrent_kernel, "weight_hh")):
            name = f"lstm.{part}_l{place}"
            yield variable, [name], array(arrays, name).T
        names = [f"lstm.bias_{part}_l{place}" for part in ("ih", "hh")]
        yield layer.cell.bias, names, array(arrays, names[0]) + array(arrays, names[1])
    for name, layer in (("fc1", model.merge), ("fc_final", model.output_layer)):
        yield layer.kernel, [f"{name}.weight"], array(arrays, f"{name}.weight").T
        yield layer.bias, [f"{name}.bias"], array(arrays, f"{name}.bias")
