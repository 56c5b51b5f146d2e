"""A small directory of records with light curves, spectra and catalogue columns, of which some objects lack some."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfrecords.info import Band, NativeClass, StaticColumn
from tfrecords.schema import LightCurve, Record, Spectrum
from tfrecords.writer import DatasetWriter

OBJECTS, KINDS = 42, 14
COLUMNS = ("period", "mean_vmag", "parallax", "l", "b", "ruwe")
NO_CURVE, NO_SPECTRUM, NO_COLUMN = (9, 13), (3, 13, 20, 30), (5, 13, 21)
"""Objects that lack a part; 13 lacks all of them."""


def make_record(number: int) -> Record:
    """Make object ``number`` of class ``number % 14``: a sine wave, a line in a slope, and columns of its class."""
    rng, kind = np.random.default_rng(number), number % KINDS
    period, size = 0.5 + 0.4 * kind + 0.05 * rng.random(), 6 + (number * 7) % 25
    time = 59000 + np.sort(rng.uniform(0, 200, size))
    flux = 100 + (10 + 2 * kind) * np.sin(2 * np.pi * time / period) + rng.normal(size=size) * 2
    lc = LightCurve(time, np.zeros(size), flux, np.full(size, 2.0), np.ones(size))
    wave = np.linspace(3700 + 20 * rng.random(), 9200 - 900 * rng.random(), 300)
    line = np.exp(-np.square((wave - 4200 - 300 * kind) / 60))
    spectrum = Spectrum(wave, (wave / 6000) ** (kind / 4) * (1 - 0.6 * line) + rng.normal(size=300) * 0.02,
                        np.full(300, 2500.0))  # fmt: skip
    columns = [period, 10 + 0.3 * kind + rng.normal() * 0.1, 1 + rng.random(), rng.uniform(0, 360), rng.normal() * 20,
               np.nan if number % 4 == 2 else 1 + 0.1 * kind]  # fmt: skip
    return Record(
        f"star{number:02d}",
        "toy_stars",
        kind,
        None if number in NO_CURVE else lc,
        np.full(len(COLUMNS), np.nan) if number in NO_COLUMN else np.array(columns),
        spectrum=None if number in NO_SPECTRUM else spectrum,
    )


def make_trimodal_records(path: Path, objects: int = OBJECTS) -> Path:
    """Write 42 objects of 14 classes, 14 in each of two folds and the test set; or other numbers of objects."""
    settings = {
        "survey": "toy_stars",
        "bands": (Band("V", (), 5448.0),),
        "zero_point": 16.4,
        "flux_unit": "mJy",
        "static_columns": tuple(map(StaticColumn, COLUMNS)),
        "classes": [NativeClass(number, f"class_{number}") for number in range(KINDS)],
    }
    with DatasetWriter(path, **settings, folds=2, shards=1) as writer:
        for number in range(objects):
            writer.write(make_record(number), ("fold0", "fold1", "test")[3 * number // objects])
    return path
