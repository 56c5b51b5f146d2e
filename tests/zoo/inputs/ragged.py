"""Random ragged batches, and the transforms as straightforward loops over objects."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from zoo.inputs.transforms import DETECTED, SATURATED, TRIGGER, LightCurves

BANDS = 4


def make_objects(seed: int, count: int = 12, most: int = 40) -> list[dict[str, np.ndarray]]:
    """Give objects as dicts of arrays, sorted by time; some are empty, some lack flags, times repeat."""
    rng = np.random.default_rng(seed)
    objects = []
    for number in range(count):
        rows = 0 if number % 5 == 2 else int(rng.integers(1, most))
        flags = rng.choice([0, 0, DETECTED, DETECTED | SATURATED, SATURATED, 8], rows)
        if rows and number % 3 == 0:
            flags[rng.integers(rows)] = DETECTED | TRIGGER
        if number % 4 == 1:
            flags &= ~(DETECTED | TRIGGER)
        objects.append(
            {
                "time": np.sort(rng.uniform(59000, 59400, rows).round(rng.integers(0, 3))),
                "band": rng.choice(BANDS, rows, p=[0.6, 0.2, 0.2, 0.0]).astype("int32"),
                "flux": rng.normal(size=rows).astype("float32") * 100,
                "flux_err": rng.uniform(0.1, 5, rows).astype("float32"),
                "flags": flags.astype("int32"),
            }
        )
    return objects


def to_curves(objects) -> LightCurves:
    """Give the objects as the ragged batch of the pipeline."""
    size = [len(item["time"]) for item in objects]
    flat = {key: np.concatenate([item[key] for item in objects]) for key in objects[0]}
    row = tf.constant(np.repeat(np.arange(len(objects)), size), tf.int64)
    columns = {key: tf.constant(value) for key, value in flat.items()}
    return LightCurves(**columns, row=row, count=tf.constant(len(objects), tf.int64))


def to_objects(curves: LightCurves) -> list[dict[str, np.ndarray]]:
    """Take a ragged batch apart; checks that the rows of an object stay together and in order."""
    row = curves.row.numpy()
    assert (np.diff(row) >= 0).all()
    columns = {key: getattr(curves, key).numpy() for key in ("time", "band", "flux", "flux_err", "flags")}
    return [{key: value[row == number] for key, value in columns.items()} for number in range(int(curves.count))]


def assert_same(ours: LightCurves, expected) -> None:
    """Compare a ragged batch with objects, every value exactly."""
    found = to_objects(ours)
    assert len(found) == len(expected)
    for number, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        for key, value in theirs.items():
            np.testing.assert_array_equal(mine[key], value, err_msg=f"object {number}, {key}")


def keep(item, mask) -> dict[str, np.ndarray]:
    """Keep rows of one object."""
    return {key: value[mask] for key, value in item.items()}


def reference(item) -> float:
    """Give the reference time of one object: trigger, else first detection, else first row, else 0."""
    for bits in (TRIGGER, DETECTED):
        times = item["time"][item["flags"] & bits > 0]
        if len(times):
            return float(times.min())
    return float(item["time"].min()) if len(item["time"]) else 0.0


def last_detection(item) -> float:
    """Give the time of the last detection or trigger of one object, or infinity."""
    times = item["time"][item["flags"] & (DETECTED | TRIGGER) > 0]
    return float(times.max()) if len(times) else np.inf


def thin(item, limit: int) -> dict[str, np.ndarray]:
    """Thin the bands of one object to ⌊linspace(0, n − 1, limit)⌋, keeping the trigger."""
    kept = np.zeros(len(item["time"]), bool)
    for band in range(BANDS):
        rows = np.flatnonzero(item["band"] == band)
        if len(rows) > limit:
            rows = rows[np.linspace(0, len(rows) - 1, limit).astype(int)]
        kept[rows] = True
    return keep(item, kept | (item["flags"] & TRIGGER > 0))
