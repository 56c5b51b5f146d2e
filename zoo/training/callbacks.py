"""What happens around epochs: records, checkpoints, stopping, the loss guard, TensorBoard."""

from __future__ import annotations

import contextlib
import csv
import math
import os
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrecords.errors import DataError
from zoo.metrics.confusion import f1_scores
from zoo.training import files
from zoo.training.bundle import load_weights
from zoo.training.rates import EpochRates
from zoo.training.run import METRICS, STATE

LAST, NEXT, BEST = "last.weights.h5", "next.weights.h5", "best.weights.h5"


class LossGuard(keras.callbacks.Callback):
    """Fail the run after too many consecutive steps that were not finite; the weights still are."""

    def __init__(self, limit: int, where: Path):
        super().__init__()
        self.limit, self.where = limit, where
        self.total, self.streak = 0.0, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.total = epoch, 0.0

    def on_train_batch_end(self, batch, logs=None):
        total = round(float(logs["bad_steps"]))
        self.streak = self.streak + 1 if total > self.total else 0
        self.total = total
        if self.streak >= self.limit:
            raise DataError(
                f"{self.where}: loss or gradients were not finite in {self.streak} consecutive steps of "
                f"epoch {self.epoch + 1}. The weights of the last finished epoch are kept. Lower "
                "--learning-rate, set --clip-norm or --flux-transform asinh, and check the data. "
                f"Received: NaN or infinity at step {batch + 1}"
            )


class Recorder(keras.callbacks.Callback):
    """After every epoch: ``metrics.csv``, checkpoints, ``state.json``; early stopping; the next epoch's rate.

    Everything it must remember is in ``state.json``, so a resumed run decides as an uninterrupted one.

    Parameters
    ----------
    path : Path
        Run directory.
    run : RunConfig
    task : zoo.tasks.base.Task
        Names the monitored value.
    steps_per_epoch : int
    state : dict, optional
        Of the run that is resumed.
    quiet : bool
        No line an epoch.
    writes : bool
        Whether this process writes the files. One that does not still decides everything, from the same numbers.
    """

    def __init__(self, path: Path, run, task, steps_per_epoch: int, state=None, quiet=False, writes=True):
        super().__init__()
        self.path, self.run, self.quiet, self.writes = path, run, quiet, writes
        self.monitor, self.sign = task.monitor, 1.0 if task.mode == "max" else -1.0
        self.state = state or {
            "epoch": 0,
            "step": 0,
            "steps_per_epoch": steps_per_epoch,
            "monitor": task.monitor,
            "best": None,
            "best_epoch": 0,
            "wait": 0,
            "plateau_wait": 0,
            "learning_rate": None,
            "finished": False,
        }
        self.state.setdefault("counted_best", self.state["best"])
        self.rates = EpochRates(run, self.state)
        self.rows = _rows_until(path / METRICS, self.state["epoch"])

    def on_train_begin(self, logs=None):
        if self.state["learning_rate"] is not None:
            self.model.optimizer.learning_rate = self.state["learning_rate"]

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        state, model = self.state, self.model
        rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        values = {key: float(value) for key, value in logs.items() if key != "val_bad_steps"}
        for key in ("loss", "val_loss"):
            if not math.isfinite(values[key]):
                raise DataError(
                    f"{self.path}: {key} is not finite after epoch {epoch + 1}; the weights of the last good epoch "
                    f"are kept. Lower --learning-rate or set --clip-norm. Received: {values[key]}"
                )
        value = values.get(self.monitor, math.nan)
        counted, sign = (values["val_loss"], -1.0) if self.run.patience_by == "loss" else (value, self.sign)
        state["epoch"], state["step"] = epoch + 1, (epoch + 1) * state["steps_per_epoch"]
        better = self._improves(value, state["best"], self.sign)
        row = {"epoch": epoch + 1, **values, "learning_rate": rate}
        if better:
            state |= {"best": value, "best_epoch": epoch + 1}
            if self.writes:
                with averaged(model):
                    files.save_weights(self.path / "checkpoints" / BEST, model.network)
        if self._improves(counted, state["counted_best"], sign):
            state |= {"counted_best": counted, "wait": 0 if epoch else self.run.patience_start}
        else:
            state["wait"] += 1
        if self.rates.active:
            self.rates.step(epoch, counted, sign)
            model.optimizer.learning_rate = state["learning_rate"]
        if self.writes:
            self._save(row)
        if not self.quiet:
            _say(row, self.run, state, time.monotonic() - self.started)
        if self.run.patience and state["wait"] >= self.run.patience:
            model.stop_training = True

    def _improves(self, value: float, best: float | None, sign: float) -> bool:
        return math.isfinite(value) and (best is None or sign * (value - best) > self.run.min_delta)

    def _save(self, row) -> None:
        following = self.path / "checkpoints" / NEXT
        files.save_weights(following, self.model)
        self.state["seeds"] = [np.asarray(seed).tolist() for seed in dropout_seeds(self.model.network)]
        self.rows.append({key: _text(value) for key, value in row.items()})
        files.atomic(self.path / METRICS, self._write_rows)
        files.write_json(self.path / STATE, self.state)
        # A run that is killed before this line is put right by `load_checkpoint`.
        os.replace(following, self.path / "checkpoints" / LAST)

    def _write_rows(self, path: Path) -> None:
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(self.rows[-1]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


@contextlib.contextmanager
def averaged(model):
    """Put the running mean of the weights, if the optimizer keeps one, in place of the weights."""
    if not model.optimizer.use_ema:
        yield
        return
    # Keras's own callback swaps by adding and subtracting, which changes the weights by roundings. The list of
    # means is private in Keras (3.15).
    variables = model.network.trainable_variables
    live = [keras.ops.convert_to_numpy(variable) for variable in variables]
    for variable, mean in zip(variables, model.optimizer._model_variables_moving_average, strict=True):
        variable.assign(keras.ops.convert_to_numpy(mean))
    try:
        yield
    finally:
        for variable, value in zip(variables, live, strict=True):
            variable.assign(value)


class AverageInValidation(keras.callbacks.Callback):
    """Validate with the running mean of the weights."""

    def on_test_begin(self, logs=None):
        self.swap = averaged(self.model)
        self.swap.__enter__()

    def on_test_end(self, logs=None):
        self.swap.__exit__(None, None, None)


def load_checkpoint(path: Path, model, state) -> None:
    """Load the checkpoint that belongs to a run's state, also after a kill between the two files."""
    folder = path / "checkpoints"
    if (folder / NEXT).is_file():
        load_weights(model, folder / NEXT)
        if _step(model) == state["step"]:
            os.replace(folder / NEXT, folder / LAST)
            return
        (folder / NEXT).unlink()
    load_weights(model, folder / LAST)
    if _step(model) != state["step"]:
        raise DataError(
            f"{folder / LAST}: not of the epoch in {STATE}. Valid: step {state['step']}. Received: step {_step(model)}"
        )


def _step(model) -> int:
    # A variable on several devices is an array, and not a number by itself.
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))


def _text(value) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"


def _rows_until(path: Path, epoch: int) -> list[dict]:
    if not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            return [row for row in csv.DictReader(stream) if int(row["epoch"]) <= epoch]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({type(error).__name__}: {error})") from None


def _say(row, run, state, seconds: float) -> None:
    score = state["monitor"].removeprefix("val_")
    further = dict.fromkeys(run.metrics or ())
    shown = ("loss", score, *further, "val_loss", state["monitor"], *(f"val_{name}" for name in further))
    shown = tuple(dict.fromkeys(shown))
    numbers = "  ".join(f"{key} {row[key]:.4f}" for key in shown if key in row)
    mark = " *" if state["best_epoch"] == row["epoch"] else ""
    print(f"epoch {row['epoch']:3d}/{run.epochs}  {numbers}  {seconds:.1f} s{mark}", file=sys.stderr, flush=True)


def dropout_seeds(network) -> list:
    """Give the states of a network's random generators, in a fixed order."""
    layers = network._flatten_layers(include_self=True, recursive=True)
    return [generator.state for layer in layers for generator in layer._seed_generators]


class ProgressBar(keras.callbacks.Callback):
    """A bar of the steps of an epoch on standard error, where that is a terminal."""

    def __init__(self, steps: int, first_epoch: int, epochs: int):
        super().__init__()
        self.steps, self.first_epoch, self.epochs = steps, first_epoch, epochs

    def on_train_begin(self, logs=None):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self.bar.start()
        total = (self.epochs - self.first_epoch) * self.steps
        self.task = self.bar.add_task("training", total=total)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update(self.task, advance=1, description=f"training, loss {float(logs['loss']):.4f}")

    def on_train_end(self, logs=None):
        self.bar.stop()


class ClassBoard(keras.callbacks.Callback):
    """TensorBoard: F1 of every class and the confusion matrix on the validation split, after each epoch.

    Parameters
    ----------
    path : Path or None
        Where to write; None only takes part in adding up the counts of several workers.
    classes : sequence of str
    """

    def __init__(self, path: Path | None, classes):
        super().__init__()
        self.classes = classes
        self.writer = tf.summary.create_file_writer(str(path / "validation")) if path else None

    def on_epoch_end(self, epoch, logs=None):
        from zoo.reports.plots.matrices import confusion_image

        matrices = [metric.matrix for metric in self.model.task_metrics if hasattr(metric, "matrix")]
        if not matrices:
            return
        # Keras evaluates the validation split just before this call: the metric holds its counts.
        matrix = np.asarray(keras.ops.convert_to_numpy(matrices[0]))
        if self.writer is None:
            return
        with self.writer.as_default():
            for name, value in zip(self.classes, f1_scores(matrix), strict=True):
                if math.isfinite(value):
                    tf.summary.scalar(f"f1/{name}", value, step=epoch)
            image = confusion_image(matrix, self.classes)
            tf.summary.image("confusion", image[None], step=epoch)
        self.writer.flush()
