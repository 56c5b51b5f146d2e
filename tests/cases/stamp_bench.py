"""The workbench of networks on stamps: batches made here, no records."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import keras
import numpy as np

from tests.cases.variants import Example
from tests.cases.workbench import Workbench
from zoo import registry
from zoo.inputs.spec import DataSpec
from zoo.registry import ModelInfo
from zoo.tasks import base
from zoo.training.resolve import resolve

CLASSES = tuple(f"class_{number}" for number in range(14))
INFO = ModelInfo(
    classes=CLASSES, channels=("science", "template", "difference"), stamp_size=27, alert_columns=("fwhm", "magpsf")
)
LENGTHS = (5, 4, 1, 3, 5, 2, 5, 3)


def stamps(shape, seed: int = 0) -> np.ndarray:
    """Give stamps (..., 27, 27, 3): a sky, a source of any brightness and place; some pixels and a channel missing."""
    rng = np.random.default_rng(seed)
    count, side = int(np.prod(shape)), INFO.stamp_size
    rows = np.arange(side) - side // 2
    place = rng.normal(size=(2, count, 1, 1)) * 2
    distance = (rows[:, None] - place[0]) ** 2 + (rows[None] - place[1]) ** 2
    source = rng.uniform(20, 200, (count, 1, 1)) * np.exp(-distance / rng.uniform(4, 16, (count, 1, 1)))
    images = rng.normal(100, 5, (count, side, side, 3)) + source[..., None] * np.array([1.0, 0.4, 0.6])
    images[0, 10:12, 12:15] = np.nan
    images[1, ..., 1] = np.nan if seed % 2 else 7.0
    return images.reshape(*shape, side, side, 3).astype("float32")


def inputs_of(view: str, size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Give the tensors of a view of stamps, sequences of unequal lengths."""
    rng = np.random.default_rng(seed + 1)
    if view == "stamp":
        return {"stamp": stamps((size,), seed), "alert": rng.normal(size=(size, 2)).astype("float32")}
    lengths = np.resize(LENGTHS, size)
    mask = np.arange(5) < lengths[:, None]
    days = np.cumsum(rng.uniform(0.5, 5, (size, 5)), axis=1)
    return {
        "stamps": stamps((size, 5), seed),
        "alerts": rng.normal(size=(size, 5, 2)).astype("float32"),
        "time": np.where(mask, days - days[:, :1], 0).astype("float32"),
        "mask": mask,
    }


@dataclasses.dataclass(frozen=True)
class Described:
    """What the shared cases ask of a bundle."""

    model: str
    hparams: dict

    @property
    def config(self):
        """The model's configuration."""
        return registry.get(self.model).config(**self.hparams)


class StampBench(Workbench):
    """A small network on stamps and batches for it."""

    def __init__(self, example: Example, **options):
        self.example = example
        self.settled = resolve(example.model, **example.hparams, **options)
        native = {str(number): number for number in range(len(CLASSES))}
        self.spec = DataSpec("made", (), 27.5, (), (), CLASSES, native)
        self.task = base.create(example.entry.task, self.spec, self.settled.run)
        self.task.prepare(np.full(len(CLASSES), 3))
        self.bundle = Described(example.model, dataclasses.asdict(self.settled.hparams))
        self.info = INFO

    def build(self, seed: int = 0):
        keras.utils.set_random_seed(seed)
        return registry.create(self.example.model, self.info, **self.bundle.hparams)

    @cached_property
    def network(self):
        """A network that no test changes."""
        return self.build()

    def batch(self, size: int = 8, start: int = 0, day: float = float("inf")):
        """Give one batch ``(inputs, targets, weight)``."""
        targets = {"label": ((np.arange(size) + start) % len(CLASSES)).astype("int32")}
        return inputs_of(self.example.entry.view, size, start), targets, np.ones(size, "float32")
