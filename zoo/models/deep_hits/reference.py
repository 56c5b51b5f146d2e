"""Deep-HiTS's weights under the names of its golden case."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.models import state_dict
from zoo.models.oracle.reference import array, fill
from zoo.models.stamp_ae.reference import settings, stamps
from zoo.registry import create


def side(values: int, filters: int) -> int:
    """Give the side of the last images by the number of values of the four turns."""
    return round(np.sqrt(values / 4 / filters))


def import_weights(arrays, config: dict[str, Any]):
    """Build the network of the arrays' sizes and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        ``c1`` to ``c5``, ``d1``, ``d2`` and ``out``, kernels as PyTorch has them; the original framework flips its
        convolutions' kernels.
    config : dict
        ``channels`` and ``classes``: lists of names.

    Returns
    -------
    keras.Model
    """
    arrays = state_dict.without_counters(arrays)
    filters, count = array(arrays, "c1.weight").shape[:2]
    width, values = array(arrays, "d1.weight").shape
    last = side(values, 2 * filters)
    names = settings(config).get("channels") or ["template", "science", "difference", "snr"][:count]
    info = stamps(names, len(array(arrays, "out.weight")), config=config)
    # Two pools of a side and three more pixels; 21 is the published one of those that give 6.
    hparams = {"channels": list(names), "filters": filters, "width": width, "crop": 4 * last - 3}
    model, pairs = create("deep_hits", info, **hparams), []
    for place, layer in enumerate(model.encoder.convolutions, 1):
        pairs += state_dict.convolution(layer, f"c{place}", arrays)
    shape = (last, last, 2 * filters)
    kernel = array(arrays, "d1.weight")
    turns = [state_dict.channels_last(part, shape) for part in np.split(kernel, 4, axis=1)]
    pairs += [
        (model.hidden[0].kernel, ["d1.weight"], np.concatenate(turns, axis=1).T),
        (model.hidden[0].bias, ["d1.bias"], array(arrays, "d1.bias")),
        *state_dict.dense(model.hidden[1], "d2", arrays),
        *state_dict.dense(model.head, "out", arrays),
    ]
    fill(pairs, arrays)
    return model
