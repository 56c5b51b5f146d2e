"""What a loss that is not a sum over objects needs of the other replicas; on one replica all of it is nothing.

Replicas are those of a ``tf.distribute`` strategy. On Keras's other backends there is one.
"""

from __future__ import annotations


def _context():
    """Give the replica context where there is more than one replica, else None."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def replicas() -> int:
    """Give the number of replicas that take the step together."""
    context = _context()
    return 1 if context is None else context.num_replicas_in_sync


def loss_scale() -> float:
    """Give the factor 1 / replicas of a loss whose gradients are summed over the replicas."""
    return 1.0 / replicas()


def global_sum(values):
    """Give the sum of a tensor over the replicas, the same on all; its gradient reaches every replica's share."""
    context = _context()
    if context is None:
        return values
    import tensorflow as tf

    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def global_mean(values, weight=None):
    """Give the mean of values (batch,) over the objects of all replicas, a scalar.

    Parameters
    ----------
    values : tensor (batch,)
    weight : tensor (batch,), optional
        1 each when absent; with a sum of 0 the mean is 0.
    """
    from keras import ops

    weight = ops.ones_like(values) if weight is None else ops.cast(weight, values.dtype)
    total, count = global_sum(ops.sum(values * weight)), global_sum(ops.sum(weight))
    return total / ops.where(count > 0, count, 1.0)


def first_row(count: int):
    """Give where this replica's ``count`` rows begin in what `all_gather` gives; 0 on one replica."""
    context = _context()
    return 0 if context is None else context.replica_id_in_sync_group * count


def all_gather(values):
    """Give the values (batch, ...) of all replicas, one after another: (global batch, ...), the same on all.

    The gradient of the result with respect to a replica's own values is summed over what all replicas make of it.
    """
    context = _context()
    return values if context is None else context.all_gather(values, axis=0)
