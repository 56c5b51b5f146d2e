"""Which objects have a detection, read from the records before any training."""

from __future__ import annotations

import numpy as np

from tfrecords.schema import decode
from zoo.inputs.config import InputConfig
from zoo.inputs.transforms import DETECTED, SATURATED


def detected(directory, indices, inputs: InputConfig) -> np.ndarray:
    """Say which records (object,) keep an observation under ``require_detection``.

    Parameters
    ----------
    directory : RecordDirectory
    indices : array of int64
    inputs : InputConfig
        Where the reference time is the first detection and saturated observations are dropped, these do not count.
    """
    wanted = DETECTED
    if inputs.reference == "detection" and inputs.drop_saturated:
        wanted |= SATURATED
    found = np.zeros(len(indices), bool)
    for start in range(0, len(indices), 4096):
        piece = indices[start : start + 4096]
        for place, record in enumerate(directory.serialized(piece), start):
            curve = decode(record).lc
            found[place] = curve is not None and bool(((curve.flags & wanted) == DETECTED).any())
    return found
