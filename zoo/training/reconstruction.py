"""Scores and drawings of reconstructions: on observed points and on points that the model was not shown."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrecords import command
from zoo.tasks.reconstruct import in_flux_units, object_rmse

HIDDEN = 0.2
"""Share of an object's observed points that are held out to be predicted."""

DRAWN = 8
"""Objects that a report draws."""

ON_BOARD = 3
"""Objects of the validation split that TensorBoard shows."""

SCORES = ("rmse", "rmse_rollout", "points", "kept_rmse", "kept_rmse_rollout", "kept_points",
          "heldout_rmse", "heldout_rmse_rollout", "heldout_points")  # fmt: skip


def _count(points):
    return tf.reduce_sum(tf.cast(points, tf.float32), axis=[1, 2])


def scores_and_curves(network, inputs, hidden):
    """Reconstruct a batch, from all points and without the hidden ones.

    Parameters
    ----------
    network : keras.Model
    inputs : dict of tensor
        View ``grid``.
    hidden : tensor (batch, step, band), bool
        Points that the second reconstruction is not shown.

    Returns
    -------
    scores : tensor (batch, score), float32
        `SCORES`, in units of the object's scaled flux.
    curves : dict of tensor (batch, step, band)
        Teacher-forced and rolled-out flux of the second, and the target, in flux units.
    """
    whole = network(inputs, training=False)
    seen, target = whole["observed"], whole["target"]
    scores = [object_rmse(target, whole["reconstruction"], seen)]
    scores += [object_rmse(target, network.roll_out(whole), seen), _count(seen)]
    less = network(inputs | {"observed": tf.logical_and(inputs["observed"], ~hidden)}, training=False)
    curves = {"teacher": less["reconstruction"], "rollout": network.roll_out(less)}
    curves = {name: in_flux_units(less, value) for name, value in curves.items()}
    # Both in the units of the whole light curve, as the hidden points may be its extremes.
    scale = [whole[key][:, None, None] for key in ("offset", "range")]
    for points in (less["observed"], tf.logical_and(seen, hidden)):
        scores += [object_rmse(target, (value - scale[0]) / scale[1], points) for value in curves.values()]
        scores.append(_count(points))
    return tf.stack(scores, axis=1), curves | {"target": in_flux_units(whole, target)}


def hide(observed, positions, seed: int) -> np.ndarray:
    """Choose the held-out points (batch, step, band), bool, the same for an object whatever its batch.

    Parameters
    ----------
    observed : array (batch, step, band), bool
    positions : array (batch,), int
        Places of the objects in their split.
    """
    result = np.zeros_like(observed)
    for row, position in enumerate(positions):
        places = np.argwhere(observed[row])
        count = round(HIDDEN * len(places))
        chosen = np.random.default_rng([seed, int(position)]).permutation(len(places))[:count]
        result[row][tuple(places[chosen].T)] = True
    return result


def _rows(object_id, inputs, hidden, curves, row, bands):
    """Give the points of one object as a table: one row a step and band."""
    import pandas as pd

    mask = inputs["mask"][row]
    steps, size = int(mask.sum()), len(bands)
    seen = (inputs["observed"][row] & mask[:, None])[mask]
    flat = {key: np.asarray(value[row])[mask].ravel() for key, value in curves.items()}
    return pd.DataFrame(
        {
            "object_id": object_id,
            "time": np.repeat(inputs["time"][row][mask], size),
            "band": np.tile(bands, steps),
            "flux": np.where(seen, inputs["flux"][row][mask], np.nan).ravel(),
            "flux_err": np.where(seen, inputs["flux_err"][row][mask], np.nan).ravel(),
            "hidden": hidden[row][mask].ravel(),
        }
        | flat
    )


class Scorer:
    """A network whose reconstructions are scored and kept for drawing, compiled once.

    Parameters
    ----------
    network : keras.Model
    bands : sequence of str
    seed : int
        Of the held-out points.
    """

    def __init__(self, network, bands, seed: int):
        self.network, self.bands, self.seed = network, np.array(bands, object), seed
        self._run = tf.function(lambda *args: scores_and_curves(network, *args), reduce_retracing=True)

    def batch(self, inputs, positions, ids, drawn):
        """Score a batch; give scores and the tables of the objects whose positions are in ``drawn``."""
        hidden = hide(inputs["observed"].numpy() & inputs["mask"].numpy()[:, :, None], positions, self.seed)
        scores, curves = self._run(inputs, tf.constant(hidden))
        arrays = {key: value.numpy() for key, value in inputs.items()}
        tables = [
            _rows(ids[int(position)], arrays, hidden, curves, row, self.bands)
            for row, position in enumerate(positions)
            if position in drawn
        ]
        return scores.numpy(), tables

    def __call__(self, examples, stage, *, day=float("inf"), batch_size=256, quiet=True, label="", drawn=()):
        """Score objects; gives the scores (object, score), the observations (object,) and the drawn tables."""
        from zoo.inputs import pipeline

        scores = np.zeros((len(examples), len(SCORES)), "float32")
        observations, tables, ids = np.zeros(len(examples), "int64"), [], examples.ids()
        dataset, steps = pipeline.evaluation(examples, stage, min(batch_size, len(examples)), day=day)
        for inputs, targets, weight in command.progress(dataset, label, steps, quiet):
            real = np.flatnonzero(weight.numpy() > 0)
            inputs = {key: tf.gather(value, real) for key, value in inputs.items()}
            place = targets["position"].numpy()[real]
            scores[place], found = self.batch(inputs, place, ids, drawn)
            observations[place] = targets["observations"].numpy()[real]
            tables += found
        return scores, observations, tables


def write_predictions(run, place: Path, days, examples, directory, quiet: bool) -> None:
    """Write the scores of every object and day, and the points of the drawn objects, of a run's report."""
    import pandas as pd

    from zoo.training import files

    spec = run.bundle.spec
    stage = run.stage_for(directory.info)
    names = np.array([*spec.classes, ""], object)[examples.labels]
    scorer = Scorer(run.network, spec.bands, run.run_config.seed)
    drawn, tables, last = set(range(min(DRAWN, len(examples)))), [], max(days)
    for day in sorted(set(days)):
        label = "whole light curve" if np.isinf(day) else f"until day {day:g}"
        values, observations, points = scorer(
            examples, stage, day=day, quiet=quiet, label=label, drawn=drawn if day == last else ()
        )
        table = pd.DataFrame({"object_id": examples.ids(), "class": names, "day": float(day)})
        table["observations"] = observations
        tables.append(pd.concat([table, pd.DataFrame(values, columns=list(SCORES))], axis=1))
    table = pd.concat(tables, ignore_index=True)
    files.atomic(place / "report" / "predictions_by_day.parquet", lambda path: table.to_parquet(path, index=False))
    curves = pd.concat(points, ignore_index=True)
    files.atomic(place / "report" / "reconstructions.parquet", lambda path: curves.to_parquet(path, index=False))


class ReconstructionBoard(keras.callbacks.Callback):
    """TensorBoard: reconstructions of the first objects of the validation split, every so many epochs."""

    def __init__(self, path: Path, examples, stage, every: int):
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(path / "validation"))
        self.examples = examples.keep(np.arange(len(examples)) < ON_BOARD)
        self.stage, self.every, self.scorer = stage, every, None

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        from zoo.reports.plots.reconstruction import reconstruction_image

        if self.scorer is None:
            self.scorer = Scorer(self.model.network, self.examples.spec.bands, 0)
        tables = self.scorer(self.examples, self.stage, drawn=range(ON_BOARD))[2]
        with self.writer.as_default():
            for number, table in enumerate(tables):
                image = reconstruction_image(table, f"Object {table['object_id'].iloc[0]}")
                tf.summary.image(f"reconstruction/{number}", image[None], step=epoch)
        self.writer.flush()
