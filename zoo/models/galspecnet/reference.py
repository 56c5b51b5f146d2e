"""GalSpecNet's weights under the names of AstroM3's public code."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrecords.errors import DataError
from zoo.models import state_dict
from zoo.models.oracle.reference import array, fill
from zoo.registry import ModelInfo, create


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """Give the original's keys of a configuration, which may stand under ``config`` as in a golden case."""
    return config.get("config", config)


def names(values: dict[str, Any], key: str, size: int) -> tuple[str, ...]:
    """Give the names of a configuration's list, or numbers; a list of another size is a `DataError`."""
    found = tuple(values.get(key) or (f"{key}_{place}" for place in range(size)))
    if len(found) != size:
        raise DataError(f"{key}: the weights are of {size}. Received: {len(found)} names")
    return found


def hparams(values: dict[str, Any]) -> dict[str, Any]:
    """Translate the original's keys of the spectra encoder; its first number of channels is that of the input."""
    inputs, *channels = values.get("s_conv_channels", [3, 64, 64, 32, 32])
    # Which channels these are the original says by `s_err` and `s_aux`; two without that are flux and error.
    use_err = bool(values.get("s_err", inputs > 1))
    if not 1 <= inputs - use_err <= 2:
        raise DataError(f"s_conv_channels: a spectrum has 1 to 3 channels. Received: {inputs}, s_err {use_err}")
    return {
        "channels": list(channels),
        "kernel": values.get("s_kernel_size", 3),
        "pool": values.get("s_mp_kernel_size", 4),
        "dropout": values.get("s_dropout", 0.2),
        "use_err": use_err,
        "use_scale": inputs - use_err == 2,
    }


def encoder(layer, arrays, start: str = ""):
    """Give the arrays of a `GalSpecNetEncoder`, whose names begin with ``start``."""
    for place, ours in enumerate(layer.convolutions):
        # Behind every convolution stand a ReLU and a pool.
        yield from state_dict.convolution_1d(ours, f"{start}layers.{3 * place}", arrays)


def grid_size(config: dict[str, Any], flat: int, values: dict[str, Any]) -> int:
    """Give the number of grid points: the key ``n_wave``, or the published grid.

    Raises
    ------
    DataError
        If the weights behind the convolutions are of another size.
    """
    from zoo.models.galspecnet.config import GalSpecNetConfig

    size = config.get("n_wave", values.get("n_wave", 2575))
    found = GalSpecNetConfig(**hparams(values))
    width = found.points(size) * found.channels[-1]
    if width != flat:
        raise DataError(f"n_wave: the weights take {flat} features. Received: {width} of {size} grid points")
    return size


def import_weights(arrays: dict[str, np.ndarray], config: dict[str, Any]):
    """Build `zoo.models.galspecnet.model.GalSpecNet` and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State dict of the published network.
    config : dict
        The original's keys, by themselves or under ``config``; ``n_wave``: number of grid points; ``classes``: list of
        names.

    Returns
    -------
    keras.Model
    """
    values = settings(config)
    head = array(arrays, "fc.weight")
    info = ModelInfo(
        classes=names(values, "classes", len(head)), spectrum_size=grid_size(config, head.shape[1], values)
    )
    model = create("galspecnet", info, **hparams(values))
    fill([*encoder(model.spectra, arrays), *state_dict.dense(model.head, "fc", arrays)], arrays)
    return model
