"""The reference time of a light curve, which days of truncation and of computed features count from."""

from __future__ import annotations

import numpy as np

from tfrecords.schema import FLAG_DETECTED, FLAG_TRIGGER


def reference_time(time: np.ndarray, flags: np.ndarray) -> float:
    """Give the time of the first trigger, else of the first detection, else of the first observation.

    Parameters
    ----------
    time : numpy.ndarray
        f8 [L], in any order; finite.
    flags : numpy.ndarray
        u1 [L], see `tfrecords.schema`.

    Returns
    -------
    float
        In the unit of ``time``; 0 without observations.
    """
    for bit in (FLAG_TRIGGER, FLAG_DETECTED):
        marked = (flags & bit) != 0
        if marked.any():
            return float(time[marked].min())
    return float(time.min()) if len(time) else 0.0
