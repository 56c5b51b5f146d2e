"""Golden cases of training: they pass, and a decay, a counter or a rate that differs does not."""

from __future__ import annotations

import pytest

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


def test_cases_of_another_kind_are_left_to_others(shared):
    from zoo.training import parity

    case = _case(shared, "cliploss_a")
    assert parity.check_optimizer(case) is None and parity.check_schedule(case) is None
