"""Classification: which losses are added, what is predicted and answered."""

from __future__ import annotations

import types

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tfrecords.errors import UsageError
from zoo.inputs.data import DataSpec
from zoo.tasks import base
from zoo.training.config import RunConfig

SPEC = DataSpec("toy", ("g",), 25.0, (), (), ("A", "B", "C"), {"1": 0, "2": 1, "3": 2})


@pytest.fixture
def outputs():
    """Logits of two heads and labels, and what stands for the network."""
    rng = np.random.default_rng(0)
    network = types.SimpleNamespace(heads=("lc", "mix"), primary="mix")
    logits = {name: rng.normal(size=(6, 3)).astype("float32") for name in network.heads}
    return network, logits, {"label": rng.integers(0, 3, 6).astype("int32")}


def test_the_loss_is_the_sum_over_the_heads(outputs):
    network, logits, targets = outputs
    task = base.create("classify", SPEC, RunConfig())
    rows = np.arange(6)
    expected = -sum(log_softmax(item.astype("float64"), axis=1)[rows, targets["label"]] for item in logits.values())
    np.testing.assert_allclose(task.loss(network, logits, targets), expected, rtol=1e-5)
    smooth = base.create("classify", SPEC, RunConfig(label_smoothing=0.3))
    assert (np.array(smooth.loss(network, logits, targets)) != expected).any()


def test_answers_are_those_of_the_primary_head(outputs):
    network, logits, targets = outputs
    task = base.create("classify", SPEC, RunConfig())
    probabilities = softmax(logits["mix"].astype("float64"), axis=1)
    assert task.columns() == ["p_A", "p_B", "p_C"]
    np.testing.assert_allclose(task.predictions(network, logits), probabilities, atol=1e-6)
    answer = {key: np.array(value) for key, value in task.answer(network, logits).items()}
    np.testing.assert_array_equal(answer["logits"], logits["mix"])
    np.testing.assert_allclose(answer["probabilities"], probabilities, atol=1e-6)
    np.testing.assert_array_equal(answer["class_index"], probabilities.argmax(axis=1))
    (metric,) = task.metrics(network)
    metric.update_state(targets, logits, np.ones(6, "float32"))
    expected = (probabilities.argmax(axis=1) == targets["label"]).mean()
    assert float(metric.result()["accuracy"]) == pytest.approx(expected)


def test_unknown_tasks_and_losses():
    with pytest.raises(UsageError, match="no task of this name. Closest: classify.*Received: 'clasify'"):
        base.create("clasify", SPEC, RunConfig())
    with pytest.raises(UsageError, match="crossentropy.*Received: 'crosentropy'"):
        base.create("classify", SPEC, RunConfig(loss="crosentropy"))


def test_the_base_states_nothing():
    task = base.Task(SPEC, RunConfig())
    for use in (lambda: task.loss(None, None, None), task.columns, lambda: task.predictions(None, None),
                lambda: task.answer(None, None)):  # fmt: skip
        with pytest.raises(UsageError, match="the task Task states no"):
            use()
