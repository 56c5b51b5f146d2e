"""Errors and drawings of reconstructed stamps, and what the components of a mixture stand for."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from zoo.inputs.cuts import Cut
from zoo.reports.stamps import ERRORS, PROTOTYPES, STAMPS, by_chance
from zoo.tasks.reconstruct_stamps import stamp_scores
from zoo.training import files
from zoo.training.prediction import apply

TASKS = ("reconstruct_stamps", "reconstruct_classify")
"""Tasks whose networks reconstruct stamps."""

EACH = {"stamp": 3, "stamp_sequence": 1}
"""Objects with the least, a middle and the largest error that are drawn, by view."""

SHARED = 4
"""Objects that every run on the same data draws."""

ON_BOARD = 3
"""Objects of the validation split that TensorBoard shows."""


def error_table(run, examples, stage, quiet: bool):
    """Give the errors of objects.

    Returns
    -------
    pandas.DataFrame
        ``object_id``, ``class`` (empty without one), ``frames``, ``rmse``, ``pixels``, and where the network has a
        mixture ``cluster`` (its most probable component) and ``cluster_probability``.
    """
    import pandas as pd

    network, clusters = run.network, _prototypes(run.network) is not None

    def scores(inputs):
        outputs = network(inputs, training=False)
        found = list(stamp_scores(outputs).values())
        if clusters:
            gamma = outputs["gamma"]
            found += [tf.cast(tf.argmax(gamma, axis=1), tf.float32), tf.reduce_max(gamma, axis=1)]
        return tf.stack(found, axis=1)

    columns = ["rmse", "pixels", *(["cluster", "cluster_probability"] if clusters else [])]
    function = tf.function(scores, reduce_retracing=True)
    values, frames = apply(
        function, len(columns), examples, stage, [Cut(float("inf"))], quiet=quiet, label="reconstructing"
    )
    names = np.array([*run.bundle.spec.classes, ""], object)[examples.labels]
    table = pd.DataFrame({"object_id": examples.ids(), "class": names, "frames": frames[0]})
    table = pd.concat([table, pd.DataFrame(values[0], columns=columns)], axis=1)
    return table.astype({"cluster": "int64"}) if clusters else table


def _prototypes(network):
    """Give the prototypes of a network that has some, else None."""
    return network.prototypes() if hasattr(network, "prototypes") else None


def choose(table, each: int) -> dict[int, str]:
    """Choose the objects that are drawn.

    Parameters
    ----------
    table : pandas.DataFrame
        As `error_table` gives it.
    each : int

    Returns
    -------
    dict of int to str
        Rows of the table with ``best``, ``median``, ``worst`` or an empty text, in the order in which they are drawn:
        ``each`` objects with the least, a middle and the largest error, each once; then `SHARED` objects that
        depend on ids and classes alone. All have two frames or more where enough objects have.
    """
    there = (table["pixels"].to_numpy() > 0) & np.isfinite(table["rmse"].to_numpy())
    several = there & (table["frames"].to_numpy() > 1)
    rows = np.flatnonzero(several if several.sum() >= 3 * each else there)
    order = rows[np.argsort(table["rmse"].to_numpy()[rows], kind="stable")]
    middle = max((len(order) - each) // 2, 0)
    found: dict[int, str] = {}
    for kind, part in (("best", order[:each]), ("worst", order[::-1][:each]), ("median", order[middle:][:each])):
        found |= {int(row): kind for row in part if int(row) not in found}
    found = dict(sorted(found.items(), key=lambda item: ("best", "median", "worst").index(item[1])))
    places = {str(name): int(row) for name, row in zip(table["object_id"].to_numpy()[rows], rows, strict=True)}
    labelled = (table["class"] != "").to_numpy()
    # Those with a class first: runs that take no others shall have the same.
    order = sorted(by_chance(places), key=lambda name: not labelled[places[name]])
    return found | {places[name]: "" for name in order[:SHARED] if places[name] not in found}


class Drawer:
    """A network whose reconstructions are kept for drawing.

    Parameters
    ----------
    network : keras.Model
    """

    def __init__(self, network):
        names = ("target", "reconstruction", "observed")

        def run(inputs):
            outputs = network(inputs, training=False)
            return {name: outputs[name] for name in names}

        self._run = tf.function(run, reduce_retracing=True)

    def __call__(self, examples, stage) -> dict[str, np.ndarray]:
        """Reconstruct a few objects, all in one batch.

        Returns
        -------
        dict of array
            ``target``, ``reconstruction`` (object, frame, height, width, channel), float32, ``observed`` of the same
            shape, bool, and ``frames`` (object,), int64: how many of them there are.
        """
        from zoo.inputs import pipeline

        [(inputs, targets, _)] = pipeline.evaluation(examples, stage, len(examples))[0]
        place = np.argsort(targets["position"].numpy())
        found = {name: value.numpy()[place] for name, value in self._run(inputs).items()}
        if "mask" in inputs:
            return found | {"frames": inputs["mask"].numpy()[place].sum(axis=1).astype("int64")}
        return {name: value[:, None] for name, value in found.items()} | {"frames": np.ones(len(examples), "int64")}


def write_predictions(run, place: Path, examples, directory, quiet: bool) -> None:
    """Write the errors of every object and the stamps of the drawn ones, and prototypes, of a run's report."""
    stage = run.stage_for(directory.info)
    table = error_table(run, examples, stage, quiet)
    files.atomic(place / "report" / ERRORS, lambda path: table.to_parquet(path, index=False))
    chosen = choose(table, EACH[run.bundle.entry.view])
    _remove(place / "report" / STAMPS)
    if chosen:
        rows = np.array(sorted(chosen))
        keep = np.zeros(len(examples), bool)
        keep[rows] = True
        arrays = Drawer(run.network)(examples.keep(keep), stage)
        at = np.searchsorted(rows, list(chosen))
        part = table.iloc[rows[at]]
        config = run.bundle.config
        about = {name: getattr(config, name) for name in ("channels", "crop", "normalize")}
        _write(
            place / "report" / STAMPS,
            **{name: value[at] for name, value in arrays.items()},
            object_id=part["object_id"].to_numpy().astype(str),
            label=part["class"].to_numpy().astype(str),
            kind=np.array(list(chosen.values())),
            rmse=part["rmse"].to_numpy(),
            about=np.array(json.dumps(about | {"sequence": run.bundle.entry.view == "stamp_sequence"})),
        )
    _remove(place / "report" / PROTOTYPES)
    prototypes = _prototypes(run.network)
    if prototypes is not None:
        arrays = {name: keras.ops.convert_to_numpy(value) for name, value in prototypes.items()}
        _write(place / "report" / PROTOTYPES, **arrays, channels=np.array(run.bundle.config.channels))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _write(path: Path, **arrays) -> None:
    def write(temporary):
        with open(temporary, "wb") as stream:
            np.savez_compressed(stream, **arrays)

    files.atomic(path, write)


class StampBoard(keras.callbacks.Callback):
    """TensorBoard: reconstructions of the first objects of the validation split, every so many epochs."""

    def __init__(self, path: Path, examples, stage, every: int):
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(path / "validation"))
        self.examples = examples.keep(np.arange(len(examples)) < ON_BOARD)
        self.stage, self.every, self.draw = stage, every, None

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        from zoo.reports.plots.stamps import stamp_image
        from zoo.reports.stamps import columns_of

        network = self.model.network
        self.draw = self.draw or Drawer(network)
        arrays = self.draw(self.examples, self.stage)
        with self.writer.as_default():
            for number, object_id in enumerate(self.examples.ids()):
                columns = columns_of(arrays, number, network.config.channels, str(object_id))
                if columns:
                    image = stamp_image(columns, f"Object {object_id}")
                    tf.summary.image(f"reconstruction/{number}", image[None], step=epoch)
        self.writer.flush()
