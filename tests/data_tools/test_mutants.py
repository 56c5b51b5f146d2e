"""Damaged files of every source end in records or in the project's own errors: see `tests.data_tools.mutants`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.data_tools.mutants import KINDS, ROOT

FEW, MANY = 200, 2400


def _run(kind: str, count: int, seed: int) -> dict:
    """Read mutants in a process of their own, so that a crash is one of the reader alone."""
    command = [sys.executable, "-m", "tests.data_tools.mutants", kind, str(count), str(seed)]
    done = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True, timeout=60 + 3 * count, check=False)
    assert done.returncode == 0, f"{kind}, seed {seed}: ended with {done.returncode}: {done.stderr[-2000:]}"
    result = json.loads(done.stdout.splitlines()[-1])
    print({key: value for key, value in result.items() if key != "failures"})
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_some_mutants(kind):
    result = _run(kind, -(-FEW // len(KINDS)), 1)
    assert not result["failures"], "\n".join(result["failures"][:3])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_mutants(kind):
    result = _run(kind, -(-MANY // len(KINDS)), 2)
    assert not result["failures"], "\n".join(result["failures"][:3])
