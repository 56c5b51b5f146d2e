"""Golden cases of losses of tensorflow-addons."""

from __future__ import annotations

import re

import keras
import numpy as np
from keras import ops

from zoo.golden import Case, NotCarried, compare, unknown
from zoo.losses.focal import sigmoid_focal
from zoo.losses.triplet import METRICS, triplet_hard, triplet_semihard

TOLERANCE = 1e-5
UNUSED = "no model here is trained with it, and Keras has none"
NOT_CARRIED = {
    "contrastive": UNUSED,
    "lifted_struct": UNUSED,
    "npairs": UNUSED,
    "pinball": UNUSED,
    "weighted_kappa": "as a loss of no use here; Cohen's kappa is a metric",
    "sparsemax": "no model here uses it, and Keras's is wrong on batches",
}


def _focal(form, arrays):
    gamma, alpha = float(form["gamma"]), float(form["alpha"])
    true = arrays["ml_labels"]
    if form["logits"]:
        return sigmoid_focal(true, arrays["ml_logits"], alpha, gamma)
    # From probabilities it is Keras's, which averages over the classes where theirs adds up; theirs also adds 1e-7
    # within the logarithm.
    mean = keras.losses.binary_focal_crossentropy(
        true, arrays["ml_probs"] + 1e-7 * (2.0 * true - 1.0), apply_class_balancing=True, alpha=alpha, gamma=gamma
    )
    return mean * true.shape[-1]


def _triplet(form, arrays):
    labels, embeddings = arrays["emb_labels"], arrays["embeddings"]
    margin, metric = float(form["margin"]), form["metric"]
    if form["kind"] == "semihard":
        return ops.mean(triplet_semihard(labels, embeddings, margin, metric))
    return ops.mean(triplet_hard(labels, embeddings, margin, metric, soft=bool(form["soft"])))


NUMBER = r"[\d.eE+-]+"
KINDS = {
    rf"sigmoid_focal(?P<logits>_logits)?_g(?P<gamma>{NUMBER})_a(?P<alpha>{NUMBER})": _focal,
    rf"triplet_(?P<kind>semihard|hard)(?P<soft>_soft)?_m(?P<margin>{NUMBER})_(?P<metric>{'|'.join(METRICS)})": _triplet,
}


def check_losses(case: Case):
    """Compare losses; the settings are part of the names of the outputs. None when the case holds none."""
    arrays = case.group("x")
    if "embeddings" not in arrays and "ml_labels" not in arrays:
        return None
    found = []
    for name, theirs in case.group("y").items():
        forms = [(form, give) for text, give in KINDS.items() if (form := re.fullmatch(text, name))]
        reasons = [reason for start, reason in NOT_CARRIED.items() if name.startswith(start)]
        if forms:
            ours = ops.convert_to_numpy(forms[0][1](forms[0][0], arrays))
            scale = max(1.0, float(np.abs(theirs).max()))
            found.append(compare(name, ours, theirs, TOLERANCE, scale))
        else:
            found.append(NotCarried(name, reasons[0]) if reasons else unknown(name))
    return found
