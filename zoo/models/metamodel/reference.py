"""MetaModel's weights under the names of AstroM3's public code."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrecords.errors import DataError
from zoo.models import state_dict
from zoo.models.galspecnet.reference import names, settings
from zoo.models.oracle.reference import array, fill
from zoo.registry import ModelInfo, create


def hparams(values: dict[str, Any]) -> dict[str, Any]:
    """Translate the original's keys of the metadata encoder.

    Weights come without the means and deviations of their training set: with the keys ``meta_mean`` and ``meta_std``
    the network scales as it was trained, else it takes columns that are scaled already.
    """
    scaled = "meta_mean" in values
    return {
        "hidden_dim": values.get("m_hidden_dim", 512),
        "dropout": values.get("m_dropout", 0.2),
        "transform": bool(values.get("transform", scaled)),
        "scaling": "standard" if scaled else "none",
    }


def columns(values: dict[str, Any], size: int) -> tuple[str, ...]:
    """Give the names of the columns: the key ``meta_cols``, or numbers."""
    return names(values, "meta_cols", size)


def encoder(layer, arrays, start: str = ""):
    """Give the arrays of a `MetaEncoder`, whose names begin with ``start``."""
    for place, ours in enumerate(layer.hidden):
        # Behind every layer stand a ReLU and a dropout.
        yield from state_dict.dense(ours, f"{start}model.{3 * place}", arrays)


def statistics(layer, values: dict[str, Any]) -> None:
    """Store the means and deviations of a configuration in a `MetaEncoder`, if it has them."""
    if "meta_mean" not in values:
        return
    size = len(layer.columns.settings["columns"])
    for key in ("meta_mean", "meta_std"):
        if len(values.get(key, ())) != size:
            raise DataError(f"{key}: one number for each of {size} columns. Received: {len(values.get(key, ()))}")
    layer.columns.set_statistics(values["meta_mean"], values["meta_std"])


def import_weights(arrays: dict[str, np.ndarray], config: dict[str, Any]):
    """Build `zoo.models.metamodel.model.MetaModel` and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State dict of the published network.
    config : dict
        The original's keys, by themselves or under ``config``; ``classes`` and ``meta_cols``: lists of names;
        ``meta_mean`` and ``meta_std``: see `hparams`.

    Returns
    -------
    keras.Model
    """
    values = settings(config)
    width, head = array(arrays, "model.0.weight").shape[1], array(arrays, "fc.weight")
    info = ModelInfo(classes=names(values, "classes", len(head)), static=columns(values, width))
    model = create("metamodel", info, **hparams(values))
    fill([*encoder(model.meta, arrays), *state_dict.dense(model.head, "fc", arrays)], arrays)
    statistics(model.meta, values)
    return model
