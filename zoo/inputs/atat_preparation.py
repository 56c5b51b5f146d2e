"""Golden cases of ATAT's data preparation, run through the zoo's own stage 1."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from zoo.golden import Case, compare
from zoo.inputs import transforms
from zoo.inputs.config import InputConfig

DETECTION_BIT, TRIGGER_BIT, SATURATED_BIT = 4096, 2048, 1024
WINDOW = InputConfig(window_before=30.0, until_last_detection=True, drop_saturated=True)


def check_preparation(case: Case):
    """Compare the per-object arrays (slot, band); None when the case holds no raw rows.

    Values are compared where a row stands; the reference's rule that a flux of exactly 0 is padding is not
    followed (the mask comes from row counts).
    """
    if "x/0/MJD" not in case.arrays:
        return None
    names, size = list(case.config["bands"]), case.config["max_len_per_band"]
    worst: dict[str, float] = {}
    for number in range(case.config["n_objects"]):
        for key, difference in _object(case, number, names, size).items():
            worst[key] = max(worst.get(key, 0.0), difference)
    return [compare(key, value, 0.0, 1e-5) for key, value in worst.items()]


def _object(case: Case, number: int, names: list[str], size: int) -> dict[str, float]:
    raw, expected = case.group(f"x/{number}"), case.group(f"y/{number}")
    photflag = raw["PHOTFLAG"].astype("int64")
    flags = (
        (photflag & DETECTION_BIT > 0) * transforms.DETECTED
        + (photflag & TRIGGER_BIT > 0) * transforms.TRIGGER
        + (photflag & SATURATED_BIT > 0) * transforms.SATURATED
    )
    rows = len(photflag)
    curves = transforms.LightCurves(
        time=tf.constant(raw["MJD"], tf.float64),
        band=tf.constant([names.index(str(band).strip()) for band in raw["BAND"]], tf.int32),
        flux=tf.constant(raw["FLUXCAL"], tf.float32),
        flux_err=tf.constant(raw["FLUXCALERR"], tf.float32),
        flags=tf.constant(flags, tf.int32),
        row=tf.zeros(rows, tf.int64),
        count=tf.constant(1, tf.int64),
    )
    bands = len(names)
    reference, last = transforms.reference_time(curves), transforms.last_detection(curves)
    thinned = transforms.thin(curves, bands, size)
    # Where a row of the thinned light curve stands in the grid; the window keeps a part of them.
    position, _ = transforms.band_position(thinned, bands)
    place = (position.numpy(), thinned.band.numpy())

    def spread(values):
        grid = np.zeros((size + 1, bands))
        grid[place] = values
        return grid[:size]

    ours = {
        "data": spread(thinned.flux.numpy()),
        "data_var": spread(thinned.flux_err.numpy()),
        "mask": spread(1.0),
        "time": spread(thinned.time.numpy() - thinned.time.numpy().min()),
        "mask_detection": spread((thinned.flags.numpy() & transforms.DETECTED) > 0),
    }
    in_window = _kept(thinned, transforms.window(thinned, reference, last, WINDOW))
    first = thinned.time.numpy()[in_window].min() if in_window.any() else 0.0
    ours["mask_alert"] = spread(in_window)
    ours["time_alert"] = spread((thinned.time.numpy() - reference.numpy()[0]) * in_window)
    ours["time_phot"] = spread((thinned.time.numpy() - first) * in_window)
    windowed = transforms.window(thinned, reference, last, WINDOW)
    for key in expected:
        if key.startswith("mask_day_"):
            days = tf.constant([float(key.removeprefix("mask_day_"))], tf.float64)
            ours[key] = spread(_kept(thinned, transforms.until_day(windowed, reference, days)))
    relative = {key: max(1.0, np.abs(expected[key]).max()) for key in ("data", "data_var")}
    return {
        key: float(np.abs(value - expected[key]).max() / relative.get(key, 1.0))
        for key, value in ours.items()
        if key in expected
    }


def _kept(before, after) -> np.ndarray:
    """Say which rows (row,) of one object's light curve are still there, by time, band and flux."""
    left = set(zip(*(x.numpy().tolist() for x in (after.time, after.band, after.flux)), strict=True))
    rows = zip(*(x.numpy().tolist() for x in (before.time, before.band, before.flux)), strict=True)
    return np.array([row in left for row in rows], bool)
