"""The one train step: network and task inside a Keras model, with a guard against non-finite steps."""

from __future__ import annotations

import keras
import tensorflow as tf


class Trainable(keras.Model):
    """A network that is trained for a task.

    Build, and everything after it, inside the strategy's scope.

    Parameters
    ----------
    network : keras.Model
        Built.
    task : zoo.tasks.base.Task
    clip_norm : float, optional
        Largest norm of the whole gradient, over all replicas.
    coupled_decay : float
        Coupled decay: so many times each trained weight is added to its gradient after clipping.
    """

    def __init__(self, network, task, clip_norm: float | None = None, coupled_decay: float = 0.0):
        super().__init__(autocast=False, name="trainable")
        self.network, self.task, self.clip_norm, self.coupled_decay = network, task, clip_norm, coupled_decay
        task.prepare_network(network)
        self.loss_metric = keras.metrics.Mean("loss")
        self.bad_steps = keras.metrics.Sum("bad_steps")
        self.norms = self._norm_metrics()
        self.task_metrics = task.metrics(network)
        self.validation_metrics = task.validation_metrics(network)
        self._validating = False
        self.built = True

    @property
    def metrics(self):
        return [self.loss_metric, self.bad_steps, *self.norms, *self.task_metrics, *self.validation_metrics]

    def _norm_metrics(self) -> list:
        """Give the means of the gradient's norm, and of what clipping leaves of it, where they are recorded.

        Of the gradient over all replicas, which costs a message of its size where nothing is clipped.
        """
        if self.clip_norm is not None:
            return [keras.metrics.Mean("gradient_norm"), keras.metrics.Mean("gradient_norm_clipped")]
        return [keras.metrics.Mean("gradient_norm")] if self.task.records_gradient else []

    @property
    def _counted(self) -> list:
        return [*self.task_metrics, *(self.validation_metrics if self._validating else ())]

    def evaluate(self, *arguments, **options):
        """Evaluate as Keras does, with the metrics that training has not."""
        self._validating = True
        try:
            return super().evaluate(*arguments, **options)
        finally:
            self._validating = False

    def call(self, inputs, training=None):
        return self.network(inputs, training=training)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Everything is built already; under a strategy Keras (3.15) would add up the replicas' batches
        # here, which booleans refuse.
        return

    def make_train_function(self, force=False):
        """Make what `fit` calls for a step; several workers need their own."""
        if not self._several_workers:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = self._across_workers(self.train_step)
        return self.train_function

    def make_test_function(self, force=False):
        """Make what `evaluate` calls for a step; several workers need their own."""
        if not self._several_workers:
            return super().make_test_function(force)
        if self.test_function is None or force:
            self.test_function = self._across_workers(self.test_step)
        return self.test_function

    @property
    def _several_workers(self) -> bool:
        return isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy)

    def _across_workers(self, step):
        """Give the function of a step whose logs are the mean over all replicas.

        Keras (3.15) would average the logs, which are scalars, along an axis that they do not have.
        """
        strategy, names = self.distribute_strategy, []

        def replica(data):
            logs = step(data)
            names[:] = logs
            # As one tensor they cost one message and not one each.
            return tf.stack([tf.cast(value, tf.float32) for value in logs.values()])

        @tf.function
        def function(iterator):
            means = strategy.reduce("MEAN", strategy.run(replica, args=(next(iterator),)), axis=None)
            return dict(zip(names, tf.unstack(means), strict=True))

        return function

    def get_metrics_result(self):
        found = {"loss": self.loss_metric.result(), "bad_steps": self.bad_steps.result()}
        if not self._validating:
            found |= {metric.name: metric.result() for metric in self.norms}
        for metric in self._counted:
            found |= metric.result()
        return found

    def _object_losses(self, inputs, targets, weight, training):
        """Give outputs, the loss of every object, and the network's own penalty, a scalar."""
        outputs = self.network(inputs, training=training)
        objects = self.task.loss(self.network, outputs, targets | {"sample_weight": weight})
        penalty = sum((tf.reduce_sum(item) for item in self.network.losses), tf.constant(0.0))
        return outputs, objects, penalty

    def train_step(self, data):
        """Take one step on a batch ``(inputs, targets, sample_weight)``; see `_guarded`."""
        inputs, targets, weight = data
        replicas = self.distribute_strategy.num_replicas_in_sync
        variables, running = self.network.trainable_variables, self._running()
        before = [tf.convert_to_tensor(variable.value) for variable in running]
        with tf.GradientTape() as tape:
            outputs, objects, penalty = self._object_losses(inputs, targets, weight, True)
            # Replicas hold equally many objects, so the mean of their means is the global mean.
            loss = tf.reduce_mean(objects * weight)
            scaled = (loss + penalty) / replicas
        gradients = tape.gradient(scaled, [variable.value for variable in variables], unconnected_gradients="zero")
        gradients, bad = self._guarded(scaled, gradients)
        for variable, value in zip(running, before, strict=True):
            variable.assign(tf.where(bad == 0, variable.value, value))
        good = tf.cast(bad == 0, tf.float32)
        if self.norms:
            gradients = self._measured(gradients, good)
        if self.coupled_decay:
            # The optimizer adds the replicas' gradients up. A bad step takes no part of the decay either.
            share = tf.where(bad == 0, self.coupled_decay / replicas, 0.0)
            gradients = [
                item + tf.cast(share, item.dtype) * tf.convert_to_tensor(variable.value)
                for item, variable in zip(gradients, variables, strict=True)
            ]
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        objects = objects + penalty
        self.loss_metric.update_state(tf.where(tf.math.is_finite(objects), objects, 0.0), weight * good)
        # Summed over the replicas; the share keeps it a count of steps.
        self.bad_steps.update_state((1.0 - good) / replicas)
        for metric in self.task_metrics:
            metric.update_state(targets, outputs, weight)
        logs = self.get_metrics_result()
        # Here a replica sees its own share only, and Keras averages the replicas' logs of a step.
        return logs | {"bad_steps": logs["bad_steps"] * replicas}

    def _running(self) -> list:
        """Give what the forward pass itself changes, such as the running means of a normalisation.

        Such a variable states how replicas join it, and no other variable does.
        """
        return [item for item in self.network.non_trainable_weights if item.aggregation not in (None, "none")]

    def _guarded(self, loss, gradients):
        """Replace all gradients of a step by zeros if its loss or any gradient is not finite anywhere.

        Returns
        -------
        gradients : list of tensor
        bad : tensor (), int32
            Number of replicas that were not finite; the same on all.
        """
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        finite = tf.math.is_finite(loss)
        for gradient in gradients:
            finite &= tf.math.is_finite(tf.reduce_sum(tf.abs(gradient)))
        bad = tf.cast(~finite, tf.int32)
        if self.distribute_strategy.num_replicas_in_sync > 1:
            bad = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, bad)
        return [tf.where(bad == 0, item, tf.zeros_like(item)) for item in gradients], bad

    def _measured(self, gradients, good):
        """Record the norm of the gradient over all replicas, and clip this replica's part of it.

        Clipping scales by min(1, clip_norm / (norm + 1e-6)). Steps that are not ``good`` are left out of the means.
        """
        whole = gradients
        if self.distribute_strategy.num_replicas_in_sync > 1:
            whole = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, whole)
        norm = tf.linalg.global_norm(whole)
        self.norms[0].update_state(norm, good)
        if self.clip_norm is None:
            return gradients
        factor = tf.minimum(1.0, self.clip_norm / (norm + 1e-6))
        self.norms[1].update_state(norm * factor, good)
        return [item * tf.cast(factor, item.dtype) for item in gradients]

    def test_step(self, data):
        """Update the metrics on a batch ``(inputs, targets, sample_weight)``."""
        inputs, targets, weight = data
        outputs, objects, penalty = self._object_losses(inputs, targets, weight, False)
        self.loss_metric.update_state(objects + penalty, weight)
        for metric in self._counted:
            metric.update_state(targets, outputs, weight)
        return self.get_metrics_result()
