"""The hierarchical loss against loops, against finite differences, and at the ends of float32."""

from __future__ import annotations

import importlib

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax

from tfrecords.errors import DataError, UsageError
from zoo.golden import gradients
from zoo.losses import hierarchical
from zoo.losses.classification import crossentropy, weighted_crossentropy
from zoo.taxonomies.tree import Taxonomy, available, load


@pytest.fixture(params=available())
def tree(request):
    """Each taxonomy of the zoo."""
    return load(request.param)


@pytest.fixture
def case(tree):
    """Logits (7, node) and a node for each object, inner ones among them."""
    rng = np.random.default_rng(len(tree))
    return 3 * rng.normal(size=(7, len(tree))), rng.integers(0, len(tree), 7)


def _slow_conditional(logits, tree):
    found = np.zeros(logits.shape)
    for node in range(1, len(tree)):
        group = [other for other in range(len(tree)) if tree.parents[other] == tree.parents[node]]
        found[:, node] = log_softmax(logits[:, group], axis=1)[:, group.index(node)]
    return found


def _slow_loss(labels, logits, tree, weights, levels, alpha):
    conditional = _slow_conditional(logits, tree)
    losses = []
    for row, node in enumerate(labels):
        loss, where = 0.0, int(node)
        while where > 0:
            loss -= weights[where] * np.exp(-alpha * levels[where]) * conditional[row, where]
            where = tree.parents[where]
        losses.append(loss)
    return np.array(losses)


def test_probabilities_are_those_of_a_walk(tree, case):
    logits, _ = case
    conditional = np.exp(np.array(hierarchical.log_conditional(logits.astype("float32"), tree)))
    path = np.exp(np.array(hierarchical.log_path(logits.astype("float32"), tree)))
    np.testing.assert_allclose(conditional, np.exp(_slow_conditional(logits, tree)), atol=1e-6)
    for first, end in tree.groups:
        np.testing.assert_allclose(conditional[:, first:end].sum(axis=1), 1, atol=1e-6)
    for node in range(len(tree)):
        if children := tree.children(node):
            np.testing.assert_allclose(path[:, children].sum(axis=1), path[:, node], atol=1e-6)
    np.testing.assert_allclose(path[:, tree.leaves].sum(axis=1), 1, atol=1e-6)
    moved = logits.copy()
    moved[:, 0] += 100
    first, end = tree.groups[2]
    moved[:, first:end] += 7
    np.testing.assert_allclose(np.exp(np.array(hierarchical.log_path(moved, tree))), path, atol=1e-6)


@pytest.mark.parametrize("by", ["depth", "height"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, -0.3])
def test_the_loss_is_that_of_a_loop(tree, case, by, alpha):
    logits, labels = case
    weights = np.random.default_rng(1).random(len(tree))
    levels = tree.depths if by == "depth" else tree.heights
    ours = hierarchical.hierarchical_crossentropy(labels, logits.astype("float32"), tree, weights=weights, alpha=alpha,
                                                  by=by)  # fmt: skip
    assert ours.shape == (7,)
    np.testing.assert_allclose(ours, _slow_loss(labels, logits, tree, weights, levels, alpha), rtol=1e-5, atol=1e-6)


def test_unweighted_and_undiscounted_it_is_minus_log_p(tree, case):
    logits, labels = case
    ours = hierarchical.hierarchical_crossentropy(labels, logits, tree, alpha=0.0)
    expected = -np.array(hierarchical.log_path(logits, tree))[np.arange(7), labels]
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_a_tree_of_one_level_is_the_flat_loss():
    tree = Taxonomy("flat", ("R", "a", "b", "c"), (-1, 0, 0, 0))
    logits = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    labels = np.array([0, 1, 2, 2, 0])
    ours = hierarchical.hierarchical_crossentropy(labels, logits, tree, (1, 2, 3), alpha=0.0, smoothing=0.2)
    np.testing.assert_allclose(ours, crossentropy(labels, logits[:, 1:], 0.2), rtol=1e-5)
    weights = np.array([1.0, 2.0, 3.0, 0.5])
    ours = hierarchical.hierarchical_crossentropy(labels, logits, tree, (1, 2, 3), alpha=0.0, weights=weights)
    np.testing.assert_allclose(ours, weighted_crossentropy(labels, logits[:, 1:], weights=weights[1:]), rtol=1e-5)


def test_the_gradient_is_the_formula_and_the_finite_difference(tree, case):
    logits, labels = case
    weights = np.random.default_rng(1).random(len(tree))
    variable = keras.Variable(logits, dtype="float64")

    def mean(values):
        options = {"weights": weights, "alpha": 0.5}
        return ops.mean(hierarchical.hierarchical_crossentropy(labels, values, tree, **options))

    (gradient,) = gradients(lambda: mean(variable.value), [variable])
    targets = weights * np.exp(-0.5 * tree.depths) * tree.paths[labels]
    conditional = np.exp(_slow_conditional(logits, tree))
    formula = np.zeros(logits.shape)
    for first, end in tree.groups:
        total = targets[:, first:end].sum(axis=1, keepdims=True)
        formula[:, first:end] = (conditional[:, first:end] * total - targets[:, first:end]) / len(logits)
    np.testing.assert_allclose(gradient, formula, atol=1e-12)
    random = np.random.default_rng(2)
    for _ in range(5):
        step = random.normal(size=logits.shape)
        slope = (float(mean(logits + 1e-6 * step)) - float(mean(logits - 1e-6 * step))) / 2e-6
        assert slope == pytest.approx(float((gradient * step).sum()), abs=1e-7)


@pytest.mark.parametrize("size", [60.0, 1e4, 1e30, 1e38, 3.4e38])
def test_no_logit_of_float32_gives_nan(tree, size):
    random = np.random.default_rng(0)
    logits = (size * random.choice([-1.0, 0.0, 0.3, 1.0], (40, len(tree)))).astype("float32")
    labels = random.integers(0, len(tree), 40)
    variable = keras.Variable(logits, dtype="float32")
    weights = np.ones(len(tree))
    weights[labels[:10]] = 0.0

    def objects():
        return hierarchical.hierarchical_crossentropy(labels, variable, tree, weights=weights)

    losses = np.array(objects())
    assert not np.isnan(losses).any() and (losses >= 0).all()
    if size <= 1e30:
        assert np.isfinite(losses).all()
    (gradient,) = gradients(lambda: ops.sum(objects()), [variable])
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    places = tree.leaves[:3]
    for found in (hierarchical.log_path(logits, tree), hierarchical.log_conditional(logits, tree)):
        assert not np.isnan(np.array(found)).any()
    classes = np.array(ops.softmax(hierarchical.log_classes(logits, tree, places)))
    assert np.isfinite(classes).all()
    np.testing.assert_allclose(classes.sum(axis=1), 1, atol=1e-5)


def test_a_weight_of_zero_takes_a_node_out():
    tree = Taxonomy("two", ("R", "a", "b"), (-1, 0, 0))
    logits = np.array([[0.0, -3.4e38, 3.4e38]], "float32")
    assert np.isinf(np.array(hierarchical.log_conditional(logits, tree))).any()
    loss = hierarchical.hierarchical_crossentropy([1], logits, tree, weights=[1.0, 0.0, 1.0])
    assert np.array(loss).tolist() == [0.0]


def test_weights_are_n_over_m_n_c():
    tree = load("plasticc")
    counts = np.arange(1, 15) * 10
    nodes = hierarchical.node_counts(counts, tree, tree.leaves)
    for node in range(len(tree)):
        below = [counts[place] for place, leaf in enumerate(tree.leaves) if tree.paths[leaf, node]]
        assert nodes[node] == sum(below)
    weights = hierarchical.balanced_weights(nodes, total=nodes[0])
    np.testing.assert_allclose(weights, counts.sum() / (21 * nodes))
    np.testing.assert_allclose(hierarchical.balanced_weights([1, 3]), [2.0, 2 / 3])


def test_a_node_without_objects_is_an_error_or_weighs_nothing():
    with pytest.raises(DataError, match="Received: KN, TDE"):
        hierarchical.balanced_weights([5, 0, 0], ["SN", "KN", "TDE"])
    found = hierarchical.balanced_weights([5, 0, 5], absent="zero")
    np.testing.assert_allclose(found, [2 / 3, 0, 2 / 3])
    with pytest.raises(UsageError, match="'maybe'"):
        hierarchical.balanced_weights([1], absent="maybe")
    with pytest.raises(UsageError, match="'level'"):
        hierarchical.levels_of(load("plasticc"), "level")


def test_phase_aware_discounts_fade_as_the_light_curve_grows(tree, case):
    logits, labels = case
    fraction = np.linspace(0, 1, 7).astype("float32")
    alpha = hierarchical.phase_alpha(0.8, fraction)
    np.testing.assert_allclose(alpha, 0.8 * 0.1**fraction, rtol=1e-6)
    ours = np.array(hierarchical.hierarchical_crossentropy(labels, logits, tree, alpha=alpha))
    for row, value in enumerate(np.array(alpha)):
        alone = hierarchical.hierarchical_crossentropy(labels[row : row + 1], logits[row : row + 1], tree,
                                                       alpha=float(value))  # fmt: skip
        assert ours[row] == pytest.approx(float(alone[0]), rel=1e-9)


def test_classes_have_the_leaves_below_them():
    tree = Taxonomy("some", ("R", "A", "B", "a1", "a2", "b1", "b2"), (-1, 0, 0, 1, 1, 2, 2))
    logits = np.random.default_rng(0).normal(size=(4, 7))
    path = np.exp(np.array(hierarchical.log_path(logits, tree)))

    def shares(*names):
        return np.exp(np.array(hierarchical.log_classes(logits, tree, [tree.nodes.index(name) for name in names])))

    np.testing.assert_allclose(shares("A", "b2"), path[:, [1, 6]], rtol=1e-12)
    np.testing.assert_allclose(shares("B", "A", "a2"), path[:, [2, 3, 4]], rtol=1e-12)
    assert (shares("A", "a1", "a2")[:, 0] == 0).all()


def test_every_golden_case_of_the_loss_passes(shared):
    rows = importlib.import_module("zoo.parity").parity(shared("golden/hierarchical"))
    rows = [row for row in rows if "whxe" in row["case"]]
    assert rows and all(row["passed"] for row in rows), rows
    names = {item["output"] for item in rows[0]["outputs"]}
    assert {"loss", "loss_per_sample", "grad_logits", "path", "class_weights", "pred_leaf"} <= names
