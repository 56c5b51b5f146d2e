"""The accumulated confusion matrix against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from zoo.metrics.confusion import ConfusionMatrix, MacroF1ByCut, f1_scores


@pytest.fixture
def batches():
    """Three batches of labels and logits of six classes; class 4 never occurs nor is predicted."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(3):
        labels = rng.choice([0, 1, 2, 3, 5], 40).astype("int32")
        logits = rng.normal(size=(40, 6)).astype("float32")
        logits[:, 4] = -100
        made.append((labels, logits))
    return made


def _all(batches):
    labels = np.concatenate([labels for labels, _ in batches])
    return labels, np.concatenate([logits.argmax(axis=1) for _, logits in batches])


def test_scores_are_those_of_scikit_learn(batches):
    metric = ConfusionMatrix(6)
    for labels, logits in batches:
        metric.update_state(labels, logits)
    true, predicted = _all(batches)
    result = {key: float(value) for key, value in metric.result().items()}
    assert result["macro_f1"] == pytest.approx(metrics.f1_score(true, predicted, average="macro"), rel=1e-5)
    assert result["accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted), rel=1e-6)
    matrix = np.array(metric.matrix)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(true, predicted, labels=range(6)))
    expected = metrics.f1_score(true, predicted, average=None, labels=[0, 1, 2, 3, 5])
    np.testing.assert_allclose(f1_scores(matrix)[[0, 1, 2, 3, 5]], expected)
    assert np.isnan(f1_scores(matrix)[4])


def test_filling_rows_and_unlabelled_objects_do_not_count(batches):
    plain, filled = ConfusionMatrix(6), ConfusionMatrix(6)
    labels, logits = batches[0]
    plain.update_state(labels[:30], logits[:30])
    weight = np.where(np.arange(40) < 35, 1, 0).astype("float32")
    unlabelled = np.where((np.arange(40) >= 30) & (np.arange(40) < 35), -1, labels).astype("int32")
    filled.update_state(unlabelled, logits, weight)
    np.testing.assert_array_equal(np.array(plain.matrix), np.array(filled.matrix))


def test_nothing_counted_is_zero_and_reset_forgets(batches):
    metric = ConfusionMatrix(6)
    assert {key: float(value) for key, value in metric.result().items()} == {"macro_f1": 0, "accuracy": 0}
    metric.update_state(*batches[0])
    metric.reset_state()
    assert np.array(metric.matrix).sum() == 0


def test_macro_f1_of_every_cut_and_their_mean():
    random = np.random.default_rng(6)
    labels, cut = random.integers(-1, 4, 60), random.integers(0, 2, 60)
    logits, weight = random.normal(size=(60, 4)).astype("float32"), (random.random(60) < 0.8).astype("float32")
    metric = MacroF1ByCut(4, ["day_1", "all"])
    for part in (slice(0, 25), slice(25, 60)):
        metric.update_state(labels[part], logits[part], cut[part], weight[part])
    found = {key: float(value) for key, value in metric.result().items()}
    expected = []
    for number, name in enumerate(("day_1", "all")):
        chosen = (cut == number) & (labels >= 0) & (weight > 0)
        expected.append(metrics.f1_score(labels[chosen], logits[chosen].argmax(axis=1), average="macro"))
        assert found[f"macro_f1_{name}"] == pytest.approx(expected[-1], abs=1e-6)
    assert found["macro_f1_over_days"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert MacroF1ByCut.from_config(metric.get_config()).cuts == ["day_1", "all"]
