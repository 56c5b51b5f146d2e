"""The contrastive loss against loops over objects, with objects that lack modalities; golden cases."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from zoo.losses.clip import MODALITIES, PAIRS, Similarities, clip_losses, hits, name_of
from zoo.losses.clip_parity import check_loss
from zoo.parity import find_cases, load_case

SCALES = {name_of(pair): np.float32(scale) for pair, scale in zip(PAIRS, (3.0, 10.0, 100.0), strict=True)}


def _batch(size=9, width=5, seed=0):
    rng = np.random.default_rng(seed)
    found = {name: rng.normal(size=(size, width)) for name in MODALITIES}
    found = {name: (item / np.linalg.norm(item, axis=1)[:, None]).astype("float32") for name, item in found.items()}
    return found, {name: rng.random(size) < 0.7 for name in MODALITIES}


def _loop(found, present, pair, counted):
    """Give the loss of a pair by its formula: the mean over the objects that have both, both directions added."""
    one, other = pair
    both = np.flatnonzero(present[one] & present[other] & counted)
    if len(both) < 2:
        return 0.0
    logits = SCALES[name_of(pair)] * found[one][both].astype("float64") @ found[other][both].astype("float64").T
    total = 0.0
    for table in (logits, logits.T):
        shares = np.exp(table - table.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        total -= np.mean(np.log(shares[np.arange(len(both)), np.arange(len(both))]))
    return total


@pytest.mark.parametrize("missing", [False, True])
def test_the_mean_over_the_batch_is_the_loss(missing):
    found, present = _batch()
    if not missing:
        present = {name: np.ones(9, bool) for name in MODALITIES}
    weight = np.ones(9, "float32")
    weight[[2, 7]] = 0
    for counted in (None, weight):
        ours = clip_losses(Similarities(found, present, SCALES, counted))
        rows = np.ones(9, bool) if counted is None else counted > 0
        for pair in PAIRS:
            expected = _loop(found, present, pair, rows)
            losses = np.array(ours[name_of(pair)])
            assert losses.shape == (9,) and expected > 0.1
            assert losses[rows].mean() == pytest.approx(expected, rel=1e-5)
            lacks = ~(present[pair[0]] & present[pair[1]] & rows)
            assert not losses[lacks].any()


def test_what_an_object_lacks_changes_nothing():
    found, present = _batch()
    expected = clip_losses(Similarities(found, present, SCALES))
    spoiled = {name: np.where(present[name][:, None], item, 1e3) for name, item in found.items()}
    for name, losses in clip_losses(Similarities(spoiled, present, SCALES)).items():
        np.testing.assert_allclose(losses, expected[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("there", [0, 1])
def test_a_pair_of_fewer_than_two_objects_costs_nothing_and_has_no_gradient(there):
    found, _ = _batch()
    present = {name: np.arange(9) < (there if name == "meta" else 9) for name in MODALITIES}
    given = {name: tf.constant(item) for name, item in found.items()}
    with tf.GradientTape() as tape:
        tape.watch(given)
        losses = clip_losses(Similarities(given, present, SCALES))
        total = tf.reduce_sum(losses["spectra_meta"] + losses["meta_photo"])
    assert float(total) == 0
    for slope in tape.gradient(total, given).values():
        assert not tf.convert_to_tensor(slope).numpy().any()
    assert float(tf.reduce_sum(losses["photo_spectra"])) > 1


def test_equal_and_zero_embeddings_give_the_chance_level():
    present = {name: np.ones(7, bool) for name in MODALITIES}
    for values in (np.zeros((7, 3), "float32"), np.ones((7, 3), "float32") / np.float32(3**0.5)):
        given = {name: tf.constant(values) for name in MODALITIES}
        with tf.GradientTape() as tape:
            tape.watch(given)
            losses = sum(clip_losses(Similarities(given, present, SCALES)).values())
        np.testing.assert_allclose(losses, 6 * np.log(7), rtol=1e-5)
        assert all(np.isfinite(slope).all() for slope in tape.gradient(losses, given).values())


def test_accuracy_is_by_the_mean_probability_of_the_pairs_an_object_has():
    size = 6
    eye = np.eye(size, dtype="float32")
    there = {name: np.ones(size, bool) for name in MODALITIES}
    hit, asked = hits(Similarities({name: eye for name in MODALITIES}, there, SCALES))
    np.testing.assert_array_equal(hit, 1)
    # Metadata point to the next object, with the largest scale; without them the light curve and spectrum decide.
    found = {"photo": eye, "spectra": eye, "meta": np.roll(eye, 1, axis=0)}
    hit, _ = hits(Similarities(found, there, SCALES))
    np.testing.assert_array_equal(hit, 0)
    present = there | {"meta": np.array([True, True, False, False, False, False]),
                       "photo": np.array([True, True, True, True, True, False])}  # fmt: skip
    hit, asked = hits(Similarities(found, present, SCALES, np.array([1, 1, 1, 1, 0, 1], "float32")))
    np.testing.assert_array_equal(asked, [1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(hit[2:], [1, 1, 0, 0])


def test_golden_cases_pass(shared):
    cases = [load_case(path) for path in find_cases(shared("golden/astrom3")) if path.name.startswith("cliploss")]
    assert cases
    for case in cases:
        found = check_loss(case)
        assert len(found) == len(case.group("y")) == 7 and all(item.passed for item in found), found
        case.arrays["x/logits_sm"] = case.arrays["x/logits_sm"] * 1.01
        assert not all(item.passed for item in check_loss(case))
