"""What the representations of modalities are used for without training: search, classes by cosine, outliers.

A network that was trained to bring the modalities of one object together (Rizhko & Bloom 2025, AJ,
doi 10.3847/1538-3881/adcbad) can be asked which spectra are like a light curve, and its embeddings tell classes and
strange objects apart. Everything goes by the cosine of representations as the network gives them; a network with one
representation has that one, ``all``.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrecords.errors import DataError, UsageError
from zoo.training import modalities
from zoo.training.modalities import COMBINED

_BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class SimilarityConfig:
    """What to look for.

    Attributes
    ----------
    queries : tuple of str
        Ids of objects to search with.
    source : str
        Which representation of theirs, ``all`` or a modality.
    targets : tuple of str
        Which representations of the others; all that the network has when empty.
    k : int
        Most hits of a query.
    zero_shot : bool
        Classify test objects by the training objects' embeddings.
    outliers : bool
        Rank labelled objects by how unlike their class they are.
    top : int
        An object of a rank up to this one counts as high.
    """

    queries: tuple[str, ...] = ()
    source: str = COMBINED
    targets: tuple[str, ...] = ()
    k: int = 10
    zero_shot: bool = False
    outliers: bool = False
    top: int = 20

    def __post_init__(self):
        for key in ("k", "top"):
            if getattr(self, key) < 1:
                raise UsageError(f"--{key} must be at least 1. Received: {getattr(self, key)}")

    def check(self, run) -> None:
        """Refuse representations that the network of a run has not."""
        modalities.check(run, self.source, "--from")
        for name in self.targets:
            modalities.check(run, name, "--to")


def unit(values: np.ndarray) -> np.ndarray:
    """Divide representations (object, dimension) by their length; float64, NaN where there is none."""
    values = np.asarray(values, "float64")
    length = np.linalg.norm(values, axis=1, keepdims=True)
    # One with an infinite value has none either.
    good = np.isfinite(length) & (length > 0)
    return np.where(good, values / np.where(good, length, 1.0), np.nan)


def search(queries: np.ndarray, values: np.ndarray, place: int, k: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Find the objects whose representation of one kind is nearest to one object's representation of another.

    Parameters
    ----------
    queries, values : array (object, dimension)
        Representations of the query's kind, and of the kind to search, of length 1 or NaN.
    place : int
        The object to search with.
    k : int

    Returns
    -------
    places : array (hit,), int64
        At most ``k``, nearest first, the object itself left out; of equal ones the first.
    cosines : array (hit,), float64
    own_rank : float
        The rank that its own representation has among all, from 1; NaN where it has none of this kind.
    """
    cosines = values @ queries[place]
    order = np.argsort(-cosines, kind="stable")
    order = order[np.isfinite(cosines[order])]
    own = np.flatnonzero(order == place)
    hits = order[order != place][:k]
    return hits, cosines[hits], float(own[0] + 1) if len(own) else float("nan")


def class_centres(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Give the mean representation of each class, of length 1: (class, dimension), NaN without an object.

    Parameters
    ----------
    values : array (object, dimension)
        Of length 1 or NaN.
    labels : array (object,), int
        Classes from 0.
    count : int
    """
    good = np.isfinite(values).all(axis=1)
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, labels[good], values[good])
    return unit(total)


def nearest_class(values: np.ndarray, centres: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the class of the nearest of some points by cosine.

    Parameters
    ----------
    values : array (object, dimension)
    centres : array (point, dimension)
        Class centres, or training objects. Both of length 1 or NaN.
    classes : array (point,), int

    Returns
    -------
    found : array (object,), int64
        −1 where the object has no representation.
    cosines : array (object,), float64
    """
    good = np.isfinite(centres).all(axis=1)
    found, cosines = np.full(len(values), -1), np.full(len(values), np.nan)
    if not good.any():
        return found, cosines
    centres, classes = centres[good], np.asarray(classes)[good]
    for start in range(0, len(values), _BLOCK):
        rows = start + np.flatnonzero(np.isfinite(values[start : start + _BLOCK]).all(axis=1))
        near = values[rows] @ centres.T
        best = near.argmax(axis=1)
        found[rows], cosines[rows] = classes[best], near[np.arange(len(rows)), best]
    return found, cosines


def majority(votes: np.ndarray, cosines: np.ndarray, count: int) -> np.ndarray:
    """Give the class that most modalities vote for; of equal ones that with the larger sum of cosines.

    Parameters
    ----------
    votes : array (modality, object), int
        −1 is no vote.
    cosines : array (modality, object)
    count : int
        Classes.

    Returns
    -------
    array (object,), int64
        −1 where no modality votes.
    """
    objects = np.arange(votes.shape[1])
    number, total = np.zeros((len(objects), count)), np.zeros((len(objects), count))
    for vote, cosine in zip(votes, cosines, strict=True):
        there = vote >= 0
        number[objects[there], vote[there]] += 1
        total[objects[there], vote[there]] += cosine[there]
    best = np.where(number == number.max(axis=1, keepdims=True), total, -np.inf).argmax(axis=1)
    return np.where((votes >= 0).any(axis=0), best, -1)


def zero_shot(parts: dict, labels: np.ndarray, train: np.ndarray, test: np.ndarray, count: int) -> dict:
    """Classify test objects by the class centre and by the training object nearest to them.

    Parameters
    ----------
    parts : dict of str to array (object, dimension)
        Representations by name, of length 1 or NaN; `COMBINED` does not vote beside others.
    labels : array (object,), int
    train, test : array (object,), bool
    count : int
        Classes.

    Returns
    -------
    dict of (str, str) to array (test object,), int64
        Classes by representation (or ``majority``) and method (``centre``, ``neighbour``); −1 where there is none.
    """
    found = {}
    voters = [name for name in parts if name != COMBINED]
    for method in ("centre", "neighbour"):
        votes = {}
        for name, values in parts.items():
            known = values[train]
            points = (class_centres(known, labels[train], count), np.arange(count))
            votes[name] = nearest_class(values[test], *(points if method == "centre" else (known, labels[train])))
            found[name, method] = votes[name][0]
        if len(voters) > 1:
            both = [np.stack([votes[name][place] for name in voters]) for place in (0, 1)]
            found["majority", method] = majority(*both, count)
    return found


def outlier_scores(values: np.ndarray, labels: np.ndarray, train: np.ndarray, count: int) -> np.ndarray:
    """Give 1 − cosine between an object and the centre of its own class's training objects, NaN where undefined.

    Parameters
    ----------
    values : array (object, dimension)
        Of length 1 or NaN.
    labels : array (object,), int
    train : array (object,), bool
    count : int
    """
    centres = class_centres(values[train], labels[train], count)
    return 1 - np.sum(values * centres[labels], axis=1)


def ranks(scores: np.ndarray) -> np.ndarray:
    """Rank scores from the largest, 1; of equal ones the first; NaN stays."""
    order = np.argsort(-scores, kind="stable")
    found = np.full(len(scores), np.nan)
    found[order] = np.arange(1, len(scores) + 1)
    return np.where(np.isfinite(scores), found, np.nan)


def report_similarity(out, places, names, found, config: SimilarityConfig) -> list[str]:
    """Compare the representations of runs by cosine, and write tables and figures.

    Parameters
    ----------
    out : Path
        Gets ``similar.csv``, ``zero_shot.csv``, ``outliers.csv``.
    places : list of Path
        Of each run; gets ``similar.png`` and ``zero_shot_predictions.csv``.
    names : list of str
    found : list of zoo.training.embedding.Embeddings
        With all their parts.
    config : SimilarityConfig

    Returns
    -------
    list of str
        Tables in Markdown.
    """
    import pandas as pd
    from threadpoolctl import threadpool_limits

    from zoo.reports import similarity as report

    hits, scores, strange = [], [], []
    # Sums of several threads come in any order.
    with threadpool_limits(1):
        for place, name, item in zip(places, names, found, strict=True):
            parts = {part: unit(values) for part, values in item.parts.items()}
            if config.queries:
                hits.append(_hits(item.table, parts, config))
                report.write_figure(place / "similar.png", report.hits_figure(hits[-1]))
                hits[-1].insert(0, "run", name)
            if config.zero_shot:
                rows, predictions = _zero_shot(item, parts)
                report.write_csv(place / "zero_shot_predictions.csv", predictions)
                scores.append(pd.DataFrame({"run": name} | row for row in rows))
            if config.outliers:
                strange.append(_outliers(item, parts, config.top))
                strange[-1].insert(0, "run", name)
    text = [report.write_hits(out / "similar.csv", pd.concat(hits, ignore_index=True))] if hits else []
    if scores:
        text.append(report.write_zero_shot(out / "zero_shot.csv", pd.concat(scores, ignore_index=True)))
    if strange:
        text.append(report.write_outliers(out / "outliers.csv", pd.concat(strange, ignore_index=True), config.top))
    return text


def _hits(table, parts, config: SimilarityConfig):
    """Give the hits of all queries: query, query_class, from, to, rank, object_id, class, split, cosine, own_rank."""
    import difflib

    import pandas as pd

    ids, rows = table["object_id"].to_numpy(), []
    shown = [column for column in ("object_id", "class", "split") if column in table]
    for query in config.queries:
        place = np.flatnonzero(ids == query)
        if not len(place):
            near = ", ".join(difflib.get_close_matches(query, list(ids[:200_000]), 3, 0.4) or ids[:3].tolist())
            raise DataError(f"--query: the object is not there; like it are {near}. Received: {query!r}")
        source = parts[config.source]
        if not np.isfinite(source[place[0]]).all():
            has = ", ".join(name for name in parts if np.isfinite(parts[name][place[0]]).all()) or "nothing"
            raise DataError(f"--query: the object has {has} to search with. Received: {query!r} --from {config.source}")
        for target in config.targets or tuple(parts):
            at, cosines, own = search(source, parts[target], int(place[0]), config.k)
            part = table.loc[at, shown].assign(cosine=cosines, own_rank=own)
            head = {"query": query, "query_class": table["class"].iloc[place[0]], "from": config.source, "to": target}
            for position, (key, value) in enumerate((head | {"rank": np.arange(1, len(at) + 1)}).items()):
                part.insert(position, key, value)
            rows.append(part)
    return pd.concat(rows, ignore_index=True)


def _labelled(item, flag: str) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Give classes, labels (object,), int, −1 without one, and which objects train and test."""
    if "split" not in item.table:
        raise UsageError(f"{flag} needs a directory of records with splits. Received: files of a survey")
    classes = list(item.run.bundle.spec.classes)
    number = {name: place for place, name in enumerate(classes)}
    labels = np.array([number.get(name, -1) for name in item.table["class"]], "int64")
    split = item.table["split"].to_numpy(object)
    train, test = (labels >= 0) & (split == "train"), (labels >= 0) & (split == "test")
    if not train.any():
        raise UsageError(f"{flag} needs labelled training objects. Valid: --split all. Received: none")
    return classes, labels, train, test


def _zero_shot(item, parts):
    """Give the scores of every representation and method, one row each, and the predictions of the test objects."""
    from zoo.reports.scores import matrix_scores

    classes, labels, train, test = _labelled(item, "--zero-shot")
    if not test.any():
        raise UsageError("--zero-shot needs labelled test objects. Valid: --split all. Received: none")
    rows, predictions = [], item.table.loc[test, ["object_id", "class"]].reset_index(drop=True)
    for (name, method), found in zero_shot(parts, labels, train, test, len(classes)).items():
        there, matrix = found >= 0, np.zeros((len(classes), len(classes)), "int64")
        np.add.at(matrix, (labels[test][there], found[there]), 1)
        scores = matrix_scores(matrix) if there.any() else {"accuracy": np.nan, "macro_f1": np.nan}
        rows.append({"representation": name, "method": method, "train_objects": int(train.sum()),
                     "test_objects": int(there.sum()), "accuracy": float(scores["accuracy"]),
                     "macro_f1": float(scores["macro_f1"])})  # fmt: skip
        predictions[f"{name}_{method}"] = np.array([*classes, None], object)[found]
    return rows, predictions


def _outliers(item, parts, top: int):
    """Give the labelled objects, the most outlying first, with score and rank in every representation.

    ``high_in`` counts the modalities in which an object's rank is at most ``top``.
    """
    classes, labels, train, _ = _labelled(item, "--outliers")
    rows = labels >= 0
    table = item.table.loc[rows, ["object_id", "class", "split"]].reset_index(drop=True)
    for name, values in parts.items():
        score = outlier_scores(values[rows], labels[rows], train[rows], len(classes))
        table[f"score_{name}"], table[f"rank_{name}"] = score, ranks(score)
    voters = [name for name in parts if name != COMBINED]
    if voters:
        table["high_in"] = sum((table[f"rank_{name}"] <= top).astype("int64") for name in voters)
    first = f"rank_{COMBINED}"
    return table.sort_values(first, kind="stable", na_position="last").reset_index(drop=True)
