"""LAMB with the weight decay inside the step whose length is set by layer."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class Lamb(keras.optimizers.Optimizer):
    """Layer-wise adaptive moments (You et al. 2020, arXiv:1904.00962, algorithm 2).

    The step is u = m̂ / (√v̂ + ε) + decay · w, and w changes by lr · ‖w‖ / ‖u‖ · u; the ratio is 1 where a norm
    is 0. Keras's LAMB decays the weights beside this step, which is another optimizer as soon as there is a
    decay; without one they are equal.

    Parameters
    ----------
    learning_rate : float or schedule
    beta_1, beta_2 : float
        Decay of the two moments.
    epsilon : float
        Added to the root of the second moment.
    weight_decay : float
        Share of the weights in the step.
    **kwargs
        As ``keras.optimizers.Optimizer``.
    """

    def __init__(self, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-6, weight_decay=0.0,
                 name="lamb", **kwargs):  # fmt: skip
        # The base class takes none of the decay: it would decay on its own, beside the step.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.decay = beta_1, beta_2, epsilon, weight_decay or 0.0

    def build(self, variables):
        """Make the moments of variables."""
        if self.built:
            return
        super().build(variables)
        self._means, self._squares = self.add_optimizer_variables(variables, ["mean", "square"])

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable."""
        kind = variable.dtype
        rate, gradient = ops.cast(learning_rate, kind), ops.cast(gradient, kind)
        step = ops.cast(self.iterations + 1, kind)
        # One rounding of the decays everywhere: 1 − β₂ is small.
        beta_1, beta_2 = ops.cast(self.beta_1, kind), ops.cast(self.beta_2, kind)
        place = self._get_variable_index(variable)
        mean, square = self._means[place], self._squares[place]
        self.assign_add(mean, (gradient - mean) * (1.0 - beta_1))
        self.assign_add(square, (ops.square(gradient) - square) * (1.0 - beta_2))
        corrected = mean / (1.0 - ops.power(beta_1, step))
        root = ops.sqrt(square / (1.0 - ops.power(beta_2, step))) + self.epsilon
        update = corrected / root
        if self.decay:
            update = update + self.decay * variable
        weights, length = ops.sqrt(ops.sum(ops.square(variable))), ops.sqrt(ops.sum(ops.square(update)))
        usable = ops.logical_and(weights > 0, length > 0)
        ratio = ops.where(usable, weights / ops.where(usable, length, 1.0), 1.0)
        self.assign_sub(variable, rate * ratio * update)

    def get_config(self):
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "weight_decay": self.decay,
        }
