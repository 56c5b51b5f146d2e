"""Shared fixtures: where reference material lies, and a small data set made here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ZOO_SHARED", ROOT.parent / "shared"))


def shared(relative: str) -> Path:
    """Give a path of the reference material, or skip the test where it is not at hand."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"reference material {relative} is not at hand (set ZOO_SHARED to its folder)")
    return path


@pytest.fixture(name="shared")
def shared_fixture():
    """The function `shared` as a fixture."""
    return shared
