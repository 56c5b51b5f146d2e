"""Losses and probabilities over a tree of classes (Bertinetto et al. 2020, arXiv:1912.09393; arXiv:2312.02266).

A network gives one logit a node. For node c with siblings S(c): q(c) = exp z_c / Σ_{s in S(c)} exp z_s, and q = 1
at the root; P(c) is the product of q along the path from the root to c. A ``tree`` here is a
``zoo.taxonomies.tree.Taxonomy``: its nodes stand in level order.
"""

from __future__ import annotations

import numpy as np
from keras import backend, ops

from tfrecords.errors import DataError, UsageError
from zoo.losses.classification import smooth

LEAST = -1e30
"""Stands for the logarithm of a probability that float32 cannot tell from 0, where an infinity would not do."""


def _floating(logits):
    logits = ops.convert_to_tensor(logits)
    return logits if backend.standardize_dtype(logits.dtype) == "float64" else ops.cast(logits, "float32")


def log_conditional(logits, tree):
    """Give log q (..., node): the log-softmax of every group of siblings.

    Parameters
    ----------
    logits : tensor (..., node)
    tree : Taxonomy
    """
    logits = _floating(logits)
    # Siblings are neighbours in level order. The library's log-softmax subtracts their largest logit first.
    return ops.concatenate([ops.log_softmax(logits[..., first:end], axis=-1) for first, end in tree.groups], axis=-1)


def log_path(logits, tree):
    """Give log P (..., node): the sum of log q along the path from the root.

    Parameters
    ----------
    logits : tensor (..., node)
    tree : Taxonomy
    """
    conditional = log_conditional(logits, tree)
    home = {node: (number, node - first) for number, (first, end) in enumerate(tree.groups)
            for node in range(first, end)}  # fmt: skip
    # Group by group and not as a product with the matrix of paths, in which 0 times -infinity would be NaN.
    found = [conditional[..., :1]]
    for first, end in tree.groups[1:]:
        group, place = home[tree.parents[first]]
        found.append(found[group][..., place : place + 1] + conditional[..., first:end])
    return ops.concatenate(found, axis=-1)


def log_classes(logits, tree, places):
    """Give the logarithm of each class's share of P (..., class), not below `LEAST`.

    A class has the leaves below its node that are below no deeper class. The shares add up to 1 where the
    classes cover all leaves; the softmax of what is given always does.

    Parameters
    ----------
    logits : tensor (..., node)
    tree : Taxonomy
    places : sequence of int
        Node of every class.
    """
    found = ops.maximum(log_path(logits, tree), LEAST)
    shares = tree.shares(places)
    columns = []
    for number in range(len(places)):
        own = [ops.take(found, leaf, axis=-1) for leaf in np.flatnonzero(shares[:, number]).tolist()]
        if not own:
            # All leaves below the node are other classes.
            columns.append(ops.full_like(found[..., 0], LEAST))
        else:
            columns.append(own[0] if len(own) == 1 else ops.logsumexp(ops.stack(own, axis=-1), axis=-1))
    return ops.stack(columns, axis=-1)


def node_counts(counts, tree, places) -> np.ndarray:
    """Give the number of objects whose path includes each node, float64 (node,).

    Parameters
    ----------
    counts : sequence of number (class,)
        Objects of every class.
    tree : Taxonomy
    places : sequence of int
        Node of every class.
    """
    return np.asarray(counts, "float64") @ tree.paths[list(places)]


def balanced_weights(counts, names=None, absent: str = "error", total: float | None = None) -> np.ndarray:
    """Give w = N / (M n) of M nodes or classes with n objects each, float64.

    Parameters
    ----------
    counts : sequence of number
        n of each.
    names : sequence of str, optional
        For the message.
    absent : {"error", "zero"}
        What becomes of one without objects.
    total : number, optional
        N; the sum of the counts when absent. In a tree it is the root's count.

    Raises
    ------
    DataError
        If one has no objects and ``absent`` is ``error``; the message names it.
    """
    if absent not in ("error", "zero"):
        raise UsageError(f"absent must be error or zero. Received: {absent!r}")
    counts = np.asarray(counts, "float64")
    empty = np.flatnonzero(counts <= 0)
    if len(empty) and absent == "error":
        named = ", ".join(str(names[place]) if names is not None else str(place) for place in empty)
        raise DataError(
            "no training object belongs to these nodes or classes, so they have no weight. Valid: objects of each, a "
            f"tree without them, or weight 0 (--absent-nodes zero). Received: {named}"
        )
    total = counts.sum() if total is None else total
    return np.divide(total, len(counts) * counts, out=np.zeros_like(counts), where=counts > 0)


def levels_of(tree, by: str = "depth") -> np.ndarray:
    """Give what the discount of each node goes by: its depth below the root, or its height above the leaves."""
    if by not in ("depth", "height"):
        raise UsageError(f"the discount goes by depth or height. Received: {by!r}")
    return tree.depths if by == "depth" else tree.heights


def phase_alpha(alpha: float, fraction, beta: float = 0.1):
    """Give α_eff = α β^f (batch,) of objects of which a fraction f of the light curve is observed.

    Early on coarse levels count most; the more is seen, the more the fine ones do (by depth, β < 1).

    Parameters
    ----------
    alpha : float
    fraction : tensor (batch,)
        Between 0 and 1.
    beta : float
    """
    return alpha * ops.power(ops.cast(beta, "float32"), ops.cast(fraction, "float32"))


def hierarchical_crossentropy(labels, logits, tree, places=None, *, weights=None, alpha=0.5, by="depth",
                              smoothing: float = 0.0):  # fmt: skip
    """Give −Σ_{c on the path} w(c) λ(c) log q(c), (batch,), with λ(c) = exp(−α level(c)).

    With w = 1 and α = 0 it is −log P of the true node. The root adds nothing. A weight of 0 takes a node out,
    whatever its logit.

    Parameters
    ----------
    labels : tensor (...,), int
        Class of every object; a negative one has the loss 0 but for smoothing.
    logits : tensor (..., node)
        Any finite number in float32.
    tree : Taxonomy
    places : sequence of int, optional
        Node of every class; classes are the nodes themselves when absent. A node need not be a leaf: its path
        ends there.
    weights : array (node,), optional
        w, see `balanced_weights`; 1 when absent.
    alpha : float or tensor (...,)
        One for all, or one an object, see `phase_alpha`.
    by : {"depth", "height"}
        Level of a node. With α > 0, ``depth`` favours coarse nodes and ``height`` fine ones.
    smoothing : float
        Share of the target that is spread evenly over all classes.
    """
    paths = tree.paths if places is None else tree.paths[list(places)]
    table = paths.astype("float64") * (1.0 if weights is None else np.asarray(weights, "float64"))
    conditional = log_conditional(logits, tree)
    kind = backend.standardize_dtype(conditional.dtype)
    true = smooth(ops.one_hot(labels, len(paths), dtype=kind), smoothing)
    targets = ops.matmul(true, ops.convert_to_tensor(table, dtype=kind))
    levels = ops.convert_to_tensor(levels_of(tree, by), dtype=kind)
    alpha = ops.convert_to_tensor(alpha, dtype=kind)
    targets = targets * ops.exp(-ops.expand_dims(alpha, -1) * levels)
    # Where nothing is wanted nothing is multiplied: 0 times -infinity would be NaN.
    return -ops.sum(ops.where(targets > 0, targets * conditional, ops.zeros_like(conditional)), axis=-1)
