"""Light curves per second of the light-curve models at their published sizes: the zoo against plain PyTorch.

    python benchmarks/light_curve_models.py [--models A,B] [--rounds 3] [--json FILE]

Needs the extra ``bench``. Each model and its twin (``torch_light_curve_models.py``, whose numbers of weights are
checked against the published ones) get the same random arrays in the same batches, float32, 2 threads, and take
turns of a second. Training is one step of Adam with the model's loss; inference is one forward pass. Light curves
of the view ``grid`` have 50 steps, half of the points observed; those of ``packed`` Poisson(108) observations,
padded to the longest of a batch. A model that is not registered is named and left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import torch  # noqa: E402
from torch_light_curve_models import EXPECTED, TWINS, trained_weights  # noqa: E402

from tfrecords.errors import UsageError  # noqa: E402
from zoo import registry, views  # noqa: E402
from zoo.inputs.spec import Column, DataSpec  # noqa: E402
from zoo.optimizers.adam import Adam  # noqa: E402
from zoo.tasks import base  # noqa: E402
from zoo.training.config import RunConfig  # noqa: E402
from zoo.training.model import Trainable  # noqa: E402

STEPS, MEAN, GRID = 50, 108, 100
REST, TURN = 0.5, 1.0
LSST = ("u", "g", "r", "i", "z", "Y")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One model at its published size.

    Attributes
    ----------
    hparams : dict
        Of the zoo's model.
    classes : int
        Logits of the zoo's model, or without the class that it adds itself.
    batch : int
        Light curves a step.
    bands, static, features : tuple of str
        What the data hold.
    loss : str
        Of the zoo's task.
    model : str
        The zoo's model, where the entry has another name.
    """

    hparams: dict[str, Any]
    classes: int
    batch: int
    bands: tuple[str, ...] = LSST
    static: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    loss: str = "crossentropy"
    model: str = ""


def _columns(count: int) -> tuple[str, ...]:
    return tuple(f"column_{number}" for number in range(count))


_REDSHIFT = ("hostgal_photoz", "hostgal_photoz_err")
ENTRIES = {
    "transformer_autoencoder": Entry(
        {"embed": True, "d_model": 128, "num_heads": 8, "dff": 64, "num_layers": 8, "normalise": "none"}, 2, 64,
        loss="MSE",
    ),
    # RAPID's networks add the class before the explosion.
    "rapid_gru": Entry({}, 12, 64, ("g", "r"), ("redshift",)),
    "rapid_lstm": Entry({"metadata": False}, 8, 64, ("g", "r")),
    "rapid_gru_sigmoid": Entry(
        {"gate": "sigmoid", "reset_after": True}, 12, 64, ("g", "r"), ("redshift",), model="rapid_gru"
    ),
    "rapid_lstm_sigmoid": Entry({"metadata": False, "gate": "sigmoid"}, 8, 64, ("g", "r"), model="rapid_lstm"),
    "rapid_tcn": Entry({}, 8, 64, ("g", "r"), ("redshift",)),
    "t2": Entry(
        {"scaling": "none"}, 14, 256, LSST, _REDSHIFT, tuple(f"gp_{n:03d}_{band}" for n in range(GRID) for band in LSST)
    ),
    "hierarchical_lstm": Entry({}, 26, 128, LSST, _columns(42)),
    "oracle_gru": Entry({}, 26, 256, LSST, _columns(23)),
}  # fmt: skip
"""Name of the entry, and of its twin -> what it is built from."""


def make_inputs(view: str, parts, info, batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Make a batch of random light curves in a view; values under a False mask are 0."""
    random = np.random.default_rng(seed)
    lengths = np.maximum(random.poisson(MEAN, batch), 2)
    size = {"batch": batch, "time": lengths.max(), "step": STEPS, **views.sizes(info)}
    shapes = views.tensors(view, parts)
    found = {}
    for name, (axes, dtype) in shapes.items():
        shape = [size[axis] for axis in axes]
        if dtype == "bool":
            found[name] = random.random(shape) < 0.5
        elif dtype == "int32":
            found[name] = random.integers(0, len(info.bands), shape) if name == "band" else np.zeros(shape, dtype)
        else:
            found[name] = random.normal(0, 1, shape)
        found[name] = found[name].astype(dtype)
    if view == "grid" and "light_curve" in parts:
        found["mask"][:] = True
        found["time"][:] = 3.0 * np.arange(STEPS) - 70
        found["flux"] *= found["observed"]
        found["flux_err"] = np.abs(found["flux_err"]) * found["observed"]
    elif "light_curve" in parts:
        found["mask"] = np.arange(lengths.max()) < lengths[:, None]
        found["time"] = np.sort(random.uniform(0, 1000, found["mask"].shape), axis=1).astype("float32")
        found["flux"], found["flux_err"] = 100 * found["flux"], 10 * np.abs(found["flux_err"])
        for name in ("time", "flux", "flux_err", "band"):
            found[name] = np.where(found["mask"], found[name], 0).astype(shapes[name][1])
    return found


class Ours:
    """The zoo's network in its own train step."""

    def __init__(self, name: str, entry: Entry):
        classes = tuple(f"class_{number}" for number in range(entry.classes))
        spec = DataSpec(
            "benchmark", entry.bands, 27.5, tuple(Column(each) for each in entry.static), entry.static, classes,
            {str(number): number for number in range(len(classes))}, entry.features, (1.0,),
        )  # fmt: skip
        name = entry.model or name
        info, found = spec.model_info(), registry.get(name)
        self.network = registry.create(name, info, **entry.hparams)
        task = base.create(found.task, spec, RunConfig(loss=entry.loss))
        self.model = Trainable(self.network, task)
        self.model.compile(Adam(1e-3), jit_compile=False)
        self.model.optimizer.build(self.network.trainable_variables)
        self.arrays = make_inputs(found.view, self.network.config.parts(), info, entry.batch)
        self.labels = np.random.default_rng(1).integers(0, entry.classes, entry.batch).astype("int32")
        self.inputs = {key: tf.constant(value) for key, value in self.arrays.items()}
        targets = {"label": tf.constant(self.labels)}
        if "step" in views.VIEWS[found.view].get("time", ((), ""))[0]:
            targets["days"] = self.inputs["time"]
        self.batch = (self.inputs, targets, tf.ones(entry.batch))
        self._train = tf.function(lambda *batch: self.model.train_step(batch))
        self._infer = tf.function(lambda inputs: self.network(inputs, training=False))

    def train(self) -> None:
        tf.nest.map_structure(lambda value: value.numpy(), self._train(*self.batch))

    def infer(self) -> None:
        tf.nest.map_structure(lambda value: value.numpy(), self._infer(self.inputs))


class Twin:
    """A PyTorch twin with its optimizer."""

    def __init__(self, name: str, arrays, labels):
        torch.manual_seed(0)
        self.model = TWINS[name]()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.inputs = {key: torch.from_numpy(value) for key, value in arrays.items()}
        self.labels = torch.from_numpy(labels).long()

    def train(self) -> None:
        self.model.train()
        self.optimizer.zero_grad()
        self.model.loss(self.inputs, self.labels).backward()
        self.optimizer.step()

    def infer(self) -> None:
        self.model.eval()
        with torch.inference_mode():
            self.model.infer(self.inputs).numpy()


def measure(name: str, entry: Entry, rounds: int) -> dict[str, Any]:
    """Give light curves per second of both, by what is done; the middle of the rounds."""
    keras.utils.set_random_seed(0)
    ours = Ours(name, entry)
    twin = Twin(name, ours.arrays, ours.labels)
    found: dict[str, Any] = {
        "weights": sum(int(np.prod(item.shape)) for item in ours.network.trainable_variables),
        "twin_weights": trained_weights(twin.model),
    }
    if found["twin_weights"] != EXPECTED[name]:
        sys.exit(f"the twin of {name} has {found['twin_weights']} weights, published are {EXPECTED[name]}")
    for what in ("train", "infer"):
        times: dict[str, list[float]] = {"zoo": [], "twin": []}
        for _ in range(rounds):
            for label, variant in (("twin", twin), ("zoo", ours)):
                times[label].append(_seconds_a_call(getattr(variant, what)))
        found |= {f"{what}_{label}": entry.batch / statistics.median(values) for label, values in times.items()}
    return found


def _seconds_a_call(function) -> float:
    """Give the seconds of one call, the mean over `TURN` seconds of calls."""
    # The other library's idle threads go on spinning for a while; the first calls compile, or fill caches.
    time.sleep(REST)
    function()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < TURN:
        function()
        calls += 1
    return (time.perf_counter() - start) / calls


def main() -> None:
    """Run the benchmark and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", help=f"comma-separated, of {', '.join(ENTRIES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of each; one where other processes take the cores")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    rows = {}
    for name in options.models.split(",") if options.models else ENTRIES:
        if name not in ENTRIES:
            sys.exit(f"models are {', '.join(ENTRIES)}. Received: {name}")
        try:
            rows[name] = measure(name, ENTRIES[name], options.rounds)
            print(f"{name}: {rows[name]}", file=sys.stderr)
        except UsageError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
    print("| model | weights | twin's | training/s | twin's | ratio | inference/s | twin's | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, row in rows.items():
        cells = []
        for what in ("train", "infer"):
            ours, twin = row[f"{what}_zoo"], row[f"{what}_twin"]
            cells.append(f"{ours:.0f} | {twin:.0f} | {ours / twin:.2f}")
        print(f"| {name} | {row['weights']:,} | {row['twin_weights']:,} | {' | '.join(cells)} |")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(rows, stream, indent=1)


if __name__ == "__main__":
    main()
