"""Losses of classifiers against scikit-learn and against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from zoo.losses.classification import LOSSES, class_weights, crossentropy, focal, weighted_log_loss


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


def test_the_weighted_log_loss_counts_every_class_alike(batch):
    labels, logits = batch
    labels = np.where(labels == 3, 2, labels)
    probability = np.exp(log_softmax(logits.astype("float64"), axis=1)).clip(1e-15, 1)
    classes = [-np.log(probability[labels == c, c]).mean() for c in range(3)]
    weights = class_weights(np.bincount(labels, minlength=4))
    assert weights[3] == 0
    ours = np.array(weighted_log_loss(labels, logits, weights=weights))
    assert ours.mean() == pytest.approx(np.mean(classes), rel=1e-5)
    assert np.ptp(weights[:3]) > 0
    np.testing.assert_allclose(
        weighted_log_loss(labels[1:], logits[1:]), crossentropy(labels[1:], logits[1:]), rtol=1e-5
    )


def test_every_named_loss_is_one_value_an_object(batch):
    for function in LOSSES.values():
        assert np.array(function(*batch, smoothing=0.1)).shape == (30,)
