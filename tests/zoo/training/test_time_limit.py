"""Stopping by wall time, and a run of everything that came with it: resumed as if nothing had been."""

from __future__ import annotations

import csv
import json
import types

import numpy as np
import pytest

from tests.zoo.training.test_runs import _arrays
from zoo.training import time_limit
from zoo.training.loop import fit
from zoo.training.time_limit import TimeLimit

CHANGES = {
    "optimizer": "ranger", "lookahead": 4, "schedule": "triangular2", "warmup_epochs": 0.0, "cycle_epochs": 1.5,
    "metrics": ["cohen_kappa", "matthews"], "loss": "triplet_semihard",
}  # fmt: skip


def _epochs(monkeypatch, hours, lengths, chief=None):
    """Give the number of epochs that are trained, of so many seconds each."""
    clock = [1000.0]
    monkeypatch.setattr(time_limit.time, "monotonic", lambda: clock[0])
    team = types.SimpleNamespace(chief_does=chief or (lambda action: str(action())))
    limit = TimeLimit(hours, 1000.0, "run", team, quiet=True)
    limit.set_model(types.SimpleNamespace(stop_training=False))
    for number, seconds in enumerate(lengths):
        limit.on_epoch_begin(number)
        clock[0] += seconds
        limit.on_epoch_end(number)
        if limit.model.stop_training:
            return number + 1
    return len(lengths)


def test_no_epoch_begins_that_would_end_too_late(monkeypatch):
    assert _epochs(monkeypatch, 1.0, [600] * 10) == 6
    assert _epochs(monkeypatch, 1.0, [700] * 10) == 5
    # As long as the longest so far, not as the last.
    assert _epochs(monkeypatch, 1.0, [1700, 100, 100, 100, 100]) == 4
    assert _epochs(monkeypatch, 0.001, [600] * 10) == 1
    assert _epochs(monkeypatch, 100.0, [600] * 10) == 10


def test_the_clock_of_the_chief_decides(monkeypatch):
    assert _epochs(monkeypatch, 100.0, [600] * 10, chief=lambda action: "stop") == 1
    assert _epochs(monkeypatch, 0.001, [600] * 10, chief=lambda action: "go on") == 10


@pytest.mark.slow
def test_a_stopped_run_is_whole_and_goes_on(options, records, capsys):
    settled = options | CHANGES
    whole = fit("atat", name="long", quiet=True, **settled)
    stopped = fit("atat", name="short", max_hours=1e-6, **settled)
    assert f"stopped after epoch 1: max_hours 1e-06; to go on: --resume {stopped.path}" in capsys.readouterr().err
    state = json.loads((stopped.path / "state.json").read_text())
    assert state["epoch"] == state["best_epoch"] == 1 and state["finished"]
    assert len(stopped.predict(records)) == 42
    resumed = fit("atat", resume=stopped.path, max_hours=1.0, quiet=True)
    assert (resumed.path / "metrics.csv").read_bytes() == (whole.path / "metrics.csv").read_bytes()
    mine, other = (_arrays(run.path / "checkpoints" / "last.weights.h5") for run in (resumed, whole))
    assert mine == other and sum("inner" in name for name in mine) > 10
    rows = list(csv.DictReader((whole.path / "metrics.csv").read_text().splitlines()))
    for key in ("cohen_kappa", "matthews", "val_cohen_kappa", "val_matthews"):
        assert np.isfinite([float(row[key]) for row in rows]).all()
    assert len({row["learning_rate"] for row in rows}) == 3
