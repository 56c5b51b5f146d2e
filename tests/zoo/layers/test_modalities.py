"""Objects that lack a modality: hiding in training, fusion, lengths of vectors, learned scales."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.layers.modalities import Fusion, ModalityDropout, PairScales, unit


def test_dropout_hides_some_in_training_and_never_all():
    rng = np.random.default_rng(0)
    present = rng.random((4000, 3)) < 0.8
    layer = ModalityDropout(0.4, seed=1)
    np.testing.assert_array_equal(layer(present), present)
    shown = np.array(layer(present, training=True))
    assert not (shown & ~present).any()
    np.testing.assert_array_equal(shown.any(axis=1), present.any(axis=1))
    whole = present.all(axis=1)
    # Of three, all are hidden with 0.4^3, and then one stays.
    assert shown[whole].mean() == pytest.approx(0.6 + 0.4**3 / 3, abs=0.02)
    np.testing.assert_array_equal(shown[present.sum(axis=1) == 1], present[present.sum(axis=1) == 1])
    again = ModalityDropout(0.4, seed=1)
    np.testing.assert_array_equal(again(present, training=True), shown)
    assert (np.array(again(present, training=True)) != shown).any(), "drawn anew in every pass"
    assert ModalityDropout.from_config(layer.get_config()).rate == 0.4


def test_fusion_takes_what_is_there():
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(4, 3, 2)).astype("float32")
    present = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], bool)
    found = np.array(Fusion("avg")(embeddings, present))
    np.testing.assert_allclose(found[0], embeddings[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[1], embeddings[1, [0, 2]].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[2], embeddings[2, 1], atol=1e-6)
    np.testing.assert_array_equal(found[3], 0)
    layer = Fusion("concat")
    layer(embeddings, present)
    layer.stand_in.assign(np.arange(6, dtype="float32").reshape(3, 2))
    found = np.array(layer(embeddings, present)).reshape(4, 3, 2)
    np.testing.assert_array_equal(found[present], embeddings[present])
    np.testing.assert_array_equal(found[3], layer.stand_in)
    with pytest.raises(ValueError, match="Unknown fusion"):
        Fusion("sum")


def test_a_zero_vector_has_no_direction_and_a_finite_gradient():
    values = tf.constant([[3.0, 4.0], [0.0, 0.0], [1e-9, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        found = unit(values)
    np.testing.assert_allclose(found[:2], [[0.6, 0.8], [0, 0]], atol=1e-6)
    assert np.isfinite(tape.gradient(found, values)).all()


def _slopes(layer):
    with tf.GradientTape() as tape:
        total = sum(layer.values().values())
    return [float(item) for item in tape.gradient(total, [weight.value for weight in layer.trainable_variables])]


def _layer(**options):
    layer = PairScales(["one", "other"], **options)
    layer.build()
    return layer


def test_scales_start_where_they_are_told_and_learn():
    layer = _layer(start=100.0)
    np.testing.assert_allclose(list(layer.values().values()), 100, rtol=1e-5)
    np.testing.assert_allclose(_slopes(layer), 100, rtol=1e-5)
    # The published clamp: no gradient at its start.
    compat = _layer(start=100.0, compat=True)
    assert _slopes(compat) == [0, 0] and max(map(float, compat.values().values())) == 100
    compat.logarithms["one"].assign(-3.0)
    assert float(compat.values()["one"]) == 1


def test_scales_stay_within_their_bounds():
    layer = _layer(start=90.0)
    optimizer = keras.optimizers.SGD(1.0)
    for slope, bound in ((-5.0, 100.0), (50.0, 1.0)):
        optimizer.apply([tf.constant(slope)] * 2, layer.trainable_variables)
        np.testing.assert_allclose([float(item) for item in layer.values().values()], bound, rtol=1e-5)
        assert all(_slopes(layer)), "it can move back"
