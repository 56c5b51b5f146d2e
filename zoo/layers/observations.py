"""The matrix of observations that recurrent classifiers of light curves read."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class ObservationMatrix(keras.layers.Layer):
    """Columns of every observation: time, detection flag, flux, flux error, band, in this order.

    Parameters
    ----------
    bands : int
        Number of bands.
    time_scale : float
        Days that count as 1.
    flux : {"linear", "asinh"}
        Flux and error divided by ``flux_scale``, or the inverse hyperbolic sine of both.
    flux_scale : float
        Flux that counts as 1.
    wavelengths : list of float, optional
        The band's column is its wavelength, here in the order of the bands; one-hot columns when absent.
    """

    INPUTS = ("time", "flux", "flux_err", "band", "detected", "mask")
    """Tensors of the view ``packed`` in the order of `call`."""

    def __init__(self, bands, time_scale=1.0, flux="linear", flux_scale=1.0, wavelengths=None, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        if flux not in ("linear", "asinh"):
            raise ValueError(f"Unknown flux transform. Valid: linear, asinh. Received: {flux!r}")
        if wavelengths is not None and len(wavelengths) != bands:
            raise ValueError(f"Every band needs a wavelength. Valid: {bands} of them. Received: {wavelengths}")
        self.settings = {
            "bands": bands,
            "time_scale": time_scale,
            "flux": flux,
            "flux_scale": flux_scale,
            "wavelengths": wavelengths,
        }

    @property
    def width(self) -> int:
        """Number of columns."""
        return 4 + (self.settings["bands"] if self.settings["wavelengths"] is None else 1)

    def call(self, time, flux, flux_err, band, detected, valid):
        """Give the matrix.

        Parameters
        ----------
        time, flux, flux_err : tensor (batch, time), float32
            Days from the first observation; fluxes.
        band : tensor (batch, time), int32
        detected, valid : tensor (batch, time), bool
            Whether the observation is a detection, and whether there is one.

        Returns
        -------
        tensor (batch, time, column), float32
            0 where there is no observation.
        """
        settings = self.settings
        fluxes = [values / settings["flux_scale"] for values in (flux, flux_err)]
        if settings["flux"] == "asinh":
            fluxes = [ops.arcsinh(values) for values in fluxes]
        columns = [time / settings["time_scale"], ops.cast(detected, "float32"), *fluxes]
        if settings["wavelengths"] is None:
            bands = ops.one_hot(band, settings["bands"], dtype="float32")
        else:
            table = ops.convert_to_tensor(settings["wavelengths"], "float32")
            bands = ops.take(table, band)[..., None]
        matrix = ops.concatenate([ops.stack(columns, axis=-1), bands], axis=-1)
        return ops.where(valid[..., None], matrix, 0.0)

    def compute_output_shape(self, time_shape, *_):
        return (*time_shape, self.width)

    def get_config(self):
        return super().get_config() | self.settings
