"""Stars per second of AstroM3's networks at their published sizes: the zoo against plain PyTorch.

    python benchmarks/astrom3.py [--models A,B] [--rounds 3] [--threads 2] [--json FILE]

Needs the extra ``bench``. Each model gets the weights of its twin (``torch_astrom3.py``) by the importer of published
weights, and both the same arrays, batches of 64, float32, and the same sampled keys. Logits must agree to 2e-5 before
anything is timed. The two then take turns of a few seconds; training is one step of Adam with the cross-entropy,
inference one forward pass. ``informer_default`` is the network with the zoo's own options on light curves of 100 to 140
rows in a batch, as the pipeline gives them, where the twin computes all 200. Beside the clock the time of the
processor is taken, which other processes do not change.
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
from torch_astrom3 import CLASSES, EXPECTED, LENGTH, POINTS, TWINS, set_indices  # noqa: E402

from zoo import registry  # noqa: E402
from zoo.inputs.spec import Column, DataSpec  # noqa: E402
from zoo.optimizers.adam import Adam  # noqa: E402
from zoo.tasks import base  # noqa: E402
from zoo.training.config import RunConfig  # noqa: E402
from zoo.training.model import Trainable  # noqa: E402

BATCH, TOLERANCE, REST = 64, 2e-5, 0.5
CONFIG = {
    "mode": "all", "seq_len": LENGTH, "p_d_model": 128, "p_n_heads": 4, "p_d_ff": 512, "p_e_layers": 8, "p_factor": 1,
    "p_dropout": 0.2, "p_activation": "gelu", "s_conv_channels": [3, 64, 64, 32, 32], "s_kernel_size": 3,
    "s_mp_kernel_size": 4, "s_dropout": 0.2, "m_hidden_dim": 512, "m_dropout": 0.2, "hidden_dim": 512, "fusion": "avg",
}  # fmt: skip
"""The published configuration."""

DEFAULTS = {"head_merge": "standard", "key_sampling": "all", "mask_attention": True}
MODELS = {"informer": "informer", "informer_default": "informer", "galspecnet": "galspecnet", "astrom3": "astrom3"}
"""Row of the table -> model and twin."""


def make_inputs(name: str, config, info) -> dict[str, np.ndarray]:
    """Give a batch of the view ``photometry`` with the parts that a model reads."""
    random = np.random.default_rng(0)
    short = name == "informer_default"
    rows = 140 if short else LENGTH
    lengths = random.integers(100, rows + 1, BATCH)
    lengths[0] = rows
    mask = np.arange(rows) < lengths[:, None]
    inputs, parts = {}, config.parts()
    if "light_curve" in parts:
        inputs = {
            "time": np.sort(random.uniform(size=mask.shape), axis=1) * mask,
            "flux": random.normal(size=mask.shape) * mask,
            "flux_err": random.uniform(0.1, 0.5, mask.shape) * mask,
            "curve_scale": random.normal(size=(BATCH, 2)),
        }
    if "spectrum" in parts:
        inputs |= {
            "spectrum": random.normal(size=(BATCH, POINTS)),
            "spectrum_err": random.uniform(size=(BATCH, POINTS)),
            "spectrum_scale": random.normal(size=(BATCH, 1)),
        }
    if "static" in parts:
        inputs["static"] = random.uniform(0.5, 2.0, (BATCH, len(info.static)))
    inputs = {key: value.astype("float32") for key, value in inputs.items()}
    if "light_curve" in parts:
        inputs |= {"mask": mask, "band": np.zeros(mask.shape, "int32")}
    if "spectrum" in parts:
        inputs["spectrum_mask"] = np.ones((BATCH, POINTS), bool)
    return inputs


def _with_kept_keys(model, changes, indices):
    """Give the same network with sampled keys that are weights, or with other options; and its configuration."""
    start = "photo_" if hasattr(model.config, "photo_key_sampling") else ""
    options = {"key_sampling": "fixed"} | changes
    hparams = dataclasses.asdict(model.config) | {f"{start}{key}": value for key, value in options.items()}
    other = registry.create(model.entry_name, model.info, **hparams)
    values = {item.path: item for item in model.weights}
    for variable in other.weights:
        if variable.path in values:
            variable.assign(values[variable.path])
    for block, index in zip(other.photo.blocks, indices, strict=True):
        if options["key_sampling"] == "fixed":
            block.attention.key_share.assign((index + 0.5) / LENGTH)
    return other


class Ours:
    """The zoo's network, with the weights of the twin, in its own train step."""

    def __init__(self, name: str, twin, indices):
        model = MODELS[name]
        arrays = {key: value.numpy() for key, value in twin.state_dict().items()}
        importer = registry.load(registry.get(model).importer)
        self.network = importer(arrays, CONFIG)
        if indices:
            changes = DEFAULTS if name == "informer_default" else {}
            self.network = _with_kept_keys(self.network, changes, indices)
        info = self.network.info
        spec = DataSpec(
            "benchmark", ("V",), 27.5, tuple(Column(each) for each in info.static), info.static, info.classes,
            {str(number): number for number in range(CLASSES)},
        )  # fmt: skip
        task = base.create(registry.get(model).task, spec, RunConfig())
        self.model = Trainable(self.network, task)
        self.model.compile(Adam(1e-3), jit_compile=False)
        self.model.optimizer.build(self.network.trainable_variables)
        self.arrays = make_inputs(name, self.network.config, info)
        self.labels = np.random.default_rng(1).integers(0, CLASSES, BATCH).astype("int32")
        self.inputs = {key: tf.constant(value) for key, value in self.arrays.items()}
        self.batch = (self.inputs, {"label": tf.constant(self.labels)}, tf.ones(BATCH))
        self._train = tf.function(lambda *batch: self.model.train_step(batch))
        self._infer = tf.function(lambda inputs: self.network(inputs, training=False))

    def train(self) -> None:
        tf.nest.map_structure(lambda value: value.numpy(), self._train(*self.batch))

    def infer(self) -> np.ndarray:
        return self._infer(self.inputs)["logits"].numpy()


class Twin:
    """A PyTorch twin with its optimizer, on what the zoo's network computes from its inputs."""

    def __init__(self, model, ours: Ours):
        self.model, inputs, network = model, [], ours.network
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        self.labels = torch.from_numpy(ours.labels).long()
        if hasattr(network, "photo"):
            channels, mask = (np.array(item) for item in network.photo.channels(ours.inputs))
            missing = LENGTH - channels.shape[1]
            inputs += [np.pad(channels, ((0, 0), (0, missing), (0, 0))), np.pad(mask, ((0, 0), (0, missing)))]
        if hasattr(network, "spectra"):
            inputs.append(np.array(network.spectra.channels(ours.inputs)).transpose(0, 2, 1))
        if hasattr(network, "meta"):
            inputs.append(np.array(network.meta.columns(ours.inputs["static"])))
        self.inputs = [torch.from_numpy(np.ascontiguousarray(item, "float32")) for item in inputs]

    def train(self) -> None:
        self.model.train()
        self.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(self.model(*self.inputs), self.labels).backward()
        self.optimizer.step()

    def infer(self) -> np.ndarray:
        self.model.eval()
        with torch.inference_mode():
            return self.model(*self.inputs).numpy()


def measure(name: str, rounds: int, turn: float) -> dict[str, Any]:
    """Give stars per second of both, by what is done, the middle of the rounds; and per second of the processor."""
    keras.utils.set_random_seed(0)
    torch.manual_seed(0)
    model = TWINS[MODELS[name]]()
    random, indices = np.random.default_rng(2), None
    if hasattr(model, "encoder") or hasattr(model, "photometry_encoder"):
        indices = [random.integers(0, LENGTH, (LENGTH, 6)) for _ in range(CONFIG["p_e_layers"])]
        set_indices(model, indices)
    ours = Ours(name, model, indices)
    twin = Twin(model, ours)
    found: dict[str, Any] = {"weights": sum(item.numel() for item in model.parameters())}
    if found["weights"] != EXPECTED[MODELS[name]]:
        sys.exit(f"the twin of {name} has {found['weights']} weights, published are {EXPECTED[MODELS[name]]}")
    if name != "informer_default":
        found["difference"] = float(np.abs(ours.infer() - twin.infer()).max())
        if not found["difference"] <= TOLERANCE:
            sys.exit(f"{name}: the twin's logits differ by {found['difference']:.1e}, more than {TOLERANCE:.0e}")
    for what in ("train", "infer"):
        times: dict[str, list] = {"zoo": [], "twin": []}
        for _ in range(rounds):
            for label, variant in (("twin", twin), ("zoo", ours)):
                times[label].append(_seconds_a_call(getattr(variant, what), turn))
        for label, values in times.items():
            for place, kind in enumerate(("", "_cpu")):
                found[f"{what}_{label}{kind}"] = BATCH / statistics.median(item[place] for item in values)
    return found


def _seconds_a_call(function, turn: float) -> tuple[float, float]:
    """Give the seconds of one call by the clock and of the processor, the means over ``turn`` seconds of calls."""
    # The other library's idle threads go on spinning for a while; the first calls compile, or fill caches.
    time.sleep(REST)
    function()
    start, used, calls = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < turn:
        function()
        calls += 1
    return (time.perf_counter() - start) / calls, (time.process_time() - used) / calls


def main() -> None:
    """Run the benchmark and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", help=f"comma-separated, of {', '.join(MODELS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turn", type=float, default=2.0, help="seconds")
    parser.add_argument("--threads", type=int, default=2, help="of each; one where other processes take the cores")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    rows = {}
    for name in options.models.split(",") if options.models else MODELS:
        if name not in MODELS:
            sys.exit(f"models are {', '.join(MODELS)}. Received: {name}")
        rows[name] = measure(name, options.rounds, options.turn)
        print(f"{name}: {rows[name]}", file=sys.stderr, flush=True)
    heads = ("training/s", "twin's", "ratio", "by processor", "inference/s", "twin's", "ratio", "by processor")
    print(f"| model | weights | {' | '.join(heads)} |")
    print("|---|" + "---:|" * (1 + len(heads)))
    for name, row in rows.items():
        cells = []
        for what in ("train", "infer"):
            ours, twin = row[f"{what}_zoo"], row[f"{what}_twin"]
            used = row[f"{what}_zoo_cpu"] / row[f"{what}_twin_cpu"]
            cells.append(f"{ours:.0f} | {twin:.0f} | {ours / twin:.2f} | {used:.2f}")
        print(f"| {name} | {row['weights']:,} | {' | '.join(cells)} |")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(rows, stream, indent=1)


if __name__ == "__main__":
    main()
