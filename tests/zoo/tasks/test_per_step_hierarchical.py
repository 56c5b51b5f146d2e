"""Early classification over a tree, against a loop over steps and nodes."""

from __future__ import annotations

import types

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tfrecords.errors import UsageError
from zoo.inputs.spec import DataSpec
from zoo.tasks import base
from zoo.taxonomies.tree import load
from zoo.training.config import RunConfig

CLASSES = ("SNIa", "SNII", "TDE")
SPEC = DataSpec("toy", ("g",), 25.0, (), (), CLASSES, {str(n): n for n in range(3)}).under(load("plasticc"))
NETWORK = types.SimpleNamespace(heads=("steps",), primary="steps")
NAN = float("nan")


@pytest.fixture
def batch():
    """Logits of three objects of 4, 2 and 0 steps, and their targets."""
    rng = np.random.default_rng(0)
    logits = {"steps": (2 * rng.normal(size=(3, 4, 1 + len(SPEC.nodes)))).astype("float32")}
    days = np.array([[-6, -3, 0, 3], [1, 4, NAN, NAN], [NAN] * 4], "float32")
    return logits, {"label": np.array([1, 0, 2], "int32"), "days": days, "fraction": np.array([1, 0.5, 0], "float32")}


def _task(**options):
    options = {"node_weights": "none", "loss": "hierarchical", "taxonomy": "plasticc"} | options
    return base.create("per_step", SPEC, RunConfig(**options))


def _class_nodes(tree, place):
    return [node for node in np.flatnonzero(tree.paths[place]) if node]


@pytest.mark.parametrize("phase_aware", [False, True])
def test_the_loss_is_its_formula(batch, phase_aware):
    logits, targets = batch
    task = _task(phase_aware=phase_aware)
    tree, expected = task.tree, []
    for place, days in enumerate(targets["days"]):
        terms = []
        alpha = task.run.hierarchy_alpha * (task.run.phase_beta ** targets["fraction"][place] if phase_aware else 1.0)
        for day, row in zip(days, logits["steps"][place].astype("float64"), strict=True):
            if np.isnan(day):
                continue
            before, after = -log_softmax(row[:2])
            if day <= 0:
                terms.append(before)
                continue
            for node in _class_nodes(tree, task.places[targets["label"][place]]):
                siblings = tree.children(tree.parents[node])
                q = log_softmax([row[1 + other] for other in siblings])[siblings.index(node)]
                after -= np.exp(-alpha * tree.depths[node]) * q
            terms.append(after)
        expected.append(np.mean(terms) if terms else 0.0)
    np.testing.assert_allclose(task.loss(NETWORK, logits, targets), expected, rtol=1e-5)


def test_every_step_has_probabilities_of_all_classes_and_of_none(batch):
    task, (logits, _) = _task(), batch
    found = np.array(task.step_predictions(NETWORK, logits))
    assert found.shape == (3, 4, 4) and task.step_columns() == ["p_Pre-explosion", *(f"p_{name}" for name in CLASSES)]
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(found[..., 0], softmax(logits["steps"][..., :2], axis=-1)[..., 0], atol=1e-6)
    objects = np.array(task.predictions(NETWORK, logits))
    assert objects.shape == (3, len(task.columns()))
    last = found[:, -1, 1:] / found[:, -1, 1:].sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(objects[:, :3], last, atol=1e-6)


def test_other_losses_are_refused():
    with pytest.raises(UsageError, match="crossentropy or hierarchical. Received: focal"):
        base.create("per_step", SPEC, RunConfig(loss="focal"))
