"""Objects with hardly any data: no row or one, one band, no static value. Defined numbers come out, never NaN."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import variants
from tests.cases.variants import Example
from tests.cases.workbench import Workbench
from zoo.losses.hierarchical import log_path
from zoo.taxonomies.tree import load

TREE = load("plasticc")


def _poor(inputs):
    """Leave the first object whole, one row to the second, none to the third, and no static value to the last two."""
    inputs = {name: value.copy() for name, value in inputs.items()}
    if "mask" in inputs:
        inputs["mask"][1, 1:], inputs["mask"][2] = False, False
    for name in {"static", "features"} & set(inputs):
        inputs[name][2:] = np.nan
    return inputs


def _first(batch, count=4):
    return tuple({key: value[:count] for key, value in part.items()} for part in batch[:2])


LABELLED = [example for example in variants.richest() if example.entry.task != "reconstruct"]


@pytest.mark.parametrize("example", LABELLED, ids=str)
def test_objects_with_hardly_any_data_have_a_loss_and_probabilities(example, make_bench):
    bench = make_bench(example)
    inputs, targets = _first(bench.batch())
    outputs = bench.outputs(_poor(inputs))
    assert np.isfinite(np.array(bench.task.loss(bench.network, outputs, targets))).all()
    found = np.array(bench.task.predictions(bench.network, outputs))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("model", ["oracle_gru", "hierarchical_lstm"])
def test_under_a_tree_every_node_has_a_probability(model, records):
    # Half of the classes have no training object, and so no weight.
    example, options = Example(model, "default"), {"absent_nodes": "zero", "phase_aware": True}
    bench = Workbench(example, records, loss="hierarchical", taxonomy="plasticc", **options)
    bench.task.prepare(np.arange(len(bench.spec.classes)) % 2 * 10)
    inputs, targets = _first(bench.batch())
    outputs = bench.outputs(_poor(inputs))
    loss = np.array(bench.task.loss(bench.network, outputs, targets))
    assert np.isfinite(loss).all() and (loss >= 0).all()
    path = np.exp(np.array(log_path(outputs["logits"], TREE)))
    assert (path > 0).all()
    for node in range(len(TREE)):
        if children := TREE.children(node):
            np.testing.assert_allclose(path[:, children].sum(axis=1), path[:, node], atol=1e-6)
