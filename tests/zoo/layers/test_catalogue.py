"""Columns of stellar catalogues: transforms, statistics of the training split, gaps."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tfrecords.errors import UsageError
from zoo.layers.catalogue import CatalogueColumns

NAMES = ("period", "mean_vmag", "parallax", "l", "b", "ruwe")
ROWS = np.array([[10.0, 12, 10, 60, 30, 1], [100.0, 14, 1, 90, -90, 3], [1.0, 13, -4, 0, 0, 2]], "float32")
EXPECTED = np.array([[1, 7, 10, 0.5, 0.5, 1], [2, 4, 1, 0, -1, 3], [0, 3, -4, 1, 0, 2]])


def test_columns_follow_their_formulas_and_are_standardised():
    layer = CatalogueColumns(NAMES, NAMES)
    found = keras.ops.convert_to_numpy(layer.transformed(ROWS))
    np.testing.assert_allclose(found, EXPECTED, atol=1e-6)
    layer.fit(ROWS)
    np.testing.assert_allclose(layer(ROWS), (EXPECTED - EXPECTED.mean(0)) / EXPECTED.std(0), atol=2e-6)
    again = CatalogueColumns.from_config(layer.get_config())
    assert again.settings == layer.settings


def test_a_missing_value_is_the_mean_and_spoils_no_other():
    rows = np.vstack([ROWS, [[0, np.nan, np.nan, np.inf, np.nan, np.nan]]]).astype("float32")
    layer, plain = CatalogueColumns(NAMES, NAMES), CatalogueColumns(NAMES, NAMES)
    layer.fit(rows)
    plain.fit(ROWS)
    np.testing.assert_array_equal(layer(rows)[3], np.zeros(6))
    np.testing.assert_allclose(layer(rows)[:3], plain(ROWS), atol=1e-6)
    # A magnitude without a parallax is no absolute magnitude.
    rows = ROWS.copy()
    rows[0, 2] = np.nan
    np.testing.assert_array_equal(np.array(layer(rows))[0, 1:3], [0, 0])
    np.testing.assert_array_equal(layer.present(np.float32([[np.nan] * 6, [np.nan] * 5 + [1]])), [False, True])


def test_a_constant_or_empty_column_is_0():
    rows = np.stack([np.full(5, 3.3), np.full(5, np.nan), np.arange(5)], axis=1).astype("float32")
    layer = CatalogueColumns("xyz", "xyz")
    layer.fit(rows)
    found = np.array(layer(rows))
    np.testing.assert_allclose(found[:, :2], 0, atol=1e-6)
    assert found[:, 2].std() == pytest.approx(1)


def test_columns_are_chosen_by_name_and_roles_can_be_left_out():
    layer = CatalogueColumns(NAMES, ("ruwe", "mean_vmag"), roles={})
    np.testing.assert_array_equal(layer.transformed(ROWS), ROWS[:, [5, 1]])
    with pytest.raises(UsageError, match="photo_cols.*--static-columns.*Valid: period.*Received: 'w1_mag'"):
        CatalogueColumns(NAMES, ("w1_mag",))
    with pytest.raises(UsageError, match="absolute magnitudes need the static column 'parallax'"):
        CatalogueColumns(("mean_vmag", "l"), ("mean_vmag",))
