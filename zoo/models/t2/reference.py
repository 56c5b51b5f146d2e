"""t2's public reference: its configuration keys and its weights under their own names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tfrecords.errors import DataError
from zoo.registry import ModelInfo, create

ATTENTION = {"query": "query", "key": "key", "value": "value", "out": "output"}

PUBLISHED = (
    (r"embedding/conv1d/(kernel|bias)", r"conv_embedding/\1"),
    (r"encoder/(\d+)/att/(query|key|value)_dense/(kernel|bias)", r"block_\1/attention/\2/\3"),
    (r"encoder/(\d+)/att/combine_heads/(kernel|bias)", r"block_\1/attention/out/\2"),
    (r"encoder/(\d+)/ffn/layer_with_weights-([01])/(kernel|bias)", r"block_\1/ffn/\2/\3"),
    (r"encoder/(\d+)/layernorm([12])/(gamma|beta)", r"block_\1/norm\2/\3"),
    (r"classifier/(kernel|bias)", r"head/\1"),
)
"""Attributes of the published networks, as their TensorFlow checkpoints hold them, and the names of golden cases."""


def read_config(values: dict[str, Any]) -> tuple[dict[str, Any], ModelInfo]:
    """Translate the reference's configuration.

    Parameters
    ----------
    values : dict
        ``embed_dim``, ``num_heads``, ``ff_dim``, ``num_layers``, ``n_classes``, ``n_bands``, ``seq_len`` and
        ``aux``: null, or words that say how many ``extra time steps`` or ``extra channels`` the redshift columns
        are. A list under ``bands`` or ``classes`` names them.

    Returns
    -------
    hparams : dict
        Hyperparameters of `T2Config`. The grid is taken as already scaled: published weights come without the
        medians and ranges of their training set.
    info : ModelInfo
    """
    bands, classes, steps = values["n_bands"], values["n_classes"], values["seq_len"]
    redshift, columns = _redshift(values.get("aux"))
    hparams = {
        "d_model": values["embed_dim"],
        "num_heads": values["num_heads"],
        "dff": values["ff_dim"],
        "layers": values["num_layers"],
        "dropout": values.get("droprate", 0.1),
        "redshift": redshift,
        "scaling": "none",
    }
    if columns:
        hparams["redshift_columns"] = columns
    names = _names(values, "bands", tuple("ugrizY") if bands == 6 else tuple(str(n) for n in range(bands)))
    info = ModelInfo(
        classes=_names(values, "classes", tuple(str(n) for n in range(classes))),
        bands=names,
        static=tuple(columns),
        features=tuple(f"gp_{step:03d}_{band}" for step in range(steps) for band in names),
        feature_days=(float("inf"),),
    )
    return hparams, info


def _names(values, key, default):
    names = tuple(values.get(key) or default)
    if len(names) != len(default):
        raise DataError(f"{key} must name {len(default)}. Received: {len(names)} names")
    return names


def _redshift(aux) -> tuple[str, list[str]]:
    if aux is None:
        return "none", []
    words = re.search(r"(\d+) extra (time steps?|channels?)", str(aux))
    if not words:
        raise DataError(f"aux must be null or name extra time steps or extra channels. Received: {aux!r}")
    known = ["hostgal_photoz", "hostgal_photoz_err"]
    count = int(words[1])
    columns = known[:count] + [f"static_{place}" for place in range(len(known), count)]
    return "L" if words[2].startswith("time") else "M", columns


def pairs(model):
    """Give every variable of a network with the reference's name of its array.

    Yields
    ------
    variable : keras.Variable
    name : str
    """
    yield from _dense(model.embedding, "conv_embedding")
    for place, block in enumerate(model.blocks):
        start = f"block_{place}"
        for theirs, ours in ATTENTION.items():
            yield getattr(block.attention, f"{ours}_kernel"), f"{start}/attention/{theirs}/kernel"
            yield getattr(block.attention, f"{ours}_bias"), f"{start}/attention/{theirs}/bias"
        yield from _dense(block.ffn_in, f"{start}/ffn/0")
        yield from _dense(block.ffn_out, f"{start}/ffn/1")
        for theirs, norm in (("norm1", block.norm_1), ("norm2", block.norm_2)):
            yield norm.gamma, f"{start}/{theirs}/gamma"
            yield norm.beta, f"{start}/{theirs}/beta"
    yield from _dense(model.lc_head, "head")


def _dense(layer, name):
    yield layer.kernel, f"{name}/kernel"
    yield layer.bias, f"{name}/bias"


def plain_names(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give arrays under the names of golden cases, whether they come from one or from a published checkpoint."""
    found = {}
    for name, array in arrays.items():
        for theirs, ours in PUBLISHED:
            if re.fullmatch(theirs, name):
                name = re.sub(theirs, ours, name)
                break
        found[name] = array
    return found


def import_weights(arrays: dict[str, np.ndarray], config: dict[str, Any]):
    """Build the model of a reference configuration and fill it with the reference's weights.

    Parameters
    ----------
    arrays : dict of str to numpy array
        As `plain_names` takes them.
    config : dict
        The reference's configuration keys, by themselves or under ``config``.

    Returns
    -------
    keras.Model

    Raises
    ------
    DataError
        If an array is missing, of the wrong shape, or unknown.
    """
    try:
        hparams, info = read_config(config.get("config", config))
    except KeyError as error:
        raise DataError(f"the configuration lacks the reference's key {error}") from None
    model, arrays = create("t2", info, **hparams), plain_names(arrays)
    used = set()
    for variable, name in pairs(model):
        if name not in arrays:
            raise DataError(f"weights: the array {name!r} is missing. Received: {', '.join(sorted(arrays)[:6])} ...")
        value, wanted = np.asarray(arrays[name]), tuple(variable.shape)
        # The reference's convolution of kernel 1 has one more axis.
        if name == "conv_embedding/kernel" and value.ndim == 3 and len(value) == 1:
            value = value[0]
        if value.shape != wanted:
            raise DataError(
                f"weights: {name!r} has the wrong shape for this configuration. "
                f"Valid: {wanted}. Received: {value.shape}"
            )
        variable.assign(value)
        used.add(name)
    unknown = sorted(set(arrays) - used)
    if unknown:
        raise DataError(f"weights: an array that the reference does not have. Received: {unknown[0]!r}")
    return model
