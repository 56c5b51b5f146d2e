"""Scores of a classifier by day: one row a day, and one row a class and day.

How classes without test objects are treated -------------------------------------------- Macro averages run
over the classes that have objects in the test set; the others are left out and counted
(``classes_left_out``). Objects wrongly given to such a class still lower the recall of their own. A class
that is never predicted has precision 0. One-vs-rest ranking scores need positives and negatives; a class that
lacks either is left out and counted (``ranking_classes_left_out``). A score that no class defines is NaN, and
the counts say why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfrecords.errors import UsageError
from zoo.reports.predictions import DayPredictions, by_day, classes_of, day_text

if TYPE_CHECKING:
    import pandas as pd

CLIP = 1e-15
ECE_BINS = 15

METRICS = {
    "macro_f1": "macro F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log-loss",
    "weighted_log_loss": "weighted log-loss",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "ece": "calibration error",
}
"""Column of the score table -> its name for people, in the order of every table."""

DEFINITIONS = {
    "macro_f1": "mean over classes with test objects of the class's F1; 0 for a class never hit",
    "macro_precision": "mean over classes with test objects; 0 for a class never predicted",
    "macro_recall": "mean over classes with test objects",
    "accuracy": "share of objects whose most probable class is the true one",
    "balanced_accuracy": "mean recall over classes with test objects (equals macro recall)",
    "log_loss": f"mean over objects of -ln p(true class), p clipped to [{CLIP:g}, 1]",
    "weighted_log_loss": "sum_c w_c mean_(i in c)(-ln p_ic) / sum_c w_c over classes with test objects",
    "auroc": "area under the ROC curve, one-vs-rest, mean over classes with positives and negatives",
    "average_precision": "average precision, one-vs-rest, mean over classes with positives and negatives",
    "ece": f"sum over {ECE_BINS} equal bins of the top probability: share x |accuracy - mean probability|",
}
"""Column of the score table -> how it is computed."""

PER_CLASS = ("precision", "recall", "f1", "auroc", "average_precision")


def score_table(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    class_weights: Mapping[str, float] | None = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Score predictions, one row a day; `METRICS` names the columns, `DEFINITIONS` how they are computed.

    Parameters
    ----------
    predictions : DataFrame
        See `zoo.reports.predictions.by_day`.
    classes : sequence of str
        Class names in the model's order.
    class_weights : mapping of str to float, optional
        Weights of ``weighted_log_loss``; 1 for a class that is not named. PLAsTiCC: 2 for classes 15 and 64.
    bootstrap : int
        Resamplings of the objects behind the standard errors ``<metric>_se`` (standard deviation, ddof 1; NaN
        for a single object); 0 gives none. ``auroc`` and ``average_precision`` have no standard error.
    seed : int
        Seed of the resampling; every day uses the same one, so that days with the same objects are resampled
        alike.

    Returns
    -------
    DataFrame
        ``day, objects, <metric>..., <metric>_se..., classes_left_out, ranking_classes_left_out, unobserved``,
        days ascending. ``unobserved`` counts the objects of which the model saw no observation (NaN where
        unknown).

    Raises
    ------
    DataError
        The predictions are broken (the message names the object).
    UsageError
        Weights or the number of resamplings make no sense.
    """
    return score_tables(predictions, classes, class_weights, bootstrap, seed)[0]


def per_class_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Score every class at every day.

    Returns
    -------
    DataFrame
        ``day, class, support, predicted, precision, recall, f1, auroc, average_precision``; NaN in all scores
        of a class without test objects, and in the last two where all objects are of the class.
    """
    return score_tables(predictions, classes, bootstrap=0)[1]


def score_tables(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    class_weights: Mapping[str, float] | None = None,
    bootstrap: int = 200,
    seed: int = 0,
    where: str = "predictions",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give `score_table` and `per_class_table` at the price of one."""
    import pandas as pd

    classes = list(classes)
    weights = _weights(classes, class_weights)
    if bootstrap < 0 or bootstrap == 1:
        raise UsageError(f"bootstrap must be 0 (no errors) or at least 2 resamplings. Received: {bootstrap}")
    rows, class_rows = [], []
    for block in by_day(predictions, classes, where):
        scores, table = _score_day(block, classes, weights)
        if bootstrap:
            scores |= _standard_errors(block, weights, bootstrap, seed)
        rows.append(scores)
        class_rows.append(table)
    errors = [f"{name}_se" for name in METRICS if bootstrap and f"{name}_se" in rows[0]]
    counts = ["classes_left_out", "ranking_classes_left_out", "unobserved"]
    by_days = pd.DataFrame(rows)[["day", "objects", *METRICS, *errors, *counts]]
    return by_days, pd.concat(class_rows, ignore_index=True)


def confusion(predictions: pd.DataFrame, day: float = math.inf, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """Count objects by true (rows) and most probable (columns) class at one day.

    Parameters
    ----------
    predictions : DataFrame
        See `zoo.reports.predictions.by_day`.
    day : float
        One of the table's days; inf is the whole light curve.
    classes : sequence of str, optional
        Class names in the wanted order; the table's own by default.

    Raises
    ------
    UsageError
        The table has no such day.
    """
    import pandas as pd

    classes = classes_of(predictions) if classes is None else list(classes)
    blocks = {block.day: block for block in by_day(predictions, classes)}
    if float(day) not in blocks:
        valid = ", ".join(day_text(d) for d in blocks)
        raise UsageError(f"predictions have the days {valid} (all = inf). Received: {day}")
    matrix = count_matrix(blocks[float(day)], len(classes))
    return pd.DataFrame(matrix, index=pd.Index(classes, name="true"), columns=pd.Index(classes, name="predicted"))


def count_matrix(block: DayPredictions, size: int) -> np.ndarray:
    """Count objects by true (rows) and most probable (columns) class: int64 [K, K]."""
    cell = block.truth * size + block.predicted
    return np.bincount(cell, minlength=size * size).reshape(size, size)


def row_fractions(matrix: np.ndarray) -> np.ndarray:
    """Divide every row by its sum: float64 [..., K, K]; NaN in the rows of classes without objects."""
    matrix = np.asarray(matrix, np.float64)
    total = matrix.sum(axis=-1, keepdims=True)
    return np.divide(matrix, total, out=np.full_like(matrix, np.nan), where=total > 0)


def reliability_table(block: DayPredictions) -> pd.DataFrame:
    """Compare the top probability with how often it is right, in `ECE_BINS` equal-width bins.

    Bins are closed below and open above, the last one closed on both sides.

    Returns
    -------
    DataFrame
        ``bin_low, bin_high, objects, mean_probability, accuracy``; the last two are NaN in an empty bin.
    """
    import pandas as pd

    place = _bins(block.confidence)
    right = (block.predicted == block.truth).astype(np.float64)
    count = np.bincount(place, minlength=ECE_BINS)
    edges = np.linspace(0, 1, ECE_BINS + 1)

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.bincount(place, values, minlength=ECE_BINS)
        return np.divide(total, count, out=np.full(ECE_BINS, np.nan), where=count > 0)

    return pd.DataFrame(
        {
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "objects": count,
            "mean_probability": mean(block.confidence),
            "accuracy": mean(right),
        }
    )


def _weights(classes: list[str], class_weights: Mapping[str, float] | None) -> np.ndarray:
    class_weights = dict(class_weights or {})
    unknown = [name for name in class_weights if name not in classes]
    if unknown:
        raise UsageError(f"class weights may name only the classes {classes}. Received: {unknown}")
    weights = np.array([float(class_weights.get(name, 1.0)) for name in classes])
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise UsageError(f"class weights must be finite and > 0. Received: {class_weights}")
    return weights


def _score_day(block: DayPredictions, classes: list[str], weights: np.ndarray) -> tuple[dict, pd.DataFrame]:
    size = len(classes)
    matrix = count_matrix(block, size)
    support = matrix.sum(axis=1)
    loss = _losses(block)
    table = _class_rows(block, classes, matrix)
    ranked = table["auroc"].notna().to_numpy()
    scores = {"day": block.day, "objects": len(block.truth)}
    scores |= {name: float(value) for name, value in matrix_scores(matrix).items()}
    scores["log_loss"] = float(loss.mean())
    scores["weighted_log_loss"] = float(_weighted_loss(support, np.bincount(block.truth, loss, size), weights))
    for name in ("auroc", "average_precision"):
        scores[name] = float(table[name].to_numpy()[ranked].mean()) if ranked.any() else math.nan
    gap = (block.predicted == block.truth) - block.confidence
    scores["ece"] = float(np.abs(np.bincount(_bins(block.confidence), gap)).sum() / len(gap))
    scores["classes_left_out"] = int((support == 0).sum())
    scores["ranking_classes_left_out"] = int((~ranked).sum())
    scores["unobserved"] = math.nan if block.observations is None else int((block.observations == 0).sum())
    return scores, table


def _class_rows(block: DayPredictions, classes: list[str], matrix: np.ndarray) -> pd.DataFrame:
    import pandas as pd
    from sklearn.metrics import average_precision_score, roc_auc_score

    support, predicted, hit = matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix)
    rows = []
    for c, name in enumerate(classes):
        row = {"day": block.day, "class": name, "support": int(support[c]), "predicted": int(predicted[c])}
        row |= dict.fromkeys(PER_CLASS, math.nan)
        if support[c]:
            row["precision"] = hit[c] / predicted[c] if predicted[c] else 0.0
            row["recall"] = hit[c] / support[c]
            row["f1"] = 2 * hit[c] / (support[c] + predicted[c])
        if 0 < support[c] < len(block.truth):
            positive = block.truth == c
            row["auroc"] = roc_auc_score(positive, block.probability[:, c])
            row["average_precision"] = average_precision_score(positive, block.probability[:, c])
        rows.append(row)
    return pd.DataFrame(rows)


def matrix_scores(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the scores that a confusion matrix fixes.

    Parameters
    ----------
    matrix : ndarray, [..., K, K]
        Counts or weights by true (rows) and predicted (columns) class; leading axes are kept.

    Returns
    -------
    dict of str to ndarray of float64, [...]
        ``macro_f1, macro_precision, macro_recall, accuracy, balanced_accuracy``. Macro means run over rows
        with objects; the same numbers as scikit-learn's with ``labels`` limited to those and
        ``zero_division=0``.
    """
    matrix = np.asarray(matrix, np.float64)
    support, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)
    hit = np.diagonal(matrix, axis1=-2, axis2=-1)
    present = support > 0
    classes = present.sum(axis=-1)

    def macro(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
        ratio = np.divide(upper, lower, out=np.zeros_like(upper), where=present & (lower > 0))
        return ratio.sum(axis=-1) / classes

    recall = macro(hit, support)
    return {
        "macro_f1": macro(2 * hit, support + predicted),
        "macro_precision": macro(hit, predicted),
        "macro_recall": recall,
        "accuracy": hit.sum(axis=-1) / support.sum(axis=-1),
        "balanced_accuracy": recall,
    }


def _losses(block: DayPredictions) -> np.ndarray:
    chosen = np.take_along_axis(block.probability, block.truth[:, None], axis=1)[:, 0]
    return -np.log(np.clip(chosen, CLIP, 1.0))


def _weighted_loss(support: np.ndarray, loss_sum: np.ndarray, weights: np.ndarray) -> np.ndarray:
    mean = np.divide(loss_sum, support, out=np.zeros(loss_sum.shape), where=support > 0)
    return (mean * weights).sum(axis=-1) / (weights * (support > 0)).sum(axis=-1)


def _bins(confidence: np.ndarray) -> np.ndarray:
    return np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)


def _standard_errors(block: DayPredictions, weights: np.ndarray, bootstrap: int, seed: int) -> dict[str, float]:
    """Resample objects with replacement; scores are rebuilt from sums over few cells, not from objects."""
    size, count = len(weights), len(block.truth)
    random = np.random.default_rng(seed)
    loss, place = _losses(block), _bins(block.confidence)
    cell = block.truth * size + block.predicted
    gap = (block.predicted == block.truth) - block.confidence
    matrices = np.empty((bootstrap, size * size))
    losses, gaps = np.empty((bootstrap, size)), np.empty((bootstrap, ECE_BINS))
    for b in range(bootstrap):
        drawn = np.bincount(random.integers(0, count, count), minlength=count)
        matrices[b] = np.bincount(cell, drawn, size * size)
        losses[b] = np.bincount(block.truth, drawn * loss, size)
        gaps[b] = np.bincount(place, drawn * gap, ECE_BINS)
    matrices = matrices.reshape(bootstrap, size, size)
    scores = matrix_scores(matrices)
    scores["log_loss"] = losses.sum(axis=1) / count
    scores["weighted_log_loss"] = _weighted_loss(matrices.sum(axis=2), losses, weights)
    scores["ece"] = np.abs(gaps).sum(axis=1) / count
    # A single object resamples to itself: 0 would claim certainty.
    return {f"{name}_se": float(values.std(ddof=1)) if count > 1 else math.nan for name, values in scores.items()}
