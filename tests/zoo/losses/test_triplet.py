"""Triplet losses against loops over anchors, positives and negatives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from zoo.losses.classification import LOSSES, crossentropy
from zoo.losses.triplet import METRICS, distances, triplet_hard, triplet_semihard


@pytest.fixture
def batch():
    """Labels (14,) of four classes, one of which occurs once, and embeddings (14, 3), two of them equal."""
    rng = np.random.default_rng(0)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 0, 1, 2, 3, 2], "int32")
    embeddings = rng.normal(size=(14, 3)).astype("float32")
    embeddings[1] = embeddings[0]
    return labels, embeddings


def _distance(one, other, metric):
    one, other = one.astype("float64"), other.astype("float64")
    if metric == "angular":
        return 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return np.linalg.norm(one - other) ** (2 if metric == "squared-L2" else 1)


def _table(embeddings, metric):
    return np.array([[_distance(one, other, metric) for other in embeddings] for one in embeddings])


def _semihard(labels, apart, margin):
    costs, pairs = np.zeros(len(labels)), 0
    for anchor, own in enumerate(labels):
        negatives = apart[anchor][labels != own]
        for positive in np.flatnonzero(labels == own):
            if positive == anchor:
                continue
            pairs += 1
            further = negatives[negatives > apart[anchor, positive]]
            chosen = further.min() if len(further) else negatives.max()
            costs[anchor] += max(0.0, margin + apart[anchor, positive] - chosen)
    return costs * len(labels) / pairs


def _hard(labels, apart, margin):
    costs = []
    for anchor, own in enumerate(labels):
        others = [apart[anchor, item] for item in np.flatnonzero(labels == own) if item != anchor]
        costs.append(max(0.0, margin + max(others, default=0.0) - apart[anchor][labels != own].min()))
    return np.array(costs)


@pytest.mark.parametrize("metric", METRICS)
def test_distances(batch, metric):
    ours = np.array(distances(batch[1], metric))
    np.testing.assert_allclose(ours, _table(batch[1], metric), rtol=0, atol=2e-3 if metric == "L2" else 1e-5)
    assert (ours >= 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("margin", [0.2, 1.0])
@pytest.mark.parametrize(("ours", "loop"), [(triplet_semihard, _semihard), (triplet_hard, _hard)])
def test_losses_are_those_of_the_loops(batch, metric, margin, ours, loop):
    labels, embeddings = batch
    # Equal objects: their distance is rounding, which a root makes large.
    embeddings = embeddings + (np.arange(14)[:, None] == 1) * 0.1
    found = np.array(ours(labels, embeddings.astype("float32"), margin, metric))
    expected = loop(labels, _table(embeddings.astype("float32"), metric), margin)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert (expected > 0).sum() > 3


def test_soft_margins(batch):
    labels, embeddings = batch
    apart = _table(embeddings, "squared-L2")
    expected = np.log1p(np.exp(_hard(labels, apart, 100.0) - 100.0))
    ours = triplet_hard(labels, embeddings, metric="squared-L2", soft=True)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", [triplet_semihard, triplet_hard])
def test_batches_without_triplets_and_equal_objects_are_finite(batch, loss):
    for labels in (np.zeros(14, "int32"), np.arange(14, dtype="int32"), batch[0]):
        embeddings = tf.constant(batch[1] * (0.0 if labels is batch[0] else 1.0))
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            values = loss(labels, embeddings)
        slope = tape.gradient(values, embeddings)
        assert np.isfinite(values).all() and np.isfinite(tf.convert_to_tensor(slope)).all()
    assert np.array(triplet_semihard(np.arange(14, dtype="int32"), batch[1])).max() == 0


def test_as_losses_of_classes_they_pull_the_directions_together(batch):
    labels, _ = batch
    logits = (np.random.default_rng(1).normal(size=(14, 4)) * 3).astype("float32")
    unit = logits / np.linalg.norm(logits, axis=1, keepdims=True)
    plain = np.array(crossentropy(labels, logits))
    for name, loop in (("triplet_semihard", _semihard), ("triplet_hard", _hard)):
        expected = plain + loop(labels, _table(unit, "L2"), 0.2)
        np.testing.assert_allclose(LOSSES[name](labels, logits), expected, rtol=1e-4, atol=1e-4)


def test_an_unknown_metric_is_named():
    with pytest.raises(ValueError, match="L2, squared-L2, angular. Received: 'L1'"):
        distances(np.zeros((2, 2), "float32"), "L1")
