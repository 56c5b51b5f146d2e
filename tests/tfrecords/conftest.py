"""A small directory of records made of random values."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords.info import Band, NativeClass, StaticColumn
from tfrecords.schema import LightCurve, Record, sort_rows
from tfrecords.writer import DatasetWriter

SETTINGS = {
    "survey": "toy",
    "bands": [Band("g", ("G",), 4800.0), Band("r", (), 6200.0)],
    "zero_point": 27.5,
    "flux_unit": "FLUXCAL",
    "static_columns": [StaticColumn("a"), StaticColumn("b", "mag", (-9.0,), "marked")],
    "classes": [NativeClass(3, "A"), NativeClass(5, "B")],
    "targets": ["redshift", "t0"],
}


def make_record(number: int, rows: int | None = None) -> Record:
    """Make record ``obj<number>``: every seventh has no light curve, the next one no rows."""
    rng = np.random.default_rng(number)
    rows = int(rng.integers(1, 40)) if rows is None else rows
    lc = LightCurve(
        rng.uniform(59000, 60000, rows).round(1),
        rng.integers(0, 2, rows),
        rng.normal(size=rows),
        rng.uniform(0.1, 1, rows),
        rng.integers(0, 16, rows),
    )
    if number % 7 == 1:
        lc = LightCurve(*(np.zeros(0),) * 5)
    return Record(
        f"obj{number}",
        "toy",
        (3, 5, -1)[number % 3],
        None if number % 7 == 0 else sort_rows(lc),
        np.array([number, np.nan]) if number % 5 else None,
        {"redshift": np.array([0.1 * number]), "t0": np.array([59123.456789])} if number % 2 else {},
    )


@pytest.fixture(name="make_record")
def make_record_fixture():
    """The function `make_record`."""
    return make_record


@pytest.fixture(name="settings")
def settings_fixture():
    """What a `DatasetWriter` of the toy survey is given."""
    return dict(SETTINGS)


@pytest.fixture
def directory(tmp_path):
    """Sixty toy records in two folds and a test set, two shards each; one skipped, one quarantined."""
    path = tmp_path / "records"
    with DatasetWriter(path, **SETTINGS, folds=2, shards=2) as writer:
        for number in range(60):
            writer.write(make_record(number), ("test", "fold0", "fold1")[number // 3 % 3])
        writer.skip("lost", "no observations")
        writer.quarantine("bad", 'flux is "nan", sadly')
    return path
