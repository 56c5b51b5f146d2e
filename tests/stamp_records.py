"""A small directory of records with stamps, made here: the twin of the tiny PLAsTiCC directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfrecords.info import Band, NativeClass, StaticColumn
from tfrecords.schema import LightCurve, Record, Stamps
from tfrecords.writer import DatasetWriter

SIDE, OBJECTS, MOST = 27, 42, 6
CHANNELS = ("science", "template", "difference")
CLASSES = ("AGN", "SN", "VS", "asteroid", "bogus")
COLUMNS = ("sgscore1", "fwhm", "magpsf", "isdiffpos", "ndethist", "chinr", "ra")


def make_record(number: int) -> Record:
    """Make object ``number`` of class ``number % 5``, with ``1 + number % 6`` alerts, the second of them a day later.

    A spot of a class's own width and place on noise; every fourth object has NaN pixels and missing columns.
    """
    rng, kind, count = np.random.default_rng(number), number % len(CLASSES), 1 + number % MOST
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    spot = np.exp(-((x - kind + 2) ** 2 + y**2) / (2 * (0.7 + 0.5 * kind) ** 2))
    images = 100 + 5 * rng.normal(size=(count, SIDE, SIDE, len(CHANNELS)))
    images += 200 * spot[:, :, None] * np.array([1.0, kind == 0, kind != 0])
    values = rng.normal(size=(count, len(COLUMNS))) + [0.5, 2, 18, 0, 5 + 3 * kind, 1, 180]
    if number % 4 == 3:
        images[:, :2, :, 0] = np.nan
        values[:, 0], values[:, 5] = -999.0, np.nan
    time = 59000 + np.cumsum(np.array([0, 1, *rng.uniform(0.01, 20, MOST)])[:count])
    lc = LightCurve(time, np.zeros(count), rng.normal(size=count) * 50, np.full(count, 3.0), np.ones(count))
    static = np.array([rng.normal(), np.nan if number % 3 else 0.3])
    return Record(f"ZTF{number:02d}", "toy_stamps", kind, lc, static, stamps=Stamps(images, time, values))


def make_stamp_records(path: Path) -> Path:
    """Write 42 objects of five classes, 14 in each of two folds and the test set."""
    settings = {
        "survey": "toy_stamps",
        "bands": (Band("g", (), 4723.0),),
        "zero_point": 27.5,
        "flux_unit": "FLUXCAL",
        "static_columns": (StaticColumn("w1_w2"), StaticColumn("w2_w3")),
        "classes": [NativeClass(number, name) for number, name in enumerate(CLASSES)],
        "stamp_channels": CHANNELS,
        "alert_columns": [
            StaticColumn(name, missing=(-999.0,) if name == "sgscore1" else (), caution="place" if name == "ra" else "")
            for name in COLUMNS
        ],
    }
    with DatasetWriter(path, **settings, folds=2, shards=1) as writer:
        for number in range(OBJECTS):
            writer.write(make_record(number), ("fold0", "fold1", "test")[number // 14])
    return path
