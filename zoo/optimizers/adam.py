"""Adam as published, with ε outside the bias correction."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class Adam(keras.optimizers.Adam):
    """Adam with the update lr · m̂ / (√v̂ + ε), m̂ and v̂ corrected for bias (Kingma & Ba 2015, algorithm 1).

    Keras adds ε to the uncorrected √v, which is a larger ε in the first steps: for arrays with small
    gradients the first weights then differ from PyTorch's by more than rounding. Arguments as
    ``keras.optimizers.Adam``, without ``amsgrad``; ε is 1e-8 by default.
    """

    def __init__(self, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, **kwargs):
        if kwargs.pop("amsgrad", False):
            raise ValueError("amsgrad is not offered here. Valid: False. Received: True")
        super().__init__(learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        correction_1 = 1.0 - ops.power(ops.cast(self.beta_1, variable.dtype), step)
        correction_2 = 1.0 - ops.power(ops.cast(self.beta_2, variable.dtype), step)
        place = self._get_variable_index(variable)
        mean, square = self._momentums[place], self._velocities[place]
        self.assign_add(mean, (gradient - mean) * (1.0 - self.beta_1))
        self.assign_add(square, (ops.square(gradient) - square) * (1.0 - self.beta_2))
        root = ops.sqrt(square / correction_2) + self.epsilon
        self.assign_sub(variable, rate * (mean / correction_1) / root)
