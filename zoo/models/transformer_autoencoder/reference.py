"""The original transformer autoencoder: its configuration keys and its weights under their canonical paths."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrecords.errors import DataError
from zoo.registry import ModelInfo, create

ATTENTION = {"query": "wq", "key": "wk", "value": "wv", "output": "out"}


def bands(number: int) -> tuple[str, ...]:
    """Give the names of so many bands: the original's are ugrizY."""
    return tuple("ugrizY") if number == 6 else tuple(map(str, range(number)))


def encoder_hparams(values: dict[str, Any]) -> dict[str, Any]:
    """Translate the original's configuration keys of an encoder; nothing is scaled in the model."""
    return {
        "num_layers": values["num_layers"],
        "d_model": values["d_model"],
        "num_heads": values["num_heads"],
        "dff": values["dff"],
        "dropout": float(values.get("dropout", 0.0)),
        "embed": bool(values.get("embed", False)),
        "normalise": "none",
        "mask_policy": "band0",
    }


def dense(layer, name):
    """Pair kernel and bias of a dense layer with the original's arrays."""
    yield layer.kernel, f"{name}/kernel"
    yield layer.bias, f"{name}/bias"


def stack(layer, name, norms=2):
    """Pair the variables of an encoder (2 norms a block) or decoder (3) with the original's arrays."""
    if layer.settings["embed"]:
        yield from dense(layer.embed, f"{name}/embed")
    for place, block in enumerate(layer.blocks):
        start = f"{name}/layer_{place}"
        for attention in block.attentions:
            for part, theirs in ATTENTION.items():
                where = f"{start}/{attention}/{theirs}"
                yield getattr(getattr(block, attention), f"{part}_kernel"), f"{where}/kernel"
                yield getattr(getattr(block, attention), f"{part}_bias"), f"{where}/bias"
        yield from dense(block.ffn_in, f"{start}/ffn/0")
        yield from dense(block.ffn_out, f"{start}/ffn/1")
        for number in range(1, norms + 1):
            norm = getattr(block, f"norm_{number}")
            yield norm.gamma, f"{start}/norm{number}/gamma"
            yield norm.beta, f"{start}/norm{number}/beta"


def pairs(model):
    """Pair every variable of an autoencoder with the name of the original's array."""
    yield from stack(model.encoder, "encoder")
    yield from stack(model.decoder, "decoder", norms=3)
    yield from dense(model.final, "final")


def assign(ours, arrays: dict[str, np.ndarray]) -> None:
    """Fill variables from the original's arrays, ``(variable, name)`` a pair.

    Raises
    ------
    DataError
        If an array is missing, of the wrong shape, or unknown.
    """
    used = set()
    for variable, name in ours:
        if name not in arrays:
            raise DataError(f"weights: the array {name!r} is missing. Received: {', '.join(sorted(arrays)[:6])} ...")
        if tuple(arrays[name].shape) != tuple(variable.shape):
            raise DataError(
                f"weights: {name!r} has the wrong shape for this configuration. Valid: {tuple(variable.shape)}. "
                f"Received: {tuple(arrays[name].shape)}"
            )
        variable.assign(arrays[name])
        used.add(name)
    for name in sorted(set(arrays) - used):
        raise DataError(f"weights: an array that the original does not have. Received: {name!r}")


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """Give the original's keys of a configuration, which may stand under ``config`` as in a golden case."""
    return config.get("config", config)


def import_weights(arrays: dict[str, np.ndarray], config: dict[str, Any]):
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
        hparams = encoder_hparams(values)
    except KeyError as error:
        raise DataError(f"the configuration lacks the original's key {error}") from None
    mapping = "denoise" if config.get("mapping", "true") in ("denoise", "approx") else "true"
    model = create(
        "transformer_autoencoder", ModelInfo(bands=bands(values.get("n_bands", 6))), mapping=mapping, **hparams
    )
    assign(pairs(model), arrays)
    return model
