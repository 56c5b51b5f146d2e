"""Two replicas and one learn the same weights from the same global batches of unequal lengths."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.cases import variants
from tests.conftest import ROOT


def _compare(records, examples) -> dict:
    """Give differences by example, from one process whose CPU is split in two."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path[1:])])}
    command = [sys.executable, "-m", "tests.cases.replicas", str(records), *map(str, examples)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# Of the networks on stamps one for all, of those on photometry the one that compares objects of all replicas: the
# others differ in what does not meet the replicas.
KINDS = [
    item for item in variants.one_a_kind()
    if item.entry.view not in ("stamp", "stamp_sequence", "photometry")
    or (item.entry.view, item.entry.task) in (("stamp", "classify"), ("photometry", "contrast"))
]  # fmt: skip


@pytest.fixture(scope="module")
def results(records):
    """Differences of one model of every kind, in its richest variant."""
    return _compare(records, KINDS)


def _check(found):
    assert found["replicas"] == 2 and found["lengths"] > 1
    assert found["moved"] > 1e-3, "nothing was learned"
    assert found["weights"] <= 1e-6
    assert np.allclose(found["losses_2"], found["losses_1"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("example", KINDS, ids=str)
def test_two_replicas_learn_as_one(results, example):
    _check(results[str(example)])


@pytest.mark.slow
def test_two_replicas_learn_as_one_in_every_model_and_variant(records):
    rest = [item for item in variants.examples() if item not in KINDS]
    for found in _compare(records, rest).values():
        _check(found)


@pytest.mark.parametrize("example", KINDS, ids=str)
def test_a_bad_step_of_one_replica_stops_both(results, example):
    found = results[str(example)]
    assert found["bad_steps"] == 1
    assert found["counted"] == [0, 1, 1], "what the guard sees after each step"
    assert found["finite_after_bad_step"]
    assert found["bad_weights"] <= 1e-6
    assert np.allclose(found["norms_2"], found["norms_1"], rtol=1e-4, atol=0), "of the gradient over both replicas"
    assert found["norms_1"][0] >= found["norms_1"][1] > 0
