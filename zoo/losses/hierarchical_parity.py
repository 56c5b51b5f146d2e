"""Golden cases of the hierarchical loss: probabilities, weights, loss, gradient and winners of each level."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from zoo.golden import Case, compare, gradients
from zoo.losses import hierarchical
from zoo.taxonomies.tree import Taxonomy


def check_loss(case: Case):
    """Compare a case of the loss; None when it is none. Its configuration stands among its arrays."""
    arrays = case.arrays
    if not {"logits", "target_index", "parent_index"} <= set(arrays):
        return None
    names = arrays.get("node_names", np.arange(len(arrays["parent_index"])))
    tree = Taxonomy(case.name, tuple(map(str, names)), tuple(int(place) for place in arrays["parent_index"]))
    alpha = float(arrays["alpha"]) if "alpha" in arrays else 0.5
    logits = keras.Variable(np.asarray(arrays["logits"], "float32"), dtype="float32")
    found = _tree(arrays, tree, alpha)
    found += _probabilities(arrays, logits, tree)
    return found + _loss(arrays, logits, tree, alpha)


def _tree(arrays, tree: Taxonomy, alpha: float) -> list:
    target = arrays["target_index"]
    ours = {
        "depth": tree.depths,
        "leaf_index": tree.leaves,
        "labels": tree.paths[target],
        "lam": np.exp(-alpha * hierarchical.levels_of(tree)),
    }
    if "leaf_counts" in arrays:
        ours["node_counts"] = hierarchical.node_counts(arrays["leaf_counts"], tree, tree.leaves)
    if (counts := _counts(arrays, tree)) is not None:
        ours["class_weights"] = hierarchical.balanced_weights(counts, absent="zero", total=counts[0])
    return [
        compare(name, value, arrays[name], 1e-6, max(1.0, np.abs(arrays[name]).max()))
        for name, value in ours.items()
        if name in arrays
    ]


def _counts(arrays, tree: Taxonomy):
    if "leaf_counts" in arrays:
        return hierarchical.node_counts(arrays["leaf_counts"], tree, tree.leaves)
    return arrays.get("node_counts")


def _probabilities(arrays, logits, tree: Taxonomy) -> list:
    logarithms = {
        "log_conditional": hierarchical.log_conditional(logits, tree),
        "log_path": hierarchical.log_path(logits, tree),
    }
    found = []
    for name, value in logarithms.items():
        if name in arrays:
            # A logarithm is as large as the logits are: its rounding is relative.
            found.append(compare(name, _numpy(value), arrays[name], 1e-6, max(1.0, np.abs(arrays[name]).max())))
        plain = name.removeprefix("log_")
        if plain in arrays:
            found.append(compare(plain, np.exp(_numpy(value)), arrays[plain], 1e-6))
    path = _numpy(logarithms["log_path"])
    for name, level in tree.levels().items():
        key = "pred_leaf" if name == "leaves" else "pred_" + name.replace(" ", "")
        if key in arrays:
            found.append(compare(key, np.array(level)[path[:, list(level)].argmax(axis=1)], arrays[key], 0.0))
    return found


def _loss(arrays, logits, tree: Taxonomy, alpha: float) -> list:
    labels = ops.convert_to_tensor(arrays["target_index"], "int32")
    weights, counts = arrays.get("class_weights"), _counts(arrays, tree)
    if weights is None and counts is not None:
        weights = hierarchical.balanced_weights(counts, absent="zero", total=counts[0])

    def objects():
        return hierarchical.hierarchical_crossentropy(labels, logits, tree, weights=weights, alpha=alpha)

    found = []
    if "loss_per_sample" in arrays:
        # Relative to each object's own loss, where it is not next to nothing.
        theirs = arrays["loss_per_sample"]
        scale = np.maximum(np.abs(theirs), 1e-2)
        found.append(compare("loss_per_sample", _numpy(objects()) / scale, theirs / scale, 1e-5))
    if "loss" in arrays:
        theirs = float(arrays["loss"])
        found.append(compare("loss", _numpy(ops.mean(objects())), theirs, 1e-5, max(abs(theirs), 1e-30)))
    if "grad_logits" in arrays:
        (gradient,) = gradients(lambda: ops.mean(objects()), [logits])
        found.append(compare("grad_logits", gradient, arrays["grad_logits"], 1e-6))
    return found


def _numpy(value) -> np.ndarray:
    return ops.convert_to_numpy(value).astype("float64")
