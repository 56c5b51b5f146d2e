"""The schedule ``plateau``: when the rate falls, by how much, and how long nothing counts afterwards."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tfrecords.errors import UsageError
from zoo.training.callbacks import Recorder
from zoo.training.config import RunConfig

TASK = SimpleNamespace(monitor="val_loss", mode="min")


def _rates(tmp_path, losses, **options):
    """Give the learning rate after every epoch."""
    run = RunConfig(schedule="plateau", learning_rate=1.0, final_rate=0.001, **options)
    recorder = Recorder(tmp_path, run, TASK, 1, quiet=True, writes=False)
    recorder.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=1.0), stop_training=False))
    rates = []
    for epoch, loss in enumerate(losses):
        recorder.on_epoch_begin(epoch)
        recorder.on_epoch_end(epoch, {"loss": loss, "val_loss": loss})
        rates.append(recorder.model.optimizer.learning_rate)
    return pytest.approx(rates)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"patience": 6}, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        ({"patience": 0, "plateau_factor": 0.1, "plateau_patience": 2}, [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001]),
        (
            {"patience": 0, "plateau_factor": 0.1, "plateau_patience": 2, "plateau_cooldown": 1},
            [1, 1, 0.1, 0.1, 0.1, 0.01, 0.01],
        ),
    ],
)
def test_the_rate_falls_as_the_options_say(tmp_path, options, expected):
    assert expected == _rates(tmp_path, [1.0] * 7, **options)


def test_an_improvement_begins_the_count_anew_and_the_rate_has_a_floor(tmp_path):
    options = {"patience": 0, "plateau_patience": 2, "plateau_factor": 0.01}
    assert _rates(tmp_path, [5, 5, 4, 4, 4, 4, 4], **options) == [1, 1, 1, 1, 0.01, 0.01, 0.001]


@pytest.mark.parametrize(
    "wrong", [{"plateau_factor": 1.0}, {"plateau_factor": 0.0}, {"plateau_patience": 0}, {"plateau_cooldown": -1}]
)
def test_options_out_of_range(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}.*Received"):
        RunConfig(**wrong)
