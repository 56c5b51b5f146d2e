"""Rates of the store: repair and check in MB/s, and reading whole batches against a parse of single records.

    python benchmarks/store.py [--data DIR] [--rounds 5]

Every round runs every line once, one after the other; the table gives medians over the rounds, and of the ratios.
Repair saves a copy of the records with one flipped byte in the middle record of every shard, once with its index and
once without index, where it has to search. Readers go through all records: the simple one decodes each record on its
own, as in TensorFlow's tutorials. The stock reader is TensorFlow's, which stops at the first wrong checksum of a shard.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CHUNK = 4096


def damage(directory: Path, folder: Path) -> tuple[Path, Path]:
    """Copy records without derived groups, flip a byte in every shard; give the copy with and without index."""
    from tfrecords.reader import RecordDirectory

    records = RecordDirectory(directory)
    both = folder / "with_index", folder / "without_index"
    for path in both:
        shutil.copytree(directory, path, ignore=shutil.ignore_patterns("derived"))
        for number, shard in enumerate(records.info.shards):
            rows = records.index[records.index["shard"] == number]
            if len(rows):
                content = bytearray((path / shard.name).read_bytes())
                content[int(rows["offset"][len(rows) // 2]) + 100] ^= 1
                (path / shard.name).write_bytes(content)
    (both[1] / "index.npy").unlink()
    return both


def simple_reader(directory: Path, batched: bool) -> Callable[[], int]:
    """Make a pipeline that parses one record after the other; `batched`: in parallel, and padded to batches of 256."""
    import tensorflow as tf

    kinds = {"time": tf.float64, "band": tf.uint8, "flux": tf.float32, "flux_err": tf.float32, "flags": tf.uint8}
    features = {f"lc/{name}": tf.io.FixedLenFeature([], tf.string, b"") for name in kinds}
    features |= {"object_id": tf.io.FixedLenFeature([], tf.string), "class_id": tf.io.FixedLenFeature([], tf.int64)}
    features |= {"static": tf.io.FixedLenFeature([], tf.string, b"")}

    def parse(serialized):
        parsed = tf.io.parse_single_example(serialized, features)
        rows = {name: tf.io.decode_raw(parsed[f"lc/{name}"], kind) for name, kind in kinds.items()}
        static = tf.io.decode_raw(parsed["static"], tf.float32)
        return rows | {"object_id": parsed["object_id"], "class_id": parsed["class_id"], "static": static}

    dataset = tf.data.TFRecordDataset(sorted(map(str, directory.glob("*.tfrecord"))))
    if not batched:
        dataset = dataset.map(parse)
        return lambda: sum(1 for _ in dataset)
    dataset = dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE).padded_batch(256).prefetch(2)
    return lambda: sum(len(batch["class_id"]) for batch in dataset)


def batch_reader(directory: Path) -> Callable[[], int]:
    """Make a reader of whole batches: bytes by the index, one parse a batch."""
    import numpy as np
    import tensorflow as tf

    from tfrecords.batch import parse
    from tfrecords.reader import RecordDirectory

    records = RecordDirectory(directory)
    static = len(records.info.static_columns)
    step = tf.function(lambda batch: parse(batch, static), input_signature=[tf.TensorSpec([None], tf.string)])

    def read() -> int:
        count = 0
        for start in range(0, len(records), CHUNK):
            chunk = np.arange(start, min(start + CHUNK, len(records)))
            count += len(step(tf.constant(records.serialized(chunk), tf.string))["length"])
        return count

    return read


def read_until_damaged(directory: Path) -> int:
    """Count the records that TensorFlow's own reader gives, shard by shard, before it fails."""
    import tensorflow as tf

    count = 0
    for shard in directory.glob("*.tfrecord"):
        try:
            for _ in tf.data.TFRecordDataset(str(shard)):
                count += 1
        except tf.errors.DataLossError:
            pass
    return count


def main() -> None:
    """Run the benchmark and print two tables."""
    from tfrecords.sample import sample_path

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=sample_path(), help="directory of records (embedded sample)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    from tfrecords.check import check
    from tfrecords.info import DatasetInfo
    from tfrecords.repair import repair

    info = DatasetInfo.load(options.data)
    megabytes = sum(shard.bytes for shard in info.shards) / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        damaged, searched = damage(options.data, folder)
        plain = shutil.copytree(options.data, folder / "plain", ignore=shutil.ignore_patterns("derived"))
        store: dict[str, Callable[[], object]] = {
            "check": lambda: check(plain),
            "check --deep": lambda: check(plain, deep=True),
            "repair, with index": lambda: repair(damaged, folder / "out", overwrite=True),
            "repair, without index": lambda: repair(searched, folder / "out", overwrite=True),
        }
        readers = {
            "one record at a time": simple_reader(plain, batched=False),
            "one record at a time, in parallel, padded": simple_reader(plain, batched=True),
            "whole batches": batch_reader(plain),
        }
        seconds: dict[str, list[float]] = {line: [] for line in (*store, *readers)}
        for call in readers.values():
            assert call() == info.count
        for _ in range(options.rounds):
            for line, call in (store | readers).items():
                start = time.perf_counter()
                call()
                seconds[line].append(time.perf_counter() - start)
        saved, stock = repair(damaged, folder / "out", overwrite=True).records, read_until_damaged(damaged)
    print(f"{info.count} records, {megabytes:.1f} MB\n")
    print("| store | MB/s | records/s |")
    print("|---|---:|---:|")
    for line in store:
        middle = statistics.median(seconds[line])
        # Without --deep no record is read: a rate would say nothing.
        rates = (
            f"{megabytes / middle:.0f} | {info.count / middle:.0f}" if line != "check" else f"{middle * 1e3:.0f} ms | "
        )
        print(f"| {line} | {rates} |")
    print(f"\nOne flipped byte a shard: {saved} of {info.count} records saved; the stock reader gives {stock}.\n")
    print("| reading | records/s | to the first |")
    print("|---|---:|---:|")
    for line in readers:
        ratios = [one / two for one, two in zip(seconds["one record at a time"], seconds[line], strict=True)]
        print(f"| {line} | {info.count / statistics.median(seconds[line]):.0f} | {statistics.median(ratios):.1f} |")


if __name__ == "__main__":
    main()
