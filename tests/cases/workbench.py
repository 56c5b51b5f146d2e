"""What the shared cases work on: a small network, fitted tables, and batches of real objects."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from tests.cases.variants import Example
from tests.stamp_records import make_stamp_records
from tests.trimodal_records import make_trimodal_records
from tfrecords.reader import RecordDirectory
from zoo.inputs import data, pipeline
from zoo.inputs import spec as specs
from zoo.tasks import base
from zoo.training.bundle import Bundle
from zoo.training.loop import fit_tables
from zoo.training.resolve import resolve

STAMPS, STARS = "stamps_tiny", "stars_tiny"


class Workbench:
    """A small model of the registry on a directory of records.

    Parameters
    ----------
    example : Example
    records : path
        The tiny directory; one with stamps beside it is made for models that read some, and one with spectra for those
        of the view ``photometry``.
    **options
        Options of a run beside the hyperparameters.
    """

    def __init__(self, example: Example, records: Path, **options):
        self.example = example
        self._batches = {}
        records = Path(records)
        if "stamps" in example.entry.config(**example.hparams).parts():
            records = records.with_name(STAMPS)
            if not records.is_dir():
                make_stamp_records(records)
            # Presets name columns of real surveys.
            options = {"alert_columns": None, "classes": None} | options
        elif example.entry.view == "photometry":
            records = records.with_name(STARS)
            if not records.is_dir():
                make_trimodal_records(records)
            options = {"static_columns": None, "spectrum_points": 75, "spectrum_step": 72.0} | options
        self.settled = resolve(example.model, data=str(records), **example.hparams, **options)
        self.directory = RecordDirectory(records)
        parts = self.settled.hparams.parts()
        self.spec = specs.describe(
            self.directory, parts, self.settled.inputs, self.settled.selection, self.settled.run.taxonomy
        )
        self.examples = data.Examples(self.directory, np.arange(len(self.directory)), self.spec)
        entry, names = example.entry, self.spec.record_static
        self.stage = specs.build_stage(self.spec, entry.view, parts, self.settled.inputs, names)
        self.task = base.create(entry.task, self.spec, self.settled.run)
        self.task.prepare(np.bincount(self.examples.labels, minlength=len(self.spec.classes)))
        self.info, hparams = self.spec.model_info(), dataclasses.asdict(self.settled.hparams)
        self.bundle = Bundle(example.model, hparams, self.settled.inputs, self.spec, self.settled.run.loss)

    def build(self, seed: int = 0):
        """Give a new network with fitted tables, the same for the same seed."""
        keras.utils.set_random_seed(seed)
        network = self.bundle.build()
        fit_tables(network, self.examples, self.settled)
        return network

    @cached_property
    def network(self):
        """A network that no test changes."""
        return self.build()

    def batch(self, size: int = 8, start: int = 0, day: float = float("inf")):
        """Give one batch ``(inputs, targets, weight)`` of objects of unequal lengths, as tensors.

        The second object is cut to a few rows and the third, where the model reads light curves, to none.
        """
        key = (size, start, day)
        if key not in self._batches:
            self._batches[key] = self._make_batch(*key)
        return tuple({**part} if isinstance(part, dict) else part for part in self._batches[key])

    def _make_batch(self, size, start, day):
        places = np.arange(start, start + size)
        examples = data.Examples(self.directory, self.examples.indices[places], self.spec)
        dataset, _ = pipeline.evaluation(examples, self.stage, size, day=day)
        inputs, targets, weight = next(iter(dataset))
        inputs = {name: np.array(value) for name, value in inputs.items()}
        if "mask" in inputs:
            inputs["mask"][1, 3:] = False
            inputs["mask"][2] = False
        return inputs, {key: np.array(value) for key, value in targets.items()}, np.array(weight)

    def outputs(self, inputs, network=None) -> dict[str, np.ndarray]:
        """Give the outputs of the heads by name for inputs as NumPy arrays."""
        network = network or self.network
        found = network({name: keras.ops.convert_to_tensor(value) for name, value in inputs.items()})
        return {name: keras.ops.convert_to_numpy(found[name]) for name in network.heads}


def assert_equal(ours: dict, theirs: dict, tolerance: float = 1e-5) -> None:
    """Compare outputs by name: same shapes, finite, no difference above the tolerance."""
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert np.isfinite(value).all(), name
        np.testing.assert_allclose(value, theirs[name], rtol=0, atol=tolerance, err_msg=name)
