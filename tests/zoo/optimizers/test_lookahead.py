"""Lookahead against a loop, around several optimizers; stored and traced as any optimizer."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from zoo.optimizers.build import Schedule
from zoo.optimizers.lookahead import Lookahead
from zoo.optimizers.rectified_adam import RectifiedAdam

INNER = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "adamw": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.5),
    "rectified": lambda: RectifiedAdam(0.1, beta_2=0.9),
    "scheduled": lambda: keras.optimizers.Adam(Schedule("cosine", 0.1, 3, 20, 0.1)),
}


@pytest.fixture
def problem():
    """Starting weights of two variables, and their gradients in ten steps."""
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype("float32") for shape in ((3,), (2, 2))]
    return starts, [[rng.normal(size=item.shape).astype("float32") for item in starts] for _ in range(10)]


def _run(optimizer, variables, gradients):
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(item) for item in step], variables)
    return [np.array(item) for item in variables]


@pytest.mark.parametrize("inner", INNER)
def test_slow_weights_meet_the_fast_ones(problem, inner):
    starts, gradients = problem
    expected = [keras.Variable(item) for item in starts]
    slow, fast = [item.astype("float64") for item in starts], INNER[inner]()
    for number, step in enumerate(gradients, 1):
        _run(fast, expected, [step])
        if number % 4 == 0:
            for place, variable in enumerate(expected):
                slow[place] += 0.3 * (np.array(variable) - slow[place])
                variable.assign(slow[place].astype("float32"))
    ours = _run(
        Lookahead(INNER[inner](), period=4, slow_step=0.3), [keras.Variable(item) for item in starts], gradients
    )
    for mine, theirs in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, np.array(theirs), rtol=0, atol=1e-6)


def test_a_whole_step_is_the_inner_optimizer(problem):
    starts, gradients = problem
    ours = _run(Lookahead(INNER["sgd"](), 3, 1.0), [keras.Variable(item) for item in starts], gradients)
    theirs = _run(INNER["sgd"](), [keras.Variable(item) for item in starts], gradients)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)


def _model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    model.compile(Lookahead(RectifiedAdam(0.05, beta_2=0.9), 3, use_ema=True, ema_momentum=0.9), "mse")
    return model


def test_a_stored_optimizer_goes_on_as_if_nothing_had_been(tmp_path):
    rng = np.random.default_rng(0)
    rows, true = rng.normal(size=(8, 3)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    whole, first = _model(), _model()
    for _ in range(10):
        whole.train_on_batch(rows, true)
    for _ in range(5):
        first.train_on_batch(rows, true)
    first.save_weights(tmp_path / "half.weights.h5")
    second = _model()
    second.optimizer.build(second.trainable_variables)
    second.load_weights(tmp_path / "half.weights.h5")
    assert int(second.optimizer.iterations) == int(second.optimizer.inner.iterations) == 5
    for _ in range(5):
        second.train_on_batch(rows, true)
    for mine, theirs in zip(second.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(second.optimizer.variables, whole.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.array(mine), np.array(theirs))
    whole.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, Lookahead) and isinstance(loaded.optimizer.inner, RectifiedAdam)
    assert (loaded.optimizer.period, loaded.optimizer.slow_step) == (3, 0.5)
    for mine, theirs in zip(loaded.optimizer.variables, whole.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.array(mine), np.array(theirs))


def test_learning_rate_and_decay_are_the_inner_ones():
    ours = Lookahead(keras.optimizers.AdamW(0.1, weight_decay=0.5))
    assert ours.weight_decay == 0.5
    ours.learning_rate = 0.25
    assert float(ours.inner.learning_rate) == float(ours.learning_rate) == 0.25


def test_what_does_not_go_together():
    with pytest.raises(ValueError, match="update_step.*Received: Nadam"):
        Lookahead(keras.optimizers.Nadam())
    with pytest.raises(ValueError, match="Received: 0, 0.5"):
        Lookahead(keras.optimizers.SGD(), period=0)
    with pytest.raises(ValueError, match="learning_rate"):
        Lookahead(keras.optimizers.SGD(), learning_rate=0.1)
