"""Cohen's kappa and Matthews correlation against scikit-learn, also with weights and over batches."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn import metrics

from zoo.metrics.agreement import CohenKappa, MatthewsCorrelation


@pytest.fixture
def batches():
    """Three batches of labels, logits of five classes that are right more often than not, and weights."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(3):
        labels = rng.choice([0, 1, 2, 4], 50).astype("int32")
        logits = rng.normal(size=(50, 5)) + 1.5 * np.eye(5)[labels]
        made.append((labels, logits.astype("float32"), rng.uniform(0.2, 3.0, 50).astype("float32")))
    return made


def _filled(metric, batches, weighted):
    for labels, logits, weight in batches:
        metric.update_state(labels, logits, weight if weighted else None)
    labels, logits, weight = (np.concatenate(part) for part in zip(*batches, strict=True))
    return metric, labels, logits.argmax(axis=1), weight if weighted else None


@pytest.mark.parametrize("weighting", ["none", "linear", "quadratic"])
@pytest.mark.parametrize("weighted", [False, True])
def test_kappa_is_that_of_scikit_learn(batches, weighting, weighted):
    metric, true, predicted, weight = _filled(CohenKappa(5, weighting), batches, weighted)
    kind = None if weighting == "none" else weighting
    expected = metrics.cohen_kappa_score(true, predicted, weights=kind, labels=range(5), sample_weight=weight)
    assert 0.2 < expected < 0.9
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_matthews_is_that_of_scikit_learn(batches, weighted):
    metric, true, predicted, weight = _filled(MatthewsCorrelation(5), batches, weighted)
    assert float(metric.result()) == pytest.approx(
        metrics.matthews_corrcoef(true, predicted, sample_weight=weight), abs=1e-6
    )


@pytest.mark.parametrize("make", [CohenKappa, MatthewsCorrelation])
def test_borders(make, batches):
    metric = make(5)
    assert float(metric.result()) == 0
    labels, logits, _ = batches[0]
    metric.update_state(labels, np.eye(5, dtype="float32")[labels])
    assert float(metric.result()) == pytest.approx(1.0)
    metric.reset_state()
    # One class everywhere: there is no chance to agree beyond.
    metric.update_state(np.ones(4, "int32"), np.eye(5, dtype="float32")[[1, 1, 1, 1]])
    assert float(metric.result()) == 0
    metric.reset_state()
    metric.update_state(np.where(np.arange(50) < 9, -1, labels), logits)
    other = make(5)
    other.update_state(labels[9:], logits[9:])
    assert float(metric.result()) == float(other.result())
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config()


def test_an_unknown_weighting_is_named():
    with pytest.raises(ValueError, match="none, linear, quadratic. Received: 'cubic'"):
        CohenKappa(3, "cubic")
