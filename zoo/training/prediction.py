"""Predictions of a trained network: for the objects of a split, and for any source of objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tfrecords import command
from tfrecords.batch import named_objects
from tfrecords.errors import UsageError
from zoo.inputs.cuts import Cut
from zoo.inputs.spec import check_compatible
from zoo.training import modalities

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
        self._run_beside = tf.function(self._predict_beside, reduce_retracing=True)

    def _predict(self, inputs):
        return self.task.predictions(self.network, self.network(inputs, training=False))

    def _predict_beside(self, inputs):
        import tensorflow as tf

        values = self._predict(inputs)
        return tf.concat([values, tf.cast(modalities.anything(self.network, inputs), values.dtype)[:, None]], 1)

    def __call__(self, examples, stage, *, day=float("inf"), fraction=None, batch_size=BATCH, quiet=True, label=""):
        """Predict objects.

        Parameters
        ----------
        examples : object with the methods of ``zoo.inputs.data.Examples``
        stage : zoo.inputs.stage.Stage
        day : float
            Hide what came later than so many days after the reference time.
        fraction : float, optional
            Show this share of every light curve instead.
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

        values, seen = self.at(examples, stage, [Cut(day, fraction)], batch_size=batch_size, quiet=quiet, label=label)
        return values[0], seen[0]

    def at(self, examples, stage, cuts, *, batch_size=BATCH, quiet=True, label=""):
        """Predict objects at every one of some cuts of their light curves, see `zoo.inputs.cuts.Cut`.

        Returns
        -------
        values : array (cut, object, column), float32
        observations : array (cut, object), int64
        """
        return apply(self._run, len(self.task.columns()), examples, stage, cuts, batch_size, quiet, label)

    def beside(self, examples, stage, *, day=float("inf"), quiet=True, label=""):
        """Predict objects, see `__call__`, and say of which of them (object,), bool, the network sees anything."""
        width = len(self.task.columns()) + 1
        values, seen = apply(self._run_beside, width, examples, stage, [Cut(day)], BATCH, quiet, label)
        return values[0][:, :-1], seen[0], values[0][:, -1] > 0


def apply(function, columns: int, examples, stage, cuts, batch_size=BATCH, quiet=True, label=""):
    """Apply a function of a batch's inputs, which gives ``columns`` values an object, at every cut.

    Returns
    -------
    values : array (cut, object, column), float32
    observations : array (cut, object), int64
        Rows of the light curve that the function saw.

    Raises
    ------
    DataError
        If records are not of the shape of those that the network was trained on.
    """
    from zoo.inputs import pipeline

    shape = (len(cuts), len(examples))
    values, observations = np.zeros((*shape, columns), "float32"), np.zeros(shape, "int64")
    if not len(examples):
        return values, observations
    dataset, steps = pipeline.at_cuts(examples, stage, min(batch_size, len(examples)), cuts)
    with named_objects():
        for inputs, targets, weight in command.progress(dataset, label, steps, quiet):
            real = weight.numpy() > 0
            place = targets["cut"].numpy()[real], targets["position"].numpy()[real]
            values[place] = function(inputs).numpy()[real]
            observations[place] = targets["observations"].numpy()[real]
    return values, observations


def calibrate(kind: str, network, task, examples, stage, quiet: bool = True) -> dict[str, float]:
    """Fit the calibration of a kind on examples, see `zoo.tasks.base.Task.fit_calibration`."""
    import tensorflow as tf

    from zoo.inputs import pipeline

    if kind == "none":
        return {}
    dataset, steps = pipeline.evaluation(examples, stage, min(BATCH, len(examples)))
    run = tf.function(lambda inputs: task.object_outputs(network(inputs, training=False)), reduce_retracing=True)
    parts, labels = [], []
    for inputs, targets, weight in command.progress(dataset, "calibrating", steps, quiet):
        real = weight.numpy() > 0
        parts.append({name: value.numpy()[real] for name, value in run(inputs).items()})
        labels.append(targets["label"].numpy()[real])
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return task.fit_calibration(kind, network, outputs, np.concatenate(labels))


class _InMemory:
    """Serialized records with the methods of ``zoo.inputs.data.Examples``, and their features if a model takes any."""

    def __init__(self, records: list[bytes], labels: np.ndarray, features: list[np.ndarray] | None = None):
        self.records = np.empty(len(records), object)
        self.records[:] = records
        self.features = np.zeros((len(records), 0, 0), "float32") if features is None else np.stack(features)
        self.labels = labels

    def __len__(self) -> int:
        return len(self.records)

    def serialized(self, places):
        return self.records[places]

    def feature_values(self, places):
        return self.features[places]


def _feature_extractor(spec, bands, where: str):
    """Give the function from light curve to features (day, feature) that made a model's training features.

    ``bands`` is the band table of the data, as the run's spec has it.
    """
    from data_tools import gp_grid
    from data_tools.computed import feature_values

    maker = gp_grid if spec.feature_version.startswith("gp_grid ") else feature_values
    if spec.feature_version != maker.code_version():
        raise UsageError(
            "the run takes computed features of another making than data_tools.features or data_tools.gp_grid: convert "
            f"the data, add the derived group {spec.feature_group!r} to the records and predict those. "
            f"Valid for {where}: {spec.feature_version}. Received: {maker.code_version()}"
        )
    if maker is gp_grid:
        extract = gp_grid.GridInterpolator(
            [band.wavelength_angstrom for band in bands], len(spec.features) // len(bands)
        )
    else:
        extract = feature_values.FeatureExtractor(spec.bands)
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
        One row an object in input order: ``object_id``, ``predicted_class`` and one ``p_<class>`` a class, with one
        ``node_<name>`` a node where the loss was hierarchical, or what the task gives instead; ``observations`` and
        ``reason`` (empty, or why there is no prediction).

    Raises
    ------
    DataError
        If the data are of another survey than the run's, or broken.
    """
    from zoo.training.run import load_run

    run = load_run(run)
    columns = run.task.columns()

    def table_of(piece):
        values, observations, there = run.predictor.beside(
            piece.examples, piece.stage, day=day, quiet=quiet or piece.streamed, label="predicting"
        )
        return _table(piece.ids, values, observations, there, columns, run)

    empty = _table([], np.zeros((0, len(columns)), "float32"), np.zeros(0, "int64"), np.zeros(0, bool), columns, run)
    return collect(pieces(run, data, source, quiet), table_of, empty).drop(columns="row")


def collect(parts: Iterable[Piece], table_of, empty):
    """Put a table of every object of a source together, in input order.

    Parameters
    ----------
    parts : iterable of Piece
    table_of : callable
        Gives the table of a piece's objects: ``object_id``, ``observations``, ``reason`` and more.
    empty : pandas.DataFrame
        The table of no object.

    Returns
    -------
    pandas.DataFrame
        With a row for each refused object too, and the column ``row`` of the source's rows, −1 where it has none.
    """
    import pandas as pd

    tables = []
    for piece in parts:
        table = table_of(piece)
        table["row"] = np.asarray(piece.rows, "int64")
        refused = pd.DataFrame({"object_id": [item.object_id for item in piece.refused]})
        refused["reason"] = [item.reason for item in piece.refused]
        refused["row"] = np.array([item.row for item in piece.refused], "int64")
        tables.append(pd.concat([table, refused]) if len(refused) else table)
    if not tables:
        return empty.assign(row=np.zeros(0, "int64"))
    table = pd.concat(tables)
    # Objects that the source does not number are in none of its rows: they come last.
    last = table["row"].where(table["row"] >= 0, np.iinfo("int64").max)
    table = table.iloc[np.argsort(last.to_numpy(), kind="stable")].reset_index(drop=True)
    table["observations"] = table["observations"].fillna(0).astype("int64")
    return table


@dataclasses.dataclass(frozen=True)
class Piece:
    """Some objects of a source, ready for a predictor.

    Attributes
    ----------
    ids : list of str
    examples : object with the methods of ``zoo.inputs.data.Examples``
    stage : zoo.inputs.stage.Stage
    rows : array of int
        Rows of the source that they are in.
    info : object with ``static_columns`` and ``targets``
        What the records hold beside the model's input: a data set's info, or a source.
    refused : list
        What the source holds beside them and cannot be predicted, with ``object_id``, ``reason`` and ``row``.
    streamed : bool
        Whether it is one of several, read one after the other; a directory of records is one piece.
    """

    ids: list[str]
    examples: object
    stage: object
    rows: object
    info: object
    refused: list = dataclasses.field(default_factory=list)
    streamed: bool = True


def record_directory(data, source: str | None):
    """Give the directory of records that data are, or None where they are files of a survey."""
    from tfrecords.reader import RecordDirectory

    paths = [Path(item) for item in ([data] if isinstance(data, (str, Path)) else data)]
    records = len(paths) == 1 and (paths[0] / "dataset_info.json").is_file() and source in (None, "records")
    return RecordDirectory(paths[0]) if records else None


def pieces(run, data, source: str | None, quiet: bool, label: str = "predicting", chosen=None,
           column: str | None = None) -> Iterator[Piece]:  # fmt: skip
    """Give the objects of a source in pieces that fit into memory, see `predict`.

    Parameters
    ----------
    run : Run
    data, source, quiet
        As `predict` takes them.
    label : str
        Text of the progress bar.
    chosen : array (object,), bool, optional
        Which of the source's objects to give; all when absent.
    column : str, optional
        A static column that the records shall hold beside those of the model, where it is none of the targets.
    """
    from data_tools.sources import open_source
    from tfrecords.derived import derived_names
    from tfrecords.schema import encode
    from zoo.inputs.data import Examples

    paths = [Path(item) for item in ([data] if isinstance(data, (str, Path)) else data)]
    where, spec = ", ".join(map(str, paths)), run.bundle.spec
    group, directory = spec.feature_group, record_directory(data, source)
    if directory is not None and (not group or group in derived_names(paths[0])):
        check_compatible(spec, directory.info, where)
        rows = np.arange(len(directory)) if chosen is None else np.flatnonzero(chosen)
        examples, stage = Examples(directory, rows, spec), run.stage_for(directory.info)
        yield Piece(examples.ids(), examples, stage, rows, directory.info, streamed=False)
        return
    names = list(spec.raw_static)
    try:
        opened = open_source(paths, source, static_columns=names)
    except UsageError:
        # Another survey has other columns: which survey it is says more than which column it lacks.
        if names:
            check_compatible(spec, open_source(paths, source), where)
        raise
    if column is not None and column not in (*opened.targets, *names):
        opened = open_source(paths, source, static_columns=[*names, column])
    check_compatible(spec, opened, where)
    extract = _feature_extractor(spec, opened.bands, where) if group else None
    stage = run.stage_for(opened)
    outcomes = command.progress(opened.objects(chosen), label, quiet=quiet)
    if chosen is not None:
        outcomes = (outcome for outcome in outcomes if outcome.row < 0 or chosen[outcome.row])
    for chunk in _chunks(outcomes, 16 * BATCH):
        good = [outcome for outcome in chunk if outcome.record is not None]
        features = [extract(outcome.record.lc) for outcome in good] if extract and good else None
        labels = spec.labels.index(np.array([outcome.record.class_id for outcome in good], "int64"))
        examples = _InMemory([encode(outcome.record) for outcome in good], labels, features)
        refused = [outcome for outcome in chunk if outcome.record is None]
        ids, rows = [item.object_id for item in good], np.array([item.row for item in good], "int64")
        yield Piece(ids, examples, stage, rows, opened, refused)


def _table(ids, values, observations, there, columns, run):
    import pandas as pd

    values = np.array(values)
    finite = np.isfinite(values).all(axis=1)
    values[~finite] = np.nan
    table = pd.DataFrame({"object_id": list(ids)})
    if run.task.labelled:
        table["predicted_class"] = None
    if len(table) and run.task.labelled:
        classes = np.array(run.bundle.spec.classes, object)
        best = np.where(finite, np.nan_to_num(values[:, : len(classes)]).argmax(axis=1), 0)
        table["predicted_class"] = np.where(finite, classes[best], None)
    numbers = pd.DataFrame(values, columns=columns, index=table.index)
    table = pd.concat([table, numbers], axis=1)
    table["observations"] = observations
    reasons = np.where(finite, "", "the network's output is not finite")
    parts = set(run.bundle.config.parts())
    if {"light_curve", "stamps"} & parts and not {"static", "spectrum"} & parts:
        empty = np.asarray(observations) == 0
        reasons = np.where(finite & empty, "no observation left: the prediction is the model's prior", reasons)
    elif "spectrum" in parts:
        what = "no spectrum on the model's grid" if parts == {"spectrum"} else "every part of the object is missing"
        prior = ": the prediction is the model's prior" if run.task.labelled else ""
        reasons = np.where(finite & ~there, what + prior, reasons)
    table["reason"] = reasons
    return table
