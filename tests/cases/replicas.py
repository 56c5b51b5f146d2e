"""Train models on one and on two logical CPU devices; prints differences as JSON.

``python -m tests.cases.replicas RECORDS MODEL-VARIANT ...``, a process of its own: the CPU is split before
TensorFlow touches it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

STEPS, BATCH = 4, 12
PLAIN = {"optimizer": "sgd", "learning_rate": 0.01, "schedule": "constant", "warmup_epochs": 0.0}
"""The step is as large as the gradient: a factor of the number of replicas would show."""
ADAPTIVE = {"optimizer": "adam", "epsilon": 1e-6}
"""Rounding decides the direction of gradients around 1e-8; with this epsilon they hardly move a weight."""


def _train(bench, batches, strategy, options, clip_norm=None):
    """Take a step on each batch; give initial and final weights and the logs of the epoch."""
    import keras
    import numpy as np
    import tensorflow as tf

    from zoo.training.loop import _compiled
    from zoo.training.model import Trainable

    def fresh():
        # TensorFlow may compute in the memory of an array that a generator gave it.
        for item in batches:
            yield tf.nest.map_structure(np.array, item)

    def kind(*items):
        # Sizes that all batches share are fixed, as columns and pixels are; rows are not.
        shape = [
            sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*(item.shape for item in items), strict=True)
        ]
        return tf.TensorSpec(shape, items[0].dtype)

    kinds = tf.nest.map_structure(kind, *batches)
    dataset = tf.data.Dataset.from_generator(fresh, output_signature=kinds).repeat()
    with strategy.scope():
        network = bench.build()
        first = network.get_weights()
        run = dataclasses.replace(bench.settled.run, weight_decay=0.0, **options)
        decay = 0.0 if clip_norm is None else 0.02
        model = _compiled(Trainable(network, bench.task, clip_norm, decay), run, STEPS)
    counted = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: counted.append(float(logs["bad_steps"]))
    )
    settings = {"steps_per_epoch": len(batches), "verbose": 0, "shuffle": False, "callbacks": [watch]}
    history = model.fit(dataset, epochs=1, **settings)
    logs = {key: values[-1] for key, values in history.history.items()} | {"counted": counted}
    return first, network.get_weights(), logs


def _difference(ours, theirs) -> float:
    """Give the largest difference between weights, of variables beyond 1 relative to their largest number."""
    import numpy as np

    # Running means of raw fluxes are near 100, where a float32 has no more than five digits behind the point.
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(a).max(), np.abs(b).max())) for a, b in pairs)


def _compare(bench, one, two) -> dict:
    import numpy as np

    monitor = bench.task.monitor.removeprefix("val_")
    batches = [bench.batch(BATCH, start=start, day=day) for start, day in ((0, 1e9), (12, 30.0), (24, 4.0))]
    first, single, logs_1 = _train(bench, batches, one, PLAIN)
    _, double, logs_2 = _train(bench, batches, two, PLAIN)
    # Flux of the last object, which the second replica gets.
    broken = {key: value.copy() for key, value in batches[1][0].items()}
    name = next((key for key in ("grid_flux", "flux") if key in broken), None)
    spoiled = [(broken, *batches[1][1:])] if name else []
    if name:
        broken[name][-1] = np.nan
    mixed = [batches[0], *spoiled, batches[2]]
    _, bad_1, single_logs = _train(bench, mixed, one, ADAPTIVE, 0.5)
    _, bad_2, bad_logs = _train(bench, mixed, two, ADAPTIVE, 0.5)
    return {
        "replicas": two.num_replicas_in_sync,
        "lengths": len({*batches[1][0]["mask"].sum(axis=1)}) if name else 2,
        "moved": _difference(first, single),
        "weights": _difference(single, double),
        "losses_1": [logs_1["loss"], logs_1[monitor]],
        "losses_2": [logs_2["loss"], logs_2[monitor]],
        "bad_steps": bad_logs["bad_steps"] if name else 1,
        "counted": bad_logs["counted"] if name else [0, 1, 1],
        "finite_after_bad_step": all(bool(np.isfinite(item).all()) for item in bad_2),
        "bad_weights": _difference(bad_1, bad_2),
        "norms_1": [single_logs["gradient_norm"], single_logs["gradient_norm_clipped"]],
        "norms_2": [bad_logs["gradient_norm"], bad_logs["gradient_norm_clipped"]],
    }


def main() -> None:
    """Compare the examples that are named."""
    import keras
    import tensorflow as tf

    from tests.cases import variants
    from tests.cases.workbench import Workbench
    from zoo.training import devices

    two = devices.strategy("cpu:2")
    one = tf.distribute.get_strategy()
    keras.utils.set_random_seed(0)
    found = {}
    for example in variants.examples():
        if str(example) not in sys.argv[2:]:
            continue
        bench = Workbench(example, Path(sys.argv[1]))
        found[str(example)] = _compare(bench, one, two)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
