"""Light curves per second of ATAT (``lc``, published size) on one accelerator, on Keras's JAX or PyTorch backend.

    python benchmarks/atat_gpu.py --backend jax --golden FOLDER [--batch 2048] [--rounds 3] [--json FILE]

Needs no TensorFlow: Keras, the backend, and this checkout on PYTHONPATH. Input is that of `atat_throughput.py`:
6 bands × 65 slots, Poisson(18) observations a band, sorted by length, batches trimmed to a multiple of 16 rows.
The golden cases in FOLDER are computed on the same device first; without them nothing is timed. Times hold a whole
call: arrays are on the device already, results come back to the host.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

BANDS, SLOTS, MEAN, ROUND_TO = 6, 65, 18, 16
LEARNING_RATE = 1e-3
TOLERANCE = 1e-5
"""Largest difference of float32 log-probabilities from a golden case."""


def light_curves(objects: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Make LSST-like light curves (object, band, slot) and labels, sorted by their number of observations."""
    rng = np.random.default_rng(seed)
    counts = np.minimum(rng.poisson(MEAN, (objects, BANDS)), SLOTS)
    counts = counts[np.argsort(counts.sum(axis=1), kind="stable")]
    mask = np.arange(SLOTS) < counts[:, :, None]
    days = np.sort(np.where(mask, rng.uniform(0, 1000, mask.shape), np.inf), axis=2)
    return {
        "mask": mask,
        "time": np.where(mask, days, 0).astype("float32"),
        "flux": (rng.normal(0, 30, mask.shape) * mask).astype("float32"),
        "label": rng.integers(0, 20, objects).astype("int32"),
    }


def batches(data, size: int):
    """Give batches ``(inputs, labels)`` of the view ``packed_by_band``, each trimmed."""
    for start in range(0, len(data["label"]) - size + 1, size):
        rows = slice(start, start + size)
        mask = data["mask"][rows]
        # Few different shapes: every new one is compiled.
        slots = min(SLOTS, ROUND_TO * -(-int(mask.sum(axis=2).max()) // ROUND_TO))
        mask = mask[:, :, :slots]
        counts = mask.sum(axis=(1, 2))
        length = min(BANDS * slots, ROUND_TO * -(-int(counts.max()) // ROUND_TO))
        index = np.argsort(~mask.reshape(size, -1), axis=1, kind="stable")[:, :length]
        packed = np.arange(length) < counts[:, None]
        inputs = {
            "grid_time": data["time"][rows, :, :slots],
            "grid_flux": data["flux"][rows, :, :slots],
            "grid_flux_err": np.zeros(mask.shape, "float32"),
            "pack_index": np.where(packed, index, 0).astype("int32"),
            "mask": packed,
        }
        yield inputs, data["label"][rows]


def check_golden(folder: Path) -> int:
    """Compare the cases of light curves and tables with the network on this device; give their number."""
    import keras

    from zoo.golden import Case
    from zoo.models.atat import parity, reference

    checked = 0
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        config = json.loads(path.with_name(f"{path.stem}.config.json").read_text("utf-8"))
        case = Case("atat", path.stem, config, arrays)
        if not case.group("w"):
            continue
        network = reference.import_weights(case.group("w"), config)
        answers = network(parity.view(case), training=False)
        for name, head in parity.REFERENCE_HEADS.items():
            if head not in answers or f"logprob_{name}" not in case.group("y"):
                continue
            logits = keras.ops.convert_to_numpy(answers[head]).astype("float64")
            logits -= logits.max(axis=-1, keepdims=True)
            found = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            difference = float(np.abs(found - case.group("y")[f"logprob_{name}"]).max())
            if not difference <= TOLERANCE:
                sys.exit(f"{path.stem} {name}: log-probabilities differ by {difference:.1e}, more than {TOLERANCE}")
            checked += 1
    if not checked:
        sys.exit(f"--golden: no case of ATAT with weights in {folder}")
    return checked


def network(policy: str):
    """Give the published network, compiled for training with Adam."""
    import keras

    from zoo import registry

    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_global_policy(policy)
    info = registry.ModelInfo(classes=tuple(str(n) for n in range(20)), bands=tuple("ugrizY"))
    model = registry.create("atat", info, objective="lc", metadata=False)
    keras.mixed_precision.set_global_policy("float32")
    loss = {"lc": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    compiled = "auto" if keras.backend.backend() == "jax" else False
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE, beta_1=0.0), loss=loss, jit_compile=compiled)
    return model


def rate(function, items, size: int) -> float:
    """Give the objects per second of one pass over batches."""
    start = time.perf_counter()
    for item in items:
        function(*item)
    return len(items) * size / (time.perf_counter() - start)


def main() -> None:
    """Check, time, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", choices=["jax", "torch"], default="jax")
    parser.add_argument("--golden", type=Path, required=True, metavar="FOLDER", help="golden cases of ATAT")
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--batches", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = options.backend
    import keras
    from keras import ops

    print(f"{check_golden(options.golden)} golden outputs agree within {TOLERANCE}", file=sys.stderr)
    data = light_curves(options.batch * options.batches)
    items = [
        ({key: ops.convert_to_tensor(value) for key, value in inputs.items()}, {"lc": ops.convert_to_tensor(labels)})
        for inputs, labels in batches(data, options.batch)
    ]
    seconds: dict[str, dict[str, list[float]]] = {}
    models = {policy: network(policy) for policy in ("float32", "mixed_bfloat16")}
    passes = {"inference": lambda model: lambda inputs, _: model.predict_on_batch(inputs),
              "training": lambda model: model.train_on_batch}  # fmt: skip
    for what, make in passes.items():
        for number in range(-1, options.rounds):
            for policy, model in models.items():
                found = rate(make(model), items, options.batch)
                # The first pass compiles.
                if number >= 0:
                    seconds.setdefault(policy, {}).setdefault(what, []).append(found)
                    print(f"round {number + 1} {what} {policy}: {found:.0f}/s", file=sys.stderr)
    print(f"| lc, {keras.backend.backend()}, batch {options.batch} | training/s | inference/s |")
    print("|---|---:|---:|")
    for policy, row in seconds.items():
        print(f"| {policy} | {statistics.median(row['training']):.0f} | {statistics.median(row['inference']):.0f} |")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(seconds, stream, indent=1)


if __name__ == "__main__":
    main()
