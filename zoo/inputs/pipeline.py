"""tf.data pipelines: endless shuffled training batches, and evaluation batches that drop nothing.

Never compute on padding: a chunk of batches is transformed, sorted by resulting length and cut into
batches, the batches are shuffled, and each is trimmed to its own longest object.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from zoo.inputs.cuts import Cut
from zoo.inputs.plan import TrainingStream

AUGMENT, SHUFFLE = 0, 7919
"""Offsets that keep the keys of augmentation and of batch order apart."""

WHOLE = (0, 1, 1)
"""Share of the only process: the whole of every global batch."""


def _options(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # The autotuner can hold the end of a short fit for seconds; the parallelism here is fixed anyway.
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)


def _signature(stage, examples, extra):
    days = len(stage.feature_days) if "features" in stage.parts else 0
    columns = {name: tf.TensorSpec([None], tf.float32) for name in target_columns(examples)}
    return {
        "targets": columns,
        "records": tf.TensorSpec([None], tf.string),
        "features": tf.TensorSpec([None, days or None, None], tf.float32),
        **extra,
    }


def _chunk(examples, places):
    names = target_columns(examples)
    targets = dict(zip(names, examples.target_values(places).T, strict=True)) if names else {}
    return {"records": examples.serialized(places), "features": examples.feature_values(places), "targets": targets}


def target_columns(examples) -> tuple[str, ...]:
    """Give the names of the computed targets that objects bring along."""
    return getattr(examples, "target_columns", ())


def _more_targets(stage, prepared, inputs, chunk, objects) -> dict:
    computed = {name: tf.gather(values, objects) for name, values in chunk["targets"].items()}
    return computed | stage.targets(prepared, inputs, objects)


def stream(examples, sampling: str, seed: int) -> TrainingStream:
    """Give the order in which training sees `zoo.inputs.data.Examples` or `zoo.inputs.joined.Joined`."""
    share = getattr(examples, "share", None)
    originals = len(examples) if share is None else len(examples.parts[0])
    return TrainingStream(examples.labels, sampling, seed, originals, share or 0.0)


def _dealt(order, batch_size: int, share):
    """Deal the objects of each batch out to its replicas in turns; give rows (batch × own replica, object)."""
    first, count, total = share
    # A batch lies in order of length: in turns no replica gets all the long ones.
    hands = tf.reshape(order, [-1, batch_size // total, total])[:, :, first : first + count]
    return tf.reshape(tf.transpose(hands, [0, 2, 1]), [-1, batch_size // total])


def training(examples, stage, batch_size: int, *, sampling: str, seed: int, chunk_batches: int = 16,
             first_step: int = 0, augmentation: bool = True, share=WHOLE):  # fmt: skip
    """Give endless training batches ``(inputs, targets, sample_weight)`` of one size.

    Parameters
    ----------
    examples : zoo.inputs.data.Examples
        Training objects.
    stage : Stage
    batch_size : int
        Over all replicas.
    sampling : {"natural", "balanced", "replicate", "sampler", "undersample"}
    seed : int
    chunk_batches : int
        Batches that are sorted by length together.
    first_step : int
        Step to start at: the batches are those that an uninterrupted run would see from there on.
    augmentation : bool
        Whether the training-only options of the stage act.
    share : (int, int, int)
        First replica that is fed here, how many are, and how many there are over all workers. Each gets its
        part of the same global batches as an element of its own, one replica after the other.

    Returns
    -------
    dataset : tf.data.Dataset
    epoch_size : int
        Objects an epoch draws.
    """
    order = stream(examples, sampling, seed)
    size, own = batch_size * chunk_batches, batch_size // share[2]

    def chunks():
        for number, places in order.chunks(size, first_step // chunk_batches):
            yield _chunk(examples, places) | {
                "label": examples.labels[places],
                "key": np.array([seed, number], "int64"),
            }

    extra = {"label": tf.TensorSpec([None], tf.int32), "key": tf.TensorSpec([2], tf.int64)}

    def expand(chunk):
        curves, static = stage.parse(chunk["records"])
        key = chunk["key"] if augmentation else None
        twin = stage.parse_twin(chunk["records"])
        more = stage.parse_parts(chunk["records"])
        prepared = stage.prepare(curves, static, chunk["features"], key=key, twin=twin, **more)
        order = tf.argsort(stage.lengths(prepared), stable=True)
        order = tf.reshape(tf.cast(order, tf.int64), [chunk_batches, batch_size])
        luck = tf.random.stateless_uniform([chunk_batches], chunk["key"] + SHUFFLE)
        order = _dealt(tf.gather(order, tf.argsort(luck)), batch_size, share)

        def cut(objects):
            inputs = stage.tensors(prepared, objects)
            targets = {"label": tf.gather(chunk["label"], objects)}
            targets |= _more_targets(stage, prepared, inputs, chunk, objects)
            return _set_batch((inputs, targets, tf.ones([own])), own)

        return tf.data.Dataset.from_tensor_slices(order).map(cut)

    dataset = tf.data.Dataset.from_generator(chunks, output_signature=_signature(stage, examples, extra))
    dataset = dataset.prefetch(1).flat_map(expand).skip(first_step % chunk_batches * share[1])
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return _options(dataset.prefetch(4)), order.epoch_size


def _set_batch(element, batch_size: int):
    def fix(tensor):
        tensor.set_shape([batch_size, *tensor.shape[1:]])
        return tensor

    return tf.nest.map_structure(fix, element)


def evaluation(examples, stage, batch_size: int, *, day: float = float("inf"), fraction: float | None = None,
               chunk_batches: int = 16, share=WHOLE):  # fmt: skip
    """Give every object once, its light curve until a day or the first share of it, see `at_cuts`."""
    return at_cuts(examples, stage, batch_size, [Cut(day, fraction)], chunk_batches=chunk_batches, share=share)


def at_cuts(examples, stage, batch_size: int, cuts: Sequence[Cut], *, chunk_batches: int = 16, share=WHOLE):
    """Give every object once a cut, in batches of one size, the last of a cut filled up with rows of weight 0.

    Parameters
    ----------
    examples : zoo.inputs.data.Examples
    stage : Stage
    batch_size : int
    cuts : sequence of Cut
        What of the light curves is shown; one after the other.
    share : (int, int, int)
        As in `training`.

    Returns
    -------
    dataset : tf.data.Dataset
        ``(inputs, targets, sample_weight)``; targets hold ``label`` (−1 unlabelled), ``position`` (place in
        ``examples``), ``observations`` (rows that the model sees), ``fraction`` (their share) and ``cut`` (number of
        the cut).
    steps : int
        Number of global batches.
    """
    total, size = len(examples), batch_size * chunk_batches
    padded = -(-total // batch_size) * batch_size

    def chunks():
        for number, cut in enumerate(cuts):
            for start in range(0, padded, size):
                position = np.arange(start, min(start + size, padded))
                real = position < total
                # Filling rows repeat the last object: any record will do, its weight is 0.
                places = np.minimum(position, max(total - 1, 0))
                yield _chunk(examples, places) | {
                    "label": examples.labels[places],
                    "position": places,
                    "weight": real.astype("float32"),
                    "cut": np.full(len(places), number, "int32"),
                    "day": np.full(len(places), cut.day if cut.fraction is None else np.inf),
                    "share": np.full(len(places), 1.0 if cut.fraction is None else cut.fraction),
                }

    extra = {
        "label": tf.TensorSpec([None], tf.int32),
        "position": tf.TensorSpec([None], tf.int64),
        "weight": tf.TensorSpec([None], tf.float32),
        "cut": tf.TensorSpec([None], tf.int32),
        "day": tf.TensorSpec([None], tf.float64),
        "share": tf.TensorSpec([None], tf.float64),
    }

    def expand(chunk):
        curves, static = stage.parse(chunk["records"])
        twin = stage.parse_twin(chunk["records"])
        prepared = stage.prepare(
            curves, static, chunk["features"], days=chunk["day"], twin=twin, fraction=chunk["share"],
            **stage.parse_parts(chunk["records"]),
        )  # fmt: skip
        observations = stage.lengths(prepared)
        order = tf.cast(tf.argsort(observations, stable=True), tf.int64)

        def cut(objects):
            targets = {key: tf.gather(chunk[key], objects) for key in ("label", "position", "cut")}
            targets["observations"] = tf.gather(observations, objects)
            inputs = stage.tensors(prepared, objects)
            targets |= _more_targets(stage, prepared, inputs, chunk, objects)
            return _set_batch((inputs, targets, tf.gather(chunk["weight"], objects)), batch_size // share[2])

        return tf.data.Dataset.from_tensor_slices(_dealt(order, batch_size, share)).map(cut)

    dataset = tf.data.Dataset.from_generator(chunks, output_signature=_signature(stage, examples, extra))
    steps = padded // batch_size * len(cuts)
    dataset = dataset.prefetch(1).flat_map(expand)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps * share[1]))
    return _options(dataset.prefetch(4)), steps
