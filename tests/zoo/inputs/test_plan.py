"""The order of training: exact balance, permutations, the same from any step on; selection by counts."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from zoo.inputs.config import SelectionConfig
from zoo.inputs.plan import TrainingStream, select

LABELS = np.repeat([0, 1, 3], [50, 7, 20])


@pytest.fixture(params=["natural", "balanced", "replicate", "sampler", "undersample"])
def stream(request):
    """A stream over three classes of unequal size, one number of which does not occur."""
    shuffled = np.random.default_rng(0).permutation(LABELS)
    return TrainingStream(shuffled, request.param, seed=5)


def test_a_natural_epoch_is_a_permutation():
    stream = TrainingStream(LABELS, "natural", 0)
    assert stream.epoch_size == 77
    for number in range(3):
        np.testing.assert_array_equal(np.sort(stream.epoch(number)), np.arange(77))
    assert (stream.epoch(0) != stream.epoch(1)).any()


def test_a_balanced_epoch_holds_every_class_equally_at_every_point():
    stream = TrainingStream(LABELS, "balanced", 0)
    assert stream.epoch_size == 150
    epoch = stream.epoch(0)
    turns = LABELS[epoch].reshape(50, 3)
    np.testing.assert_array_equal(np.sort(turns, axis=1), np.tile([0, 1, 3], (50, 1)))
    uses = Counter(epoch.tolist())
    for label in (0, 1, 3):
        counts = [uses[place] for place in np.flatnonzero(label == LABELS)]
        assert max(counts) - min(counts) <= 1, "within a class, objects are used equally often"
    assert (epoch != stream.epoch(1)).any()


def test_any_chunk_can_be_had_by_itself(stream):
    whole = np.concatenate([stream.epoch(number) for number in range(16)])
    for number in range(8):
        fresh = TrainingStream(stream.labels, stream.sampling, 5)
        np.testing.assert_array_equal(fresh.chunk(number, 40), whole[40 * number : 40 * number + 40])


def test_chunks_go_on_from_a_number(stream):
    from_start = list(itertools.islice(stream.chunks(16), 9))
    later = list(itertools.islice(TrainingStream(stream.labels, stream.sampling, 5).chunks(16, 6), 3))
    for (number, ours), (expected, theirs) in zip(later, from_start[6:], strict=True):
        assert number == expected
        np.testing.assert_array_equal(ours, theirs)


def test_a_chunk_may_span_epochs():
    stream = TrainingStream(np.array([0, 1, 1]), "natural", 0)
    np.testing.assert_array_equal(np.bincount(stream.chunk(0, 30)), [10, 10, 10])


def test_the_seed_decides(stream):
    again = TrainingStream(stream.labels, stream.sampling, 5)
    other = TrainingStream(stream.labels, stream.sampling, 6)
    np.testing.assert_array_equal(stream.epoch(2), again.epoch(2))
    assert (stream.epoch(2) != other.epoch(2)).any()


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [50, 7, 0, 20]),
        ({"label_fraction": 0.1}, [5, 1, 0, 2]),
        ({"label_fraction": 0.001}, [1, 1, 0, 1]),
        ({"max_per_class": 10}, [10, 7, 0, 10]),
        ({"max_objects": 38}, [25, 3, 0, 10]),
        ({"label_fraction": 0.5, "max_per_class": 9}, [9, 4, 0, 9]),
    ],
)
def test_selection_by_counts(options, counts):
    config = SelectionConfig(**options)
    chosen = select(LABELS, config, seed=0)
    assert np.abs(np.bincount(LABELS[chosen], minlength=4) - counts).max() <= 1
    np.testing.assert_array_equal(np.bincount(LABELS[chosen], minlength=4)[2], 0)
    np.testing.assert_array_equal(chosen, np.unique(chosen))
    np.testing.assert_array_equal(chosen, select(LABELS, config, seed=0))
    if options:
        assert not np.array_equal(chosen, select(LABELS, config, seed=1))


def test_nothing_to_select():
    assert len(select(np.zeros(0, int), SelectionConfig(), 0)) == 0


def test_a_share_of_further_objects():
    """Every epoch holds all originals; the others go round, each once before any twice."""
    stream = TrainingStream(np.zeros(50, "int64"), "natural", 3, originals=20, share=0.25)
    assert stream.epoch_size == 27
    taken = []
    for number in range(9):
        epoch = stream.epoch(number)
        np.testing.assert_array_equal(np.sort(epoch[epoch < 20]), np.arange(20))
        taken += sorted(epoch[epoch >= 20].tolist())
        np.testing.assert_array_equal(epoch, TrainingStream(stream.labels, "natural", 3, 20, 0.25).epoch(number))
    uses = Counter(taken)
    assert set(uses) == set(range(20, 50)) and set(uses.values()) == {2, 3}


def test_replicated_epochs_hold_every_class_equally_and_are_shuffled():
    stream = TrainingStream(LABELS, "replicate", 0)
    assert stream.epoch_size == 150
    epoch = stream.epoch(0)
    assert Counter(LABELS[epoch].tolist()) == {0: 50, 1: 50, 3: 50}
    assert sorted(epoch[LABELS[epoch] == 0]) == list(range(50))
    turns = np.sort(LABELS[epoch].reshape(50, 3), axis=1)
    assert (turns != [0, 1, 3]).any(), "classes do not take turns"


def test_undersampled_epochs_hold_as_many_of_a_class_as_the_smallest_has():
    stream = TrainingStream(LABELS, "undersample", 0)
    assert stream.epoch_size == 21
    epoch = stream.epoch(0)
    assert Counter(LABELS[epoch].tolist()) == {0: 7, 1: 7, 3: 7} and len(set(epoch)) == 21
    assert set(epoch[LABELS[epoch] == 0]) != set(stream.epoch(1)[LABELS[stream.epoch(1)] == 0])


def test_a_sampler_draws_every_class_alike_with_replacement():
    stream = TrainingStream(LABELS, "sampler", 0)
    assert stream.epoch_size == len(LABELS)
    drawn = np.concatenate([stream.epoch(number) for number in range(60)])
    counts = Counter(LABELS[drawn].tolist())
    assert all(abs(counts[label] / len(drawn) - 1 / 3) < 0.03 for label in (0, 1, 3))
    assert set(drawn) == set(range(len(LABELS)))
