"""Triplet losses: objects of one class are to lie closer together than to any other.

Positives and negatives are looked for among the objects of all replicas.
"""

from __future__ import annotations

from keras import ops

from zoo import collective

METRICS = ("L2", "squared-L2", "angular")


def distances(embeddings, metric: str = "L2", others=None, first=0):
    """Give the distances (batch, other) of the rows of embeddings from those of others.

    Parameters
    ----------
    embeddings : tensor (batch, width)
    others : tensor (other, width), optional
        The embeddings themselves when absent.
    first : int
        Row of the others at which the embeddings stand among them.
    metric : {"L2", "squared-L2", "angular"}
        Euclidean, its square, or 1 − cosine.
    """
    if metric not in METRICS:
        raise ValueError(f"Unknown metric. Valid: {', '.join(METRICS)}. Received: {metric!r}")
    ours = ops.cast(embeddings, "float32")
    theirs = ours if others is None else ops.cast(others, "float32")
    if metric == "angular":
        return ops.maximum(1.0 - ops.matmul(_unit(ours), ops.transpose(_unit(theirs))), 0.0)
    squares = ops.sum(ops.square(ours), axis=1)[:, None] + ops.sum(ops.square(theirs), axis=1)[None, :]
    found = squares - 2.0 * ops.matmul(ours, ops.transpose(theirs))
    # Rounding leaves a little where an object meets itself, and below zero.
    found = ops.where(_itself(ours, theirs, first), 0.0, ops.maximum(found, 0.0))
    if metric == "squared-L2":
        return found
    # The root has no derivative at 0: equal objects give none.
    apart = found > 0
    return ops.where(apart, ops.sqrt(ops.where(apart, found, 1.0)), 0.0)


def _unit(embeddings):
    return embeddings / ops.sqrt(ops.maximum(ops.sum(ops.square(embeddings), axis=1, keepdims=True), 1e-12))


def _itself(ours, theirs, first):
    """Give which pairs (batch, other) are an object and itself."""
    place = ops.arange(ops.shape(ours)[0]) + first
    return ops.equal(place[:, None], ops.arange(ops.shape(theirs)[0])[None, :])


def _compared(labels, embeddings, metric: str):
    """Compare this replica's objects with those of all replicas.

    Returns
    -------
    apart : tensor (batch, other), float32
        Distances.
    positive, negative : tensor (batch, other), bool
        Which pairs are of one class but not the same object, and which of two classes.
    pairs : tensor (), float32
        Mean number of positives of an object, over all replicas.
    """
    labels = ops.cast(ops.reshape(labels, [-1]), "float32")
    others, embeddings = collective.all_gather(labels), ops.cast(embeddings, "float32")
    # Where rows begin is a number of objects, whatever Keras takes its shapes for.
    first = ops.cast(collective.first_row(ops.shape(labels)[0]), "int32")
    apart = distances(embeddings, metric, collective.all_gather(embeddings), first)
    same = ops.equal(labels[:, None], others[None, :])
    positive = ops.logical_and(same, ops.logical_not(_itself(labels, others, first)))
    everywhere = ops.sum(ops.cast(ops.equal(others[:, None], others[None, :]), "float32"), axis=1)
    return apart, positive, ops.logical_not(same), ops.mean(everywhere - 1.0)


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
    apart, positive, negative, pairs = _compared(labels, embeddings, metric)
    # (anchor, positive, negative): further away than the positive, and of another class.
    further = ops.logical_and(apart[:, None, :] > apart[:, :, None], negative[:, None, :])
    outside = _least(apart[:, None, :] * ops.ones_like(apart)[:, :, None], further)
    chosen = ops.where(ops.any(further, axis=-1), outside, _largest(apart, negative))
    costs = ops.where(positive, ops.maximum(margin + apart - chosen, 0.0), 0.0)
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
    apart, positive, negative, _ = _compared(labels, embeddings, metric)
    difference = _largest(apart, positive)[:, 0] - _least(apart, negative)
    return ops.softplus(difference) if soft else ops.maximum(margin + difference, 0.0)
