"""What the zoo has of tensorflow-addons against the package itself, in the environment of ``make_environment.sh``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from zoo.parity import parity

PYTHON = os.environ.get("ZOO_ADDONS")
pytestmark = pytest.mark.skipif(
    not PYTHON,
    reason="tensorflow-addons cannot be imported beside Keras 3: make an environment for it with "
    "tests/addons/make_environment.sh and set ZOO_ADDONS to its python",
)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_zoo_computes_what_the_package_computes(tmp_path, seed):
    script = Path(__file__).with_name("make_cases.py")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [PYTHON, str(script), str(tmp_path / "addons"), str(seed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = parity(tmp_path)
    bad = [(row["case"], row["problem"], [item for item in row["outputs"] if not item["passed"]]) for row in rows
           if row["outcome"] != "passed"]  # fmt: skip
    assert len(rows) == 5 and not bad
    assert not any(row["not_carried"] for row in rows)
    assert sum(len(row["outputs"]) for row in rows) > 100
