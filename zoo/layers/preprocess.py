"""Stage 2: what is fitted on the training split, as layers with weights.

A fitted layer is created with zero tables, filled by ``assign`` and saved with the model's weights, so the
same numbers serve training, evaluation and the exported model.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

BOUND = 1e-7
"""Probabilities are clipped here, as scikit-learn's transformer does: ±5.199 standard deviations."""

# Wichura (1988), algorithm AS 241, PPND16: numerators and denominators, constant term first.
_CENTRAL = (
    (3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
     1.27045825245236838258, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip


def _ratio(coefficients, argument):
    values = []
    for side in coefficients:
        value = ops.zeros_like(argument) + side[-1]
        for coefficient in reversed(side[:-1]):
            value = value * argument + coefficient
        values.append(value)
    return values[0] / values[1]


def normal_quantile(lower, upper):
    """Give the standard normal quantile of a probability, exact in both tails.

    Parameters
    ----------
    lower, upper : tensor, float32
        p and 1 − p, each computed without cancellation, within [1e-7, 1 − 1e-7].

    Returns
    -------
    tensor
        Φ⁻¹(p), by algorithm AS 241 from min(p, 1 − p) in the tails.
    """
    offset = (lower - upper) * 0.5
    central = ops.abs(offset) <= 0.425
    inner = ops.where(central, 0.180625 - offset * offset, 0.0)
    middle = offset * _ratio(_CENTRAL, inner)
    tail = ops.sqrt(-ops.log(ops.minimum(lower, upper)))
    outer = ops.sign(offset) * _ratio(_TAIL, tail - 1.6)
    return ops.where(central, middle, outer)


@keras.saving.register_keras_serializable(package="zoo")
class QuantileNormalizer(keras.layers.Layer):
    """Map every column through its training quantiles to a standard normal, clipped at ±5.199.

    The map of scikit-learn's ``QuantileTransformer(output_distribution="normal")``: linear interpolation
    between quantiles, the middle of a run of equal ones, the ends of the range to the clip value.
    Missing values (NaN, ±inf) become ``fill`` before the map.

    Parameters
    ----------
    columns : int
        Number of columns F.
    quantiles : int
        Number of stored quantiles of a column.
    sets : int
        Number of tables, one an evaluation day; 1 for columns that do not change with time.
    fill : float or None
        What stands for a missing value: −9999 as in ATAT (it lands at −5.199), or None for the median (0).
    """

    def __init__(self, columns, quantiles, sets=1, fill=-9999.0, **kwargs):
        kwargs |= {"dtype": "float32", "trainable": False}
        super().__init__(autocast=False, **kwargs)
        self.settings = {"columns": columns, "quantiles": quantiles, "sets": sets, "fill": fill}

    def build(self, values_shape=None, index_shape=None):
        shape = tuple(self.settings[key] for key in ("sets", "columns", "quantiles"))
        self.table = self.add_weight(name="table", shape=shape, initializer="zeros", trainable=False)

    def fit(self, rows, index=0):
        """Store the quantiles of training rows.

        Parameters
        ----------
        rows : numpy array (row, column)
            Missing values NaN or ±inf.
        index : int
            Which table.
        """
        if not self.built:
            self.build()
        rows = np.asarray(rows, "float64")
        fill = self.settings["fill"]
        rows = np.where(np.isfinite(rows), rows, np.nan if fill is None else fill)
        levels = np.linspace(0, 1, self.settings["quantiles"])
        with np.errstate(all="ignore"):
            empty = np.isnan(rows).all(axis=0)
            rows[:, empty] = 0.0
            table = np.nanquantile(rows, levels, axis=0)
        # Interpolation of equal numbers may come out of order by one rounding.
        table = np.maximum.accumulate(table, axis=0).T
        tables = ops.convert_to_numpy(self.table).copy()
        tables[index] = table
        self.table.assign(tables)

    def call(self, values, index=None):
        """Transform.

        Parameters
        ----------
        values : tensor (batch, column), float32
        index : tensor (batch,), int, optional
            Which table each row uses; the first when absent.

        Returns
        -------
        tensor (batch, column), float32
        """
        columns, count = self.settings["columns"], self.settings["quantiles"]
        finite = ops.isfinite(values)
        fill = self.settings["fill"]
        values = ops.where(finite, values, 0.0 if fill is None else fill)
        flat = ops.reshape(self.table, (-1,))
        start = ops.arange(columns, dtype="int32")[None, :] * count
        if index is not None:
            start = start + ops.cast(index, "int32")[:, None] * (columns * count)
        start = start + ops.zeros_like(values, dtype="int32")

        def search(right):
            low, high = ops.zeros_like(start), ops.zeros_like(start) + count
            for _ in range(count.bit_length()):
                middle = (low + high) // 2
                entry = ops.take(flat, start + ops.minimum(middle, count - 1))
                goes_up = (entry <= values) if right else (entry < values)
                goes_up = ops.logical_and(goes_up, low < high)
                low = ops.where(goes_up, middle + 1, low)
                high = ops.where(goes_up, high, middle)
            return low

        left, right = search(False), search(True) - 1
        first, last = ops.take(flat, start), ops.take(flat, start + count - 1)
        below = ops.logical_or(values <= first, values - BOUND < first)
        above = ops.logical_or(values >= last, values + BOUND > last)
        hit = left <= right
        step = ops.clip(right, 0, count - 2)
        bottom, top = ops.take(flat, start + step), ops.take(flat, start + step + 1)
        width = ops.where(top > bottom, top - bottom, 1.0)
        part = ops.clip((values - bottom) / width, 0.0, 1.0)
        middle = (ops.cast(left, "float32") + ops.cast(right, "float32")) * 0.5
        place = ops.where(hit, middle, ops.cast(step, "float32") + part)
        lower = place / (count - 1)
        rest = ops.where(hit, count - 1 - middle, ops.cast(count - 1 - step, "float32") - part)
        upper = rest / (count - 1)
        # A constant column is at both ends of its range at once: scikit-learn lets the lower end win.
        lower = ops.where(below, 0.0, ops.where(above, 1.0, lower))
        upper = ops.where(below, 1.0, ops.where(above, 0.0, upper))
        result = normal_quantile(ops.clip(lower, BOUND, 1.0), ops.clip(upper, BOUND, 1.0))
        return result if fill is not None else ops.where(finite, result, 0.0)

    def compute_output_shape(self, values_shape, index_shape=None):
        return values_shape

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class RobustScaler(keras.layers.Layer):
    """Scale every band of a flat grid: (x − median) / (75th − 25th percentile), of the band's training values.

    A band without spread is divided by 1. Missing values (NaN) stay missing.

    Parameters
    ----------
    steps, bands : int
        The grid's columns are step after step, in each the bands.
    """

    def __init__(self, steps, bands, **kwargs):
        kwargs |= {"dtype": "float32", "trainable": False}
        super().__init__(autocast=False, **kwargs)
        self.settings = {"steps": steps, "bands": bands, "sets": 1}

    def build(self, values_shape=None):
        shape = (self.settings["bands"],)
        self.median = self.add_weight(name="median", shape=shape, initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones", trainable=False)

    def fit(self, rows, index=0):
        """Store median and range of training rows (row, step · band); NaN where missing. ``index`` is 0."""
        if not self.built:
            self.build()
        rows = np.asarray(rows).reshape(-1, self.settings["bands"])
        median, scale = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        # Band by band: a copy of all of them at once need not fit into memory.
        for band in range(rows.shape[1]):
            values = rows[np.isfinite(rows[:, band]), band].astype("float64")
            if len(values):
                low, median[band], high = np.percentile(values, [25, 50, 75])
                scale[band] = high - low if high > low else 1.0
        self.median.assign(median)
        self.scale.assign(scale)

    def call(self, values):
        """Transform a tensor (batch, step · band), float32."""
        steps = self.settings["steps"]
        return (values - ops.tile(self.median, (steps,))) / ops.tile(self.scale, (steps,))

    def compute_output_shape(self, values_shape):
        return values_shape

    def get_config(self):
        settings = {key: value for key, value in self.settings.items() if key != "sets"}
        return super().get_config() | settings


@keras.saving.register_keras_serializable(package="zoo")
class FluxScale(keras.layers.Layer):
    """Compress flux and flux error: asinh(flux / s) and flux_err / √(s² + flux²), s in flux units.

    The second is the first's linearised error, so both stay of order one from the faintest to the
    brightest object. ``kind="none"`` passes both on unchanged.
    """

    def __init__(self, kind="none", scale=1.0, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        if kind not in ("none", "asinh"):
            raise ValueError(f"Unknown flux transform. Valid: none, asinh. Received: {kind!r}")
        self.settings = {"kind": kind, "scale": scale}

    def call(self, flux, flux_err):
        """Transform two tensors of one shape, float32."""
        if self.settings["kind"] == "none":
            return flux, flux_err
        scaled = flux / self.settings["scale"]
        error = flux_err / self.settings["scale"]
        return ops.arcsinh(scaled), error / ops.sqrt(1.0 + ops.square(scaled))

    def compute_output_shape(self, flux_shape, flux_err_shape):
        return flux_shape, flux_err_shape

    def get_config(self):
        return super().get_config() | self.settings
