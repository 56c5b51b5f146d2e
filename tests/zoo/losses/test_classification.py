"""Losses of classifiers against scikit-learn and against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from zoo.losses.classification import LOSSES, crossentropy, focal


@pytest.fixture
def batch():
    """Labels (30,) and logits (30, 4), some of them extreme."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(30, 4)) * 5
    logits[0] = [300, -300, 0, 0]
    return rng.integers(0, 4, 30).astype("int32"), logits.astype("float32")


def test_crossentropy_is_the_log_loss(batch):
    labels, logits = batch
    ours = np.array(crossentropy(labels, logits))
    probability = np.exp(log_softmax(logits[1:].astype("float64"), axis=1))
    assert ours.shape == (30,) and np.isfinite(ours).all()
    assert ours[1:].mean() == pytest.approx(log_loss(labels[1:], probability, labels=range(4)), rel=1e-5)


def test_smoothing_spreads_the_target(batch):
    labels, logits = batch
    logprob = log_softmax(logits.astype("float64"), axis=1)
    target = np.full((30, 4), 0.2 / 4)
    target[np.arange(30), labels] += 0.8
    np.testing.assert_allclose(crossentropy(labels, logits, 0.2), -(target * logprob).sum(axis=1), rtol=1e-5)


def test_focal_weighs_easy_objects_down(batch):
    labels, logits = batch
    logprob = log_softmax(logits.astype("float64"), axis=1)[np.arange(30), labels]
    expected = -((1 - np.exp(logprob)) ** 2) * logprob
    ours = np.array(focal(labels, logits))
    # Keras clips probabilities at 1e-7.
    np.testing.assert_allclose(ours[expected < 15], expected[expected < 15], rtol=1e-3, atol=1e-6)
    assert ours.shape == (30,) and np.isfinite(ours).all()


def test_every_named_loss_is_one_value_an_object(batch):
    for function in LOSSES.values():
        assert np.array(function(*batch, smoothing=0.1)).shape == (30,)
