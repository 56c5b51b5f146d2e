"""Take steps of optimizers on one and on two logical CPU devices, fill metrics too; prints differences as JSON.

A process of its own: the CPU is split before TensorFlow touches it.
"""

from __future__ import annotations

import json

RUNS = {
    "rectified_adam": {"optimizer": "rectified_adam", "weight_decay": 0.1},
    "ranger": {"optimizer": "ranger", "lookahead": 3, "weight_decay": 0.1, "weight_average": 0.9},
    "lamb": {"optimizer": "lamb", "weight_decay": 0.1},
    "adamw with lookahead": {"optimizer": "adamw", "lookahead": 2, "weight_decay": 0.1, "schedule": "triangular"},
}


def _steps(options: dict, strategy) -> list:
    """Give weights and state of the optimizer after eight steps; every replica holds a part of each gradient."""
    import keras
    import numpy as np
    import tensorflow as tf

    from zoo.optimizers.build import optimizer
    from zoo.training.config import RunConfig

    rng = np.random.default_rng(0)
    gradients = tf.constant(rng.normal(size=(8, 2, 3)), tf.float32)
    run = RunConfig(learning_rate=0.05, beta_2=0.9, cycle_epochs=1, **options)
    with strategy.scope():
        variable = keras.Variable(np.array([1.0, -2.0, 0.5], "float32"))
        ours = optimizer(run, steps_per_epoch=4)
        ours.build([variable])

    @tf.function
    def step(both):
        def replica():
            context = tf.distribute.get_replica_context()
            single = context.num_replicas_in_sync == 1
            part = tf.reduce_sum(both, 0) if single else both[context.replica_id_in_sync_group]
            ours.apply([part], [variable])

        strategy.run(replica)

    for both in gradients:
        step(both)
    return [keras.ops.convert_to_numpy(item).astype("float64") for item in (variable, *ours.variables)]


def _kappa(strategy) -> float:
    import numpy as np
    import tensorflow as tf

    from zoo.metrics.agreement import CohenKappa

    rng = np.random.default_rng(0)
    labels = tf.constant(rng.integers(0, 3, (2, 20)), tf.int32)
    logits = tf.constant(rng.normal(size=(2, 20, 3)) + np.eye(3)[labels.numpy()], tf.float32)
    with strategy.scope():
        metric = CohenKappa(3)

    @tf.function
    def fill():
        def replica():
            context = tf.distribute.get_replica_context()
            if context.num_replicas_in_sync == 1:
                metric.update_state(tf.reshape(labels, [-1]), tf.reshape(logits, [-1, 3]))
            else:
                metric.update_state(labels[context.replica_id_in_sync_group], logits[context.replica_id_in_sync_group])

        strategy.run(replica)

    fill()
    return float(metric.result())


def main() -> None:
    """Compare all."""
    import numpy as np
    import tensorflow as tf

    from zoo.training import devices

    two = devices.strategy("cpu:2")
    one = tf.distribute.get_strategy()
    found, moved = {}, []
    for name, options in RUNS.items():
        single, double = _steps(options, one), _steps(options, two)
        moved.append(float(np.abs(single[0] - [1.0, -2.0, 0.5]).max()))
        found[name] = max(float(np.abs(a - b).max()) for a, b in zip(single, double, strict=True))
    found["kappa"] = abs(_kappa(one) - _kappa(two))
    print(json.dumps({"replicas": two.num_replicas_in_sync, "moved": min(moved), "differences": found}))


if __name__ == "__main__":
    main()
