"""Columns of stellar catalogues on their way into a network (Rizhko & Bloom 2025, arXiv:2411.08842)."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from tfrecords.errors import UsageError

MAGNITUDES = ("mean_vmag", "phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag", "j_mag", "h_mag", "k_mag",
              "w1_mag", "w2_mag", "w3_mag", "w4_mag")  # fmt: skip
"""Apparent magnitudes that become absolute ones."""

PARALLAX = "parallax"
"""Column with the parallax in milliarcseconds."""

ROLES = dict.fromkeys(MAGNITUDES, "absolute") | {"l": "cos", "b": "sin", "period": "log10"}
"""What is done to a column before it is scaled, by its name; every other stays as it is."""

KINDS = ("absolute", "cos", "sin", "log10")


@keras.saving.register_keras_serializable(package="zoo")
class CatalogueColumns(keras.layers.Layer):
    """Choose static columns, transform them by their roles, and standardise them.

    A magnitude m becomes M = m − 10 + 5 log₁₀ p with the parallax p in mas, 1 where it is not positive; galactic
    longitude its cosine and latitude its sine (degrees); a period its log₁₀. Then (x − mean) / deviation of the
    training split; a column without spread is only shifted. A missing value (NaN, infinite, the logarithm of
    nothing) becomes 0, the mean.

    Parameters
    ----------
    names : sequence of str
        Names of the columns that go in.
    columns : sequence of str
        Those that come out, in their order.
    roles : dict of str to str
        One of `KINDS` by the name of a column; `ROLES` when absent, none when empty.
    standardise : bool
        False leaves the transformed values as they are.
    """

    def __init__(self, names, columns, roles=None, standardise=True, **kwargs):
        kwargs |= {"dtype": "float32", "trainable": False}
        super().__init__(autocast=False, **kwargs)
        roles = ROLES if roles is None else roles
        roles = {name: roles[name] for name in columns if name in roles}
        wrong = sorted(set(roles.values()) - set(KINDS))
        if wrong:
            raise ValueError(f"Unknown role of a column. Valid: {', '.join(KINDS)}. Received: {wrong}")
        for name in columns:
            if name not in names:
                raise UsageError(
                    "the model reads a column (photo_cols, meta_columns or columns) and the static columns of the run "
                    "lack this one: name it in --static-columns, or do not let the model read it. "
                    f"Valid: {', '.join(names) or 'none'}. Received: {name!r}"
                )
        if "absolute" in roles.values() and PARALLAX not in names:
            raise UsageError(
                f"absolute magnitudes need the static column {PARALLAX!r}: name it in --static-columns, or leave the "
                f"columns as they are (transform false). Received: {', '.join(names)}"
            )
        self.settings = {
            "names": list(names), "columns": list(columns), "roles": roles, "standardise": standardise, "sets": 1
        }  # fmt: skip

    def build(self, values_shape=None):
        shape = (len(self.settings["columns"]),)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=shape, initializer="ones", trainable=False)

    def transformed(self, values):
        """Give the chosen columns (batch, column) of all columns after their transforms; missing ones not finite."""
        names, columns, roles, *_ = self.settings.values()
        values = ops.cast(values, "float32")
        taken = [values[:, names.index(name)] for name in columns]
        if "absolute" in roles.values():
            parallax = values[:, names.index(PARALLAX)]
            # NaN is no parallax and stays: only a measured one that makes no sense is replaced.
            distance = 5.0 * ops.log10(ops.where(parallax <= 0, 1.0, parallax)) - 10.0
        for place, name in enumerate(columns):
            role, column = roles.get(name), taken[place]
            if role == "absolute":
                taken[place] = column + distance
            elif role == "cos":
                taken[place] = ops.cos(column * (math.pi / 180.0))
            elif role == "sin":
                taken[place] = ops.sin(column * (math.pi / 180.0))
            elif role == "log10":
                taken[place] = ops.where(column > 0, ops.log10(ops.where(column > 0, column, 1.0)), float("nan"))
        return ops.stack(taken, axis=1)

    def fit(self, rows, index=0):
        """Store mean and deviation of training rows (row, name), NumPy; missing values do not count. ``index`` is 0."""
        rows = ops.convert_to_numpy(self.transformed(ops.convert_to_tensor(rows, "float32"))).astype("float64")
        rows[~np.isfinite(rows)] = np.nan
        rows[:, np.isnan(rows).all(axis=0)] = 0.0
        self.set_statistics(np.nanmean(rows, axis=0), np.nanstd(rows, axis=0))

    def set_statistics(self, mean, deviation):
        """Store mean and deviation (column,) of the transformed columns; a deviation of 0 counts as 1."""
        if not self.built:
            self.build()
            self.built = True
        deviation = np.asarray(deviation, "float32")
        self.mean.assign(np.asarray(mean, "float32"))
        self.deviation.assign(np.where(deviation > 0, deviation, 1.0))

    def call(self, values):
        """Turn (batch, name) into (batch, column), float32 and finite."""
        values = self.transformed(values)
        known = ops.isfinite(values)
        # Before the difference: what is not finite would spoil gradients.
        values = ops.where(known, values, 0.0)
        if self.settings["standardise"]:
            values = (values - self.mean) / self.deviation
        return ops.where(known, values, 0.0)

    def present(self, values):
        """Give which objects have a value in any chosen column, (batch,), bool."""
        names, columns, *_ = self.settings.values()
        taken = ops.stack([values[:, names.index(name)] for name in columns], axis=1)
        return ops.any(ops.isfinite(taken), axis=1)

    def compute_output_shape(self, values_shape):
        return (values_shape[0], len(self.settings["columns"]))

    def get_config(self):
        return super().get_config() | {key: value for key, value in self.settings.items() if key != "sets"}
