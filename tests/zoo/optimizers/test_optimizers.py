"""Adam against its published formula, schedules against their curves, optimizers by name."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from tfrecords.errors import UsageError
from zoo.optimizers.adam import Adam
from zoo.optimizers.build import Adjustable, Schedule, optimizer
from zoo.training.config import RunConfig
from zoo.training.optimisation import OPTIMIZERS


@pytest.mark.parametrize("beta_1", [0.0, 0.9])
@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_adam_is_the_published_update(beta_1, scale):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3))
    variable = keras.Variable(start.astype("float32"))
    ours = Adam(1e-2, beta_1=beta_1, beta_2=0.999, epsilon=1e-8)
    mean, square, weights = np.zeros((4, 3)), np.zeros((4, 3)), start.astype("float32").astype("float64")
    for step in range(1, 6):
        gradient = (rng.normal(size=(4, 3)) * scale).astype("float32")
        ours.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        gradient = gradient.astype("float64")
        mean = beta_1 * mean + (1 - beta_1) * gradient
        square = 0.999 * square + 0.001 * gradient**2
        root = np.sqrt(square / (1 - 0.999**step)) + 1e-8
        weights -= 1e-2 * (mean / (1 - beta_1**step)) / root
        np.testing.assert_allclose(np.array(variable), weights, rtol=0, atol=5e-6)


def test_small_gradients_tell_the_two_epsilons_apart():
    start, gradient = np.ones(3, "float32"), keras.ops.convert_to_tensor(np.full(3, 1e-8, "float32"))
    moved = []
    for kind in (Adam, keras.optimizers.Adam):
        variable = keras.Variable(start)
        kind(1e-2, epsilon=1e-8).apply([gradient], [variable])
        moved.append(1 - np.array(variable)[0])
    assert moved[0] == pytest.approx(0.005, rel=1e-3)
    assert moved[1] < 0.001


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="amsgrad.*Received: True"):
        Adam(amsgrad=True)


def _values(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_schedules():
    cosine = Schedule("cosine", 0.1, warmup=10, total=110, final=0.01)
    np.testing.assert_allclose(_values(cosine, [0, 4, 9]), [0.01, 0.05, 0.1], rtol=1e-5)
    np.testing.assert_allclose(_values(cosine, [10, 60, 110, 500]), [0.1, 0.0505, 0.001, 0.001], rtol=1e-4)
    exponential = Schedule("exponential", 0.1, warmup=0, total=100, final=0.01)
    np.testing.assert_allclose(_values(exponential, [0, 50, 100, 200]), [0.1, 0.01, 0.001, 0.001], rtol=1e-4)
    constant = Schedule("constant", 0.1, warmup=4, total=100, final=0.5)
    np.testing.assert_allclose(_values(constant, [0, 1, 3, 50, 200]), [0.025, 0.05, 0.1, 0.1, 0.1], rtol=1e-5)
    again = Schedule.from_config(cosine.get_config())
    assert float(again(37)) == float(cosine(37))
    with pytest.raises(ValueError, match="constant, cosine, exponential, linear"):
        Schedule("square", 0.1, 0, 1, 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_downhill(name):
    run = RunConfig(optimizer=name, learning_rate=0.05, schedule="cosine", warmup_epochs=0.5, epochs=4)
    variable = keras.Variable(np.array([3.0, -2.0], "float32"))
    ours = optimizer(run, steps_per_epoch=10)
    for _ in range(40):
        ours.apply([2 * variable.value], [variable])
    assert np.abs(np.array(variable)).max() < 3.0
    assert float(ours.learning_rate) == pytest.approx(0.05 * 0.01, rel=1e-3)


def test_settings_arrive():
    ours = optimizer(RunConfig(beta_1=0.0, beta_2=0.9, epsilon=1e-4, learning_rate=0.3), 5)
    assert (ours.beta_1, ours.beta_2, ours.epsilon) == (0.0, 0.9, 1e-4)
    assert float(ours.learning_rate) == pytest.approx(0.3)
    decayed = optimizer(RunConfig(optimizer="adamw", weight_decay=0.25), 5)
    assert decayed.weight_decay == 0.25


def test_a_rate_that_falls_every_so_many_steps():
    run = RunConfig(schedule="exponential", learning_rate=5e-4, decay_steps=10_000, decay_rate=0.9, epochs=100)
    rate = optimizer(run, 439)._learning_rate
    steps = [0, 5_000, 10_000, 43_000]
    np.testing.assert_allclose(_values(rate, steps), 5e-4 * 0.9 ** (np.array(steps) / 10_000), rtol=1e-5)
    with pytest.raises(UsageError, match="goes with schedule exponential. Received: 10 with cosine"):
        RunConfig(schedule="cosine", decay_steps=10)


def test_an_unknown_optimizer_is_a_usage_error():
    with pytest.raises(UsageError, match="Closest: adam.*Received: 'adan'"):
        RunConfig(optimizer="adan")


def test_the_adjustable_rate_is_the_published_formula():
    schedule = Adjustable(128, 1e4, 10.0, -1.5)
    for step in (0, 1, 5, 9, 10, 11, 1000):
        expected = (128 * 1e4) ** -0.5 * min(step**-0.5 if step else math.inf, step * 10.0**-1.5)
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5)
    assert float(schedule(10)) == pytest.approx(2.8e-4, rel=0.01), "the peak, as published"
    run = RunConfig(schedule="adjustable", adjustable_scale=1e5)
    assert float(optimizer(run, 10, 64).learning_rate) == 0.0
    with pytest.raises(UsageError, match="d_model"):
        optimizer(run, 10)
