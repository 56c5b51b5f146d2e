"""Predictions by object and step, of networks that answer at every step of time."""

from __future__ import annotations

import numpy as np

from tfrecords.errors import UsageError
from zoo.training.prediction import BATCH, pieces


def step_table(run, ids, examples, stage, *, day: float = float("inf")):
    """Give the probabilities of every step of some objects.

    Parameters
    ----------
    run : zoo.training.run.Run
        Of a model whose task answers at every step.
    ids : sequence of str
        Of the examples.
    examples : object with the methods of ``zoo.inputs.data.Examples``
    stage : zoo.inputs.stage.Stage
    day : float
        Hide what came later than so many days after the reference time.

    Returns
    -------
    pandas.DataFrame
        One row an object and step, objects in their order: ``object_id``, ``step`` (0, 1 ...), ``time_days`` (of the
        observer, from the reference time) and a column ``p_<class>`` for each of the task's step classes. Objects
        without observations have no row.
    """
    import pandas as pd
    import tensorflow as tf

    from zoo.inputs import pipeline

    network, task, names = run.network, run.task, run.task.step_columns()
    if not names:
        raise UsageError(
            "only models of the task per_step answer at every step. "
            f"Received: {run.bundle.model} of the task {run.bundle.entry.task}"
        )
    predict = tf.function(
        lambda inputs: task.step_predictions(network, network(inputs, training=False)), reduce_retracing=True
    )
    places, steps, days, values = ([np.zeros(0, kind)] for kind in ("int64", "int64", "float32", "float32"))
    values = [np.zeros((0, len(names)), "float32")]
    if len(examples):
        dataset, _ = pipeline.evaluation(examples, stage, min(BATCH, len(examples)), day=day)
        for inputs, targets, weight in dataset:
            time = targets["days"].numpy()
            row, step = np.nonzero(np.isfinite(time) & (weight.numpy() > 0)[:, None])
            places.append(targets["position"].numpy()[row])
            steps.append(step)
            days.append(time[row, step])
            values.append(predict(inputs).numpy()[row, step])
    places, steps = np.concatenate(places), np.concatenate(steps)
    order = np.lexsort([steps, places])
    table = pd.DataFrame({"object_id": np.array(list(ids), object)[places[order]], "step": steps[order]})
    table["time_days"] = np.concatenate(days)[order]
    return pd.concat([table, pd.DataFrame(np.concatenate(values)[order], columns=names)], axis=1)


def predict_steps(run, data, *, source: str | None = None, day: float = float("inf"), quiet: bool = True):
    """Give the probabilities of every step of every object of a source, see `step_table`.

    Parameters
    ----------
    run : path or Run
    data, source, day, quiet
        As `zoo.predict` takes them. Objects that cannot be predicted have no row.

    Returns
    -------
    pandas.DataFrame
    """
    import pandas as pd

    from zoo.training.run import load_run

    run = load_run(run)
    found = [step_table(run, [], [], None)]
    found += [
        step_table(run, piece.ids, piece.examples, piece.stage, day=day) for piece in pieces(run, data, source, quiet)
    ]
    return pd.concat(found[1:] or found, ignore_index=True)
