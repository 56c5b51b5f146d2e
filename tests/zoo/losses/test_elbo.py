"""The bound's terms against sums written out, and against what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops
from scipy.stats import multivariate_normal, norm

from zoo.losses import elbo

RNG = np.random.default_rng(0)
MEAN, LOG_VARIANCE = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
WEIGHTS = np.log([0.2, 0.5, 0.3])
CENTRES, SPREADS = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3))


def _tensors(*arrays):
    return [ops.convert_to_tensor(item, "float32") for item in arrays]


def _gamma(codes, normalised=True):
    found = elbo.log_responsibilities(*_tensors(codes, WEIGHTS, CENTRES, SPREADS), normalised)
    return ops.convert_to_numpy(found)


def test_likelihood_leaves_out_pixels_without_value():
    target, prediction = RNG.normal(size=(2, 2, 4, 4, 1))
    observed = RNG.random((2, 4, 4, 1)) < 0.7
    variance = np.array([0.3, 0.9])
    found = elbo.log_likelihood(*_tensors(target, prediction, np.log(variance)), ops.convert_to_tensor(observed))
    for row in range(2):
        seen = observed[row]
        expected = norm.logpdf(target[row][seen], prediction[row][seen], np.sqrt(variance[row])).sum()
        assert float(found[row]) == pytest.approx(expected, rel=1e-5)


def test_responsibilities_are_posterior_probabilities():
    density = [multivariate_normal(CENTRES[c], np.diag(np.exp(SPREADS[c]))).pdf(MEAN) for c in range(3)]
    joint = np.exp(WEIGHTS)[:, None] * np.array(density)
    np.testing.assert_allclose(np.exp(_gamma(MEAN)), (joint / joint.sum(0)).T, rtol=1e-4)
    bare = joint * np.exp(0.5 * SPREADS.sum(1))[:, None]
    np.testing.assert_allclose(np.exp(_gamma(MEAN, False)), (bare / bare.sum(0)).T, rtol=1e-4)


def test_mixture_terms_are_the_divergence_from_the_mixture_of_one():
    gamma = _gamma(MEAN)
    terms = elbo.mixture_terms(*_tensors(MEAN, LOG_VARIANCE, gamma, WEIGHTS, CENTRES, SPREADS))
    mixture, category, entropy = (ops.convert_to_numpy(item) for item in terms)
    inner = SPREADS + (np.exp(LOG_VARIANCE)[:, None] + (MEAN[:, None] - CENTRES) ** 2) / np.exp(SPREADS)
    np.testing.assert_allclose(mixture, -0.5 * (np.exp(gamma) * inner.sum(2)).sum(1), rtol=1e-4)
    np.testing.assert_allclose(category, (np.exp(gamma) * (WEIGHTS - gamma)).sum(1), rtol=1e-3, atol=1e-6)
    # One standard normal component is the plain prior.
    one = _tensors(MEAN, LOG_VARIANCE, np.zeros((5, 1)), np.zeros(1), np.zeros((1, 3)), np.zeros((1, 3)))
    total = sum(ops.convert_to_numpy(item) for item in elbo.mixture_terms(*one))
    plain = elbo.normal_divergence(*_tensors(MEAN, LOG_VARIANCE))
    np.testing.assert_allclose(total, -ops.convert_to_numpy(plain), rtol=1e-4)
    expected = 0.5 * (np.exp(LOG_VARIANCE) + MEAN**2 - 1 - LOG_VARIANCE).sum(1)
    np.testing.assert_allclose(ops.convert_to_numpy(plain), expected, rtol=1e-4)
