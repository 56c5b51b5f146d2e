"""Scale of each object's own light curve on a grid of steps."""

from __future__ import annotations

from keras import ops


def observed_flux(inputs):
    """Give flux, flux error and where there is a value, (batch, step, band), of the view ``grid``.

    Values that are not observed, and steps under a False mask, are 0.
    """
    seen = ops.logical_and(inputs["observed"], inputs["mask"][:, :, None])
    flux, error = (ops.where(seen, ops.cast(inputs[key], "float32"), 0.0) for key in ("flux", "flux_err"))
    return flux, error, seen


def extent(flux):
    """Give the smallest and largest flux (batch,) each of an object, 0 among them.

    Missing values are 0 in the grid, and so count as in the published preparation.
    """
    lowest = ops.minimum(ops.min(flux, axis=(1, 2)), 0.0)
    return lowest, ops.maximum(ops.max(flux, axis=(1, 2)), 0.0)


def offset_and_range(flux, kind: str):
    """Give the offset and range (batch,) by which an object's flux is scaled: (flux − offset) / range.

    Parameters
    ----------
    flux : tensor (batch, step, band), float32
        0 where nothing was observed.
    kind : {"minmax", "none"}
        With "none" they are 0 and 1. An object without any flux has the range 1.
    """
    lowest, highest = extent(flux)
    if kind == "none":
        return ops.zeros_like(lowest), ops.ones_like(lowest)
    width = highest - lowest
    return lowest, ops.where(width > 0, width, 1.0)


def scaled(flux, seen, offset, width):
    """Give (flux − offset) / range where ``seen`` and 0 elsewhere, (batch, step, band)."""
    return ops.where(seen, (flux - offset[:, None, None]) / width[:, None, None], 0.0)
