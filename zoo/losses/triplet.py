"""Triplet losses: objects of one class are to lie closer together than to any other."""

from __future__ import annotations

from keras import ops

METRICS = ("L2", "squared-L2", "angular")


def distances(embeddings, metric: str = "L2"):
    """Give the distances (batch, batch) of the rows of embeddings (batch, width).

    Parameters
    ----------
    embeddings : tensor (batch, width)
    metric : {"L2", "squared-L2", "angular"}
        Euclidean, its square, or 1 − cosine.
    """
    if metric not in METRICS:
        raise ValueError(f"Unknown metric. Valid: {', '.join(METRICS)}. Received: {metric!r}")
    embeddings = ops.cast(embeddings, "float32")
    if metric == "angular":
        lengths = ops.sqrt(ops.maximum(ops.sum(ops.square(embeddings), axis=1, keepdims=True), 1e-12))
        unit = embeddings / lengths
        return ops.maximum(1.0 - ops.matmul(unit, ops.transpose(unit)), 0.0)
    squares = ops.sum(ops.square(embeddings), axis=1)
    found = squares[:, None] + squares[None, :] - 2.0 * ops.matmul(embeddings, ops.transpose(embeddings))
    # Rounding leaves a little on the diagonal and below zero.
    found = ops.maximum(found, 0.0) * (1.0 - ops.eye(ops.shape(embeddings)[0], dtype="float32"))
    if metric == "squared-L2":
        return found
    # The root has no derivative at 0: equal objects give none.
    apart = found > 0
    return ops.where(apart, ops.sqrt(ops.where(apart, found, 1.0)), 0.0)


def _pairs(labels):
    """Give which pairs (batch, batch) are of one class but not the same object, and which of two classes."""
    labels = ops.reshape(labels, [-1])
    same = ops.equal(labels[:, None], labels[None, :])
    count = ops.shape(labels)[0]
    return ops.logical_and(same, ops.logical_not(ops.eye(count, dtype="bool"))), ops.logical_not(same)


def _largest(values, chosen):
    """Give the largest chosen value of each row, (batch, 1); the row's least where none is chosen."""
    low = ops.min(values, axis=1, keepdims=True)
    return ops.max(ops.where(chosen, values, low), axis=1, keepdims=True)


def _least(values, chosen):
    """Give the least chosen value along the last axis; the largest of all where none is chosen."""
    high = ops.max(values, axis=-1, keepdims=True)
    return ops.min(ops.where(chosen, values, high), axis=-1)


def triplet_semihard(labels, embeddings, margin: float = 1.0, metric: str = "L2"):
    """Give the triplet loss with semi-hard negatives, (batch,) (Schroff et al. 2015, arXiv:1503.03832).

    Every pair of anchor and positive of one class costs max(0, margin + d(a, p) − d(a, n)); n is the closest
    object of another class that is further from the anchor than the positive, or the furthest where none is. A
    value is an anchor's sum divided by the mean number of such pairs an anchor, so that the mean over the batch is
    the mean over the pairs. All 0 where no class occurs twice.

    Parameters
    ----------
    labels : tensor (batch,), int
    embeddings : tensor (batch, width)
    margin : float
    metric : {"L2", "squared-L2", "angular"}
    """
    apart = distances(embeddings, metric)
    positive, negative = _pairs(labels)
    # (anchor, positive, negative): further away than the positive, and of another class.
    further = ops.logical_and(apart[:, None, :] > apart[:, :, None], negative[:, None, :])
    outside = _least(apart[:, None, :] * ops.ones_like(apart)[:, :, None], further)
    chosen = ops.where(ops.any(further, axis=-1), outside, _largest(apart, negative))
    costs = ops.where(positive, ops.maximum(margin + apart - chosen, 0.0), 0.0)
    pairs = ops.mean(ops.sum(ops.cast(positive, "float32"), axis=1))
    return ops.sum(costs, axis=1) / ops.where(pairs > 0, pairs, 1.0)


def triplet_hard(labels, embeddings, margin: float = 1.0, metric: str = "L2", soft: bool = False):
    """Give the triplet loss of the hardest triplet of every object, (batch,) (Hermans et al. 2017, arXiv:1703.07737).

    max(0, margin + d(a, p) − d(a, n)) with the furthest object p of the anchor's class and the closest n of
    another; ``soft`` takes log(1 + exp(d(a, p) − d(a, n))) without a margin. Where an object is the only one of its
    class, d(a, p) is 0; where there is no other class, n is the furthest object.

    Parameters
    ----------
    labels : tensor (batch,), int
    embeddings : tensor (batch, width)
    margin : float
    metric : {"L2", "squared-L2", "angular"}
    soft : bool
    """
    apart = distances(embeddings, metric)
    positive, negative = _pairs(labels)
    difference = _largest(apart, positive)[:, 0] - _least(apart, negative)
    return ops.softplus(difference) if soft else ops.maximum(margin + difference, 0.0)
