"""Shared fixtures: where reference material lies, and a small data set made here."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ZOO_SHARED", ROOT.parent / "shared"))


def pytest_configure(config):
    """Let pass what the libraries under the project warn of and the project cannot change."""
    for message in ("__array__ implementation doesn't accept a copy keyword:DeprecationWarning",):
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


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


def make_records(path: Path) -> Path:
    """Convert the tiny PLAsTiCC pair, in two folds and a test set, and add derived groups ``features``, ``gp_grid``.

    The first holds five columns at days 8, 128 and infinity: random numbers of each object that drift with
    the day, one column constant, one with many missing values. The second holds a random grid of four steps in
    the six bands at the same days, and nothing for two objects.
    """
    from data_tools import plasticc
    from tfrecords.derived import DerivedWriter
    from tfrecords.reader import RecordDirectory

    pair = sorted((ROOT / "tests" / "fixtures" / "plasticc_tiny").glob("*.csv.gz"))
    plasticc.main([*map(str, pair), "--out", str(path), "--folds", "2", "--quiet"])
    directory = RecordDirectory(path)
    columns, days = [f"feature_{number}" for number in range(5)], (8.0, 128.0, float("inf"))
    with DerivedWriter(directory, "features", columns, days, "1") as writer:
        for number, object_id in enumerate(directory.ids(np.arange(len(directory)))):
            values = np.random.default_rng(number).normal(size=(1, 5)) + np.arange(3)[:, None]
            values[:, 3] = 7.0
            values[:2, 4] = np.nan if number % 2 else values[:2, 4]
            writer.append(object_id, values)
    columns = [f"gp_{step:03d}_{band.name}" for step in range(4) for band in directory.info.bands]
    with DerivedWriter(directory, "gp_grid", columns, days, "1") as writer:
        for number, object_id in enumerate(directory.ids(np.arange(len(directory)))):
            values = 100 * np.random.default_rng(number).normal(size=(3, len(columns)))
            writer.append(object_id, values if number not in (2, 20) else values * np.nan)
    return path


@pytest.fixture(scope="session")
def records(tmp_path_factory) -> Path:
    """A directory of 42 PLAsTiCC objects of 14 classes, two folds, with a derived group ``features``."""
    return make_records(tmp_path_factory.mktemp("data") / "plasticc_tiny")


@pytest.fixture(scope="session")
def stamp_records(tmp_path_factory) -> Path:
    """A directory of 42 objects of five classes with stamps of one to six alerts, in two folds."""
    from tests.stamp_records import make_stamp_records

    return make_stamp_records(tmp_path_factory.mktemp("data") / "stamps_tiny")
