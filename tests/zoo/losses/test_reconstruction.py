"""Losses of reconstructions against loops over single points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from zoo.losses.reconstruction import LOSSES, reconstruction_loss, weight_map


def _point(name, x, y):
    if name == "MSLE":
        return (math.log1p(max(x, 1e-7)) - math.log1p(max(y, 1e-7))) ** 2
    if name == "Huber":
        return 0.5 * (x - y) ** 2 if abs(x - y) <= 1 else abs(x - y) - 0.5
    if name == "MAE":
        return abs(x - y)
    if name == "LCE":
        return math.log(math.cosh(y - x))
    return (x - y) ** 2


@pytest.fixture
def case():
    """Targets, predictions, observed points and errors; the last object has no point."""
    rng = np.random.default_rng(3)
    target, prediction = rng.normal(size=(2, 4, 5, 3)).astype("float32") * 1.5
    observed = rng.random((4, 5, 3)) < 0.6
    observed[-1] = False
    error = rng.random((4, 5, 3)).astype("float32") + 0.1
    error[0, 0] = 0.0
    return np.where(observed, target, 0), prediction, observed, error


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_an_object_has_the_weighted_mean_of_its_observed_points(case, name, weighted):
    target, prediction, observed, error = case
    weight = weight_map(tf.constant(observed), tf.constant(error)) if weighted else None
    ours = reconstruction_loss(name, target, prediction, observed, weight=weight).numpy()
    for row in range(4):
        total = count = 0.0
        for place in np.argwhere(observed[row]):
            spread = float(error[row][tuple(place)])
            share = 1.0 if not weighted else (1 / spread**2 if spread else 0.0)
            total += share * _point(name, float(target[row][tuple(place)]), float(prediction[row][tuple(place)]))
            count += share
        value = total / count if count else 0.0
        expected = math.sqrt(value) if name in ("RMSE", "KLD_RMSE") else value
        assert ours[row] == pytest.approx(expected, rel=2e-5, abs=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_the_original_dilutes_the_mean_with_missing_points(case, name):
    target, prediction, observed, _ = case
    ours = reconstruction_loss(name, target, prediction, observed, reduction="all_points").numpy()
    shown = np.where(observed, prediction, 0)
    points = [_point(name, float(x), float(y)) for x, y in zip(target.ravel(), shown.ravel(), strict=True)]
    root = name in ("RMSE", "KLD_RMSE")
    expected = math.sqrt(np.mean(points)) if root else np.mean(points)
    assert ours.mean() == pytest.approx(expected, rel=2e-5)
    assert not root or np.ptp(ours) == 0


@pytest.mark.parametrize("name", LOSSES)
def test_unobserved_points_and_perfect_ones_have_a_finite_gradient(case, name):
    target, prediction, observed, _ = case
    prediction = np.where(observed, prediction, np.float32(1e30))
    prediction[0] = np.where(observed[0], target[0], 1e30)
    variable = tf.Variable(prediction)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(reconstruction_loss(name, tf.constant(target), variable, tf.constant(observed)))
    gradient = tape.gradient(loss, variable).numpy()
    assert np.isfinite(gradient).all() and (gradient[~observed] == 0).all()
    assert np.abs(gradient[1]).max() > 0
