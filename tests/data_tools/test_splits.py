"""Splits and subsets: stratified, seeded, independent of the input order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from data_tools.engine.splits import Partitioning, select
from tfrecords.errors import UsageError

COUNTS = {6: 121, 15: 396, 53: 24, 64: 82, 90: 1850}
CLASSES = np.repeat(list(COUNTS), list(COUNTS.values()))
IDS = [str(3 * number + 7) for number in range(len(CLASSES))]


def test_folds_are_stratified_and_even():
    names = Partitioning(folds=5).assign(IDS, CLASSES)
    for native, count in COUNTS.items():
        found = Counter(names[native == CLASSES])
        assert found["test"] == round(0.2 * count)
        folds = [found[f"fold{number}"] for number in range(5)]
        assert max(folds) - min(folds) <= 1
    sizes = Counter(names)
    folds = [sizes[f"fold{number}"] for number in range(5)]
    assert max(folds) - min(folds) <= 1


def test_train_validation_test():
    names = Partitioning(test_fraction=0.25, validation_fraction=0.15).assign(IDS, CLASSES)
    for native, count in COUNTS.items():
        found = Counter(names[native == CLASSES])
        assert abs(found["test"] - 0.25 * count) <= 0.5
        assert abs(found["validation"] - 0.15 * count) <= 1


@pytest.mark.parametrize("partitioning", [Partitioning(folds=5), Partitioning(), Partitioning(folds=3, seed=9)])
def test_order_has_no_say(partitioning):
    order = np.random.default_rng(0).permutation(len(IDS))
    names = partitioning.assign(IDS, CLASSES)
    shuffled = partitioning.assign([IDS[place] for place in order], CLASSES[order])
    assert np.array_equal(names[order], shuffled)


def test_seed_matters():
    one, two = (Partitioning(folds=5, seed=seed).assign(IDS, CLASSES) for seed in (0, 1))
    assert (one != two).mean() > 0.5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_small_classes_can_still_be_trained_on(count):
    names = Partitioning().assign([str(n) for n in range(count)], np.full(count, 53))
    assert Counter(names)["train"] >= 1
    assert Counter(names)["test"] == (count > 1)


def test_a_large_fraction_leaves_one_to_train_on():
    names = Partitioning(test_fraction=0.95, validation_fraction=0.04).assign(list("abc"), np.full(3, 53))
    assert Counter(names)["train"] == 1


def test_unlabelled_objects_are_for_test():
    names = Partitioning(folds=2).assign(["a", "b", "c"], np.array([-1, 90, -1]))
    assert names.tolist()[::2] == ["test", "test"]


def _sizes(**kind):
    chosen = select(IDS, CLASSES, 0, **kind)
    return {native: int(chosen[native == CLASSES].sum()) for native in COUNTS}


def test_subsets():
    assert select(IDS, CLASSES, 0) is None
    assert _sizes(limit_per_class=100) == {6: 100, 15: 100, 53: 24, 64: 82, 90: 100}
    flat = _sizes(flatten=500)
    assert (flat[53], flat[64]) == (24, 82)
    assert flat[6] == 121
    assert flat[15] == flat[90]
    assert 497 < sum(flat.values()) <= 500
    part = _sizes(max_objects=1000)
    assert sum(part.values()) == 1000
    assert all(abs(part[native] - count * 1000 / len(IDS)) <= 1 for native, count in COUNTS.items())
    assert sum(_sizes(max_objects=10_000).values()) == len(IDS)
    assert sum(_sizes(flatten=10_000).values()) == len(IDS)


def test_subsets_are_nested_by_rank():
    small, large = (select(IDS, CLASSES, 0, limit_per_class=count) for count in (10, 20))
    assert not (small & ~large).any()


def test_one_way_only():
    with pytest.raises(UsageError, match="one way"):
        select(IDS, CLASSES, 0, flatten=3, max_objects=3)
