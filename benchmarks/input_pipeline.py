"""How fast the input pipeline is beside training, and whether memory grows with the number of objects.

    python benchmarks/input_pipeline.py [--objects 5000] [--factor 4]

A PLAsTiCC pair of ``--objects`` objects, and one ``--factor`` times as large, is made of the light curves of the
sample under new ids, converted (``data_tools.plasticc``) and trained on (``zoo.fit``, some steps of a small network),
each in a process of its own of which the largest resident memory is taken. Then, in this process and in turns, the
pipeline alone and the train step of ATAT at its published size (``lc``) run on the larger set.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH, BATCHES, ROUNDS = 256, 32, 3


def write_pair(folder: Path, objects: int) -> list[Path]:
    """Write a PLAsTiCC pair that repeats the sample's labelled light curves under new ids."""
    from tfrecords.reader import RecordDirectory
    from tfrecords.sample import sample_path

    records = RecordDirectory(sample_path())
    names = [column.name for column in records.info.static_columns]
    paths = [folder / f"metadata_{objects}.csv", folder / f"lightcurves_{objects}.csv"]
    with open(paths[0], "w", newline="") as one, open(paths[1], "w", newline="") as two:
        metadata, curves = csv.writer(one), csv.writer(two)
        metadata.writerow(["object_id", "target", *names])
        curves.writerow(["object_id", "mjd", "passband", "flux", "flux_err", "detected_bool"])
        for number in range(objects):
            record = records.record(number % len(records))
            metadata.writerow([number, record.class_id, *(f"{value:.6g}" for value in record.static)])
            lc = record.lc
            columns = (lc.time, lc.band, lc.flux, lc.flux_err, lc.flags & 1)
            curves.writerows([number, *row] for row in zip(*(column.tolist() for column in columns), strict=True))
    return paths


def peak(command: list[str]) -> float:
    """Run a command; give the largest resident memory of its process in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: ended with status {status}")
    return usage.ru_maxrss / 1024


def rates(data: Path) -> tuple[list[float], list[float]]:
    """Give objects/s of the pipeline alone and of training, by round."""
    import keras
    import tensorflow as tf

    from zoo.inputs import pipeline
    from zoo.inputs.spec import build_stage
    from zoo.tasks import base
    from zoo.training import loop
    from zoo.training.bundle import Bundle
    from zoo.training.model import Trainable
    from zoo.training.resolve import resolve

    settled = resolve("atat", "lc", data=str(data), batch_size=BATCH)
    _, spec, splits = loop.open_data(settled)
    bundle = Bundle("atat", vars(settled.hparams), settled.inputs, spec)
    stage = build_stage(spec, bundle.entry.view, bundle.config.parts(), settled.inputs, spec.record_static)
    dataset, _ = pipeline.training(splits["train"], stage, BATCH, sampling="balanced", seed=0)
    model = Trainable(bundle.build(), base.create("classify", spec, settled.run))
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    model.optimizer.build(model.network.trainable_variables)
    step = tf.function(lambda *batch: model.train_step(batch), reduce_retracing=True)
    batches = iter(dataset)
    kept = [next(batches) for _ in range(16)]
    for batch in kept[:2]:
        step(*batch)
    alone, training = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(BATCHES):
            next(batches)
        alone.append(BATCH * BATCHES / (time.perf_counter() - start))
        start = time.perf_counter()
        for batch in kept[::4]:
            step(*batch)
        training.append(BATCH * len(kept[::4]) / (time.perf_counter() - start))
    return alone, training


def main() -> None:
    """Run the benchmark and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--factor", type=int, default=4)
    options = parser.parse_args()
    print("| objects | conversion, MB | training, MB |")
    print("|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for objects in (options.objects, options.factor * options.objects):
            pair = write_pair(folder, objects)
            data = folder / f"records_{objects}"
            convert = [sys.executable, "-m", "data_tools.plasticc", *map(str, pair)]
            convert += ["--out", str(data), "--folds", "5", "--quiet"]
            fit = [
                sys.executable,
                "-m",
                "zoo.fit",
                "--model",
                "atat",
                "--preset",
                "plasticc_lc_md",
                "--data",
                str(data),
            ]
            fit += ["--epochs", "1", "--steps-per-epoch", "20", "--layers", "1", "--evaluate", "false"]
            fit += ["--export", "false", "--runs", str(folder / "runs"), "--quiet", "--max-per-class", "100000"]
            print(f"| {objects} | {peak(convert):.0f} | {peak(fit):.0f} |", flush=True)
        alone, training = rates(data)
    ratio = sorted(one / two for one, two in zip(alone, training, strict=True))[ROUNDS // 2]
    print("\n| pipeline alone, objects/s | training, objects/s | ratio |")
    print("|---:|---:|---:|")
    print(f"| {sorted(alone)[ROUNDS // 2]:.0f} | {sorted(training)[ROUNDS // 2]:.0f} | {ratio:.0f} |")


if __name__ == "__main__":
    main()
