"""A run directory, and the trained model in it."""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path

from tfrecords.errors import DataError, UsageError
from zoo.training import bundle as bundles
from zoo.training.config import RunConfig

CONFIG, STATE, METRICS = "config.resolved.yaml", "state.json", "metrics.csv"


class Run:
    """A finished run: its configuration and its trained model.

    Parameters
    ----------
    path : path
        ``runs/<model>/<name>``.

    Attributes
    ----------
    path : Path
    bundle : zoo.training.bundle.Bundle
    """

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.is_dir():
            raise UsageError(f"RUN must be the directory of a run. Received: {self.path}")
        self.bundle = bundles.load(self.path / "bundle")

    @cached_property
    def config(self) -> dict:
        """The resolved configuration: ``model``, ``preset`` and the sections model, inputs, selection, run."""
        return read_config(self.path)

    @cached_property
    def run_config(self) -> RunConfig:
        """The run's options."""
        return RunConfig(**self.config["run"])

    @cached_property
    def network(self):
        """The trained network."""
        return bundles.load_network(self.path / "bundle", self.bundle)

    @cached_property
    def task(self):
        """The task."""
        from zoo.tasks import base

        options = RunConfig(loss=self.bundle.loss, taxonomy=self.bundle.spec.taxonomy or None)
        task = base.create(self.bundle.entry.task, self.bundle.spec, options)
        task.calibration = self.bundle.calibration
        return task

    @cached_property
    def predictor(self):
        """The compiled network with its task."""
        from zoo.training.prediction import Predictor

        return Predictor(self.network, self.task)

    def stage(self, static_names, alert_names=None):
        """Give stage 1 for records whose static columns have the names ``static_names``.

        ``alert_names`` are those of the columns of an alert, the training records' when None.
        """
        from zoo.inputs.spec import build_stage

        bundle = self.bundle
        return build_stage(
            bundle.spec, bundle.entry.view, bundle.config.parts(), bundle.inputs, static_names, alert_names
        )

    def stage_for(self, info):
        """Give stage 1 for records of a data set by its info, or of a source."""
        alert = [column.name for column in getattr(info, "alert_columns", ())]
        return self.stage([column.name for column in info.static_columns], alert)

    def predict(self, data, **options):
        """Predict every object of a source, see `zoo.predict`."""
        from zoo.training.prediction import predict

        return predict(self, data, **options)

    def embed(self, data, **options):
        """Represent every object of a source, see `zoo.embed`."""
        from zoo.training.embedding import embed

        return embed(self, data, **options)

    def evaluate(self, **options) -> Path:
        """Write the test report, see `zoo.evaluate`; gives the path of its index."""
        from zoo.training.evaluation import evaluate

        return evaluate([self.path], **options)

    def export(self, out=None, **options) -> Path:
        """Write the SavedModel, see `zoo.export`; gives its path."""
        from zoo.training.saved_model import export

        return export(self, out, **options)

    def plot(self) -> Path:
        """Redraw the report from its files, without the model; gives the path of its index."""
        from zoo.training.evaluation import write_report

        return write_report(self.path)


def load_run(run) -> Run:
    """Open a finished run by its directory; a `Run` is given back as it is."""
    return run if isinstance(run, Run) else Run(run)


def read_config(path: Path) -> dict:
    """Read a run's resolved configuration."""
    import yaml

    file = path / CONFIG
    try:
        values = yaml.safe_load(file.read_text("utf-8"))
        for key in ("run", "inputs", "selection", "hparams"):
            dict(values[key])
        values["model"]
    except FileNotFoundError:
        raise DataError(f"{path}: not the directory of a run. Valid: one with {CONFIG}. Received: none") from None
    except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
        raise DataError(f"{file}: damaged ({type(error).__name__}: {error})") from None
    return values


def read_state(path: Path) -> dict:
    """Read a run's state: epoch, step, best value and what the callbacks must remember."""
    file = path / STATE
    try:
        state = json.loads(file.read_text("utf-8"))
        for key in ("epoch", "step", "steps_per_epoch", "best_epoch", "wait", "plateau_wait"):
            if not isinstance(state[key], int):
                raise TypeError(f"{key} must be a whole number")
        for key in ("best", "learning_rate", "finished", "seeds"):
            state[key]
    except FileNotFoundError:
        raise DataError(f"{path}: no epoch of this run was finished: start it anew. Received: no {STATE}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: damaged ({type(error).__name__}: {error})") from None
    return state


def new_directory(parent: Path, name: str | None, stem: str) -> Path:
    """Make the directory of a new run.

    Parameters
    ----------
    parent : Path
        Of the run.
    name : str, optional
        The user's name; it must be new.
    stem : str
        Without a name: the start of one, numbered.
    """
    if name is not None:
        if not re.fullmatch(r"[\w.+-]+", name):
            raise UsageError(f"--name: letters, digits and . + - _ only. Received: {name!r}")
        path = parent / name
        if path.exists():
            raise UsageError(f"--name: this run exists. Valid: a new name, or --resume {path}. Received: {name!r}")
        path.mkdir(parents=True)
        return path
    parent.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.+-]+", "-", stem)
    number = 1
    while True:
        path = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1
