"""Classification: which losses are added, what is predicted and answered."""

from __future__ import annotations

import types

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tfrecords.errors import DataError, UsageError
from zoo.inputs.spec import DataSpec
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


@pytest.mark.parametrize(("kind", "expected"), [("balanced", [10 / 6, 10 / 9, 10 / 15]), ("largest", [2.5, 5 / 3, 1])])
def test_class_weights_multiply_the_loss_of_an_object(outputs, kind, expected):
    network, logits, targets = outputs
    for loss in ("crossentropy", "focal"):
        plain = np.array(base.create("classify", SPEC, RunConfig(loss=loss)).loss(network, logits, targets))
        task = base.create("classify", SPEC, RunConfig(loss=loss, class_weights=kind))
        with pytest.raises(UsageError, match="call prepare"):
            task.loss(network, logits, targets)
        task.prepare(np.array([2, 3, 5]))
        found = np.array(task.loss(network, logits, targets))
        np.testing.assert_allclose(found, plain * np.array(expected)[targets["label"]], rtol=1e-5)


def test_entropy_is_taken_off_the_loss(outputs):
    network, logits, targets = outputs
    plain = np.array(base.create("classify", SPEC, RunConfig()).loss(network, logits, targets))
    found = np.array(base.create("classify", SPEC, RunConfig(entropy_weight=0.5)).loss(network, logits, targets))
    logprob = [log_softmax(np.array(logits[head]), axis=-1) for head in network.heads]
    entropy = -sum((np.exp(item) * item).sum(axis=-1) for item in logprob)
    np.testing.assert_allclose(found, plain - 0.5 * entropy, rtol=1e-5)
    with pytest.raises(UsageError, match="entropy_weight must be >= 0"):
        RunConfig(entropy_weight=-1.0)
    task = base.create("per_step", SPEC, RunConfig(entropy_weight=0.5))
    with pytest.raises(UsageError, match="goes with classes of objects"):
        task.prepare(np.ones(3))


def test_class_weights_need_objects_of_every_class():
    with pytest.raises(DataError, match="Received: B"):
        base.create("classify", SPEC, RunConfig(class_weights="largest")).prepare(np.array([2, 0, 4]))
    task = base.create("classify", SPEC, RunConfig(class_weights="largest", absent_nodes="zero"))
    task.prepare(np.array([2, 0, 4]))
    np.testing.assert_array_equal(task.class_weights, [2, 0, 1])
    with pytest.raises(UsageError, match="weighs classes itself.*Received: largest"):
        RunConfig(loss="weighted_crossentropy", class_weights="largest")
    with pytest.raises(UsageError, match="no classes to weigh. Received: balanced"):
        base.create("reconstruct", SPEC, RunConfig(loss="MSE", class_weights="balanced"))


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


@pytest.mark.parametrize("kind", ["temperature", "heads"])
def test_calibration_has_the_least_log_loss(kind):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 400)
    truth = np.eye(3)[labels]
    network = types.SimpleNamespace(heads=("lc", "mix"), primary="mix")
    # Both heads know something of their own, and both say it four times too loudly.
    outputs = {head: (4 * (truth + rng.normal(size=(400, 3)))).astype("float32") for head in network.heads}
    task = base.create("classify", SPEC, RunConfig())

    def loss(calibration):
        task.calibration = calibration
        chosen = np.array(task.predictions(network, outputs))[np.arange(400), labels]
        return -np.log(chosen).mean()

    found = task.fit_calibration(kind, network, outputs, labels)
    assert set(found) == ({"mix"} if kind == "temperature" else {"lc", "mix"})
    best = loss(found)
    assert best < loss({}) - 0.3
    for head in found:
        for factor in (0.97, 1.03):
            assert loss(found | {head: found[head] * factor}) > best
    if kind == "heads":
        assert best < loss(task.fit_calibration("temperature", network, outputs, labels)) - 0.05


def test_a_head_that_knows_nothing_is_left_alone():
    network = types.SimpleNamespace(heads=("mix",), primary="mix")
    wrong = {"mix": -np.eye(3, dtype="float32")[np.arange(30) % 3]}
    task = base.create("classify", SPEC, RunConfig())
    assert task.fit_calibration("temperature", network, wrong, np.arange(30) % 3) == {"mix": 1.0}


def test_unknown_tasks_and_losses():
    with pytest.raises(UsageError, match="no task of this name. Closest: classify.*Received: 'clasify'"):
        base.create("clasify", SPEC, RunConfig())
    with pytest.raises(UsageError, match="crossentropy.*Received: 'crosentropy'"):
        base.create("classify", SPEC, RunConfig(loss="crosentropy"))


def test_the_base_states_nothing():
    task = base.Task(SPEC, RunConfig())
    for use in (lambda: task.loss(None, None, None), task.columns, lambda: task.predictions(None, None),
                lambda: task.fit_calibration("temperature", None, {}, None),
                lambda: task.answer(None, None)):  # fmt: skip
        with pytest.raises(UsageError, match="the task Task states no"):
            use()


def test_further_scores_are_those_of_the_primary_head(outputs):
    from sklearn import metrics as theirs

    network, logits, targets = outputs
    names = ["matthews", "cohen_kappa", "cohen_kappa_quadratic"]
    _, *found = base.create("classify", SPEC, RunConfig(metrics=[*names, "matthews"])).metrics(network)
    predicted, weight = logits["mix"].argmax(axis=1), np.array([1, 1, 1, 1, 1, 0], "float32")
    scores = {}
    for metric in found:
        # A weight is no weight of the score: it says which rows only fill up the batch.
        metric.update_state(targets, logits, weight * 3)
        scores |= {key: float(value) for key, value in metric.result().items()}
    true, predicted = targets["label"][:5], predicted[:5]
    assert scores == {
        "matthews": pytest.approx(theirs.matthews_corrcoef(true, predicted), abs=1e-6),
        "cohen_kappa": pytest.approx(theirs.cohen_kappa_score(true, predicted), abs=1e-6),
        "cohen_kappa_quadratic": pytest.approx(
            theirs.cohen_kappa_score(true, predicted, weights="quadratic"), abs=1e-6
        ),
    }
    found[0].reset_state()
    assert float(found[0].result()["matthews"]) == 0
    with pytest.raises(UsageError, match="no metric of the task Classify.*Closest: cohen_kappa.*Received: 'kappa'"):
        base.create("classify", SPEC, RunConfig(metrics=["kappa"]))


def test_the_best_epoch_can_go_by_another_score():
    task = base.create("classify", SPEC, RunConfig())
    assert (task.monitor, task.mode, task.validation_metrics(None)) == ("val_macro_f1", "max", [])
    for name, mode in (("loss", "min"), ("accuracy", "max"), ("macro_f1_over_fractions", "max")):
        task = base.create("classify", SPEC, RunConfig(monitor=name))
        assert (task.monitor, task.mode) == (f"val_{name}", mode)
    network = types.SimpleNamespace(primary="mix")
    (metric,) = task.validation_metrics(network)
    assert metric.cuts == ["fraction_0.1", "fraction_0.4", "fraction_0.6", "fraction_1"]
    (metric,) = base.create("classify", SPEC, RunConfig(validation_days=[-3.0, 8.0])).validation_metrics(network)
    assert metric.cuts == ["day_-3", "day_8"]
    with pytest.raises(UsageError, match="monitor of the task Classify.*'matthews'"):
        base.create("classify", SPEC, RunConfig(monitor="matthews"))
    assert base.create("classify", SPEC, RunConfig(monitor="matthews", metrics=["matthews"])).mode == "max"


@pytest.mark.parametrize(
    "options",
    [
        {"validation_days": [1.0], "validation_fractions": [0.5]},
        {"validation_days": []},
        {"validation_days": [1.0, 1.0]},
        {"validation_days": [float("nan")]},
        {"validation_fractions": [0.0]},
        {"validation_fractions": [1.5]},
        {"validation_fractions": [0.5], "monitor": "macro_f1_over_days"},
    ],
)
def test_cuts_that_are_none(options):
    with pytest.raises(UsageError, match="Received"):
        RunConfig(**options)
