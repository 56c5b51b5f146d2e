"""Stage-2 layers: quantiles as scikit-learn computes them, missing values, tables by day, flux scale."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops
from scipy.stats import norm
from sklearn.preprocessing import QuantileTransformer

from zoo.layers.preprocess import FluxScale, QuantileNormalizer, normal_quantile


def _theirs(rows, values, quantiles):
    transformer = QuantileTransformer(
        n_quantiles=quantiles, output_distribution="normal", subsample=None, random_state=0
    )
    return transformer.fit(np.float64(rows)).transform(np.float64(values))


def _ours(rows, values, quantiles, **settings):
    layer = QuantileNormalizer(rows.shape[1], quantiles, **settings)
    layer.fit(rows)
    return ops.convert_to_numpy(layer(np.asarray(values, "float32")))


def _columns(rng, rows=600):
    """Give columns of many kinds; all values are float32 numbers."""
    columns = [
        rng.normal(size=rows),
        rng.lognormal(0, 3, rows),
        rng.integers(0, 4, rows),
        np.where(rng.random(rows) < 0.6, 0.0, rng.normal(size=rows)),
        np.where(rng.random(rows) < 0.4, -9999.0, rng.normal(size=rows)),
        rng.normal(size=rows) * 1e6,
        np.round(rng.normal(size=rows), 1),
    ]
    return np.stack(columns, axis=1).astype("float32")


@pytest.mark.parametrize("quantiles", [10, 101, 450])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_scikit_learn(seed, quantiles):
    rng = np.random.default_rng(seed)
    rows, new = _columns(rng), _columns(rng, 200)
    for values in (rows, new):
        ours, theirs = _ours(rows, values, quantiles), _theirs(rows, values, quantiles)
        # Near the ends of the range the quantile function is steep: compare probabilities there.
        np.testing.assert_allclose(norm.cdf(ours), norm.cdf(theirs), rtol=0, atol=2e-6)
        inside = np.abs(theirs) < 3
        np.testing.assert_allclose(ours[inside], theirs[inside], rtol=0, atol=1e-4)


def test_as_many_quantiles_as_rows():
    rows = _columns(np.random.default_rng(2))
    ours, theirs = _ours(rows, rows, 600), _theirs(rows, rows, 600)
    # scikit-learn's quantiles miss the edge of a run of equal values by a rounding: half a step of difference.
    np.testing.assert_allclose(norm.cdf(ours), norm.cdf(theirs), rtol=0, atol=0.5 / 599 + 2e-6)
    smooth = [0, 1, 5]
    np.testing.assert_allclose(norm.cdf(ours[:, smooth]), norm.cdf(theirs[:, smooth]), rtol=0, atol=2e-6)


def test_constant_and_extreme_values():
    rows = np.array([[7.0, 0.0], [7.0, 1.0], [7.0, 2.0]], "float32")
    values = np.array([[7.0, -1e30], [7.0, 1e30], [6.0, 0.0], [8.0, 2.0]], "float32")
    ours, theirs = _ours(rows, values, 3), _theirs(rows, values, 3)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert ours[0, 1] == pytest.approx(-5.1993, abs=2e-3) and ours[1, 1] == pytest.approx(5.1993, abs=2e-3)


def test_one_row_and_two_quantiles_stay_finite():
    assert np.isfinite(_ours(np.ones((1, 3), "float32"), np.eye(3), 2)).all()


def test_the_sentinel_lands_at_the_lower_end():
    rows = np.random.default_rng(0).normal(size=(500, 1)).astype("float32")
    ours = _ours(rows, [[np.nan], [np.inf], [-np.inf], [-9999.0]], 100)
    np.testing.assert_allclose(ours, -5.1993, atol=2e-3)


def test_without_a_fill_missing_values_are_the_median():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 2)).astype("float32")
    holes = np.where(rng.random(rows.shape) < 0.3, np.nan, rows)
    ours = _ours(holes, np.where([[True, False]], np.nan, rows[:5]), 100, fill=None)
    assert (ours[:, 0] == 0).all()
    present = holes[~np.isnan(holes[:, 1]), 1:]
    expected = _theirs(present, rows[:5, 1:], 100)
    inside = np.abs(expected[:, 0]) < 3
    np.testing.assert_allclose(ours[inside, 1], expected[inside, 0], atol=1e-4)


def test_a_column_without_any_value_is_finite():
    rows = np.full((50, 1), np.nan)
    for fill in (None, -9999.0):
        assert np.isfinite(_ours(rows, [[np.nan], [1.0], [-1.0]], 10, fill=fill)).all()


def test_every_row_uses_the_table_of_its_day():
    rng = np.random.default_rng(0)
    layer = QuantileNormalizer(2, 50, sets=3)
    rows = [rng.normal(size=(300, 2)).astype("float32") * (day + 1) + day for day in range(3)]
    for day, part in enumerate(rows):
        layer.fit(part, day)
    values = rng.normal(size=(6, 2)).astype("float32")
    index = np.array([2, 0, 1, 1, 0, 2], "int32")
    ours = ops.convert_to_numpy(layer(values, index))
    for place, day in enumerate(index):
        expected = _theirs(rows[day], values[place : place + 1], 50)[0]
        np.testing.assert_allclose(ours[place], expected, atol=1e-4)
    np.testing.assert_array_equal(layer(values), layer(values, np.zeros(6, "int32")))


def test_tables_are_weights_that_nobody_trains():
    layer = QuantileNormalizer(2, 5)
    layer.fit(np.random.default_rng(0).normal(size=(20, 2)))
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 1
    other = QuantileNormalizer.from_config(layer.get_config())
    other.build()
    other.set_weights(layer.get_weights())
    values = np.random.default_rng(1).normal(size=(4, 2)).astype("float32")
    np.testing.assert_array_equal(layer(values), other(values))


def test_normal_quantile_is_exact_in_both_tails():
    p = np.concatenate([np.geomspace(1e-7, 0.5, 200), [0.5]])
    low = ops.convert_to_numpy(normal_quantile(np.float32(p), np.float32(1 - p)))
    high = ops.convert_to_numpy(normal_quantile(np.float32(1 - p), np.float32(p)))
    np.testing.assert_allclose(low, norm.ppf(np.float64(np.float32(p))), atol=3e-6)
    np.testing.assert_allclose(high, -norm.ppf(np.float64(np.float32(p))), atol=3e-6)


def test_flux_scale():
    flux, error = np.float32([-1e5, -3, 0, 2, 1e6]), np.float32([10, 1, 2, 3, 100])
    same = FluxScale("none")(flux, error)
    np.testing.assert_array_equal(same[0], flux)
    np.testing.assert_array_equal(same[1], error)
    ours = FluxScale("asinh", 10.0)(flux, error)
    np.testing.assert_allclose(ours[0], np.arcsinh(flux / 10.0), rtol=1e-5)
    step = 1e-3 * error.astype("float64")
    slope = (np.arcsinh((flux + step) / 10.0) - np.arcsinh((flux - step) / 10.0)) / (2 * step)
    np.testing.assert_allclose(ours[1], slope * error, rtol=1e-4)
    with pytest.raises(ValueError, match="none, asinh.*Received: 'log'"):
        FluxScale("log")
