"""The named tensors that models take: one table for pipeline, models, export and tests.

Dimensions: batch, time (packed rows), band, slot (rows of one band), step (of a regular grid), static, feature;
frame (alerts of a sequence), pixel, channel, alert_column; wavelength (points of the spectra's grid).
Values under a False mask are 0. ``zoo/inputs/README.md`` explains every tensor.
"""

from __future__ import annotations

import numpy as np

from zoo.registry import ModelInfo

PACKED = {
    "time": (("batch", "time"), "float32"),
    "flux": (("batch", "time"), "float32"),
    "flux_err": (("batch", "time"), "float32"),
    "band": (("batch", "time"), "int32"),
    "detected": (("batch", "time"), "bool"),
    "mask": (("batch", "time"), "bool"),
}
VIEWS = {
    "packed": PACKED,
    "packed_by_band": {
        "grid_time": (("batch", "band", "slot"), "float32"),
        "grid_flux": (("batch", "band", "slot"), "float32"),
        "grid_flux_err": (("batch", "band", "slot"), "float32"),
        "pack_index": (("batch", "time"), "int32"),
        "mask": (("batch", "time"), "bool"),
    },
    "grid": {
        "time": (("batch", "step"), "float32"),
        "flux": (("batch", "step", "band"), "float32"),
        "flux_err": (("batch", "step", "band"), "float32"),
        "observed": (("batch", "step", "band"), "bool"),
        "mask": (("batch", "step"), "bool"),
    },
    "photometry": {
        "time": (("batch", "time"), "float32"),
        "flux": (("batch", "time"), "float32"),
        "flux_err": (("batch", "time"), "float32"),
        "band": (("batch", "time"), "int32"),
        "mask": (("batch", "time"), "bool"),
        "curve_scale": (("batch", "curve_scale"), "float32"),
    },
}
"""Tensors of the light-curve part of each view: dimensions and dtype."""

STAMPS = {
    "stamp": {
        "stamp": (("batch", "pixel", "pixel", "channel"), "float32"),
        "alert": (("batch", "alert_column"), "float32"),
    },
    "stamp_sequence": {
        "stamps": (("batch", "frame", "pixel", "pixel", "channel"), "float32"),
        "alerts": (("batch", "frame", "alert_column"), "float32"),
        "time": (("batch", "frame"), "float32"),
        "mask": (("batch", "frame"), "bool"),
    },
}
"""Tensors of the stamp part of each view: pixels and columns of an alert as they are, NaN included."""

TABLES = {
    "static": {"static": (("batch", "static"), "float32")},
    "features": {
        "features": (("batch", "feature"), "float32"),
        "feature_set": (("batch",), "int32"),
    },
    "spectrum": {
        "spectrum": (("batch", "wavelength"), "float32"),
        "spectrum_err": (("batch", "wavelength"), "float32"),
        "spectrum_scale": (("batch", "spectrum_scale"), "float32"),
        "spectrum_mask": (("batch", "wavelength"), "bool"),
    },
    "target": {"target_flux": (("batch", "step", "band"), "float32")},
}
"""Tensors of tables and spectra, which go with any view, and of the noiseless light curve beside a grid."""


def tensors(view: str, parts) -> dict[str, tuple[tuple[str, ...], str]]:
    """Give the tensors of a view restricted to parts (``light_curve``, ``stamps``, ``static`` ...)."""
    table: dict = {}
    if "light_curve" in parts:
        table |= VIEWS[view]
    if "stamps" in parts:
        table |= STAMPS[view]
    for part in TABLES:
        if part in parts:
            table |= TABLES[part]
    return table


def sizes(info: ModelInfo) -> dict[str, int]:
    """Give the dimensions that the data fix."""
    return {
        "band": len(info.bands),
        "static": len(info.static),
        "feature": len(info.features),
        "channel": len(info.channels),
        "pixel": info.stamp_size,
        "alert_column": len(info.alert_columns),
        "wavelength": info.spectrum_size,
        "curve_scale": 2,
        "spectrum_scale": 1,
    }


def example(
    view: str, parts, info: ModelInfo, batch: int = 2, time: int = 1, slot: int = 1, step: int = 2, frame: int = 2
):
    """Give a batch of empty objects, enough to build a model.

    Returns
    -------
    dict of str to numpy array
        Zeros; the mask is False everywhere.
    """
    length = {"batch": batch, "time": time, "slot": slot, "step": step, "frame": frame, **sizes(info)}
    return {
        name: np.zeros([length[axis] for axis in axes], dtype) for name, (axes, dtype) in tensors(view, parts).items()
    }
