"""Two replicas take the steps of one, and count what one counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.conftest import ROOT
from tests.zoo.optimizers.replicas import RUNS


def test_two_replicas_step_as_one():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path[1:])])}
    command = [sys.executable, "-m", "tests.zoo.optimizers.replicas"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["replicas"] == 2 and found["moved"] > 0.05
    assert set(found["differences"]) == {*RUNS, "kappa"}
    assert max(found["differences"].values()) < 1e-6, found
