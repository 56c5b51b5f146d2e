"""Stamps per second of the networks on stamps at their published sizes: the zoo against plain PyTorch.

    python benchmarks/stamp_models.py [--models A,B] [--rounds 3] [--json FILE]

Needs the extra ``bench``. Each network and its twin (``torch_stamp_models.py``) get the same raw stamps of 63 x 63 x 3
pixels and the same weights, and their outputs are compared before anything is timed. Then processes of the zoo in
float32, of the zoo in bfloat16 and of the twin, 2 threads each, take turns of a second while the others wait.
Training is one step of Adam with the model's loss; inference is one forward pass. The twin keeps its images as PyTorch
does, channels first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

CLASSES, COLUMNS, FRAMES, SIDE = 5, 23, 5, 63
CHANNELS = ("science", "template", "difference")
BATCHES = {
    "stamp_classifier": 64,
    "stamp_classifier_enhanced": 32,
    "deep_hits": 64,
    "stamp_ae": 128,
    "vade": 100,
    "stamp_recurrent_ae": 16,
}
"""Model -> objects a step."""

HPARAMS = {"vade": {"channels": ["difference"]}}
"""Model -> hyperparameters beside the channels in their order."""
LOSSES = {"stamp_ae": "MSE", "stamp_recurrent_ae": "MSE", "vade": "ELBO"}
COMPARED = {"stamp_ae": "reconstruction", "vade": "reconstruction", "stamp_recurrent_ae": "classifier"}
"""Output that is compared, where it is not the logits."""

VARIANTS = ("twin", "zoo", "zoo_bfloat16")
REST, TURN, TOLERANCE = 0.3, 1.0, 1e-4


def make_arrays(name: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Make a batch as the zoo takes it: a source on the sky, some pixels missing."""
    rng, batch = np.random.default_rng(seed), BATCHES[name]
    lead = (batch, FRAMES) if name == "stamp_recurrent_ae" else (batch,)
    rows = np.arange(SIDE) - SIDE // 2
    source = np.exp(-(rows[:, None] ** 2 + rows**2) / 8)[..., None] * rng.uniform(0, 100, (*lead, 1, 1, 1))
    images = (rng.normal(0, 5, (*lead, SIDE, SIDE, 3)) + source).astype("float32")
    columns = rng.normal(size=(*lead, COLUMNS)).astype("float32")
    if name != "vade":
        images[0, ..., 30:33, 35, :] = np.nan
    if len(lead) == 1:
        return {"stamp": images, "alert": columns}
    time_, mask = np.broadcast_to(np.arange(FRAMES, dtype="float32"), lead), np.ones(lead, bool)
    return {"stamps": images, "alerts": columns, "time": np.array(time_), "mask": mask}


class Ours:
    """The zoo's network in its own train step."""

    def __init__(self, name: str, threads: int, policy: str):
        import keras
        import tensorflow as tf

        from zoo import registry
        from zoo.inputs.spec import DataSpec
        from zoo.optimizers.adam import Adam
        from zoo.tasks import base
        from zoo.training.config import RunConfig
        from zoo.training.model import Trainable

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        keras.utils.set_random_seed(0)
        keras.mixed_precision.set_global_policy(policy)
        classes = tuple(f"class_{number}" for number in range(CLASSES))
        columns = tuple(f"column_{number}" for number in range(COLUMNS))
        info = registry.ModelInfo(classes=classes, channels=CHANNELS, stamp_size=SIDE, alert_columns=columns)
        self.name, self.entry = name, registry.get(name)
        self.network = registry.create(name, info, **{"channels": list(CHANNELS)} | HPARAMS.get(name, {}))
        spec = DataSpec("benchmark", (), 27.5, (), (), classes, {each: place for place, each in enumerate(classes)})
        options = {"entropy_weight": 0.5} if name.startswith("stamp_classifier") else {}
        task = base.create(self.entry.task, spec, RunConfig(loss=LOSSES.get(name, "crossentropy"), **options))
        task.prepare(np.full(CLASSES, 100))
        self.model = Trainable(self.network, task)
        self.model.compile(Adam(1e-3), jit_compile=False)
        self.model.optimizer.build(self.network.trainable_variables)
        batch = BATCHES[name]
        self.inputs = {key: tf.constant(value) for key, value in make_arrays(name).items()}
        labels = np.random.default_rng(1).integers(0, CLASSES, batch).astype("int32")
        self.batch = (self.inputs, {"label": tf.constant(labels)}, tf.ones(batch))
        self._train = tf.function(lambda *batch: self.model.train_step(batch))
        self._infer = tf.function(lambda inputs: self.network(inputs, training=False))
        self._wait = lambda values: tf.nest.map_structure(lambda value: value.numpy(), values)

    def train(self):
        self._wait(self._train(*self.batch))

    def infer(self):
        return self._wait(self._infer(self.inputs))

    def reference(self, path: str) -> None:
        """Write the weights, layer by layer in the order of the calls, and the output."""
        found = {"y": self.infer()[COMPARED.get(self.name, "logits")]}
        for place, layer in enumerate(_layers(self.name, self.network)):
            for number, value in enumerate(layer.get_weights()):
                found[f"w/{place:02d}/{number}"] = value
        if self.name == "vade":
            found["noise"] = np.random.default_rng(0).normal(size=(10, 21)).astype("float32")
        np.savez(path, **found)


def _layers(name: str, network) -> list:
    """Give the layers of the zoo's network that have weights, in the order of the twin's ``steps()``."""
    if name == "deep_hits":
        return [*network.encoder.convolutions, *network.hidden, network.head]
    if name.startswith("stamp_classifier"):
        encoder = network.encoder
        return [*encoder.convolutions, encoder.dense, network.norm, *network.hidden, network.output_layer]

    def pairs(part):
        return [layer for pair in zip(part.convolutions, part.norms, strict=False) for layer in pair]

    encoder = [*pairs(network.encoder), *network.encoder.dense]
    decoder = [network.decoder.dense, *pairs(network.decoder), network.decoder.convolutions[-1]]
    if name == "stamp_recurrent_ae":
        return [*encoder, network.recurrent, network.projection, network.head, *decoder]
    if name == "vade":
        return [*encoder, *decoder, *network.variance.layers]
    return encoder + decoder


class Twin:
    """A PyTorch twin with its optimizer."""

    def __init__(self, name: str, threads: int, _policy: str):
        import torch
        from torch_stamp_models import TWINS

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch, self.name, self.model = torch, name, TWINS[name](COLUMNS, CLASSES)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.inputs = {
            key: torch.from_numpy(np.ascontiguousarray(np.moveaxis(value, -1, -3) if "stamp" in key else value))
            for key, value in make_arrays(name).items()
        }
        self.inputs["noise"] = torch.from_numpy(np.random.default_rng(0).normal(size=(10, 21)).astype("float32"))
        self.labels = torch.from_numpy(np.random.default_rng(1).integers(0, CLASSES, BATCHES[name]))

    def train(self):
        self.model.train()
        self.optimizer.zero_grad()
        self.model.loss(self.inputs, self.labels).backward()
        self.optimizer.step()

    def infer(self):
        self.model.eval()
        with self.torch.inference_mode():
            return self.model.infer(self.inputs).numpy()

    def difference(self, path: str) -> float:
        """Take the zoo's weights; give the largest difference of the outputs over the largest output."""
        arrays = np.load(path)
        for place, layer in enumerate(self.model.steps()):
            names = sorted(name for name in arrays.files if name.startswith(f"w/{place:02d}/"))
            self._fill(layer, [arrays[name] for name in names])
        theirs, ours = arrays["y"], self.infer()
        ours = np.moveaxis(ours, -3, -1) if ours.ndim > 2 else ours
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())

    def _fill(self, layer, values) -> None:
        nn = self.torch.nn
        if isinstance(layer, nn.Conv2d):
            values[0] = values[0].transpose(3, 2, 0, 1)
        elif isinstance(layer, nn.Linear):
            values[0] = self._channels_first(values[0]).T
            if len(values[1]) % 2304 == 0:
                values = [_flat_first(value) for value in values]
        elif isinstance(layer, nn.LSTM):
            # Keras has one bias, PyTorch the sum of two.
            split = [values[start : start + 3] for start in range(0, len(values), 3)]
            values = [part for kernel, again, bias in split for part in (kernel.T, again.T, bias, 0 * bias)]
        names = [name for name in layer.state_dict() if not name.endswith("num_batches_tracked")]
        if len(names) != len(values):
            sys.exit(f"{self.name}: the twin's {layer} has {len(names)} arrays, the zoo's layer {len(values)}")
        state = {name: self.torch.from_numpy(np.ascontiguousarray(value))
                 for name, value in zip(names, values, strict=True)}  # fmt: skip
        layer.load_state_dict(state, strict=False)

    @staticmethod
    def _channels_first(kernel):
        """Give a dense kernel (row · column · 64, unit), perhaps of four images, as (64 · row · column, unit)."""
        images = next((count for count in (1, 4) if len(kernel) // count in (36 * 64, 81 * 64)), 0)
        if not images or len(kernel) % (images * 64):
            return kernel
        parts = [_flat_first(part) for part in np.split(kernel, images)]
        return np.concatenate(parts)


def _flat_first(values):
    """Give values (row · column · 64, ...) as (64 · row · column, ...)."""
    side = round((len(values) // 64) ** 0.5)
    return np.moveaxis(values.reshape(side, side, 64, *values.shape[1:]), 2, 0).reshape(values.shape)


def serve(name: str, variant: str, threads: int) -> None:
    """Answer commands from standard input with one line each: the child process."""
    policy = "mixed_bfloat16" if variant == "zoo_bfloat16" else "float32"
    made = (Twin if variant == "twin" else Ours)(name, threads, policy)
    print("ready", flush=True)
    for line in sys.stdin:
        command, *rest = line.split()
        if command in ("train", "infer"):
            print(_seconds_a_call(getattr(made, command)), flush=True)
        else:
            print(getattr(made, command)(*rest), flush=True)


def _seconds_a_call(function) -> float:
    """Give the seconds of one call, the mean over `TURN` seconds of calls."""
    time.sleep(REST)
    # The first calls compile, or fill caches.
    function()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < TURN:
        function()
        calls += 1
    return (time.perf_counter() - start) / calls


class Child:
    """One variant of one network in a process of its own, which waits while others are timed."""

    def __init__(self, name: str, variant: str, threads: int):
        command = [sys.executable, __file__, "--child", variant, "--models", name, "--threads", str(threads)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.label = f"{variant} of {name}"
        self._answer()

    def _answer(self) -> str:
        line = self.process.stdout.readline().strip()
        if not line:
            sys.exit(f"{self.label}: the process ended")
        return line

    def ask(self, command: str) -> str:
        print(command, file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(name: str, rounds: int, threads: int) -> dict[str, float]:
    """Give objects per second of every variant, by what is done; the middle of the rounds."""
    children = {variant: Child(name, variant, threads) for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "reference.npz")
        children["zoo"].ask(f"reference {path}")
        found = {"difference": float(children["twin"].ask(f"difference {path}"))}
    if not found["difference"] < TOLERANCE:
        sys.exit(f"{name}: the outputs differ by {found['difference']:.1e}, allowed are {TOLERANCE}")
    for what in ("train", "infer"):
        times = {variant: [] for variant in VARIANTS}
        for _ in range(rounds):
            for variant, child in children.items():
                times[variant].append(float(child.ask(what)))
        found |= {f"{what}_{key}": BATCHES[name] / statistics.median(values) for key, values in times.items()}
    for child in children.values():
        child.close()
    return found


def main() -> None:
    """Run the benchmark and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", default=",".join(BATCHES), help=f"comma-separated, of {', '.join(BATCHES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of each")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--child", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.models.split(",")
    unknown = [name for name in names if name not in BATCHES]
    if unknown:
        sys.exit(f"models are {', '.join(BATCHES)}. Received: {', '.join(unknown)}")
    if options.child:
        return serve(names[0], options.child, options.threads)
    rows = {}
    for name in names:
        rows[name] = measure(name, options.rounds, options.threads)
        print(f"{name}: {rows[name]}", file=sys.stderr)
    print("| model | agree to | training/s | twin's | ratio | bfloat16 | inference/s | twin's | ratio | bfloat16 |")
    print("|---|" + "---:|" * 9)
    for name, row in rows.items():
        cells = [f"{row['difference']:.0e}"]
        for what in ("train", "infer"):
            ours, twin, half = (row[f"{what}_{key}"] for key in ("zoo", "twin", "zoo_bfloat16"))
            cells += [f"{ours:.0f}", f"{twin:.0f}", f"{ours / twin:.2f}", f"{half:.0f}"]
        print(f"| `{name}` | {' | '.join(cells)} |")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(rows, stream, indent=1)
    return None


if __name__ == "__main__":
    main()
