"""The mixture fitted to codes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.cases.stamp_bench import INFO, inputs_of
from tfrecords.errors import DataError
from zoo import registry
from zoo.training.prior import codes, mixture

CENTRES = np.array([[0.0, 0.0, 5.0], [4.0, -4.0, 0.0]])


def test_the_mixture_finds_the_clusters():
    rng = np.random.default_rng(0)
    values = (CENTRES[rng.integers(0, 2, 400)] + rng.normal(0, 0.5, (400, 3))).astype("float32")
    means, variances = mixture(values, 2, seed=1)
    order = np.argsort(means[:, 0])
    np.testing.assert_allclose(means[order], CENTRES, atol=0.15)
    np.testing.assert_allclose(variances, 0.25, atol=0.08)
    np.testing.assert_array_equal(means, mixture(values, 2, seed=1)[0])


def test_too_few_or_broken_codes_are_refused():
    for values in (np.zeros((2, 3)), np.full((9, 3), np.nan)):
        with pytest.raises(DataError, match="as many training objects as components.*Received"):
            mixture(values, 3, 0)


def test_codes_leave_out_rows_that_fill_up_and_set_the_prior():
    network = registry.create("vade", INFO, crop=9, filters=4, latent=3, components=2)
    batch = tf.nest.map_structure(tf.constant, (inputs_of("stamp", 4), {}, np.array([1, 1, 1, 0], "float32")))
    found = codes(network, [batch, batch])
    assert found.shape == (6, 3) and found.dtype == "float32"
    np.testing.assert_array_equal(found[:3], found[3:])
    network.prior.assign(CENTRES, np.full((2, 3), 0.25))
    np.testing.assert_allclose(network.prior.means.numpy(), CENTRES)
    np.testing.assert_allclose(network.prior.log_variances.numpy(), np.log(0.25), rtol=1e-6)
