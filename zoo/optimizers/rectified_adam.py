"""Adam whose step is scaled by how well its second moment is known."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class RectifiedAdam(keras.optimizers.Optimizer):
    """Rectified Adam (Liu et al. 2020, arXiv:1908.03265, algorithm 2).

    With ρ∞ = 2/(1−β₂) − 1 and ρ = ρ∞ − 2·t·β₂ᵗ/(1−β₂ᵗ) the update is lr · r · m̂ / (√v̂ + ε) where ρ reaches the
    threshold, r = √((ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ)), and lr · m̂ before. The weight decay adds lr · decay · w.

    Parameters
    ----------
    learning_rate : float or schedule
    beta_1, beta_2 : float
        Decay of the two moments.
    epsilon : float
        Added to the root of the second moment.
    weight_decay : float
        Decoupled decay.
    sma_threshold : float
        Least ρ for which the second moment is used; at least 4.
    **kwargs
        As ``keras.optimizers.Optimizer``.
    """

    def __init__(self, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.0,
                 sma_threshold=5.0, name="rectified_adam", **kwargs):  # fmt: skip
        if sma_threshold < 4:
            raise ValueError(f"sma_threshold must be at least 4. Received: {sma_threshold}")
        # The base class takes none of the decay: it would decay on its own, before the step and not within it.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.decay, self.sma_threshold = weight_decay or 0.0, sma_threshold

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
        # One rounding of the decays everywhere: ρ is the small difference of two large numbers.
        beta_1, beta_2 = ops.cast(self.beta_1, kind), ops.cast(self.beta_2, kind)
        power = ops.power(beta_2, step)
        place = self._get_variable_index(variable)
        mean, square = self._means[place], self._squares[place]
        self.assign_add(mean, (gradient - mean) * (1.0 - beta_1))
        self.assign_add(square, (ops.square(gradient) - square) * (1.0 - beta_2))
        corrected = mean / (1.0 - ops.power(beta_1, step))
        longest = 2.0 / (1.0 - beta_2) - 1.0
        length = longest - 2.0 * step * power / (1.0 - power)
        known = length >= self.sma_threshold
        # The branch that is not taken must be finite as well.
        safe = ops.where(known, length, longest)
        share = (safe - 4.0) / (longest - 4.0) * (safe - 2.0) / (longest - 2.0) * longest / safe
        adapted = ops.sqrt(share) * corrected / (ops.sqrt(square / (1.0 - power)) + self.epsilon)
        update = ops.where(known, adapted, corrected)
        if self.decay:
            update = update + self.decay * variable
        self.assign_sub(variable, rate * update)

    def get_config(self):
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "weight_decay": self.decay,
            "sma_threshold": self.sma_threshold,
        }
