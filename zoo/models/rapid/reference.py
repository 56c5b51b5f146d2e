"""RAPID's published networks: their list of layers, and their weights as old Keras files name them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tfrecords.errors import DataError
from zoo.registry import ModelInfo, create

PRE_EXPLOSION = "Pre-explosion"
"""What the published networks call their first class."""

BANDS = "griz"
"""Bands of the published networks in the order of their channels; a channel more is the redshift."""


def layers_of(values: dict[str, Any]) -> dict[str, list[tuple[str, dict, str]]]:
    """Give name, options and short name of a configuration's layers by their kind, in their order."""
    found: dict[str, list[tuple[str, dict, str]]] = {}
    for kind, name, *rest in values["layers"]:
        options = rest[0] if rest else {}
        found.setdefault(kind, []).append((str(name), options, rest[1] if len(rest) > 1 else str(name)))
    return found


def _one(what: str, values):
    values = list(values)
    if any(value != values[0] for value in values):
        raise DataError(f"layers: {what} must be the same in all of them. Received: {values}")
    return values[0]


def read_config(values: dict[str, Any]) -> tuple[str, dict[str, Any], ModelInfo]:
    """Translate the configuration of a published network.

    Parameters
    ----------
    values : dict
        ``layers``: a list of [kind, name in the weights file, Keras options, short name]; ``input``: {``shape``:
        [steps, channels]}; ``classes``: names, the first that before the explosion, or null; as in a golden case.
        Not in those: ``bands`` and ``static``, names of the channels in the data to be classified; without them
        the first of g, r, i, z and, for an odd number of channels, ``redshift``.

    Returns
    -------
    model : str
        Name in the registry.
    hparams : dict
    info : ModelInfo
    """
    table = layers_of(values)
    known = {"Masking", "GRU", "LSTM", "Dropout", "BatchNormalization", "TCN", "TimeDistributed"}
    if set(table) - known:
        raise DataError(f"layers must be of the kinds {', '.join(sorted(known))}. Received: {sorted(set(table))}")
    kinds = [kind for kind in ("GRU", "LSTM", "TCN") if kind in table]
    if len(kinds) != 1 or len(table.get("TimeDistributed", ())) != 1:
        raise DataError(f"layers must hold GRU, LSTM or TCN, and one TimeDistributed. Received: {list(table)}")
    kind = kinds[0]
    layers = [options for _, options, _ in table[kind]]
    hparams = _convolutions(layers) if kind == "TCN" else _recurrent(kind, layers, table)
    channels = int(values["input"]["shape"][-1])
    bands, static = values.get("bands"), values.get("static")
    if bands is None:
        count = channels - (channels % 2 if static is None else len(static))
        bands = list(BANDS[:count]) if count <= len(BANDS) else [str(place) for place in range(count)]
    if static is None:
        static = ["redshift"] if len(bands) < channels else []
    if len(bands) + len(static) != channels:
        raise DataError(f"bands and static name {channels} channels. Received: {len(bands)} and {len(static)}")
    units = int(table["TimeDistributed"][0][1]["units"])
    classes = values.get("classes") or [PRE_EXPLOSION, *(str(place) for place in range(1, units))]
    if len(classes) != units:
        raise DataError(f"classes name the {units} outputs of the last layer. Received: {len(classes)}")
    hparams |= {"metadata": bool(static)}
    return f"rapid_{kind.lower()}", hparams, ModelInfo(tuple(classes[1:]), tuple(bands), tuple(static))


def _recurrent(kind: str, layers: list[dict], table) -> dict[str, Any]:
    norms = table.get("BatchNormalization", ())
    if len(norms) not in (0, len(layers)):
        raise DataError(f"layers: BatchNormalization after all {kind} layers or none. Received: {len(norms)}")
    if _one("activation", (options.get("activation", "tanh") for options in layers)) != "tanh":
        raise DataError(f"layers: the activation of {kind} must be tanh. Received: {layers[0]['activation']}")
    for _, options, _ in norms:
        if options.get("epsilon", 1e-3) != 1e-3:
            raise DataError(f"layers: BatchNormalization has epsilon 0.001. Received: {options['epsilon']}")
    rates = [options["rate"] for _, options, _ in table.get("Dropout", ())] or [0.0]
    hparams = {
        "units": _one("units", (options["units"] for options in layers)),
        "layers": len(layers),
        "gate": _one("recurrent_activation", (options.get("recurrent_activation", "sigmoid") for options in layers)),
        "batch_norm": bool(norms),
        "dropout": float(_one("the dropout rate", rates)),
        "zero_masking": "Masking" in table,
    }
    if kind == "GRU":
        hparams["reset_after"] = _one("reset_after", (options.get("reset_after", True) for options in layers))
    return hparams


def _convolutions(layers: list[dict]) -> dict[str, Any]:
    if len(layers) != 1:
        raise DataError(f"layers must hold one TCN. Received: {len(layers)}")
    options = layers[0]
    if options.get("padding", "causal") != "causal" or not options.get("use_skip_connections", True):
        raise DataError(f"layers: the TCN is causal, with skip connections. Received: {options}")
    return {
        "units": options["nb_filters"],
        "kernel_size": options["kernel_size"],
        "dilations": list(options["dilations"]) * options.get("nb_stacks", 1),
        "activation": options.get("activation", "relu"),
        "dropout": float(options.get("dropout_rate", 0.0)),
    }


def pairs(model, values: dict[str, Any]):
    """Pair every variable of a model with the name of the published array that it is.

    Yields
    ------
    variable : keras.Variable
    names : tuple of str
        Layer as the configuration calls it, in the file and in short, and the array within.
    """
    table = layers_of(values)

    def named(kind, place, layer, parts):
        name, _, short = table[kind][place]
        for part in parts:
            yield getattr(layer, part), (name, short, part)

    encoder = model.encoder
    if "TCN" in table:
        for place, layer in enumerate(encoder.pairs):
            block, number = divmod(place, 2)
            for part in ("kernel", "bias"):
                yield getattr(layer, part), (*_names(table, "TCN"), f"block_{block}/conv_{number}/{part}")
        for part in ("kernel", "bias") if encoder.matches else ():
            yield getattr(encoder.match, part), (*_names(table, "TCN"), f"block_0/match/{part}")
    else:
        kind = "GRU" if "GRU" in table else "LSTM"
        for place, layer in enumerate(encoder.layers):
            yield from named(kind, place, layer.cell, ("kernel", "recurrent_kernel", "bias"))
        for place, layer in enumerate(encoder.norms):
            parts = ("gamma", "beta", "moving_mean", "moving_variance")
            yield from named("BatchNormalization", place, layer, parts)
    yield from named("TimeDistributed", 0, model.head, ("kernel", "bias"))


def _names(table, kind):
    name, _, short = table[kind][0]
    return name, short


def plain_names(arrays: dict[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """Give arrays by (layer, array within it), whatever their file puts around the two.

    Takes ``model_weights/gru_1/gru_1/kernel:0`` and ``lstm/lstm/lstm_cell/kernel:0`` of old Keras files and
    ``rnn_0/kernel`` of golden cases; the optimizer's state is left out.
    """
    found = {}
    for name, array in arrays.items():
        parts = name.split(":")[0].split("/")
        if parts[0] in ("optimizer_weights", "top_level_model_weights"):
            continue
        if parts[0] == "model_weights":
            parts = parts[1:]
        inside = "/".join(parts[1:])
        block = re.search(r"block_(\d+)/(?:.*/)?(?:conv(?:1[dD])?_(\d+)|(match)\w*)/(kernel|bias)$", inside)
        if block:
            which = "match" if block[3] else f"conv_{block[2]}"
            found[parts[0], f"block_{block[1]}/{which}/{block[4]}"] = array
        else:
            found[parts[0], parts[-1]] = array
    return found


def import_weights(arrays: dict[str, np.ndarray], config: dict[str, Any]):
    """Build the model of a published configuration and fill it with the published weights.

    Parameters
    ----------
    arrays : dict of str to numpy array
        As `plain_names` takes them.
    config : dict
        See `read_config`.

    Returns
    -------
    keras.Model

    Raises
    ------
    DataError
        If an array is missing, of the wrong shape, or unknown.
    """
    try:
        name, hparams, info = read_config(config)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"the configuration is not of the form of a golden case ({error!r})") from None
    model, used = create(name, info, **hparams), set()
    found = plain_names(arrays)
    for variable, (layer, short, part) in pairs(model, config):
        key = next((key for key in ((layer, part), (short, part)) if key in found), None)
        if key is None:
            there = ", ".join("/".join(key) for key in sorted(found)[:6])
            raise DataError(f"weights: the array {layer}/{part} is missing. Received: {there} ...")
        if tuple(found[key].shape) != tuple(variable.shape):
            raise DataError(
                f"weights: {'/'.join(key)} has the wrong shape for this configuration. "
                f"Valid: {tuple(variable.shape)}. Received: {tuple(found[key].shape)}"
            )
        variable.assign(found[key])
        used.add(key)
    for key in sorted(set(found) - used):
        raise DataError(f"weights: an array that the configuration has no place for. Received: {'/'.join(key)!r}")
    return model
