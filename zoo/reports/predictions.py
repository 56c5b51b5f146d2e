"""The table of predictions by day: its checks, and its cut into one block of arrays a day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfrecords.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "p_"
BEFORE = -1e-9
"""The day until which an object has what came before its reference time, without the row of that time itself."""

SUM_TOLERANCE = 0.01
"""Largest distance from 1 of an object's summed probabilities; float16 outputs stay well inside."""


@dataclass(frozen=True)
class DayPredictions:
    """What a model said of every test object from the observations up to one day.

    Attributes
    ----------
    day : float
        Days after the object's reference time, negative before it; inf is the whole light curve.
    object_id : ndarray of str, [N]
    truth : ndarray of int64, [N]
        Index of the true class.
    probability : ndarray of float64, [N, K]
    observations : ndarray of int64, [N], or None
        Rows that the model saw; None where the table does not say.
    """

    day: float
    object_id: np.ndarray
    truth: np.ndarray
    probability: np.ndarray
    observations: np.ndarray | None

    @property
    def predicted(self) -> np.ndarray:
        """Index of the most probable class, int64 [N]; the first one of equals."""
        return self.probability.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """Largest probability of every object, float64 [N]."""
        return self.probability.max(axis=1)


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """Give the class names that the ``p_<class>`` columns carry, in column order."""
    return [str(name)[len(PREFIX) :] for name in predictions.columns if str(name).startswith(PREFIX)]


def day_text(day: float) -> str:
    """Write a day for people: ``all`` is the whole light curve (day inf), ``before`` is `BEFORE`."""
    if day == BEFORE:
        return "before"
    return "all" if math.isinf(day) else f"{day:g}"


def by_day(
    predictions: pd.DataFrame, classes: Sequence[str] | None = None, where: str = "predictions"
) -> list[DayPredictions]:
    """Check a table of predictions and cut it by day.

    Parameters
    ----------
    predictions : DataFrame
        Columns ``object_id``, ``class`` (true class name), ``day`` (float, inf = whole light curve),
        optionally ``observations``, and one ``p_<class>`` column a class. One row per (object, day).
    classes : sequence of str, optional
        Class names in the order of the result's columns; the table's own order by default.
    where : str
        What the messages call the table, a file name as a rule.

    Returns
    -------
    list of DayPredictions
        Days ascending; rows of a day in the order of the table.

    Raises
    ------
    DataError
        A column is missing or belongs to no class, the table is empty, a row is repeated, a true class is
        unknown, or a probability is not a number in [0, 1] or does not sum to 1 over the classes. The message
        names the object.
    """
    classes = classes_of(predictions) if classes is None else list(classes)
    _check_columns(predictions, classes, where)
    object_id = predictions["object_id"].astype(str).to_numpy(dtype=object)
    day = predictions["day"].to_numpy(dtype=np.float64)
    name = predictions["class"].astype(object).to_numpy()
    probability = predictions[[PREFIX + c for c in classes]].to_numpy(dtype=np.float64)
    _check_rows(object_id, day, where)
    _check_probability(object_id, day, probability, classes, where)
    truth = _truth(object_id, name, classes, where)
    seen = predictions["observations"].to_numpy() if "observations" in predictions.columns else None
    blocks = []
    for value in np.unique(day):
        rows = np.flatnonzero(day == value)
        observations = None if seen is None else seen[rows].astype(np.int64)
        blocks.append(DayPredictions(float(value), object_id[rows], truth[rows], probability[rows], observations))
    return blocks


def _check_columns(predictions: pd.DataFrame, classes: list[str], where: str) -> None:
    need = ["object_id", "class", "day"] + [PREFIX + c for c in classes]
    missing = [name for name in need if name not in predictions.columns]
    extra = [name for name in classes_of(predictions) if name not in classes]
    if not classes or missing or extra:
        what = f"misses the columns {missing}" if missing else f"has probabilities of unknown classes {extra}"
        raise DataError(
            f"{where} {what if classes else 'has no p_<class> column'}; valid are object_id, class, "
            f"day, observations and one p_<class> column for each of {classes}. "
            f"Received: {list(predictions.columns)}"
        )
    if len(set(classes)) != len(classes) or not predictions.columns.is_unique:
        raise DataError(f"{where}: class and column names must differ. Received: {list(predictions.columns)}")
    if len(predictions) == 0:
        raise DataError(f"{where} has no rows; at least one object is needed. Received: 0 rows")


def _check_rows(object_id: np.ndarray, day: np.ndarray, where: str) -> None:
    import pandas as pd

    bad = np.isnan(day) | (day == -np.inf)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{where}: day of object {object_id[row]} must be a number, or inf for the whole "
            f"light curve. Received: {day[row]}"
        )
    double = pd.DataFrame({"object_id": object_id, "day": day}).duplicated().to_numpy()
    if double.any():
        row = int(np.flatnonzero(double)[0])
        raise DataError(
            f"{where}: object {object_id[row]} must have one row at day {day_text(day[row])}. Received: a second row"
        )


def _check_probability(
    object_id: np.ndarray, day: np.ndarray, probability: np.ndarray, classes: list[str], where: str
) -> None:
    # The comparison is written so that NaN counts as bad.
    good = (probability >= -1e-6) & (probability <= 1 + 1e-4)
    if not good.all():
        row, column = (int(i[0]) for i in np.nonzero(~good))
        raise DataError(
            f"{where}: probability of class {classes[column]} for object {object_id[row]} at day "
            f"{day_text(day[row])} must be a number in [0, 1] ({int((~good).any(axis=1).sum())} such rows). "
            f"Received: {probability[row, column]}"
        )
    total = probability.sum(axis=1)
    off = np.abs(total - 1) > SUM_TOLERANCE
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise DataError(
            f"{where}: probabilities of object {object_id[row]} at day {day_text(day[row])} must sum to 1 "
            f"within {SUM_TOLERANCE} ({int(off.sum())} such rows). Received: {total[row]:.6g}"
        )


def _truth(object_id: np.ndarray, name: np.ndarray, classes: list[str], where: str) -> np.ndarray:
    import pandas as pd

    truth = pd.Index(classes).get_indexer(pd.Index(name))
    if (truth < 0).any():
        row = int(np.flatnonzero(truth < 0)[0])
        raise DataError(
            f"{where}: true class of object {object_id[row]} must be one of {classes}. Received: {name[row]!r}"
        )
    return truth.astype(np.int64)


def until_text(day: float) -> str:
    """Write how much of the light curves a score rests on, for titles."""
    if day == BEFORE:
        return "before the reference time"
    return "whole light curve" if math.isinf(day) else f"up to day {day_text(day)}"
