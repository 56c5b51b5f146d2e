"""What a task states: loss, metrics, prediction columns, signatures. One task serves many models."""

from __future__ import annotations

from tfrecords.errors import UsageError
from zoo.registry import load, unknown

TASKS = {
    "classify": "zoo.tasks.classify:Classify",
    "per_step": "zoo.tasks.per_step:PerStep",
    "reconstruct": "zoo.tasks.reconstruct:Reconstruct",
    "reconstruct_stamps": "zoo.tasks.reconstruct_stamps:ReconstructStamps",
    "reconstruct_classify": "zoo.tasks.reconstruct_classify:ReconstructClassify",
    "per_frame": "zoo.tasks.per_frame:PerFrame",
    "contrast": "zoo.tasks.contrast:Contrast",
}
"""Tasks by name. A new one is a subclass of `Task` and a line here."""

BY_LOSS = {
    ("classify", "hierarchical"): "zoo.tasks.hierarchical:Hierarchical",
    ("per_step", "hierarchical"): "zoo.tasks.per_step_hierarchical:PerStepHierarchical",
}
"""What takes the place of a task under a loss with outputs of its own."""


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
    records_gradient : bool
        Whether the norm of the gradient is recorded where it is not clipped, too.
    calibration : dict of str to float
        What `fit_calibration` gave; predictions and answers follow it. Empty for none.
    scores : dict of str to callable
        By name, what gives a new Keras metric of the number of classes: the further scores of ``--metrics``.
    """

    monitor = "val_loss"
    mode = "min"
    scores: dict = {}
    labelled = True
    records_gradient = False

    def __init__(self, spec, run):
        for name in run.metrics or ():
            if name not in self.scores:
                raise UsageError(unknown(f"metric of the task {type(self).__name__}", name, self.scores))
        if run.monitor is not None:
            modes = self.monitors(run)
            if run.monitor not in modes:
                raise UsageError(unknown(f"monitor of the task {type(self).__name__}", run.monitor, modes))
            self.monitor, self.mode = f"val_{run.monitor}", modes[run.monitor]
        self.spec, self.run = spec, run
        self.calibration: dict[str, float] = {}

    def prepare(self, counts) -> None:
        """Take what the loss needs of the training objects; called once before training.

        Parameters
        ----------
        counts : array (class,), int64
            Training objects of every class.
        """

    def prepare_network(self, network) -> None:
        """Tell a network what the loss asks of it, before it is trained."""

    def loss(self, network, outputs, targets):
        """Give the loss of every object, (batch,); averaging over valid tokens happens inside an object.

        In training and validation ``targets`` also hold ``sample_weight``.
        """
        raise UsageError(f"the task {type(self).__name__} states no loss and cannot train")

    @classmethod
    def monitors(cls, run) -> dict[str, str]:
        """Give what the best epoch of a run can be chosen by, and whether more (max) or less (min) of it is better."""
        return {"loss": "min", cls.monitor.removeprefix("val_"): cls.mode}

    def metrics(self, network) -> list:
        """Give new Keras metrics; each is updated with ``(targets, outputs, sample_weight)``."""
        return []

    def validation_metrics(self, network) -> list:
        """Give new Keras metrics of validation alone, whose targets hold the ``cut`` of every row where it has some."""
        return []

    def columns(self) -> list[str]:
        """Give the names of the prediction columns beside id and reason."""
        raise UsageError(f"the task {type(self).__name__} states no prediction columns")

    def predictions(self, network, outputs):
        """Give the numbers (batch, column) that go into the numeric prediction columns."""
        raise UsageError(f"the task {type(self).__name__} states no predictions")

    def object_outputs(self, outputs) -> dict:
        """Give what the heads say of objects as a whole, (batch, class) a head, which a calibration is fitted on."""
        return outputs

    def step_columns(self) -> list[str]:
        """Give the names of the columns of a table by object and step; empty where nothing is said of steps."""
        return []

    def step_predictions(self, network, outputs):
        """Give the numbers (batch, step, column) of the columns `step_columns`."""
        raise UsageError(f"the task {type(self).__name__} says nothing of steps")

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

    def served(self, network, outputs, inputs) -> dict:
        """Give the named outputs of the signatures where they take more than the network's outputs: its inputs."""
        return self.answer(network, outputs)


def find(name: str, loss: str) -> type[Task]:
    """Give the class of the task of a name under a loss."""
    if name not in TASKS:
        raise UsageError(unknown("task", name, TASKS))
    return load(BY_LOSS.get((name, loss), TASKS[name]))


def create(name: str, spec, run) -> Task:
    """Give the task of a name for a data set and a run configuration."""
    return find(name, run.loss)(spec, run)
