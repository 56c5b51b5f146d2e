"""What the codes of a trained autoencoder know of the classes: linear probes on them, as rows of a comparison.

The probe is the logistic regression of ``zoo.embed``, fitted on the training objects' codes of whole objects and asked
for the test objects' codes at every evaluation day. With columns (feature-augmented classification) it reads the
columns of the alert beside the code: quantiles of the training objects turned into a normal distribution, missing
values at their median with a column that says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfrecords.errors import DataError
from zoo.inputs.cuts import Cut
from zoo.training import baselines, projection
from zoo.training.evaluation import DAYS
from zoo.training.prediction import apply

HEADS = {
    "reconstruct": ("latent",),
    "reconstruct_stamps": ("latent", "latent_columns"),
    "reconstruct_classify": ("network", "latent", "latent_columns"),
}
"""What classifies in the rows of a model, by its task; the network alone in every other."""


def default_columns() -> list[str]:
    """Give the columns of an alert that a probe reads unless the run names some: the stamp classifier's."""
    import hparams

    return hparams.preset("stamp_classifier", None)[1]["alert_columns"]


class Codes:
    """The codes of a run's objects with the columns beside them, and the errors of their reconstructions.

    Parameters
    ----------
    run : zoo.training.run.Run
    columns : bool
        Whether the columns of the alert belong to it, for runs on stamps.
    """

    def __init__(self, run, columns: bool) -> None:
        import tensorflow as tf

        from zoo import registry

        bundle = run.bundle
        self.run, known = run, bundle.spec.alert_columns
        wanted = set(default_columns()) if bundle.inputs.alert_columns is None else {item.name for item in known}
        some = [place for place, item in enumerate(known) if item.name in wanted]
        self.columns = (some or list(range(len(known)))) if columns else []
        self.missing = [known[place].missing for place in self.columns]
        self.cautions = [f"{known[place].name}: {known[place].caution}" for place in self.columns
                         if known[place].caution]  # fmt: skip
        example = registry.example_inputs(bundle.model, bundle.config, bundle.spec.model_info())
        self.latent = int(run.network.represent(example).shape[-1])
        self._codes = tf.function(self._read, reduce_retracing=True)
        self._errors = tf.function(self._score, reduce_retracing=True)

    def _read(self, inputs):
        import tensorflow as tf

        code = tf.cast(self.run.network.represent(inputs), tf.float32)
        if not self.columns:
            return code
        values = inputs.get("alert")
        if values is None:
            # Of a sequence the last alert, as the view `stamp` shows it.
            last = tf.maximum(tf.reduce_sum(tf.cast(inputs["mask"], tf.int32), axis=1) - 1, 0)
            values = tf.gather(inputs["alerts"], last, axis=1, batch_dims=1)
        return tf.concat([code, tf.gather(values, self.columns, axis=1)], axis=1)

    def _score(self, inputs):
        import tensorflow as tf

        from zoo.tasks.reconstruct import object_rmse

        found = self.run.network(inputs, training=False)
        seen = found["observed"]
        error = object_rmse(found["target"], found["reconstruction"], seen)
        return tf.stack([error, tf.reduce_sum(tf.cast(seen, tf.float32), axis=list(range(1, len(seen.shape))))], axis=1)

    def __call__(self, examples, stage, cuts, quiet: bool = True):
        """Give codes (cut, object, latent), columns (cut, object, column), NaN where missing, and observations."""
        values, seen = apply(self._codes, self.latent + len(self.columns), examples, stage, cuts, quiet=quiet,
                             label="embedding")  # fmt: skip
        codes, columns = values[..., : self.latent], values[..., self.latent :]
        codes[~np.isfinite(codes)] = np.nan
        for place, missing in enumerate(self.missing):
            wrong = np.isin(columns[..., place], np.array(missing, "float32")) | ~np.isfinite(columns[..., place])
            columns[..., place][wrong] = np.nan
        return codes, columns, seen

    def rmse(self, examples, stage, quiet: bool = True) -> float:
        """Give the root mean squared error over all observed points of all objects; NaN where there is none."""
        [errors], _ = apply(self._errors, 2, examples, stage, [Cut()], quiet=quiet, label="reconstructing")
        error, points = errors.astype("float64").T
        there = points > 0
        return float(np.sqrt((error**2 * points)[there].sum() / points[there].sum())) if there.any() else float("nan")


class Probe:
    """A logistic regression on codes, or on codes and columns.

    Parameters
    ----------
    codes : array (object, latent)
        Of the training objects; NaN is put to the mean.
    columns : array (object, column)
        NaN where missing.
    labels : array (object,), int
    classes : int
    config : zoo.training.projection.ProjectionConfig

    Raises
    ------
    DataError
        If all training objects are of one class.
    """

    def __init__(self, codes, columns, labels, classes: int, config) -> None:
        from sklearn.preprocessing import QuantileTransformer

        if len(found := np.unique(labels)) < 2:
            raise DataError(
                "a probe on codes needs labelled training objects of at least two classes. "
                f"Received: {len(labels)} objects of {len(found)}"
            )
        self._classes, codes = classes, np.asarray(codes, "float64")
        known = np.isfinite(codes)
        self._mean = np.where(known, codes, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        columns = np.asarray(columns, "float64")
        empty = np.isnan(columns)
        self._gaps = empty.any(axis=0)
        self._median = np.array([np.median(part[~gone]) if not gone.all() else 0.0
                                 for part, gone in zip(columns.T, empty.T, strict=True)])  # fmt: skip
        self._table = None
        if columns.shape[1]:
            self._table = QuantileTransformer(
                n_quantiles=min(1000, len(columns)), output_distribution="normal", random_state=config.seed
            ).fit(np.where(empty, self._median, columns))
        self._model = projection.fit_probe(self._values(codes, columns), labels, config)

    def _values(self, codes, columns) -> np.ndarray:
        parts = [np.where(np.isfinite(codes), codes, self._mean)]
        if self._table is not None:
            empty = np.isnan(columns)
            parts += [self._table.transform(np.where(empty, self._median, columns)), empty[:, self._gaps]]
        return np.concatenate(parts, axis=1)

    def __call__(self, codes, columns) -> np.ndarray:
        """Give probabilities (object, class), float32; 0 for a class without training objects."""
        from threadpoolctl import threadpool_limits

        found = np.zeros((len(codes), self._classes), "float32")
        with threadpool_limits(1):
            values = self._values(np.asarray(codes, "float64"), np.asarray(columns, "float64"))
            found[:, self._model.classes_] = self._model.predict_proba(values)
        return found


def probe(run, head: str, place: Path, preset: str, days=DAYS, quiet: bool = True) -> tuple[dict[str, Any], Any]:
    """Fit a probe on a run's training objects and write its predictions of the test objects, ready for a report.

    Parameters
    ----------
    run : zoo.training.run.Run
    head : {"latent", "latent_columns"}
    place : Path
        Gets ``report/predictions_by_day.parquet`` and ``report/report_config.json``.
    preset : str
        Name of what is compared, beside the model's.
    days : sequence of float
    quiet : bool

    Returns
    -------
    scores : dict
        ``rmse`` of the reconstructions and ``clusters``, accuracy of k-means on the codes, both of the test objects;
        None where there is no such thing.
    predict : function
        From examples and a stage to probabilities.

    Raises
    ------
    DataError
        If the test split is empty, or the run has no columns of an alert to read.
    """
    directory, splits, spec = _objects(run)
    codes = Codes(run, head == "latent_columns")
    if head == "latent_columns" and not codes.columns:
        raise DataError(f"{directory.path}: a probe with columns needs columns of an alert. Received: none")
    config = projection.ProjectionConfig(seed=run.run_config.seed % 2**32)
    stage, train, test = run.stage_for(directory.info), splits["train"], splits["test"]
    known, table, _ = codes(train, stage, [Cut()], quiet)
    model = Probe(known[0], table[0], train.labels, len(spec.classes), config)
    values, tables, seen = codes(test, stage, [Cut(day) for day in days], quiet)
    found = {day: model(*pair) for day, *pair in zip(days, values, tables, strict=True)}
    about = {"model": run.bundle.model, "run": run.path.name, "preset": f"{preset} {head}", "seed": run.run_config.seed}
    baselines.write_predictions(
        place, directory, test, found, dict(zip(days, seen, strict=True)),
        about | {"fold": run.run_config.fold, "cautions": codes.cautions},
    )  # fmt: skip
    last = values[int(np.argmax(days))]
    good = np.isfinite(last).all(axis=1)
    clusters = projection.clustering(last[good], np.array(spec.classes)[test.labels[good]], config)

    def predict(examples, stage):
        codes_of, table_of, _ = codes(examples, stage, [Cut()])
        return model(codes_of[0], table_of[0])

    return {"rmse": codes.rmse(test, stage, quiet), "clusters": clusters.get("accuracy")}, predict


def _objects(run):
    """Give the labelled objects of a run's data as a classifier with its options would have them."""
    from tfrecords.reader import RecordDirectory
    from zoo.inputs import data
    from zoo.inputs import spec as specs
    from zoo.inputs.config import SelectionConfig
    from zoo.training.loop import sample_directory

    directory = RecordDirectory(run.run_config.data or sample_directory())
    bundle, selection = run.bundle, SelectionConfig(**run.config["selection"])
    if directory.info.fingerprint != bundle.spec.fingerprint:
        raise DataError(
            f"{directory.path}: these are no longer the data that {run.path} was trained on. "
            f"Valid: fingerprint {bundle.spec.fingerprint}. Received: {directory.info.fingerprint}"
        )
    spec = specs.describe(directory, bundle.config.parts(), bundle.inputs, selection)
    spec, splits = data.splits(directory, spec, selection, run.run_config.fold, run.run_config.seed, bundle.inputs)
    if not len(splits["test"]):
        raise DataError(f"{directory.path}: the split 'test' is empty. Received: fold {run.run_config.fold}")
    return directory, splits, spec
