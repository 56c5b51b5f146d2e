"""Golden cases of training: they pass, and a decay, a counter or a rate that differs does not."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords.errors import DataError
from zoo.parity import load_case, run_case


def _case(shared, name, **changes):
    case = load_case(shared(f"golden/astrom3/{name}.npz"))
    case.config.update(changes)
    return case


@pytest.mark.parametrize("name", ["optim_l2_clip", "schedule_a", "schedule_b"])
def test_cases_pass(shared, name):
    found = run_case(_case(shared, name))
    assert len(found) >= 3
    assert all(item.passed for item in found), found


@pytest.mark.parametrize(
    ("name", "changes", "outputs"),
    [
        ("optim_l2_clip", {"weight_decay": 0.0}, {"w1/fc.weight", "loss_per_step"}),
        ("optim_l2_clip", {"clip_norm": None}, {"w1/fc.weight"}),
        ("schedule_a", {"threshold": 0.5}, {"lr_used_in_epoch"}),
        ("schedule_a", {"warmup_epochs": 9}, {"lr_used_in_epoch"}),
        ("schedule_b", {"factor": 0.4}, {"lr_used_in_epoch"}),
    ],
)
def test_other_settings_fail(shared, name, changes, outputs):
    assert outputs <= {item.output for item in run_case(_case(shared, name, **changes)) if not item.passed}


@pytest.mark.parametrize(
    "changes",
    [{"clip_norm": 0}, {"clip_norm": None}, {"clip_grad": False, "clip_value": 0.5},
     {"clip_grad": True, "clip_value": 0.5}],
)  # fmt: skip
def test_clipping_by_every_name(shared, changes):
    case = _case(shared, "optim_l2_clip")
    del case.config["clip_norm"], case.config["beta2"], case.config["eps"]
    case.config.update(changes)
    clipped = bool(changes.get("clip_grad"))
    found = {item.output: item.passed for item in run_case(case)}
    assert found["w1/fc.weight"] == clipped, found


@pytest.mark.parametrize("warmup", [3, 0])
def test_exponential_decay_and_the_later_names(shared, warmup):
    case = _case(shared, "schedule_b", scheduler="ExponentialLR", scheduler_gamma=0.8, warmup_epochs=warmup)
    for key in ("warmup", "factor", "patience"):
        del case.config[key]
    epochs = np.arange(len(case.arrays["y/lr_used_in_epoch"]))
    growth = 1e-5 + (1 - 1e-5) * epochs / max(1, warmup)
    shares = np.where(epochs < warmup, growth, 0.8 ** np.maximum(0.0, epochs - warmup))
    case.arrays["y/lr_used_in_epoch"] = case.config["lr"] * shares
    assert all(item.passed for item in run_case(case))
    case.config["scheduler"] = "StepLR"
    with pytest.raises(DataError, match="valid are ReduceLROnPlateau and ExponentialLR. Received: 'StepLR'"):
        run_case(case)


def test_cases_of_another_kind_are_left_to_others(shared):
    from zoo.training import parity

    case = _case(shared, "cliploss_a")
    assert parity.check_optimizer(case) is None and parity.check_schedule(case) is None
