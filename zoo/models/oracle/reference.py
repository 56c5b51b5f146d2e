"""ORACLE's weights under the names of its golden cases."""

from __future__ import annotations

import numpy as np

from tfrecords.errors import DataError
from zoo.registry import ModelInfo, create


def fill(pairs, arrays) -> None:
    """Assign arrays to variables.

    Parameters
    ----------
    pairs : iterable of (keras.Variable, list of str, numpy array)
        Variable, the names of the arrays that make it, and its value.
    arrays : dict
        All arrays of the case.

    Raises
    ------
    DataError
        If a shape does not fit, or an array is left over.
    """
    used: set[str] = set()
    for variable, names, value in pairs:
        if tuple(value.shape) != tuple(variable.shape):
            raise DataError(
                f"weights: {names[0]!r} has the wrong shape. Valid: {tuple(variable.shape)} after conversion. "
                f"Received: {tuple(value.shape)}"
            )
        variable.assign(value)
        used.update(names)
    for name in sorted(set(arrays) - used):
        raise DataError(f"weights: an array that the original does not have. Received: {name!r}")


def array(arrays, name: str) -> np.ndarray:
    """Give the array of a name; a missing one is a `DataError`."""
    if name not in arrays:
        raise DataError(f"weights: the array {name!r} is missing. Received: {', '.join(sorted(arrays)[:6])} ...")
    return arrays[name]


def info(outputs: int, static: int, bands: int = 6) -> ModelInfo:
    """Give what a model must know where only the sizes are known; six bands are u, g, r, i, z, Y."""
    return ModelInfo(
        classes=tuple(f"node_{number}" for number in range(outputs)),
        bands=tuple("ugrizY") if bands == 6 else tuple(f"band_{number}" for number in range(bands)),
        static=tuple(f"static_{number}" for number in range(static)),
    )


def import_weights(arrays: dict[str, np.ndarray]):
    """Build the model of the arrays' sizes and fill it."""
    layers = 1
    while f"gru_{layers + 1}/kernel" in arrays:
        layers += 1
    static = len(arrays["dense_static/kernel"]) if "dense_static/kernel" in arrays else 0
    units = len(array(arrays, "gru_1/recurrent_kernel"))
    hparams = {"units": units, "layers": layers, "sentinels": []}
    hparams |= {"dense": array(arrays, "dense_ts/kernel").shape[1], "latent": array(arrays, "latent/kernel").shape[1]}
    if static:
        hparams["static_units"] = arrays["dense_static/kernel"].shape[1]
    name = "oracle_gru" if static else "oracle_gru_lite"
    model = create(name, info(array(arrays, "logits/kernel").shape[1], static), **hparams)
    fill(_pairs(model, arrays), arrays)
    return model


def _pairs(model, arrays):
    for place, layer in enumerate(model.encoder.stack, 1):
        for part in ("kernel", "recurrent_kernel", "bias"):
            name = f"gru_{place}/{part}"
            yield getattr(layer.cell, part), [name], array(arrays, name)
    dense = {"dense_ts": model.series, "dense_merge": model.merge, "latent": model.latent,
             "logits": model.output_layer}  # fmt: skip
    if model.config.static:
        dense["dense_static"] = model.table
    for name, layer in dense.items():
        yield layer.kernel, [f"{name}/kernel"], array(arrays, f"{name}/kernel")
        yield layer.bias, [f"{name}/bias"], array(arrays, f"{name}/bias")
