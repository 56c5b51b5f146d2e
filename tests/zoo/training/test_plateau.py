"""Rates by epochs: when a plateau's falls and by how much, warm-up, exponential decay; what patience goes by."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tfrecords.errors import UsageError
from zoo.training.callbacks import Recorder
from zoo.training.config import RunConfig

TASK = SimpleNamespace(monitor="val_loss", mode="min")
SCORE = SimpleNamespace(monitor="val_accuracy", mode="max")


def _train(tmp_path, losses, scores=None, again_at=None, **options):
    """Give the learning rate of every following epoch, until training is stopped, and the state at the end.

    ``again_at``: the epoch before which another process goes on, with what ``state.json`` would hold.
    """
    run = RunConfig(**{"schedule": "plateau", "learning_rate": 1.0, "final_rate": 0.001} | options)
    recorder = Recorder(tmp_path, run, TASK, 1, quiet=True, writes=False)
    rates = []
    for epoch, loss in enumerate(losses):
        if epoch in (0, again_at):
            state = json.loads(json.dumps(recorder.state)) if epoch else None
            recorder = Recorder(tmp_path, run, TASK if scores is None else SCORE, 1, state, quiet=True, writes=False)
            recorder.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=1.0), stop_training=False))
            recorder.on_train_begin()
        recorder.on_epoch_begin(epoch)
        score = {} if scores is None else {"val_accuracy": scores[epoch]}
        recorder.on_epoch_end(epoch, {"loss": loss, "val_loss": loss} | score)
        rates.append(recorder.model.optimizer.learning_rate)
        if recorder.model.stop_training:
            break
    return rates, recorder.state


def _rates(*arguments, **options):
    return pytest.approx(_train(*arguments, **options)[0])


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


def test_a_small_change_is_no_improvement_under_a_threshold(tmp_path):
    losses = [1.0, 0.9995, 0.999, 0.998]
    assert _rates(tmp_path, losses, patience=0, plateau_patience=2, plateau_threshold=0.01) == [1, 1, 0.5, 0.5]
    assert _rates(tmp_path, losses, patience=0, plateau_patience=2, plateau_threshold=1e-4) == [1, 1, 1, 1]
    scores = [0.5, 0.5004, 0.5006, 0.6]
    options = {"patience": 0, "plateau_patience": 2, "plateau_threshold": 0.01}
    assert _rates(tmp_path, losses, scores, **options) == [1, 1, 0.5, 0.5]


@pytest.mark.parametrize("again_at", [None, 1, 3, 4])
def test_a_warm_up_by_epochs_comes_before_the_plateau_counts(tmp_path, again_at):
    options = {"warmup": "epochs", "warmup_epochs": 2, "patience": 0, "plateau_patience": 2, "again_at": again_at}
    # Epochs 0 and 1 warm up; of what follows 2 sets the best value, and 3 and 4 do not improve on it.
    expected = [(1e-5 + 1) / 2, 1, 1, 1, 0.5, 0.5]
    assert _rates(tmp_path, [1, 1, 3, 3, 3, 2], **options) == expected


@pytest.mark.parametrize("again_at", [None, 1, 2])
def test_an_exponential_decay_by_epochs(tmp_path, again_at):
    options = {"schedule": "exponential_epochs", "decay_rate": 0.5, "again_at": again_at}
    assert _rates(tmp_path, [1.0] * 4, **options) == [0.5, 0.25, 0.125, 0.0625]
    rates = _rates(tmp_path, [1.0] * 4, warmup="epochs", warmup_epochs=1, **options)
    assert rates == [1, 0.5, 0.25, 0.125]
    rates = _rates(tmp_path, [1.0] * 3, **options | {"schedule": "constant", "warmup": "epochs", "warmup_epochs": 1})
    assert rates == [1, 1, 1]


def test_patience_goes_by_the_loss_and_the_best_epoch_by_the_monitor(tmp_path):
    losses, scores = [3, 2, 2, 2, 2, 2], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    options = {"schedule": "constant", "learning_rate": 1.0}
    for again_at in (None, 2):
        rates, state = _train(tmp_path, losses, scores, again_at, patience=2, patience_by="loss", **options)
        assert len(rates) == state["best_epoch"] == 4
    assert _train(tmp_path, losses, scores, patience=2, **options)[1]["best_epoch"] == 6
    # The first epoch counts as well, but only as long as none improves.
    assert len(_train(tmp_path, [1.0] * 6, patience=3, patience_start=1, **options)[0]) == 3
    assert len(_train(tmp_path, [1.0] * 6, patience=3, **options)[0]) == 4
    assert len(_train(tmp_path, [2, 1, 1, 1, 1, 1], patience=3, patience_start=1, **options)[0]) == 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"schedule": "plateau", "warmup_epochs": 1.0}, "use warmup epochs"),
        ({"schedule": "cosine", "warmup_epochs": 1.0, "warmup": "epochs"}, "goes with schedule constant"),
        ({"schedule": "triangular", "warmup_epochs": 1.0}, "takes no warmup_epochs"),
        ({"warmup_epochs": 1.5, "warmup": "epochs"}, "whole number"),
        ({"coupled_decay": -1.0}, "coupled_decay must be >= 0"),
        ({"plateau_threshold": 1.0}, "plateau_threshold must lie"),
        ({"patience_start": -1}, "patience_start must be >= 0"),
    ],
)
def test_what_does_not_go_together_is_refused(wrong, words):
    with pytest.raises(UsageError, match=f"{words}.*Received"):
        RunConfig(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"plateau_factor": 1.0}, {"plateau_factor": 0.0}, {"plateau_patience": 0}, {"plateau_cooldown": -1}]
)
def test_options_out_of_range(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}.*Received"):
        RunConfig(**wrong)
