"""Static columns: sentinels never reach the network, scales, gaps, empty rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from zoo.layers.recurrent import RecurrentEncoder
from zoo.layers.static_columns import StaticColumns

ROWS = np.array([[1, -99, 2], [np.nan, 999, np.inf], [-9, -9, -9], [0, 5, 998.9]], "float32")


def test_sentinels_become_one_value():
    layer = StaticColumns(3, sentinels=[-99, 999, -9], indicator=False)
    np.testing.assert_allclose(layer(ROWS), [[1, -9, 2], [-9, -9, -9], [-9, -9, -9], [0, 5, 998.9]])
    zeroed = np.array(StaticColumns(3, sentinels=[-99, 999, -9], drop_empty=True)(ROWS))
    np.testing.assert_allclose(zeroed, [[1, -9, 2], [0, 0, 0], [0, 0, 0], [0, 5, 998.9]])


def test_quantiles_ignore_sentinels_and_gaps_are_marked():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 2)).astype("float32")
    rows[::7, 0], rows[::5, 1] = -99, np.nan
    layer = StaticColumns(2, sentinels=[-99], quantiles=100, indicator=True)
    layer.fit(rows)
    missing = ~np.isfinite(rows) | (rows == -99)
    ours = np.array(layer(rows))
    assert ours.shape == (500, layer.width)
    np.testing.assert_array_equal(ours[:, 2:], missing)
    assert not ours[:, :2][missing].any()
    table = QuantileTransformer(n_quantiles=100, output_distribution="normal").fit(np.where(missing, np.nan, rows))
    expected = table.transform(rows)
    np.testing.assert_allclose(ours[:, :2][~missing], expected[~missing], atol=2e-4)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_rows_that_are_not_valid_are_passed_over(cell):
    rng = np.random.default_rng(1)
    layer = RecurrentEncoder(cell, 5, 3)
    sequence = rng.normal(size=(4, 11, 3)).astype("float32")
    valid = rng.random((4, 11)) < 0.6
    valid[0], valid[1] = False, np.arange(11) == 10
    ours = np.array(layer(np.where(valid[..., None], sequence, 0), valid))
    assert not ours[0].any()
    for number in range(1, 4):
        alone = sequence[number : number + 1, valid[number]]
        expected = layer(alone, np.ones(alone.shape[:2], bool))
        np.testing.assert_allclose(ours[number], np.array(expected)[0], atol=1e-6)
