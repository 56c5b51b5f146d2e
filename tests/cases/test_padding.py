"""Padding never changes an answer; neither does the order of rows where the view holds a set."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import tensors, variants
from tests.cases.workbench import assert_equal

BLIND = ("tab", "spectra", "meta")
"""Heads that read no light curve."""

WITH_ROWS = [
    item for item in variants.examples()
    if "light_curve" in item.entry.config(**item.hparams).parts() or item.entry.view == "stamp_sequence"
]  # fmt: skip
OF_SETS = [
    item for item in WITH_ROWS if item.entry.view in tensors.SET_VIEWS and item.entry.family not in variants.ORDERED
]


def _parameters(chosen):
    """Mark all but the richest variant of each model slow."""
    return variants.costly(variants.richest(), lambda examples: [item for item in examples if item in chosen])


@pytest.fixture(params=_parameters(WITH_ROWS), ids=str)
def bench(request, make_bench):
    """The workbench of one model and variant that reads light curves or sequences of stamps."""
    return make_bench(request.param)


@pytest.fixture
def batch(bench):
    """Inputs with a short and an empty object among them."""
    return bench.batch()[0]


def test_added_padding_changes_nothing(bench, batch):
    wider = tensors.pad(bench.example.entry.view, batch)
    assert wider["mask"].shape[1] > batch["mask"].shape[1]
    ours, theirs = bench.outputs(wider), bench.outputs(batch)
    size = batch["mask"].shape[1]
    # Outputs of more than two axes have one of steps.
    steps = {name: value[:, :size] if value.ndim > 2 else value for name, value in ours.items()}
    assert_equal(steps, theirs)
    assert_equal(bench.task.object_outputs(steps), bench.task.object_outputs(theirs))
    if not bench.task.labelled:
        # Where the answer is the steps themselves, the added ones have the answer 0.
        assert not any(value[:, size:].any() for value in ours.values() if value.ndim > 2)


def test_values_under_the_mask_change_nothing(bench, batch):
    spoiled = tensors.poison(bench.example.entry.view, batch, np.random.default_rng(1))
    assert_equal(bench.outputs(spoiled), bench.outputs(batch))


@pytest.mark.parametrize("example", _parameters(OF_SETS), ids=str)
def test_the_order_of_a_set_changes_nothing(example, make_bench):
    bench = make_bench(example)
    batch = bench.batch()[0]
    assert_equal(bench.outputs(tensors.permute(batch, np.random.default_rng(2))), bench.outputs(batch))


def test_an_object_does_not_depend_on_its_neighbours(bench, batch):
    alone = {name: value[3:4] for name, value in batch.items()}
    together = {name: value[3:4] for name, value in bench.outputs(batch).items()}
    assert_equal(bench.outputs(alone), together)


def test_a_valid_row_does_count(bench, batch):
    fewer = batch | {"mask": batch["mask"].copy()}
    fewer["mask"][3, : batch["mask"].shape[1] // 2] = False
    pairs = zip(bench.outputs(batch).items(), bench.outputs(fewer).values(), strict=True)
    moved = {name: np.abs(ours[3] - theirs[3]).max() for (name, ours), theirs in pairs}
    # Heads of other parts of the input do not see the light curve.
    assert all(value > 1e-5 for name, value in moved.items() if name not in BLIND), moved


def test_a_batch_without_any_observation_is_finite(bench, batch):
    empty = batch | {"mask": np.zeros_like(batch["mask"])}
    for value in bench.outputs(empty).values():
        assert np.isfinite(value).all()
