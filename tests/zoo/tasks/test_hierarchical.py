"""The hierarchical task: which task a loss takes, what it predicts and answers, its weights and calibration."""

from __future__ import annotations

import types

import numpy as np
import pytest

from tfrecords.errors import DataError, UsageError
from zoo.inputs.spec import DataSpec
from zoo.losses import hierarchical
from zoo.losses.classification import crossentropy
from zoo.tasks import base
from zoo.taxonomies.tree import Taxonomy, load
from zoo.training.config import RunConfig

NAMES = ("SN", "KN", "AGN", "SNIa")
"""An inner node with one of its children beside it, and leaves that do not cover the tree."""
SPEC = DataSpec("toy", ("g",), 25.0, (), (), NAMES, {str(place): place for place in range(4)})
TREE = load("plasticc")


def _task(**options):
    run = RunConfig(loss="hierarchical", taxonomy="plasticc", **({"absent_nodes": "zero"} | options))
    return base.create("classify", SPEC.under(TREE), run)


@pytest.fixture
def outputs():
    """Logits of two heads and labels, and what stands for the network."""
    rng = np.random.default_rng(0)
    network = types.SimpleNamespace(heads=("lc", "mix"), primary="mix")
    logits = {name: rng.normal(size=(6, len(TREE))).astype("float32") for name in network.heads}
    return network, logits, {"label": rng.integers(0, 4, 6).astype("int32")}


def test_the_loss_is_the_sum_over_the_heads_with_weights_of_the_training_objects(outputs):
    network, logits, targets = outputs
    task = _task(hierarchy_alpha=0.3, hierarchy_by="height")
    with pytest.raises(UsageError, match="prepare"):
        task.loss(network, logits, targets)
    task.prepare(np.array([10, 20, 30, 40]))
    count = {"Alert": 100, "Transient": 70, "Variable": 30, "SN": 50, "Fast": 20, "KN": 20, "AGN": 30, "SNIa": 40}
    expected = np.zeros(6)
    for head in logits.values():
        conditional = np.array(hierarchical.log_conditional(head, TREE), "float64")
        for row, label in enumerate(targets["label"]):
            for node in np.flatnonzero(TREE.paths[TREE.index(NAMES[label])])[1:]:
                weight = 100 / (len(TREE) * count[TREE.nodes[node]]) * np.exp(-0.3 * TREE.heights[node])
                expected[row] -= weight * conditional[row, node]
    np.testing.assert_allclose(task.loss(network, logits, targets), expected, rtol=1e-5)
    plain = _task(node_weights="none", hierarchy_alpha=0.0)
    path = sum(np.array(hierarchical.log_path(head, TREE)) for head in logits.values())
    nodes = [TREE.index(NAMES[label]) for label in targets["label"]]
    np.testing.assert_allclose(plain.loss(network, logits, targets), -path[np.arange(6), nodes], rtol=1e-5)


def test_with_phase_the_discount_follows_the_observed_fraction():
    spec = SPEC.under(Taxonomy("two", ("All", "SN", "AGN", "SNIa", "KN"), (-1, 0, 0, 1, 1)))
    options = {"loss": "hierarchical", "taxonomy": "two", "phase_aware": True, "phase_beta": 0.1}
    task = base.create("classify", spec, RunConfig(**options))
    task.prepare(np.array([0, 10, 20, 10]))
    network = types.SimpleNamespace(heads=("logits",), primary="logits")
    # Of the classes SN, KN, AGN, SNIa: an early SNIa, half of an AGN, a whole KN.
    targets = {"label": np.array([3, 2, 1]), "fraction": np.array([0.0, 0.5, 1.0], "float32")}
    logits = {"logits": np.log([[1, 3, 1, 1, 1], [1, 3, 1, 1, 1], [1, 1, 1, 1, 9]]).astype("float32")}
    # 40 objects, 5 nodes; q(SN) = 3/4, q(SNIa) = 1/2; q(AGN) = 1/4; q(SN) = 1/2, q(KN) = 9/10.
    early, half, whole = 0.5, 0.5 * 0.1**0.5, 0.5 * 0.1
    expected = [
        40 / (5 * 20) * np.exp(-early) * np.log(4 / 3) + 40 / (5 * 10) * np.exp(-2 * early) * np.log(2),
        40 / (5 * 20) * np.exp(-half) * np.log(4),
        40 / (5 * 20) * np.exp(-whole) * np.log(2) + 40 / (5 * 10) * np.exp(-2 * whole) * np.log(10 / 9),
    ]
    np.testing.assert_allclose(task.loss(network, logits, targets), expected, rtol=1e-5)
    for wrong in ({"loss": "crossentropy", "taxonomy": None}, {"phase_beta": 0.0}, {"phase_beta": float("inf")}):
        with pytest.raises(UsageError, match="phase_"):
            RunConfig(**(options | wrong))


def test_a_node_without_objects_is_an_error_or_has_no_weight():
    with pytest.raises(DataError, match="Long.*Mira"):
        _task(absent_nodes="error").prepare(np.ones(4))
    task = _task()
    task.prepare(np.ones(4))
    assert task.weights[TREE.index("Mira")] == 0 and task.weights[0] == 1 / len(TREE)


def test_predictions_hold_classes_then_nodes(outputs):
    network, logits, targets = outputs
    task = _task()
    assert task.columns() == [*(f"p_{name}" for name in NAMES), *(f"node_{name}" for name in TREE.nodes)]
    found = np.array(task.predictions(network, logits))
    path = np.exp(np.array(hierarchical.log_path(logits["mix"], TREE)))
    np.testing.assert_allclose(found[:, 4:], path, atol=1e-6)
    # SN without what its child SNIa has; together they are scaled to 1.
    node = {name: path[:, TREE.index(name)] for name in NAMES}
    shares = np.stack([node["SN"] - node["SNIa"], node["KN"], node["AGN"], node["SNIa"]], axis=1)
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, :4], shares, atol=1e-6)
    answer = {key: np.array(value) for key, value in task.answer(network, logits).items()}
    np.testing.assert_allclose(answer["probabilities"], shares, atol=1e-6)
    np.testing.assert_array_equal(answer["class_index"], shares.argmax(axis=1))
    np.testing.assert_allclose(answer["path"], path, atol=1e-6)
    np.testing.assert_allclose(answer["conditional"][:, TREE.index("SNIa")] * node["SN"], node["SNIa"], atol=1e-6)
    (metric,) = task.metrics(network)
    metric.update_state(targets, logits, np.ones(6, "float32"))
    expected = (shares.argmax(axis=1) == targets["label"]).mean()
    assert float(metric.result()["accuracy"]) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["temperature", "heads"])
def test_calibration_has_the_least_log_loss(kind):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 400)
    truth = TREE.paths[[TREE.index(name) for name in NAMES]][labels]
    network = types.SimpleNamespace(heads=("lc", "mix"), primary="mix")
    noise = {head: rng.normal(size=truth.shape) for head in network.heads}
    outputs = {head: (4 * (truth + noise[head])).astype("float32") for head in network.heads}
    task = _task()

    def loss(calibration):
        task.calibration = calibration
        return -np.log(np.array(task.predictions(network, outputs))[np.arange(400), labels]).mean()

    found = task.fit_calibration(kind, network, outputs, labels)
    assert set(found) == ({"mix"} if kind == "temperature" else {"lc", "mix"})
    best = loss(found)
    assert best < loss({}) - 0.02
    for head in found:
        for step in (0.97, 1.03):
            assert loss(found | {head: found[head] * step}) > best


def test_the_flat_baseline_weighs_classes_by_their_training_objects(outputs):
    network, _, targets = outputs
    rng = np.random.default_rng(3)
    logits = {name: rng.normal(size=(6, 4)).astype("float32") for name in network.heads}
    task = base.create("classify", SPEC, RunConfig(loss="weighted_crossentropy"))
    task.prepare(np.array([10, 20, 30, 40]))
    weights = 100 / (4 * np.array([10, 20, 30, 40]))
    expected = sum(np.array(crossentropy(targets["label"], head)) for head in logits.values())
    np.testing.assert_allclose(task.loss(network, logits, targets), expected * weights[targets["label"]], rtol=1e-5)
    with pytest.raises(DataError, match="Received: KN"):
        task.prepare(np.array([10, 0, 30, 40]))


def test_loss_and_taxonomy_go_together():
    with pytest.raises(UsageError, match="needs a taxonomy"):
        base.create("classify", SPEC, RunConfig(loss="hierarchical", taxonomy="plasticc"))
    for options in ({"loss": "hierarchical"}, {"taxonomy": "plasticc"}):
        with pytest.raises(UsageError, match="go together"):
            RunConfig(**options)
    with pytest.raises(UsageError, match="hierarchical.*'hierarchica'"):
        base.create("classify", SPEC, RunConfig(loss="hierarchica"))
    with pytest.raises(UsageError, match="hierarchy_alpha"):
        _task(hierarchy_alpha=float("nan"))
