"""Cyclical learning rates against straight lines between their corners; schedules of a run by name."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tfrecords.errors import UsageError
from zoo.optimizers.build import Schedule, optimizer
from zoo.optimizers.lookahead import Lookahead
from zoo.optimizers.rectified_adam import RectifiedAdam
from zoo.optimizers.schedules import Cyclical
from zoo.training.config import RunConfig


def _values(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


@pytest.mark.parametrize(
    ("kind", "swing"),
    [
        ("triangular", lambda step: 1.0),
        ("triangular2", lambda step: 0.5 ** (step // 10)),
        ("triangular_exp", lambda step: 0.97**step),
    ],
)
def test_rates_swing_between_the_bounds(kind, swing):
    corners = np.interp(np.arange(41), [0, 5, 10, 15, 20, 25, 30, 35, 40], [0, 1, 0, 1, 0, 1, 0, 1, 0])
    expected = 1e-3 + (1e-2 - 1e-3) * corners * [swing(step) for step in range(41)]
    schedule = Cyclical(kind, 1e-3, 1e-2, 5, 0.97)
    np.testing.assert_allclose(_values(schedule, range(41)), expected, rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert float(again(7)) == float(schedule(7))


def test_unknown_and_impossible_cycles():
    with pytest.raises(ValueError, match="triangular, triangular2, triangular_exp. Received: 'sine'"):
        Cyclical("sine", 0, 1, 5)
    with pytest.raises(ValueError, match="half must be positive"):
        Cyclical("triangular", 0, 1, 0)


def test_a_line_ends_with_the_last_step():
    line = Schedule("linear", 0.1, warmup=4, total=20, final=0.01)
    np.testing.assert_allclose(_values(line, [0, 1, 3]), [0.025, 0.05, 0.1], rtol=1e-5)
    np.testing.assert_allclose(_values(line, [11, 19, 50]), [0.0505, 0.001, 0.001], rtol=1e-4)


def test_a_run_chooses_by_name():
    run = RunConfig(schedule="triangular_exp", learning_rate=0.1, final_rate=0.1, cycle_epochs=2, cycle_decay=0.5)
    rate = optimizer(run, steps_per_epoch=10)._learning_rate
    # A cycle of 20 steps; at the tops the swing has decayed by half and by one and a half cycles.
    np.testing.assert_allclose(_values(rate, [0, 20, 40]), 0.01, rtol=1e-4)
    np.testing.assert_allclose(_values(rate, [10, 30]), 0.01 + 0.09 * np.array([0.5**0.5, 0.5**1.5]), rtol=1e-4)


def test_ranger_is_rectified_adam_with_lookahead():
    ranger = optimizer(RunConfig(optimizer="ranger", weight_decay=0.1, weight_average=0.9), 5)
    assert isinstance(ranger, Lookahead) and isinstance(ranger.inner, RectifiedAdam)
    assert (ranger.period, ranger.slow_step, ranger.inner.decay, ranger.use_ema) == (6, 0.5, 0.1, True)
    assert not ranger.inner.use_ema
    other = optimizer(RunConfig(optimizer="sgd", lookahead=3, lookahead_step=0.8), 5)
    assert (type(other.inner), other.period, other.slow_step) == (keras.optimizers.SGD, 3, 0.8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_decay": 0.1}, "weight_decay goes with optimizer adamw, lamb, rectified_adam, ranger"),
        ({"lookahead": -1}, "lookahead must be >= 0"),
        ({"lookahead_step": 0.0}, "lookahead_step lie in"),
        ({"schedule": "triangular", "warmup_epochs": 1.0}, "schedule triangular takes no warmup_epochs"),
        ({"cycle_decay": 0.0}, "cycle_decay lie in"),
        ({"max_hours": 0.0}, "max_hours must be positive"),
    ],
)
def test_what_does_not_go_together(options, message):
    with pytest.raises(UsageError, match=f"{message}.*Received"):
        RunConfig(**options)
