"""Golden cases of metrics of tensorflow-addons."""

from __future__ import annotations

import re

import keras
import numpy as np
from keras import ops

from zoo.golden import Case, NotCarried, compare, unknown
from zoo.metrics.agreement import CohenKappa, MatthewsCorrelation
from zoo.metrics.confusion import ConfusionMatrix

TOLERANCE = 1e-5
NOT_CARRIED = {
    "geometric_mean": "no score of a model here, and Keras has none",
    "harmonic_mean": "no score of a model here, and Keras has none",
    "pearson": "theirs sorts the values into bins first; Keras's does not, and is the exact one",
    "spearman": "no score of a model here, and Keras has none",
    "kendall": "no score of a model here, and Keras has none",
}


def _value(metric, *batch):
    metric.update_state(*batch)
    return ops.convert_to_numpy(metric.result())


def _agreement(form, arrays):
    classes = arrays["probs"].shape[1]
    weighting = (form.groupdict().get("weighting") or "None").lower()
    metric = MatthewsCorrelation(classes) if form["kind"] == "matthews" else CohenKappa(classes, weighting)
    weight = [arrays["sample_weight"]] if form["weighted"] else []
    return _value(metric, arrays["labels"].astype("int32"), arrays["probs"], *weight)


def _f_score(form, arrays):
    average = None if form["average"] == "None" else form["average"]
    settings = {"average": average, "threshold": float(form["threshold"]) if form["threshold"] else None}
    if form["kind"] == "f1":
        metric = keras.metrics.F1Score(**settings)
    else:
        metric = keras.metrics.FBetaScore(beta=float(form["kind"].removeprefix("fbeta")), **settings)
    return _value(metric, arrays["onehot"], arrays["probs"])


def _hamming(form, arrays):
    if form["threshold"]:
        metric = keras.metrics.BinaryAccuracy(threshold=float(form["threshold"]))
    else:
        metric = keras.metrics.CategoricalAccuracy()
    return 1.0 - _value(metric, arrays["onehot"], arrays["probs"])


def _by_class(form, arrays):
    """Give the confusion (class, true or not, predicted or not) of each class against all others."""
    metric = ConfusionMatrix(arrays["probs"].shape[1])
    metric.update_state(arrays["labels"].astype("int32"), arrays["probs"])
    counts = ops.convert_to_numpy(metric.matrix)
    hits, true, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    rest = counts.sum() - true - predicted + hits
    return np.stack([rest, predicted - hits, true - hits, hits], axis=1).reshape(-1, 2, 2)


def _r_square(form, arrays):
    return _value(keras.metrics.R2Score(), arrays["reg_true"][:, None], arrays["reg_pred"][:, None])


KINDS = {
    r"(?P<kind>cohen_kappa)_(?P<weighting>None|linear|quadratic)(?P<weighted>_sw)?": _agreement,
    r"(?P<kind>matthews)(?P<weighted>_sw)?": _agreement,
    r"(?P<kind>f1|fbeta[\d.]+)_(?P<average>None|micro|macro|weighted)(_thr(?P<threshold>[\d.]+))?": _f_score,
    r"hamming_(multilabel_thr(?P<threshold>[\d.]+)|multiclass)": _hamming,
    r"multilabel_confusion": _by_class,
    r"r_square": _r_square,
}


def check_metrics(case: Case):
    """Compare metrics; the settings are part of the names of the outputs. None when the case holds none."""
    arrays = case.group("x")
    # Losses come with one-hot classes and probabilities too, but never with weights.
    if not {"labels", "probs", "onehot", "sample_weight"} <= set(arrays):
        return None
    found = []
    for name, theirs in case.group("y").items():
        forms = [(form, give) for text, give in KINDS.items() if (form := re.fullmatch(text, name))]
        reasons = [reason for start, reason in NOT_CARRIED.items() if name.startswith(start)]
        if forms:
            found.append(compare(name, forms[0][1](forms[0][0], arrays), theirs, TOLERANCE))
        else:
            found.append(NotCarried(name, reasons[0]) if reasons else unknown(name))
    return found
