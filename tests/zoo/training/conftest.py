"""A small finished run, and the options that made it."""

from __future__ import annotations

import pytest

from tests.cases.variants import Example
from zoo.training.loop import fit

EPOCHS = 3


@pytest.fixture(scope="session")
def options(records, tmp_path_factory):
    """Options of a quick run with dropout, truncation and a schedule: everything that draws or remembers."""
    return Example("atat", "mix").hparams | {
        "dropout": 0.2, "data": str(records), "runs": str(tmp_path_factory.mktemp("runs")), "epochs": EPOCHS,
        "batch_size": 4, "truncate": "choice", "truncate_days": [8.0, 2048.0], "sampling": "balanced",
        "optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.01, "clip_norm": 1.0, "seed": 7,
        "schedule": "cosine", "warmup_epochs": 1.0, "patience": 0,
        "weight_average": 0.9, "calibrate": "temperature", "evaluate": False, "export": False,
    }  # fmt: skip


@pytest.fixture(scope="session")
def run(options):
    """A finished run of three epochs."""
    return fit("atat", name="whole", quiet=True, **options)
