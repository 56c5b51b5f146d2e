"""What a task states: loss, metrics, prediction columns, signatures. One task serves many models."""

from __future__ import annotations

from tfrecords.errors import UsageError
from zoo.registry import load, unknown

TASKS = {"classify": "zoo.tasks.classify:Classify", "reconstruct": "zoo.tasks.reconstruct:Reconstruct"}
"""Tasks by name. A new one is a subclass of `Task` and a line here."""


class Task:
    """Base of the tasks.

    Attributes
    ----------
    monitor : str
        Key of the logs by which the best epoch is chosen.
    mode : {"max", "min"}
        Whether more or less of it is better.
    labelled : bool
        Whether it needs objects with a class; else it takes all objects.
    calibration : dict of str to float
        What `fit_calibration` gave; predictions and answers follow it. Empty for none.
    """

    monitor = "val_loss"
    mode = "min"
    labelled = True

    def __init__(self, spec, run):
        self.spec, self.run = spec, run
        self.calibration: dict[str, float] = {}

    def prepare(self, network) -> None:
        """Tell a network what the loss asks of it, before it is trained."""

    def loss(self, network, outputs, targets):
        """Give the loss of every object, (batch,); averaging over valid tokens happens inside an object.

        In training and validation ``targets`` also hold ``sample_weight``.
        """
        raise UsageError(f"the task {type(self).__name__} states no loss and cannot train")

    def metrics(self, network) -> list:
        """Give new Keras metrics; each is updated with ``(targets, outputs, sample_weight)``."""
        return []

    def columns(self) -> list[str]:
        """Give the names of the prediction columns beside id and reason."""
        raise UsageError(f"the task {type(self).__name__} states no prediction columns")

    def predictions(self, network, outputs):
        """Give the numbers (batch, column) that go into the numeric prediction columns."""
        raise UsageError(f"the task {type(self).__name__} states no predictions")

    def fit_calibration(self, kind: str, network, outputs, labels) -> dict[str, float]:
        """Give the calibration of a kind that suits validation objects best.

        Parameters
        ----------
        kind : {"temperature", "heads"}
        network : keras.Model
        outputs : dict of array (object, ...)
            What the network gave.
        labels : array (object,)
        """
        raise UsageError(f"the task {type(self).__name__} states no calibration: use calibrate none. Received: {kind}")

    def answer(self, network, outputs) -> dict:
        """Give the named outputs of the exported signatures ``serve`` and ``serve_examples``."""
        raise UsageError(f"the task {type(self).__name__} states no signature")


def kind(name: str) -> type[Task]:
    """Give the class of a task by name."""
    if name not in TASKS:
        raise UsageError(unknown("task", name, TASKS))
    return load(TASKS[name])


def create(name: str, spec, run) -> Task:
    """Give the task of a name for a data set and a run configuration."""
    return kind(name)(spec, run)
