"""Changes of a batch that must not change a model's answer, by view."""

from __future__ import annotations

import numpy as np

SET_VIEWS = ("packed_by_band",)
"""Views whose rows are a set: their order carries no meaning."""

ROWS = ("time", "flux", "flux_err", "band", "detected", "mask", "pack_index", "observed", "target_flux",
        "stamps", "alerts")  # fmt: skip
"""Tensors whose second axis is rows or steps."""


def pad(view: str, inputs: dict, rows: int = 7, slots: int = 3) -> dict:
    """Add masked rows, and empty slots where the view has a grid."""
    result = dict(inputs)
    for name in ROWS:
        if name in inputs:
            free = [(0, 0)] * (inputs[name].ndim - 2)
            result[name] = np.pad(inputs[name], [(0, 0), (0, rows), *free])
    if view == "packed_by_band":
        old = inputs["grid_time"].shape[2]
        for name in ("grid_time", "grid_flux", "grid_flux_err"):
            result[name] = np.pad(inputs[name], [(0, 0), (0, 0), (0, slots)])
        band, slot = np.divmod(result["pack_index"], old)
        result["pack_index"] = (band * (old + slots) + slot).astype("int32")
    return result


def poison(view: str, inputs: dict, rng) -> dict:
    """Put other finite values wherever the mask is False."""
    result, mask = dict(inputs), inputs["mask"]

    def spoil(values, free):
        wrong = rng.normal(size=values.shape) * 1000
        return np.where(free, wrong, values).astype(values.dtype)

    for name in ("time", "flux", "flux_err", "target_flux"):
        if name in inputs:
            steps = inputs[name].ndim == 3
            result[name] = spoil(inputs[name], ~inputs["observed"] if steps else ~mask)
    for name in ("stamps", "alerts"):
        if name in inputs:
            result[name] = spoil(inputs[name], ~mask.reshape(*mask.shape, *[1] * (inputs[name].ndim - 2)))
    if "band" in inputs:
        other = rng.integers(0, inputs["band"].max() + 1, mask.shape)
        result["band"] = np.where(mask, inputs["band"], other).astype("int32")
    if "detected" in inputs:
        result["detected"] = np.where(mask, inputs["detected"], rng.random(mask.shape) < 0.5)
    if view == "packed_by_band":
        shape = inputs["grid_time"].shape
        free = np.ones((shape[0], shape[1] * shape[2]), bool)
        for place, (index, valid) in enumerate(zip(inputs["pack_index"], mask, strict=True)):
            free[place, index[valid]] = False
        for name in ("grid_time", "grid_flux", "grid_flux_err"):
            result[name] = spoil(inputs[name], free.reshape(shape))
        other = rng.integers(0, free.shape[1], mask.shape)
        result["pack_index"] = np.where(mask, inputs["pack_index"], other).astype("int32")
    return result


def permute(inputs: dict, rng) -> dict:
    """Shuffle the rows of every object, masked ones among them."""
    order = rng.permuted(np.tile(np.arange(inputs["mask"].shape[1]), (len(inputs["mask"]), 1)), axis=1)
    result = dict(inputs)
    for name in ROWS:
        if name in inputs:
            result[name] = np.take_along_axis(inputs[name], order, axis=1)
    return result
