"""The original simple RNN: its configuration keys and its weights under their canonical paths."""

from __future__ import annotations

from typing import Any

from tfrecords.errors import DataError
from zoo.models.transformer_autoencoder.reference import assign, bands, dense, settings
from zoo.registry import ModelInfo, create


def pairs(model):
    """Pair every variable with the name of the original's array; gates stand in the order i, f, c, o in both."""
    cell = model.lstm.cell
    yield cell.kernel, "lstm/kernel"
    yield cell.recurrent_kernel, "lstm/recurrent_kernel"
    yield cell.bias, "lstm/bias"
    yield from dense(model.dense, "dense")
    yield from dense(model.output_layer, "head")


def import_weights(arrays: dict[str, Any], config: dict[str, Any]):
    """Build the model of an original's configuration and fill it with the original's weights.

    Parameters
    ----------
    arrays : dict of str to numpy array
        Under their canonical paths, kernels (input, output).
    config : dict
        The original's configuration keys.

    Returns
    -------
    keras.Model
    """
    try:
        values = settings(config)
        hparams = {"units": values["units"], "dense": values["dense"], "normalise": "none", "read": "last"}
        classes = tuple(map(str, range(values["n_classes"])))
        number = values.get("n_bands", arrays["lstm/kernel"].shape[0])
    except KeyError as error:
        raise DataError(f"the configuration lacks the original's key {error}") from None
    network = create("simple_rnn", ModelInfo(classes=classes, bands=bands(number)), **hparams)
    assign(pairs(network), arrays)
    return network
