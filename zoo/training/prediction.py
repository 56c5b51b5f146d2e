"""Predictions of a trained network: for the objects of a split, and for any source of objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tfrecords import command
from tfrecords.errors import UsageError
from zoo.inputs.data import check_compatible

BATCH = 256


class Predictor:
    """A network with its task, compiled once for batches of any length.

    Parameters
    ----------
    network : keras.Model
    task : zoo.tasks.base.Task
    """

    def __init__(self, network, task):
        import tensorflow as tf

        self.network, self.task = network, task
        self._run = tf.function(self._predict, reduce_retracing=True)

    def _predict(self, inputs):
        return self.task.predictions(self.network, self.network(inputs, training=False))

    def __call__(self, examples, stage, *, day=float("inf"), batch_size=BATCH, quiet=True, label=""):
        """Predict objects.

        Parameters
        ----------
        examples : object with the methods of ``zoo.inputs.data.Examples``
        stage : zoo.inputs.stage.Stage
        day : float
            Hide what came later than so many days after the reference time.
        batch_size : int
        quiet : bool
            No progress bar.
        label : str
            Text of the progress bar.

        Returns
        -------
        values : array (object, column), float32
            In the order of ``examples``.
        observations : array (object,), int64
            Rows of the light curve that the model saw.
        """
        from zoo.inputs import pipeline

        width = len(self.task.columns())
        values = np.zeros((len(examples), width), "float32")
        observations = np.zeros(len(examples), "int64")
        if not len(examples):
            return values, observations
        batch_size = min(batch_size, len(examples))
        dataset, steps = pipeline.evaluation(examples, stage, batch_size, day=day)
        for inputs, targets, weight in command.progress(dataset, label, steps, quiet):
            real = weight.numpy() > 0
            place = targets["position"].numpy()[real]
            values[place] = self._run(inputs).numpy()[real]
            observations[place] = targets["observations"].numpy()[real]
        return values, observations


def calibrate(kind: str, network, task, examples, stage, quiet: bool = True) -> dict[str, float]:
    """Fit the calibration of a kind on examples, see `zoo.tasks.base.Task.fit_calibration`."""
    import tensorflow as tf

    from zoo.inputs import pipeline

    if kind == "none":
        return {}
    dataset, steps = pipeline.evaluation(examples, stage, min(BATCH, len(examples)))
    run = tf.function(lambda inputs: network(inputs, training=False), reduce_retracing=True)
    parts, labels = [], []
    for inputs, targets, weight in command.progress(dataset, "calibrating", steps, quiet):
        real = weight.numpy() > 0
        parts.append({name: value.numpy()[real] for name, value in run(inputs).items()})
        labels.append(targets["label"].numpy()[real])
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return task.fit_calibration(kind, network, outputs, np.concatenate(labels))


class _InMemory:
    """Serialized records with the methods of ``zoo.inputs.data.Examples``, and their features if a model takes any."""

    def __init__(self, records: list[bytes], features: list[np.ndarray] | None = None):
        self.records = np.empty(len(records), object)
        self.records[:] = records
        self.features = np.zeros((len(records), 0, 0), "float32") if features is None else np.stack(features)
        self.labels = np.full(len(records), -1, "int32")

    def __len__(self) -> int:
        return len(self.records)

    def serialized(self, places):
        return self.records[places]

    def feature_values(self, places):
        return self.features[places]


def _feature_extractor(spec, where: str):
    """Give the function from light curve to features (day, feature) that made a model's training features."""
    from data_tools.feature_values import FeatureExtractor, code_version

    if spec.feature_version != code_version():
        raise UsageError(
            "the run takes computed features of another making than data_tools.features: convert the data, add the "
            f"derived group {spec.feature_group!r} to the records and predict those. Valid for {where}: "
            f"{spec.feature_version}. Received: {code_version()}"
        )
    extract = FeatureExtractor(spec.bands)
    return lambda lc: extract(lc, spec.feature_days)


def _chunks(outcomes: Iterable, size: int) -> Iterator[list]:
    chunk: list = []
    for outcome in outcomes:
        chunk.append(outcome)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def predict(run, data, *, source: str | None = None, day: float = float("inf"), quiet: bool = True):
    """Predict every object of a source.

    Parameters
    ----------
    run : path or Run
        A finished run.
    data : path or list of path
        What the source is made of: a record directory, or the files of a survey.
    source : str, optional
        Name of the source; recognised from the data when absent.
    day : float
        Hide what came later than so many days after the reference time.
    quiet : bool
        No progress bar.

    Returns
    -------
    pandas.DataFrame
        One row an object in input order: ``object_id``, ``predicted_class`` and one ``p_<class>`` a class, or what
        the task gives instead, ``observations`` and ``reason`` (empty, or why there is no prediction).

    Raises
    ------
    DataError
        If the data are of another survey than the run's, or broken.
    """
    import pandas as pd

    from data_tools.sources import open_source
    from tfrecords.derived import derived_names
    from tfrecords.schema import encode
    from zoo.training.run import load_run

    run = load_run(run)
    paths = [Path(item) for item in ([data] if isinstance(data, (str, Path)) else data)]
    where = ", ".join(map(str, paths))
    group = run.bundle.spec.feature_group
    records = len(paths) == 1 and (paths[0] / "dataset_info.json").is_file() and source in (None, "records")
    if records and (not group or group in derived_names(paths[0])):
        return _predict_directory(run, paths[0], day, quiet)
    extract = _feature_extractor(run.bundle.spec, where) if group else None
    opened = open_source(paths, source, static_columns=[item.name for item in run.bundle.spec.static])
    check_compatible(run.bundle.spec, opened, where)
    stage = run.stage(column.name for column in opened.static_columns)
    columns, tables = run.task.columns(), []
    outcomes = command.progress(opened.objects(), "predicting", quiet=quiet)
    for chunk in _chunks(outcomes, 16 * BATCH):
        good = [outcome for outcome in chunk if outcome.record is not None]
        features = [extract(outcome.record.lc) for outcome in good] if extract and good else None
        examples = _InMemory([encode(outcome.record) for outcome in good], features)
        values, observations = run.predictor(examples, stage, day=day)
        table = _table([item.object_id for item in good], values, observations, columns, run)
        bad = [outcome for outcome in chunk if outcome.record is None]
        refused = pd.DataFrame({"object_id": [item.object_id for item in bad]})
        refused["reason"] = [item.reason for item in bad]
        table["row"] = [item.row for item in good]
        refused["row"] = [item.row for item in bad]
        tables.append(pd.concat([table, refused]) if len(bad) else table)
    if not tables:
        return _table([], np.zeros((0, len(columns)), "float32"), np.zeros(0, "int64"), columns, run)
    table = pd.concat(tables)
    # Objects that the source does not number are in none of its rows: they come last.
    table["row"] = table["row"].where(table["row"] >= 0, np.iinfo("int64").max)
    table = table.sort_values("row", kind="stable").drop(columns="row")
    table["observations"] = table["observations"].fillna(0).astype("int64")
    return table.reset_index(drop=True)


def _predict_directory(run, path: Path, day: float, quiet: bool):
    from tfrecords.reader import RecordDirectory
    from zoo.inputs.data import Examples

    directory = RecordDirectory(path)
    check_compatible(run.bundle.spec, directory.info, str(path))
    examples = Examples(directory, np.arange(len(directory)), run.bundle.spec)
    stage = run.stage(column.name for column in directory.info.static_columns)
    values, observations = run.predictor(examples, stage, day=day, quiet=quiet, label="predicting")
    return _table(examples.ids(), values, observations, run.task.columns(), run)


def _table(ids, values, observations, columns, run):
    import pandas as pd

    values = np.array(values)
    finite = np.isfinite(values).all(axis=1)
    values[~finite] = np.nan
    table = pd.DataFrame({"object_id": list(ids)})
    if run.task.labelled:
        table["predicted_class"] = None
    if len(table) and run.task.labelled:
        best = np.where(finite, np.nan_to_num(values).argmax(axis=1), 0)
        table["predicted_class"] = np.where(finite, np.array(run.bundle.spec.classes, object)[best], None)
    numbers = pd.DataFrame(values, columns=columns, index=table.index)
    table = pd.concat([table, numbers], axis=1)
    table["observations"] = observations
    reasons = np.where(finite, "", "the network's output is not finite")
    if "light_curve" in run.bundle.config.parts() and "static" not in run.bundle.config.parts():
        empty = np.asarray(observations) == 0
        reasons = np.where(finite & empty, "no observation left: the prediction is the model's prior", reasons)
    table["reason"] = reasons
    return table
