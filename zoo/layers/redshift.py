"""What a redshift tells: distances, and fluxes and times as the source's own frame shows them."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from zoo.layers.preprocess import QuantileNormalizer

HUBBLE_DISTANCE = 299792.458 / 70.0
"""c / H0 in Mpc, for H0 = 70 km/s/Mpc."""
MATTER = 0.3
_NODES, _WEIGHTS = (values.astype("float32") for values in np.polynomial.legendre.leggauss(16))


def distance_modulus(redshift):
    """Give the distance modulus of a flat universe with H0 = 70 km/s/Mpc and a matter density of 0.3.

    5 log10(d_L / 10 pc), d_L = (1 + z) c/H0 ∫ dz' / √(0.3 (1 + z')³ + 0.7), by Gauss-Legendre quadrature.

    Parameters
    ----------
    redshift : tensor (batch,), float32
        Anything that is not positive gives NaN: no distance.

    Returns
    -------
    tensor (batch,), float32
        In magnitudes.
    """
    known = redshift > 0
    z = ops.where(known, redshift, 1.0)
    steps = z[:, None] * 0.5 * (1.0 + _NODES)
    integrand = 1.0 / ops.sqrt(MATTER * (1.0 + steps) ** 3 + 1.0 - MATTER)
    comoving = 0.5 * z * ops.sum(integrand * _WEIGHTS, axis=1)
    modulus = 5.0 * ops.log10((1.0 + z) * comoving * HUBBLE_DISTANCE) + 25.0
    return ops.where(known, modulus, float("nan"))


@keras.saving.register_keras_serializable(package="zoo")
class RestFrame(keras.layers.Layer):
    """Table columns in the frame of the source, through quantile tables fitted on the training split.

    A flux becomes log10(flux) + 0.4 μ(z), a time t / (1 + z); the last column is μ(z) itself (`distance_modulus`).
    A flux that is not positive, a missing value and an object without a positive redshift give 0, the median.

    Parameters
    ----------
    fluxes, times : sequence of int
        Which columns of the table are fluxes, and times in days.
    quantiles : int
        Number of stored quantiles of a column.
    sets : int
        Number of quantile tables, one an evaluation day.
    """

    def __init__(self, fluxes, times, quantiles, sets=1, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        self.settings = {"fluxes": list(fluxes), "times": list(times), "quantiles": quantiles, "sets": sets}
        columns = len(self.settings["fluxes"]) + len(self.settings["times"]) + 1
        self.normalizer = QuantileNormalizer(columns, quantiles, sets, None, name="normalizer")

    def build(self, table_shape=None, redshift_shape=None, index_shape=None):
        if not self.normalizer.built:
            self.normalizer.build()

    def columns(self, table, redshift):
        """Give the columns before the quantile map, NaN where missing: (batch, flux + time + 1), float32."""
        redshift = ops.where(ops.isfinite(redshift), redshift, 0.0)
        modulus = distance_modulus(redshift)[:, None]
        fluxes = ops.take(table, np.array(self.settings["fluxes"], "int32"), axis=1)
        times = ops.take(table, np.array(self.settings["times"], "int32"), axis=1)
        positive = fluxes > 0
        fluxes = ops.log10(ops.where(positive, fluxes, 1.0)) + 0.4 * modulus
        fluxes = ops.where(positive, fluxes, float("nan"))
        times = times / (1.0 + redshift[:, None])
        times = ops.where(ops.isfinite(modulus), times, float("nan"))
        return ops.concatenate([fluxes, times, modulus], axis=1)

    def fit(self, table, redshift, index=0):
        """Store the quantiles of training rows (row, column) with their redshifts (row,); ``index``: which table."""
        rows = self.columns(ops.convert_to_tensor(table, "float32"), ops.convert_to_tensor(redshift, "float32"))
        self.normalizer.fit(ops.convert_to_numpy(rows), index)

    def call(self, table, redshift, index=None):
        """Transform.

        Parameters
        ----------
        table : tensor (batch, column), float32
        redshift : tensor (batch,), float32
        index : tensor (batch,), int, optional
            Which quantile table each row uses.

        Returns
        -------
        tensor (batch, flux + time + 1), float32
        """
        return self.normalizer(self.columns(table, redshift), index)

    def compute_output_shape(self, table_shape, redshift_shape, index_shape=None):
        return (table_shape[0], self.normalizer.settings["columns"])

    def get_config(self):
        return super().get_config() | self.settings
