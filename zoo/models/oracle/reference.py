"""ORACLE's weights under the names of its golden cases, or as its public Keras files name them."""

from __future__ import annotations

import re

import numpy as np

from tfrecords.errors import DataError
from zoo.registry import ModelInfo, create
from zoo.taxonomies import tree as trees


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


def info(outputs: int, static: int, bands: int = 6, config=None) -> ModelInfo:
    """Give what a model must know; what the configuration does not name is numbered.

    Parameters
    ----------
    outputs, static, bands : int
        Sizes of the weights. Six bands are u, g, r, i, z, Y if they are not named.
    config : dict, optional
        ``taxonomy``: name or file of the tree whose nodes the logits are of; ``classes``: by default the tree's
        leaves; ``bands`` and ``static``: lists of names.

    Raises
    ------
    DataError
        If a list or the tree is of another size than the weights.
    """
    # A network without columns ignores their names.
    config = dict(config or {}) | ({} if static else {"static": None})
    tree = trees.load(config["taxonomy"]) if config.get("taxonomy") else None
    sizes = {"bands": bands, "static": static} | ({} if tree else {"classes": outputs})
    for key, size in sizes.items():
        if config.get(key) and len(config[key]) != size:
            raise DataError(f"{key}: the weights are of {size}. Received: {len(config[key])} names")
    if tree and len(tree) != outputs:
        raise DataError(f"taxonomy {tree.name}: the weights have {outputs} logits. Received: {len(tree)} nodes")
    classes = [tree.nodes[leaf] for leaf in tree.leaves] if tree else [f"node_{number}" for number in range(outputs)]
    names = "ugrizY" if bands == 6 else [f"band_{number}" for number in range(bands)]
    return ModelInfo(
        classes=tuple(config.get("classes") or classes),
        bands=tuple(config.get("bands") or names),
        static=tuple(config.get("static") or (f"static_{number}" for number in range(static))),
        nodes=tree.nodes if tree else (),
    )


DENSE = ("dense_ts", "dense_static", "dense_merge", "latent", "logits")
"""Dense layers in the order in which the public code makes them; the network without columns lacks the second."""


def plain_names(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give arrays under the names of golden cases, whether they come from one or from a public Keras file.

    There layers have numbers in the order in which they were made: ``gru``, ``gru_1``, ``dense``, ``dense_1`` ...,
    and arrays names such as ``model_weights/gru_1/gru_1/gru_cell/kernel:0``. The optimizer's state is left out.
    """
    if "dense_ts/kernel" in arrays:
        return arrays
    kept, layers = {}, {"gru": set(), "dense": set()}
    for name, array in arrays.items():
        if name.startswith(("optimizer_weights/", "top_level_model_weights/")):
            continue
        layer, *_, part = name.removeprefix("model_weights/").split(":")[0].split("/")
        kind, number = re.fullmatch(r"(.*?)(?:_(\d+))?", layer).groups()
        if kind not in layers:
            raise DataError(f"weights: an array that the original does not have. Received: {name!r}")
        layers[kind].add(int(number or 0))
        kept[kind, int(number or 0), part] = array
    dense = DENSE if len(layers["dense"]) == len(DENSE) else DENSE[:1] + DENSE[2:]
    ours = {("gru", number): f"gru_{place}" for place, number in enumerate(sorted(layers["gru"]), 1)}
    ours |= {("dense", number): name for number, name in zip(sorted(layers["dense"]), dense, strict=False)}
    return {f"{ours.get((kind, number), f'{kind}_{number}')}/{part}": array
            for (kind, number, part), array in kept.items()}  # fmt: skip


def import_weights(arrays: dict[str, np.ndarray], config=None):
    """Build the model of the arrays' sizes and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        As `plain_names` takes them.
    config : dict, optional
        Names, see `info`.

    Returns
    -------
    keras.Model

    Raises
    ------
    DataError
        If an array is missing, of the wrong shape, or unknown.
    """
    arrays, layers = plain_names(arrays), 1
    while f"gru_{layers + 1}/kernel" in arrays:
        layers += 1
    static = len(arrays["dense_static/kernel"]) if "dense_static/kernel" in arrays else 0
    units = len(array(arrays, "gru_1/recurrent_kernel"))
    hparams = {"units": units, "layers": layers}
    hparams |= {"dense": array(arrays, "dense_ts/kernel").shape[1], "latent": array(arrays, "latent/kernel").shape[1]}
    if static:
        hparams["static_units"] = arrays["dense_static/kernel"].shape[1]
    name = "oracle_gru" if static else "oracle_gru_lite"
    model = create(name, info(array(arrays, "logits/kernel").shape[1], static, config=config), **hparams)
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
