"""Predictions behind the studies of `zoo.reports.studies`, and the table of predictions of any cuts."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfrecords.errors import UsageError
from zoo.inputs.cuts import Cut
from zoo.reports.predictions import BEFORE
from zoo.training import files

MODALITIES = {"light_curve": "light curve", "spectrum": "spectrum", "static": "static columns"}
"""Parts of the input that are scored apart, and what they are called; alerts with stamps go with light curves."""

BRANCH_DAYS = (BEFORE, 1.0, 8.0, 64.0, float("inf"))
"""Days on which the parts of the input are scored apart where none are named."""

MOST = 1000
"""Most numbers of a range."""


def asked(days, curves, fractions, branches: bool) -> dict[str, list[Cut]]:
    """Give the cuts of every study that the arguments of `zoo.evaluate` ask for, by its name.

    Raises
    ------
    UsageError
        If a share does not lie in (0, 1], or there is nothing to score.
    """
    found = {}
    for name, values in (("curves", curves), ("fractions", fractions), ("branches", days or BRANCH_DAYS)):
        if values is None or (name == "branches" and not branches):
            continue
        values = sorted(set(map(float, values)))
        if not values:
            raise UsageError(f"--{name} needs one number at least. Received: none")
        if name == "fractions" and not (values[0] > 0 and values[-1] <= 1):
            raise UsageError(f"--fractions: numbers in (0, 1]. Received: {values}")
        found[name] = [Cut(fraction=value) if name == "fractions" else Cut(value) for value in values]
    return found


def check(run, studies: dict[str, list[Cut]]) -> None:
    """Refuse studies that a run's model has no answer to."""
    if studies and run.bundle.entry.task in ("reconstruct", "reconstruct_stamps"):
        raise UsageError(f"--{next(iter(studies))} scores classifications; this run reconstructs. Received: {run.path}")
    parts = run.bundle.config.parts()
    if "branches" in studies and len(branches(parts)) < 2:
        raise UsageError(
            f"--branches tells the parts of the input apart ({', '.join(MODALITIES.values())}), and the model must "
            f"read two at least. Received: {run.bundle.model}, which reads {', '.join(sorted(parts))}"
        )


def branches(parts) -> dict[str, tuple[str, ...]]:
    """Give what a network may see of its input: a name, and which parts are hidden for that; everything first."""
    parts = {"light_curve" if part in ("stamps", "features") else part for part in parts} & set(MODALITIES)
    found = {}
    for size in range(len(parts), 0, -1):
        for seen in itertools.combinations([part for part in MODALITIES if part in parts], size):
            names = [MODALITIES[part] for part in seen]
            name = " and ".join(names) if size > 1 else f"{names[0]} alone"
            found[name] = tuple(part for part in MODALITIES if part in parts and part not in seen)
    return found


def known_days(run, days) -> list[float]:
    """Give the days in order, without those of which a model that reads no light curve knows nothing."""
    days, spec = sorted(set(days)), run.bundle.spec
    if not {"light_curve", "stamps", "features"} & set(run.bundle.config.parts()):
        # Static columns and spectra are the same on every day.
        return [float("inf")]
    if "light_curve" in run.bundle.config.parts() or not spec.feature_days:
        return days
    known = [day for day in days if day >= spec.feature_days[0]]
    if not known:
        raise UsageError(
            f"--days: the model reads the derived group {spec.feature_group!r}, which begins at day "
            f"{spec.feature_days[0]:g}. Received: {', '.join(f'{day:g}' for day in days)}"
        )
    return known


def prediction_table(run, examples, stage, cuts: Sequence[Cut], quiet: bool, label: str):
    """Predict objects at every cut.

    Returns
    -------
    DataFrame
        One row an object and cut: ``object_id``, ``class``, ``day`` or ``fraction``, ``observations`` (rows that the
        model saw) and the prediction columns of the run's task.
    """
    import pandas as pd

    ids, names = examples.ids(), np.array(run.bundle.spec.classes, object)[examples.labels]
    values, seen = run.predictor.at(examples, stage, cuts, quiet=quiet, label=label)
    tables = []
    for cut, numbers, observations in zip(cuts, values, seen, strict=True):
        place = {"day": float(cut.day)} if cut.fraction is None else {"fraction": cut.fraction}
        table = pd.DataFrame({"object_id": ids, "class": names, **place, "observations": observations})
        tables.append(pd.concat([table, pd.DataFrame(numbers, columns=run.task.columns())], axis=1))
    return pd.concat(tables, ignore_index=True)


def write_predictions(run, place: Path, studies: dict[str, list[Cut]], examples, directory, quiet: bool) -> None:
    """Predict what studies need and write it where `zoo.reports.studies.write_study` reads it."""
    import pandas as pd

    from zoo.reports.studies import predictions_place

    stage = run.stage_for(directory.info)
    for name, cuts in studies.items():
        if name != "fractions":
            cuts = [Cut(day) for day in known_days(run, [cut.day for cut in cuts])]
        parts = []
        apart = branches(run.bundle.config.parts()) if name == "branches" else {"": ()}
        for branch, hidden in apart.items():
            shown = dataclasses.replace(stage, hidden=hidden)
            part = prediction_table(run, examples, shown, cuts, quiet, " ".join([name, branch]).strip())
            if branch:
                part.insert(2, "branch", branch)
            parts.append(part)
        table = pd.concat(parts, ignore_index=True)
        files.atomic(place / predictions_place(name), lambda path, table=table: table.to_parquet(path, index=False))


def read_numbers(option: str, text: str) -> tuple[float, ...]:
    """Read numbers as they are written after a flag.

    Parameters
    ----------
    option : str
        For the message.
    text : str
        Numbers with commas, among them ``inf``, ``before`` (just before the reference time) and ranges
        ``FIRST:LAST:STEP`` that hold both ends.
    """
    found: list[float] = []
    try:
        for item in text.split(","):
            ends = [float(part) for part in item.split(":")] if item.strip() != "before" else [BEFORE]
            if len(ends) not in (1, 3) or any(np.isnan(ends)) or ends[0] == -np.inf:
                raise ValueError
            if len(ends) == 3:
                first, last, step = ends
                count = int(np.floor((last - first) / step + 1e-9)) + 1
                if not step > 0 or not 0 < count <= MOST:
                    raise ValueError
                ends = [round(first + number * step, 9) for number in range(count)]
            found += ends
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UsageError(
            f"--{option}: numbers with commas, inf, before, or ranges FIRST:LAST:STEP of at most {MOST} numbers. "
            f"Received: {text!r}"
        ) from None
    return tuple(sorted(set(found)))
