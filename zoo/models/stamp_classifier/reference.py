"""Weights of ALeRCE's published stamp classifiers under the names of their golden cases."""

from __future__ import annotations

import numpy as np

from tfrecords.errors import DataError
from zoo.registry import ModelInfo, create

CHANNELS = ("science", "template", "difference")
CLASSES = ("AGN", "SN", "VS", "asteroid", "bogus")
STAMP_SIZE = 63
STATISTICS = ("feature_mean", "feature_std")


def _array(arrays, name: str) -> np.ndarray:
    if name not in arrays:
        raise DataError(f"weights: the array {name!r} is missing. Received: {', '.join(sorted(arrays)[:6])} ...")
    return arrays[name]


def is_stamp_classifier(arrays) -> bool:
    """Say whether arrays have the names of a stamp classifier's."""
    return {"conv1/kernel", "conv5/kernel", "dense1/kernel", "dense2/kernel", "logits/kernel"} <= set(arrays)


def _crop(arrays) -> int:
    """Give the width of the stamps that the first dense layer fits: s + 3, halved twice."""
    channels = _array(arrays, "conv5/kernel").shape[-1]
    rows = len(_array(arrays, "dense1/kernel"))
    side = round((rows / channels) ** 0.5)
    if side * side * channels != rows:
        raise DataError(f"weights: dense1/kernel has the rows of a square times {channels}. Received: {rows}")
    # Of the widths that give the same number, the odd one of a stamp with an odd number of pixels.
    return next(size for size in range(4 * side - 3, 4 * side + 1) if size % 2)


def _names(config, key: str, number: int, default) -> tuple[str, ...]:
    names = config.get(key) or default
    if len(names) != number:
        raise DataError(f"{key}: the weights are of {number}. Received: {len(names)} names")
    return tuple(names)


def import_weights(arrays: dict[str, np.ndarray], config=None):
    """Build the model of the arrays' sizes and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        ``conv1`` … ``conv5``, ``dense1`` …, ``logits``, each with ``/kernel`` and ``/bias`` as Keras lays them out;
        with columns ``feat_bn`` with ``/gamma``, ``/beta``, ``/moving_mean``, ``/moving_variance``.
    config : dict, optional
        ``feature_order``, ``class_order``, ``channels``: names. ``feature_mean``, ``feature_std``: statistics of the
        clipped columns in training; without them the network takes columns as they are after clipping. ``crop``: where
        another than the smallest width fits the weights. ``stamp_size``: 63 when absent.

    Returns
    -------
    keras.Model

    Raises
    ------
    DataError
        If an array is missing, of the wrong shape, or unknown, or a list is of another length.
    """
    # The statistics may stand among the arrays as well.
    arrays, config = dict(arrays), {key: arrays[key] for key in STATISTICS if key in arrays} | (config or {})
    for key in STATISTICS:
        arrays.pop(key, None)
    features = "feat_bn/gamma" in arrays
    number = len(arrays["feat_bn/gamma"]) if features else 0
    statistics = [config.get(key) for key in STATISTICS] if features else [None, None]
    for key, values in zip(STATISTICS, statistics, strict=True):
        if values is not None and len(values) != number:
            raise DataError(f"{key}: the weights are of {number} columns. Received: {len(values)} numbers")
    if (statistics[0] is None) != (statistics[1] is None):
        raise DataError("feature_mean and feature_std go together. Received: one of them")
    channels = _array(arrays, "conv1/kernel").shape[2]
    info = ModelInfo(
        classes=_names(config, "class_order", _array(arrays, "logits/kernel").shape[1], CLASSES),
        channels=_names(config, "channels", channels, CHANNELS),
        stamp_size=int(config.get("stamp_size", STAMP_SIZE)),
        alert_columns=_names(config, "feature_order", number, [f"column_{place}" for place in range(number)])
        if features else (),
    )  # fmt: skip
    model = create(
        "stamp_classifier", info, crop=int(config.get("crop") or _crop(arrays)), features=features,
        standardize=statistics[0] is not None, kernel=_array(arrays, "conv2/kernel").shape[0],
        filters=arrays["conv1/kernel"].shape[-1], units=_array(arrays, "dense1/kernel").shape[1],
    )  # fmt: skip
    used = set()
    for name, variable in _pairs(model):
        value = _array(arrays, name)
        if tuple(value.shape) != tuple(variable.shape):
            raise DataError(
                f"weights: {name!r} has the wrong shape. Valid: {tuple(variable.shape)}. Received: {tuple(value.shape)}"
            )
        variable.assign(value)
        used.add(name)
    for name in sorted(set(arrays) - used):
        raise DataError(f"weights: an array that the original does not have. Received: {name!r}")
    if statistics[0] is not None:
        model.columns.set_statistics(*statistics)
    return model


def _pairs(model):
    """Give the original's names with the variables."""
    layers = {f"conv{place}": layer for place, layer in enumerate(model.encoder.convolutions, 1)}
    layers |= {f"dense{place}": layer for place, layer in enumerate([model.encoder.dense, *model.hidden], 1)}
    for name, layer in (layers | {"logits": model.output_layer}).items():
        yield f"{name}/kernel", layer.kernel
        yield f"{name}/bias", layer.bias
    if model.config.features:
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            yield f"feat_bn/{part}", getattr(model.norm, part)
