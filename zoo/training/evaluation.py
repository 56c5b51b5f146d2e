"""Predictions on the test split at every evaluation day, and the report on them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.inputs.cuts import Cut
from zoo.registry import load
from zoo.training import files
from zoo.training.run import Run, load_run, read_config

DAYS = (*(float(2**power) for power in range(12)), float("inf"))
"""Days after the reference time, and the whole light curve."""

CLASS_WEIGHTS = {"plasticc": {"TDE": 2.0, "KN": 2.0}}
"""Weights of the weighted log-loss where a survey's challenge fixed them; 1 for every other class."""

DRAWN = 8
"""Test objects that are drawn with their probabilities."""

ACTIVATIONS = "class_activations.parquet"


def evaluate(runs, *, days=DAYS, data=None, split: str = "test", out=None, redraw: bool = False,
             taxonomy: str | None = None, curves=None, fractions=None, branches: bool = False,
             quiet: bool = True) -> Path:  # fmt: skip
    """Score runs on a split at every evaluation day and write tables and plots.

    Parameters
    ----------
    runs : path, Run, or list of these
        One run gives its report; several give theirs and a comparison.
    days : sequence of float
        Days after the reference time, of rows before it where negative; infinity is the whole light curve.
    data : path, optional
        Another record directory of the same survey; the run's own data when absent.
    split : {"test", "validation", "train", "all"}
    out : path, optional
        Directory of the comparison, or of a report on other data.
    redraw : bool
        Draw from predictions that are there already, without models.
    taxonomy : str, optional
        Tree of classes, by name or as a YAML file: score at each of its levels too, with animations over the
        days, into ``report/levels_<name>``. A hierarchical run is always scored on its own tree, without
        animations unless the tree is named here.
    curves : sequence of float, optional
        Days of a study of its own, ``report/curves``: scores and mean class scores against the day.
    fractions : sequence of float, optional
        Shares of every light curve, in (0, 1], of the study ``report/fractions``.
    branches : bool
        Score with the whole input and without each of its parts (light curve, spectrum, static columns) and all
        but one of them, at ``days`` if named,
        else just before the reference time and on some days after it: ``report/branches``.
    quiet : bool
        No progress bar.

    Returns
    -------
    Path
        ``index.md`` of the report, or of the comparison of several runs.
    """
    from zoo.reports.levels import write_levels
    from zoo.reports.studies import STUDIES, predictions_place, write_study
    from zoo.taxonomies import tree as trees
    from zoo.training import studies

    asked = studies.asked(None if days is DAYS else days, curves, fractions, branches)
    tree = trees.load(taxonomy) if taxonomy else None
    items = list(runs) if isinstance(runs, (list, tuple)) else [runs]
    if not items:
        raise UsageError("evaluate needs at least one run. Received: none")
    _check_together([item.path if isinstance(item, Run) else Path(item) for item in items], redraw)
    places, index = [], None
    for item in items:
        path = item.path if isinstance(item, Run) else Path(item)
        if redraw:
            place = path
        else:
            run = load_run(item)
            studies.check(run, asked)
            place = _place(run, data, split, out if len(items) == 1 else None)
            _write_predictions(run, place, days, data, split, quiet, asked)
        if _task_of(place) not in REPORTS:
            write_levels(place, tree)
        elif tree is not None:
            raise UsageError(f"--taxonomy scores classifications. Received: {place}, of the task {_task_of(place)}")
        for name in STUDIES:
            if name in asked or (redraw and (place / predictions_place(name)).is_file()):
                write_study(place, name, tree)
        index = write_report(place)
        places.append(place)
    if len(places) == 1:
        return index
    compare = COMPARISONS[_kind([_task_of(place) for place in places])]
    # Beside the models' folders: a comparison among the runs would be taken for one of them.
    first = items[0].path if isinstance(items[0], Run) else Path(items[0])
    name = f"{first.name}-and-{len(places) - 1}-more" + (f"-{places[0].name}" if places[0] != first else "")
    target = Path(out) if out else first.resolve().parent.parent / "comparisons" / name
    if tree is not None:
        from zoo.reports.several_levels import write_level_comparison

        write_level_comparison(places, target, tree)
    if all(_task_of(place) == "reconstruct_classify" for place in places):
        try:
            load(COMPARISONS["reconstruct_stamps"])(places, target / "reconstructions")
        except DataError as error:
            # Runs without an object in common still have scores of their classes.
            print(f"no comparison of the reconstructions: {error}", file=sys.stderr)
    return load(compare)(places, target)


REPORTS = {
    "reconstruct": "zoo.reports.reconstruct:write_report",
    "reconstruct_stamps": "zoo.reports.reconstruct_stamps:write_report",
    "contrast": "zoo.reports.retrieval:write_report",
}
"""Writer of a task's report; that of classifications for every other."""

COMPARISONS = {
    "reconstruct": "zoo.reports.several_reconstructions:write_comparison",
    "reconstruct_stamps": "zoo.reports.several_stamps:write_comparison",
    "contrast": "zoo.reports.several_retrievals:write_comparison",
    "classify": "zoo.reports.several:write_comparison",
}
"""Writer of the comparison of several runs, by what their scores are of."""


def _kind(of_runs: list[str | None]) -> str:
    """Give the key of `COMPARISONS` that suits the tasks of all runs; those that do both go with either kind."""
    tasks = set(of_runs)
    if "reconstruct_stamps" in tasks and tasks <= {"reconstruct_stamps", "reconstruct_classify"}:
        return "reconstruct_stamps"
    kinds = {task if task in REPORTS else "classify" for task in tasks}
    if len(kinds) > 1:
        raise UsageError(f"different tasks have no score in common. Received: runs of {', '.join(sorted(kinds))}")
    return kinds.pop()


def _check_together(paths: list[Path], redraw: bool) -> None:
    """Refuse runs that no comparison takes before any of them is predicted."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(
            f"a run may be given once, or its group's spread is too small. Received: {', '.join(map(str, paths))}"
        )
    if len(paths) > 1 and not redraw:
        _kind([registry.get(read_config(path)["model"]).task for path in paths])


def _task_of(place: Path) -> str | None:
    try:
        return json.loads((place / "report" / "report_config.json").read_text("utf-8"))["task"]
    except (OSError, ValueError, KeyError, TypeError):
        # The writer of the report says what is wrong with the file.
        return None


def write_report(place: Path) -> Path:
    """Write the report of a run's predictions as its task has it; gives its ``index.md``."""
    return load(REPORTS.get(_task_of(place), "zoo.reports.classify:write_report"))(place)


def _place(run: Run, data, split: str, out) -> Path:
    """Give the directory in which ``report/`` is written: the run's own for its own test split."""
    if out is not None:
        return Path(out)
    if data is None and split == "test":
        return run.path
    return run.path / "evaluations" / f"{Path(data).resolve().name if data else 'own'}-{split}"


def _objects(run: Run, data, split: str):
    """Give the labelled objects of a split of the run's data or of another directory."""
    from tfrecords.reader import RecordDirectory
    from zoo.inputs.config import SelectionConfig
    from zoo.inputs.data import Examples, wanted
    from zoo.inputs.detections import detected
    from zoo.inputs.spec import check_compatible
    from zoo.training.loop import sample_directory

    own = data is None
    path = Path(data if data is not None else run.run_config.data or sample_directory())
    directory = RecordDirectory(path)
    spec = run.bundle.spec
    check_compatible(spec, directory.info, str(path))
    if own and directory.info.fingerprint != spec.fingerprint:
        raise DataError(
            f"{path}: these are no longer the data the run was trained on; name other data with --data. "
            f"Valid: fingerprint {spec.fingerprint}. Received: {directory.info.fingerprint}"
        )
    if split == "all":
        indices = np.arange(len(directory))
    else:
        fold = (run.run_config.fold or 0) if directory.info.folds else None
        indices = directory.split_indices(split, fold)
    if run.bundle.inputs.require_detection:
        indices = indices[detected(directory, indices, run.bundle.inputs)]
    selection = SelectionConfig(**run.config["selection"])
    known = wanted(spec, selection, directory.index["class_id"][indices], run.task.labelled)
    if not known.any():
        raise DataError(
            f"{path}: the split {split!r} holds no object of the run's classes to score. "
            f"Received: {len(indices)} objects"
        )
    return Examples(directory, indices[known], spec), directory


def _write_predictions(run: Run, place: Path, days, data, split: str, quiet: bool, asked) -> None:
    from zoo.training import stamp_reconstruction

    examples, directory = _objects(run, data, split)
    if run.bundle.entry.task == "reconstruct":
        from zoo.training.reconstruction import write_predictions

        # A roll-out takes a step a time: whole light curves, unless days were named.
        whole = (float("inf"),)
        write_predictions(run, place, whole if days is DAYS else days, examples, directory, quiet)
    elif run.bundle.entry.task == "reconstruct_stamps":
        stamp_reconstruction.write_predictions(run, place, examples, directory, quiet)
    elif run.bundle.entry.task == "contrast":
        from zoo.training.retrieval import write_retrieval

        if asked:
            raise UsageError(
                f"--{next(iter(asked))} scores classifications. Received: {run.path}, of the task contrast"
            )
        write_retrieval(run, place, examples, directory, quiet)
    else:
        from zoo.training import studies

        _write_classes(run, place, days, examples, directory, quiet)
        if run.bundle.entry.task in stamp_reconstruction.TASKS:
            stamp_reconstruction.write_predictions(run, place, examples, directory, quiet)
        studies.write_predictions(run, place, asked, examples, directory, quiet)
    _write_config(run, place, split, directory)


def _write_classes(run: Run, place: Path, days, examples, directory, quiet: bool) -> None:
    from zoo.reports.predictions import by_day
    from zoo.training.activation import class_activations
    from zoo.training.studies import known_days, prediction_table

    stage = run.stage_for(directory.info)
    ids, spec = examples.ids(), run.bundle.spec
    names = np.array(spec.classes, object)[examples.labels]
    table = prediction_table(run, examples, stage, [Cut(day) for day in known_days(run, days)], quiet, "predicting")
    # Before anything is replaced: a table that cannot be scored must not take the place of one that can.
    by_day(table, list(spec.classes), where=str(run.path))
    files.atomic(place / "report" / "predictions_by_day.parquet", lambda path: table.to_parquet(path, index=False))
    curves = _drawn_light_curves(examples, directory, names)
    if len(curves):
        files.atomic(place / "report" / "light_curves.parquet", lambda path: curves.to_parquet(path, index=False))
    if len(curves) and run.task.step_columns():
        from zoo.training.steps import step_table

        drawn = examples.keep(np.isin(ids, curves["object_id"].unique()))
        steps = step_table(run, drawn.ids(), drawn, stage)
        files.atomic(place / "report" / "steps.parquet", lambda path: steps.to_parquet(path, index=False))
    maps = class_activations(run, examples, stage, list(dict.fromkeys(curves["object_id"])) if len(curves) else [])
    if maps is not None:
        files.atomic(place / "report" / ACTIVATIONS, lambda path: maps.to_parquet(path, index=False))


def _write_config(run: Run, place: Path, split: str, directory) -> None:
    spec = run.bundle.spec
    weights = CLASS_WEIGHTS.get(spec.survey)
    if weights is not None:
        weights = {name: weights[name] for name in spec.classes if name in weights} or None
    settled = run.config
    files.write_json(
        place / "report" / "report_config.json",
        {
            "model": run.bundle.model,
            "run": run.path.name,
            "preset": settled.get("preset") or "",
            "task": run.bundle.entry.task,
            "classes": list(spec.classes),
            "class_weights": weights,
            "cautions": [f"{column.name}: {column.caution}" for column in spec.static if column.caution],
            "survey": spec.survey,
            "flux_unit": directory.info.flux_unit,
            "seed": run.run_config.seed,
            "fold": (run.run_config.fold or 0) if directory.info.folds else None,
            "split": split,
            "taxonomy": _tree(spec),
        },
    )


def _tree(spec) -> dict | None:
    if not spec.nodes:
        return None
    return {
        "name": spec.taxonomy,
        "nodes": list(spec.nodes),
        "parents": list(spec.parents),
        "class_nodes": {name: spec.class_nodes[name] for name in spec.classes},
    }


def _drawn_light_curves(examples, directory, names):
    """Give the light curves of the first object of each of the most frequent classes."""
    import pandas as pd

    from tfrecords.times import reference_time

    labels, counts = np.unique(names, return_counts=True)
    drawn = []
    for label in labels[np.argsort(-counts, kind="stable")][:DRAWN]:
        place = int(np.flatnonzero(names == label)[0])
        record = directory.record(int(examples.indices[place]))
        if record.lc is None or not len(record.lc.time):
            continue
        reference = reference_time(record.lc.time, record.lc.flags)
        bands = np.array([band.name for band in directory.info.bands], object)
        drawn.append(
            pd.DataFrame(
                {
                    "object_id": record.object_id,
                    "class": label,
                    "mjd": record.lc.time,
                    "time_from_ref": record.lc.time - reference,
                    "band": bands[record.lc.band],
                    "flux": record.lc.flux,
                    "flux_err": record.lc.flux_err,
                    "flags": record.lc.flags.astype("int64"),
                }
            )
        )
    return pd.concat(drawn, ignore_index=True) if drawn else pd.DataFrame()
