"""Classification at every step: labels, loss, metrics and answers against loops over steps."""

from __future__ import annotations

import types

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tfrecords.errors import UsageError
from zoo.inputs.spec import DataSpec
from zoo.tasks import base
from zoo.training.config import RunConfig

SPEC = DataSpec("toy", ("g",), 25.0, (), (), ("A", "B"), {"1": 0, "2": 1})
NETWORK = types.SimpleNamespace(heads=("steps",), primary="steps")
NAN = float("nan")


@pytest.fixture
def batch():
    """Logits of three objects of 4, 2 and 0 steps, and their targets."""
    rng = np.random.default_rng(0)
    logits = {"steps": (3 * rng.normal(size=(3, 4, 3))).astype("float32")}
    days = np.array([[-6, -3, 0, 3], [1, 4, NAN, NAN], [NAN] * 4], "float32")
    return logits, {"label": np.array([1, 0, 0], "int32"), "days": days}


def _labels(targets, t0):
    found = np.full(targets["days"].shape, -1)
    for place, days in enumerate(targets["days"]):
        for step, day in enumerate(days):
            if not np.isnan(day):
                found[place, step] = 0 if day <= t0[place] else 1 + targets["label"][place]
    return found


@pytest.mark.parametrize(
    ("options", "extra", "t0"),
    [
        ({}, {}, [0, 0, 0]),
        ({"target_group": "x"}, {"t0": np.array([-4.5, NAN, -1], "float32")}, [-4.5, -np.inf, -1]),
        ({"label_smoothing": 0.2}, {}, [0, 0, 0]),
    ],
)
def test_labels_and_loss(batch, options, extra, t0):
    logits, targets = batch
    task = base.create("per_step", SPEC, RunConfig(**options))
    targets = targets | extra
    labels = _labels(targets, t0)
    np.testing.assert_array_equal(task.labels(targets), labels)
    share = options.get("label_smoothing", 0.0)
    expected = []
    for ours, rows in zip(labels, logits["steps"], strict=True):
        terms = []
        for label, row in zip(ours, rows, strict=True):
            if label >= 0:
                wanted = np.eye(3)[label] * (1 - share) + share / 3
                terms.append(-(wanted * log_softmax(row.astype("float64"))).sum())
        expected.append(np.mean(terms) if terms else 0.0)
    np.testing.assert_allclose(task.loss(NETWORK, logits, targets), expected, rtol=1e-5)


def test_class_weights_are_those_of_the_object(batch):
    logits, targets = batch
    plain = np.array(base.create("per_step", SPEC, RunConfig()).loss(NETWORK, logits, targets))
    task = base.create("per_step", SPEC, RunConfig(class_weights="largest"))
    task.prepare(np.array([30, 10]))
    assert plain[0] > 0
    np.testing.assert_allclose(task.loss(NETWORK, logits, targets), plain * [3, 1, 1], rtol=1e-6)


def test_an_object_is_what_its_last_step_says_of_the_exploded(batch):
    logits, targets = batch
    task = base.create("per_step", SPEC, RunConfig())
    assert task.columns() == ["p_A", "p_B"] and task.step_columns() == ["p_Pre-explosion", "p_A", "p_B"]
    every = softmax(logits["steps"].astype("float64"), axis=-1)
    last = every[:, -1, 1:] / every[:, -1, 1:].sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(task.predictions(NETWORK, logits), last, atol=1e-6)
    np.testing.assert_allclose(task.step_predictions(NETWORK, logits), every, atol=1e-6)
    inputs = {"time": np.zeros((3, 4), "float32"), "mask": np.ones((3, 4), bool)}
    served = task.served(NETWORK, logits, inputs)
    np.testing.assert_allclose(served["probabilities"], last, atol=1e-6)
    np.testing.assert_allclose(served["step_probabilities"], every, atol=1e-6)
    assert served["step_time"] is inputs["time"] and served["step_mask"] is inputs["mask"]


def test_metrics_count_steps_and_objects(batch):
    logits, targets = batch
    task = base.create("per_step", SPEC, RunConfig())
    objects, steps = task.metrics(NETWORK)
    weight = np.array([1, 1, 0], "float32")
    for metric in (objects, steps):
        metric.update_state(targets, logits, weight)
    labels = _labels(targets, [0, 0, 0])
    right = (logits["steps"].argmax(axis=-1) == labels)[labels >= 0]
    assert float(steps.result()["step_accuracy"]) == pytest.approx(right.mean())
    whole = (logits["steps"][:2, -1, 1:].argmax(axis=-1) == targets["label"][:2]).mean()
    assert float(objects.result()["accuracy"]) == pytest.approx(whole)


def test_what_it_cannot_do_is_said(batch):
    with pytest.raises(UsageError, match="loss of per_step is crossentropy or hierarchical. Received: focal"):
        base.create("per_step", SPEC, RunConfig(loss="focal"))
    task = base.create("per_step", SPEC, RunConfig(target_group="features"))
    with pytest.raises(UsageError, match="column t0.*Received: --target-group features"):
        task.loss(NETWORK, *batch)
