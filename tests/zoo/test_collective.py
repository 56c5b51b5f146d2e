"""What replicas tell each other: two give the numbers and gradients of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np

from tests.conftest import ROOT
from zoo import collective


def test_on_one_replica_nothing_is_exchanged():
    values = np.array([1.0, 2.0, 6.0], "float32")
    assert collective.replicas() == 1 and collective.loss_scale() == 1.0
    np.testing.assert_array_equal(collective.all_gather(values), values)
    np.testing.assert_array_equal(collective.global_sum(values), values)
    assert float(collective.global_mean(values)) == 3.0
    assert float(collective.global_mean(values, np.array([1.0, 1.0, 0.0], "float32"))) == 1.5
    assert float(collective.global_mean(values, np.zeros(3, "float32"))) == 0.0


def main() -> None:
    """Compare a loss of the whole batch on one and on two replicas; prints the differences as JSON."""
    import tensorflow as tf

    from zoo.losses.clip import PAIRS, Similarities, clip_losses, hits, name_of
    from zoo.losses.reconstruction import reconstruction_loss
    from zoo.losses.triplet import triplet_hard, triplet_semihard
    from zoo.training import devices

    rng = np.random.default_rng(0)
    flux = rng.normal(size=(6, 4, 2)).astype("float32") * np.arange(1, 7, dtype="float32")[:, None, None]
    seen = rng.random((6, 4, 2)) < 0.7
    weight = np.array([1, 1, 0, 1, 1, 1], "float32")
    # Positives and negatives of every object lie on both replicas.
    labels = np.array([0, 1, 2, 0, 1, 0], "int32")

    def train(strategy):
        parts = strategy.num_replicas_in_sync

        def column(values):
            rows = len(values) // parts

            def share(context):
                start = context.replica_id_in_sync_group * rows
                return tf.constant(values[start : start + rows])

            return strategy.experimental_distribute_values_from_function(share)

        with strategy.scope():
            kernel = tf.Variable(tf.fill([2, 2], 0.5))

        def contrast(embeddings, weight, labels):
            """Give the losses of the pairs; objects without metadata or light curve lie on both replicas."""
            found = {name: embeddings[:, 2 * place : 2 * place + 2] for place, name in enumerate(("photo", "spectra"))}
            found["meta"] = embeddings[:, 4:6]
            present = {"photo": labels < 2, "spectra": labels > -1, "meta": labels != 1}
            scales = {name_of(pair): kernel[0, 0] * 3.0 for pair in PAIRS}
            similar = Similarities(found, present, scales, weight)
            return sum(clip_losses(similar).values()), hits(similar)[0]

        def step(flux, seen, weight, labels):
            with tf.GradientTape() as tape:
                objects = reconstruction_loss(
                    "RMSE", flux, flux @ kernel, seen, reduction="all_points", sample_weight=weight
                )
                gathered = tf.reduce_sum(tf.square(collective.all_gather(flux[:, 0] @ kernel)))
                embeddings = tf.reshape(flux @ kernel, [-1, 8])
                triplets = [tf.reduce_mean(loss(labels, embeddings)) for loss in (triplet_semihard, triplet_hard)]
                clip, hit = contrast(embeddings, weight, labels)
                triplets.append(tf.reduce_mean(clip * weight))
                loss = (tf.reduce_mean(objects) + 1e-3 * gathered + sum(triplets)) * collective.loss_scale()
            gradient = tape.gradient(loss, kernel)
            context = tf.distribute.get_replica_context()
            means = [collective.global_mean(item[None]) for item in (*triplets, tf.reduce_mean(hit))]
            return objects[0], gathered, context.all_reduce(tf.distribute.ReduceOp.SUM, gradient), *means

        columns = [column(item) for item in (flux, seen, weight, labels)]
        found = tf.function(lambda *args: strategy.run(step, args=args))(*columns)
        return [strategy.experimental_local_results(item)[0].numpy() for item in found]

    two = devices.strategy("cpu:2")
    single, double = train(tf.distribute.OneDeviceStrategy("cpu:0")), train(two)
    print(json.dumps({
        "replicas": two.num_replicas_in_sync,
        "differences": [float(np.abs(a - b).max()) for a, b in zip(single, double, strict=True)],
        "gradient": float(np.abs(single[2]).max()),
        "sizes": [float(np.abs(item).max()) for item in single],
    }))  # fmt: skip


def test_two_replicas_agree_with_one_on_losses_of_the_whole_batch():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path[1:])])}
    command = [sys.executable, "-c", "from tests.zoo import test_collective; test_collective.main()"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["replicas"] == 2 and found["gradient"] > 0.01
    for difference, size in zip(found["differences"], found["sizes"], strict=True):
        assert difference <= 1e-6 * max(1.0, size)
