"""Redshifts: distances as astropy computes them, columns in the frame of the source, what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from keras import ops

from zoo.layers.redshift import RestFrame, distance_modulus


def test_distance_modulus_is_that_of_astropy():
    redshift = np.geomspace(0.001, 6.0, 200).astype("float32")
    expected = FlatLambdaCDM(70, 0.3).distmod(redshift.astype("float64")).value
    np.testing.assert_allclose(ops.convert_to_numpy(distance_modulus(redshift)), expected, rtol=0, atol=2e-5)


def test_no_distance_without_a_redshift():
    assert np.isnan(ops.convert_to_numpy(distance_modulus(np.array([0.0, -9.0], "float32")))).all()


def test_columns_do_not_change_with_the_distance_of_a_source():
    """One source at several redshifts, without K-correction: flux by the squared distance, times by 1 + z."""
    redshift = np.array([0.1, 0.5, 2.0], "float32")
    modulus = FlatLambdaCDM(70, 0.3).distmod(redshift.astype("float64")).value
    table = np.stack([10 ** (0.4 * (42.0 - modulus)), 1.0 + redshift, 30.0 * (1 + redshift)], axis=1)
    layer = RestFrame([0], [2], quantiles=3)
    columns = ops.convert_to_numpy(layer.columns(table.astype("float32"), redshift))
    np.testing.assert_allclose(columns[:, 0], 0.4 * 42.0, atol=1e-4)
    np.testing.assert_allclose(columns[:, 1], 30.0, rtol=1e-6)
    np.testing.assert_allclose(columns[:, 2], modulus, atol=1e-4)


@pytest.mark.parametrize(
    ("flux", "time", "redshift", "missing"),
    [(-1.0, 5.0, 0.3, [0]), (np.nan, np.nan, 0.3, [0, 1]), (1.0, 5.0, 0.0, [0, 1, 2]), (1.0, 5.0, np.nan, [0, 1, 2])],
)
def test_what_is_missing_is_the_median(flux, time, redshift, missing):
    rng = np.random.default_rng(0)
    layer = RestFrame([0], [1], quantiles=50, sets=2)
    for place in (0, 1):
        layer.fit(rng.uniform(1, 100, (80, 2)), rng.uniform(0.1, 1, 80), place)
    row = np.array([[flux, time]], "float32")
    values = ops.convert_to_numpy(layer(row, np.array([redshift], "float32"), np.array([1])))[0]
    assert np.isfinite(values).all()
    assert np.flatnonzero(values == 0).tolist() == missing


def test_tables_hold_the_training_rows():
    rng = np.random.default_rng(2)
    table, redshift = rng.uniform(1, 100, (500, 2)).astype("float32"), rng.uniform(0.1, 1, 500).astype("float32")
    layer = RestFrame([0], [1], quantiles=100)
    layer.fit(table, redshift)
    values = ops.convert_to_numpy(layer(table, redshift))
    assert np.abs(values.mean(axis=0)).max() < 0.02 and np.abs(values.std(axis=0) - 1).max() < 0.1
    again = RestFrame.from_config(layer.get_config())
    again.build()
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(ops.convert_to_numpy(again(table, redshift)), values)
