"""Search between modalities: where an object's own embedding stands among those of all objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfrecords import command
from zoo.losses.clip import MODALITIES, PAIRS, cross_entropy, name_of, pair_probabilities

TABLE, SCORES = "retrieval.parquet", "contrast.json"
ROWS = 1024
"""Queries that are compared at once."""


def embeddings(run, examples, stage, *, batch_size: int = 256, quiet: bool = True, label: str = ""):
    """Give what a network of the task contrast knows of objects.

    Parameters
    ----------
    run : zoo.training.run.Run
    examples : object with the methods of ``zoo.inputs.data.Examples``
    stage : zoo.inputs.stage.Stage
    batch_size : int
    quiet : bool
    label : str
        Text of the progress bar.

    Returns
    -------
    found : dict of str to array (object, width), float32
        By modality.
    present : dict of str to array (object,), bool
    """
    import tensorflow as tf

    from zoo.inputs import pipeline

    network, found = run.network, {}
    present = {name: np.zeros(len(examples), bool) for name in MODALITIES}
    predict = tf.function(lambda inputs: network(inputs, training=False), reduce_retracing=True)
    dataset, steps = pipeline.evaluation(examples, stage, min(batch_size, len(examples)))
    for inputs, targets, weight in command.progress(dataset, label, steps, quiet):
        real, outputs = weight.numpy() > 0, predict(inputs)
        place = targets["position"].numpy()[real]
        for name in MODALITIES:
            values = outputs[name].numpy()[real]
            found.setdefault(name, np.zeros((len(examples), values.shape[1]), "float32"))[place] = values
            present[name][place] = outputs[f"has_{name}"].numpy()[real]
    return found, present


def ranks(queries, candidates):
    """Give the rank of each query's own candidate by cosine, and the best of the others and of all.

    Parameters
    ----------
    queries, candidates : array (object, width)
        Of length 1; row i of one belongs to row i of the other.

    Returns
    -------
    rank : array (object,), int64
        1 is first. Candidates that are as like as its own stand before it, so that equal embeddings find nothing.
    nearest : array (object,), int64
        Row of the most similar candidate.
    """
    rank, nearest = np.zeros(len(queries), "int64"), np.zeros(len(queries), "int64")
    queries, candidates = queries.astype("float64"), candidates.astype("float64")
    for start in range(0, len(queries), ROWS):
        part = slice(start, start + ROWS)
        alike = queries[part] @ candidates.T
        own = np.arange(start, start + len(alike))
        mine = alike[own - start, own]
        # Rounding to what float32 tells apart: equal embeddings are equal here too.
        rank[part] = (alike >= mine[:, None] - 1e-9).sum(axis=1)
        nearest[part] = alike.argmax(axis=1)
    return rank, nearest


def retrieval_table(ids, names, found, present):
    """Give the ranks of every object in every ordered pair of modalities.

    Parameters
    ----------
    ids : array (object,)
    names : array (object,)
        Classes; empty where there is none.
    found, present : dict
        As `embeddings` gives them. Queries and candidates of a pair are the objects that have both modalities.

    Returns
    -------
    pandas.DataFrame
        ``object_id``, ``class``, ``query`` and ``searched`` (modalities), ``rank``, ``candidates``, ``nearest`` (id)
        and ``nearest_class``.
    """
    import pandas as pd

    ids, names, tables = np.asarray(ids, object), np.asarray(names, object), []
    for query in MODALITIES:
        for searched in MODALITIES:
            both = np.flatnonzero(present[query] & present[searched])
            if query == searched or not len(both):
                continue
            rank, nearest = ranks(found[query][both], found[searched][both])
            columns = {"object_id": ids[both], "class": names[both], "query": query, "searched": searched}
            columns |= {"rank": rank, "candidates": len(both)}
            tables.append(
                pd.DataFrame(columns | {"nearest": ids[both][nearest], "nearest_class": names[both][nearest]})
            )
    columns = ["object_id", "class", "query", "searched", "rank", "candidates", "nearest", "nearest_class"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def contrast_scores(found, present, scales) -> dict[str, float]:
    """Give accuracy and losses of the contrast among all objects at once, as `ClipScores` has them of a batch.

    Parameters
    ----------
    found, present : dict
        As `embeddings` gives them.
    scales : dict of str to float
        What the cosines of a pair are multiplied with, by its name.

    Returns
    -------
    dict of str to float
        ``objects``, those that have two modalities; ``clip_accuracy`` and ``loss``, the sum of the pairs' losses, of
        which each is ``loss_<pair>``. NaN where fewer than two objects have both modalities of a pair.
    """
    count = len(present[MODALITIES[0]])
    both = {pair: present[pair[0]] & present[pair[1]] for pair in PAIRS}
    both = {pair: there for pair, there in both.items() if there.sum() > 1}
    sums, hits = dict.fromkeys(both, 0.0), 0
    asked = np.any([np.zeros(count, bool), *both.values()], axis=0)
    for start in range(0, count, ROWS):
        places = np.arange(start, min(start + ROWS, count))
        chances = np.zeros((len(places), count), "float32")
        for pair, there in both.items():
            scale, ours = np.float32(scales[name_of(pair)]), there[places]
            one, other = (found[name] for name in pair)
            rows, columns = scale * one[places] @ other.T, scale * other[places] @ one.T
            everyone = there.astype("float32")
            losses = sum(np.array(cross_entropy(item, places.astype("int32"), everyone)) for item in (rows, columns))
            sums[pair] += float(losses[ours].sum(dtype="float64"))
            chances += ours[:, None] * np.array(pair_probabilities(rows, columns, everyone))
        hits += int((chances.argmax(axis=1) == places)[asked[places]].sum())
    losses = {f"loss_{name_of(pair)}": sums[pair] / both[pair].sum() if pair in both else np.nan for pair in PAIRS}
    total = float(np.nansum(list(losses.values()))) if both else np.nan
    accuracy = hits / asked.sum() if asked.any() else np.nan
    return {"objects": int(asked.sum()), "clip_accuracy": float(accuracy), "loss": total} | {
        name: float(value) for name, value in losses.items()
    }


def write_retrieval(run, place: Path, examples, directory, quiet: bool) -> None:
    """Write the table of a split's objects and their scores into the report of a run.

    See `retrieval_table` and `contrast_scores`.
    """
    from zoo.training import files

    stage = run.stage_for(directory.info)
    found, present = embeddings(run, examples, stage, quiet=quiet, label="embedding")
    names = np.array([*run.bundle.spec.classes, ""], object)[examples.labels]
    table = retrieval_table(examples.ids(), names, found, present)
    files.atomic(place / "report" / TABLE, lambda path: table.to_parquet(path, index=False))
    scales = {name: float(value) for name, value in run.network.scales().items()}
    scores = contrast_scores(found, present, scales)
    scores = {name: None if np.isnan(value) else value for name, value in scores.items()}
    files.write_json(place / "report" / SCORES, scores)
