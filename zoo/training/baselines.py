"""Trees on computed features: what every network is compared with.

One classifier an evaluation day, trained on the features (the derived group of ``data_tools.features``) that the
training objects have at that day: same split, labels and days as any run, same table of predictions, same report.
Nothing is stored but predictions; the same seed gives the same trees.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.times import reference_time
from zoo.inputs import data
from zoo.inputs import spec as specs
from zoo.registry import unknown
from zoo.training import files, start
from zoo.training.evaluation import CLASS_WEIGHTS, DAYS

PRESETS = {"features": ("features",), "features_metadata": ("features", "static")}
"""By name, what the trees see: computed features, and the static columns that carry no caution."""

REPEATS = 3
"""Passes over the test objects of which the middle one gives the rate."""


def _forest(seed: int):
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        300, min_samples_leaf=2, class_weight="balanced_subsample", n_jobs=-1, random_state=seed
    )


def _boosting(seed: int):
    from sklearn.ensemble import HistGradientBoostingClassifier

    # Chosen on a validation fold of PLAsTiCC. Without the penalty and the small trees rare classes run away.
    return HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=8, max_features=0.1, l2_regularization=1.0, class_weight="balanced",
        early_stopping=False, random_state=seed,
    )  # fmt: skip


BASELINES: dict[str, Callable[[int], Any]] = {"random_forest": _forest, "gradient_boosting": _boosting}
"""Name -> maker of a scikit-learn classifier from a seed."""


class _Table:
    """The columns of some objects at any day: what a model of the zoo would be given."""

    def __init__(self, examples, preset: str) -> None:
        self._examples, self._spec = examples, examples.spec
        self._static = np.zeros((len(examples), 0), "float32")
        if "static" in PRESETS[preset]:
            self._static = examples.static_values(len(examples), 0)

    def place(self, day: float) -> int:
        """Give the last day of the group that is not after a day; -1 before the first."""
        return int(np.searchsorted(self._spec.feature_days, day, side="right")) - 1

    def at(self, place: int) -> np.ndarray:
        """Give the columns (object, column) at a day of the group, NaN where nothing is known yet."""
        if place < 0:
            features = np.full((len(self._examples), len(self._spec.features)), np.nan, "float32")
        else:
            features = self._examples.feature_rows(len(self._examples), 0, place)
        return np.concatenate([features, self._static], axis=1)


def run(name: str, preset: str, settled, out: Path, days=DAYS, quiet: bool = True) -> dict[str, Any]:
    """Train the trees of every day and write their predictions, from which a report can be drawn.

    Parameters
    ----------
    name : str
        Of `BASELINES`.
    preset : str
        Of `PRESETS`.
    settled : object with ``run``, ``inputs``, ``selection``
        See `zoo.training.resolve.common`; of the run's options data, fold and seed count.
    out : Path
        Directory of the run; gets ``report/predictions_by_day.parquet`` and ``report/report_config.json``.
    days : sequence of float
        Evaluation days; infinity is the whole light curve. A day has the features of the last day of the group that
        is not after it.
    quiet : bool
        No progress bar.

    Returns
    -------
    dict
        ``training_seconds`` (of all fits) and ``light_curves_per_second`` (probabilities of the whole light curves
        from features that are there; the middle of three passes).

    Raises
    ------
    UsageError
        If there is no such baseline or preset.
    DataError
        If the records have no computed features, or training is not possible.
    """
    if name not in BASELINES:
        raise UsageError(unknown("baseline", name, BASELINES))
    if preset not in PRESETS:
        raise UsageError(unknown(f"preset of {name}", preset, PRESETS))
    directory, spec, splits = _open(settled, preset)
    train, tested = _Table(splits["train"], preset), _Table(splits["test"], preset)
    if not len(splits["test"]):
        raise DataError(f"{directory.path}: the split 'test' is empty. Received: fold {settled.run.fold}")
    labels, classes = splits["train"].labels, len(spec.classes)
    probabilities, rate, seconds = {}, float("nan"), 0.0
    places = sorted({train.place(day) for day in days})
    for place in command.progress(places, f"training {name}", len(places), quiet):
        model, rows, test_rows = BASELINES[name](settled.run.seed), train.at(place), tested.at(place)
        started = time.perf_counter()
        _fit(model, rows, labels)
        seconds += time.perf_counter() - started
        probabilities[place] = _predicted(model, test_rows, classes)
        if place == places[-1]:
            rate = len(test_rows) / _pass_seconds(model, test_rows, classes)
    found = {day: probabilities[train.place(day)] for day in days}
    seen = _observations(directory, splits["test"], found)
    about = {"model": name, "run": out.name, "preset": preset, "seed": settled.run.seed, "fold": settled.run.fold}
    cautions = [f"{column.name}: {column.caution}" for column in spec.static if column.caution]
    write_predictions(out, directory, splits["test"], found, seen, about | {"cautions": cautions})
    files.write_text(out / "class_composition.csv", start.composition(spec, splits))
    return {"training_seconds": seconds, "light_curves_per_second": rate}


def _open(settled, preset: str):
    from tfrecords.reader import RecordDirectory
    from zoo.training.loop import sample_directory

    path = Path(settled.run.data) if settled.run.data else sample_directory()
    directory = RecordDirectory(path)
    try:
        spec = specs.describe(directory, PRESETS[preset], settled.inputs, settled.selection)
    except DataError as error:
        raise DataError(f"trees need computed features: python -m data_tools.features {path}; {error}") from None
    spec, splits = data.splits(directory, spec, settled.selection, settled.run.fold, settled.run.seed)
    return directory, spec, splits


def _fit(model, rows, labels) -> None:
    """Fit a classifier on columns (object, column) that may hold NaN; columns that are NaN throughout are 0."""
    # scikit-learn warns of, or refuses, a column without any value.
    model.empty = ~np.isfinite(rows).any(axis=0)
    model.fit(np.where(model.empty, 0, rows), labels)


def _predicted(model, rows, classes: int) -> np.ndarray:
    """Give probabilities (object, class), float32; 0 for a class without training objects."""
    found = np.zeros((len(rows), classes), "float32")
    found[:, model.classes_] = model.predict_proba(np.where(model.empty, 0, rows))
    return found


def _pass_seconds(model, rows, classes: int) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        _predicted(model, rows, classes)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _observations(directory, examples, days) -> dict[float, np.ndarray]:
    """Count the observations of every object until every day after its reference time."""
    counts = {day: np.zeros(len(examples), "int64") for day in days}
    for number, index in enumerate(examples.indices):
        curve = directory.record(int(index)).lc
        if curve is None:
            continue
        since = curve.time - reference_time(curve.time, curve.flags)
        for day in days:
            counts[day][number] = np.count_nonzero(since <= day)
    return counts


def write_predictions(out: Path, directory, examples, probabilities, observations, about: dict[str, Any]) -> None:
    """Write the predictions of a classifier that is no run, from which a report can be drawn.

    Parameters
    ----------
    out : Path
        Gets ``report/predictions_by_day.parquet`` and ``report/report_config.json``.
    directory : RecordDirectory
    examples : zoo.inputs.data.Examples
        The test objects.
    probabilities : dict of float to array (object, class)
        By day.
    observations : dict of float to array (object,)
        Rows of the light curves, or alerts, until every day.
    about : dict
        ``model, run, preset, seed, fold, cautions`` of the report.
    """
    import pandas as pd

    from zoo.reports.predictions import by_day

    spec = examples.spec
    names = np.array(spec.classes, object)[examples.labels]
    ids, tables = examples.ids(), []
    for day in sorted(probabilities):
        table = pd.DataFrame({"object_id": ids, "class": names, "day": float(day)})
        table["observations"] = observations[day]
        columns = [f"p_{label}" for label in spec.classes]
        tables.append(pd.concat([table, pd.DataFrame(probabilities[day], columns=columns)], axis=1))
    table = pd.concat(tables, ignore_index=True)
    by_day(table, list(spec.classes), where=str(out))
    files.atomic(out / "report" / "predictions_by_day.parquet", lambda path: table.to_parquet(path, index=False))
    weights = CLASS_WEIGHTS.get(spec.survey, {})
    files.write_json(
        out / "report" / "report_config.json",
        {
            "task": "classify",
            "classes": list(spec.classes),
            "class_weights": {label: weights[label] for label in spec.classes if label in weights} or None,
            "survey": spec.survey,
            "flux_unit": directory.info.flux_unit,
            "split": "test",
        }
        | about
        | {"fold": (about["fold"] or 0) if directory.info.folds else None},
    )
