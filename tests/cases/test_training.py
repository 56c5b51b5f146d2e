"""The train step: every variable learns, the loss falls, frozen parts and tables stay."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.cases.variants import NO_GRADIENT, costly, one_a_kind
from zoo.training.model import Trainable


def _tensors(batch):
    return tf.nest.map_structure(tf.constant, batch)


def _trainable(bench, network):
    model = Trainable(network, bench.task)
    model.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    model.optimizer.build(network.trainable_variables)
    return model


def test_every_variable_has_a_gradient(bench):
    inputs, targets, _ = _tensors(bench.batch(size=14))
    network = bench.network
    with tf.GradientTape() as tape:
        outputs = network(inputs, training=True)
        loss = tf.reduce_mean(bench.task.loss(network, outputs, targets))
    variables = network.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        if variable.path.endswith(NO_GRADIENT):
            continue
        assert gradient is not None, variable.path
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, variable.path


def test_losses_are_one_value_an_object(bench):
    inputs, targets, _ = _tensors(bench.batch())
    losses = bench.task.loss(bench.network, bench.network(inputs), targets)
    assert losses.shape == (8,) and losses.dtype == "float32"


def test_steps_lower_the_loss_and_leave_the_tables(bench):
    network = bench.build()
    model, batch = _trainable(bench, network), _tensors(bench.batch(size=14))
    tables = [layer.get_weights() for layer in network.fitted().values()]
    losses = []
    # Behind recurrent layers the first steps are small.
    while len(losses) < 4 or (len(losses) < 16 and losses[-1] >= losses[0] - 0.02):
        model.reset_metrics()
        losses.append(float(model.train_step(batch)["loss"]))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] - 0.02, losses
    for before, layer in zip(tables, network.fitted().values(), strict=True):
        for ours, theirs in zip(before, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("example", costly(one_a_kind()), ids=str)
def test_rows_of_weight_zero_teach_nothing(example, make_bench):
    bench = make_bench(example)
    inputs, targets, _ = bench.batch(size=6)
    weight = np.array([1, 1, 1, 1, 0, 0], "float32")
    other = {key: np.where((weight > 0).reshape(-1, *[1] * (value.ndim - 1)), value, (value + 1) % 14)
             for key, value in targets.items()}  # fmt: skip
    # Other objects in their place where the target is the input. Normalisations take their statistics from all rows:
    # training has none of weight 0.
    normalised = any(variable.path.endswith("moving_mean") for variable in bench.network.variables)
    rows = slice(None) if bench.task.labelled or normalised else [0, 1, 2, 3, 0, 3]
    turned = {key: value[rows] for key, value in inputs.items()}
    weights = []
    for batch in ((inputs, targets), (inputs, other), (turned, other)):
        network = bench.build()
        _trainable(bench, network).train_step(_tensors((*batch, weight)))
        weights.append(network.get_weights())
    for ours, theirs, replaced in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(ours, replaced)
