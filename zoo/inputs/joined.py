"""Training objects of several record directories taken together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from zoo.inputs.data import Examples
from zoo.inputs.spec import check_compatible


class Joined:
    """Several `Examples` of one description, in turn, with their methods that training needs.

    Parameters
    ----------
    parts : sequence of Examples
    share : float, optional
        Share of the training objects that is drawn from all parts but the first; by their numbers when absent.
    """

    def __init__(self, parts, share: float | None = None):
        self.parts, self.share = list(parts), share
        self.spec, self.target_columns = self.parts[0].spec, self.parts[0].target_columns
        self.labels = np.concatenate([part.labels for part in self.parts])
        self._starts = np.cumsum([0, *(len(part) for part in self.parts)])

    def __len__(self) -> int:
        return len(self.labels)

    def _gather(self, places, method: str):
        places = np.asarray(places, "int64")
        owner = np.searchsorted(self._starts, places, side="right") - 1
        found = [getattr(part, method)(places[owner == number] - self._starts[number])
                 for number, part in enumerate(self.parts)]  # fmt: skip
        result = np.empty((len(places), *found[0].shape[1:]), found[0].dtype)
        for number, values in enumerate(found):
            result[owner == number] = values
        return result

    def serialized(self, places) -> np.ndarray:
        """Give the serialized records at some places, an object array of bytes."""
        return self._gather(places, "serialized")

    def feature_values(self, places) -> np.ndarray:
        """Give the computed features (object, day, feature), float32; empty where none are used."""
        return self._gather(places, "feature_values")

    def target_values(self, places) -> np.ndarray:
        """Give the computed targets (object, column), float32, NaN where one is missing."""
        return self._gather(places, "target_values")

    def static_at(self, places) -> np.ndarray:
        """Give the model's static columns (object, column) as the records hold them, float32."""
        return self._gather(places, "static_at")

    def static_values(self, limit: int, seed: int, rules: bool = True) -> np.ndarray:
        """Give the static columns of at most ``limit`` objects, see `Examples.static_values`."""
        return Examples.static_values(self, limit, seed, rules)

    def feature_rows(self, limit: int, seed: int, day: int) -> np.ndarray:
        """Give the computed features (row, feature) of at most ``limit`` objects at the day of a number."""
        return Examples.feature_rows(self, limit, seed, day)


def extra(path, train: Examples, fold: int | None, labelled: bool = True) -> Examples:
    """Give the training part of another directory as more objects for a training split.

    With folds, it is what is not in ``fold`` of that directory, so that copies of validation objects, which stand
    in the fold of their originals, stay out.

    Parameters
    ----------
    path : path
        Directory of records of the same survey, bands, columns and, if used, computed features.
    train : Examples
        The training split they join.
    fold : int, optional
        Fold of validation.
    labelled : bool
        Whether the objects need a class of the run.

    Raises
    ------
    UsageError
        If the directory is not there.
    DataError
        If it is of another survey, has other folds, another version of the features, or no object of the classes.
    """
    if not Path(path).is_dir():
        raise UsageError(f"--extra-data must be a directory of records. Received: {path}")
    directory, spec = RecordDirectory(path), train.spec
    check_compatible(spec, directory.info, str(path))
    folds = train.directory.info.folds
    if directory.info.folds != folds:
        raise DataError(
            f"{path}: extra data need the folds of the data they join, or their objects could be copies of validation "
            f"objects. Valid: {folds} folds. Received: {directory.info.folds}"
        )
    spec = dataclasses.replace(spec, record_static=tuple(column.name for column in directory.info.static_columns))
    if spec.record_static != train.spec.record_static:
        raise DataError(
            f"{path}: extra data need the static columns of the data they join. "
            f"Valid: {', '.join(train.spec.record_static)}. Received: {', '.join(spec.record_static)}"
        )
    indices = directory.split_indices("train", (fold or 0) if folds else None)
    known = spec.labels.index(directory.index["class_id"][indices]) >= 0
    if not labelled:
        known = np.ones_like(known)
    if not known.any():
        raise DataError(f"{path}: no object of the run's classes to train on. Received: {len(indices)} objects")
    return Examples(directory, indices[known], spec, train.targets)
