"""The focal loss of independent classes against its formula and against Keras's."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.losses.classification import LOSSES
from zoo.losses.focal import sigmoid_focal


@pytest.fixture
def batch():
    """Truth (20, 5) of any number of classes, and logits."""
    rng = np.random.default_rng(0)
    return (rng.random((20, 5)) < 0.4).astype("float32"), (rng.normal(size=(20, 5)) * 3).astype("float32")


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.0), (0.9, 0.5)])
def test_it_is_the_published_formula(batch, alpha, gamma):
    true, logits = batch
    probability = 1 / (1 + np.exp(-logits.astype("float64")))
    chosen = np.where(true > 0, probability, 1 - probability)
    weight = np.where(true > 0, alpha, 1 - alpha)
    expected = -(weight * (1 - chosen) ** gamma * np.log(chosen)).sum(axis=1)
    ours = np.array(sigmoid_focal(true, logits, alpha, gamma))
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
    keras_mean = keras.losses.binary_focal_crossentropy(
        true, logits, apply_class_balancing=True, alpha=alpha, gamma=gamma, from_logits=True
    )
    np.testing.assert_allclose(ours, np.array(keras_mean) * 5, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_far_on_the_wrong_side_there_is_still_a_slope(gamma):
    logits = tf.constant([[-30.0, 300.0], [-1000.0, -1000.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = sigmoid_focal(tf.constant([[1.0, 0.0], [1.0, 0.0]]), logits, 0.25, gamma)
    slope = tape.gradient(loss, logits).numpy()
    assert np.isfinite(loss).all() and np.isfinite(slope).all()
    np.testing.assert_allclose(slope, [[-0.25, 0.75], [-0.25, 0.0]], atol=1e-5)


def test_as_a_loss_of_classes_it_takes_labels(batch):
    logits = batch[1]
    labels = np.arange(20, dtype="int32") % 5
    true = np.eye(5, dtype="float32")[labels]
    np.testing.assert_allclose(LOSSES["sigmoid_focal"](labels, logits), sigmoid_focal(true, logits), rtol=1e-6)
    spread = sigmoid_focal(true * 0.9 + 0.1 / 5, logits)
    np.testing.assert_allclose(LOSSES["sigmoid_focal"](labels, logits, 0.1), spread, rtol=1e-6)
