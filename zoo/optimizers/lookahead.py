"""Slow weights that follow those of another optimizer."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class Lookahead(keras.optimizers.Optimizer):
    """Slow weights beside those of another optimizer (Zhang et al. 2019, arXiv:1907.08610, algorithm 1).

    After every ``period`` steps of the inner optimizer the slow weights s move towards its weights w,
    s ← s + α · (w − s), and w starts again from s. The slow weights begin as the weights are when the optimizer
    is built.

    Parameters
    ----------
    inner : keras.optimizers.Optimizer
        Any whose work is its ``update_step`` and weight decay: all of the zoo's, and Keras's but Nadam. What
        Keras's base class does beside that (running means, clipping, excluding weights from the decay) is asked of
        this optimizer, not of the inner one.
    period : int
        Steps between two meetings.
    slow_step : float
        α, in (0, 1].
    **kwargs
        As ``keras.optimizers.Optimizer``, without ``learning_rate`` and ``weight_decay``, which are the inner
        optimizer's, and ``gradient_accumulation_steps``.
    """

    def __init__(self, inner, period=6, slow_step=0.5, name="lookahead", **kwargs):
        if isinstance(inner, keras.optimizers.Nadam | keras.optimizers.LossScaleOptimizer):
            raise ValueError(
                "Lookahead needs an optimizer whose work is its update_step. Valid: for instance Adam. "
                f"Received: {type(inner).__name__}"
            )
        if period < 1 or not 0 < slow_step <= 1:
            raise ValueError(f"period must be at least 1 and slow_step lie in (0, 1]. Received: {period}, {slow_step}")
        for key in ("learning_rate", "weight_decay", "gradient_accumulation_steps"):
            if kwargs.pop(key, None) is not None:
                raise ValueError(f"{key} is the inner optimizer's or not offered. Valid: None. Received: a value")
        super().__init__(learning_rate=0.0, weight_decay=inner.weight_decay, name=name, **kwargs)
        self.inner, self.period, self.slow_step = inner, period, slow_step

    def build(self, variables):
        """Make the slow weights of variables, equal to them, and what the inner optimizer keeps."""
        if self.built:
            return
        super().build(variables)
        self.inner.build(variables)
        # An initialiser and no assignment: built while a step is traced, an assignment would run in each step.
        self._slow = [
            self.add_variable_from_reference(variable, name="slow", initializer=_value(variable))
            for variable in variables
        ]

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable."""
        self.inner.update_step(gradient, variable, learning_rate)
        slow = self._slow[self._get_variable_index(variable)]
        meets = ops.equal((self.iterations + 1) % self.period, 0)
        moved = slow + ops.cast(self.slow_step, variable.dtype) * (variable - slow)
        self.assign(slow, ops.where(meets, moved, slow))
        self.assign(variable, ops.where(meets, moved, variable))

    def apply(self, grads, trainable_variables=None):
        """Take a step."""
        super().apply(grads, trainable_variables)
        # Schedule and bias corrections are the inner optimizer's, and so is its count of steps.
        self.inner.iterations.assign_add(1)

    @property
    def variables(self):
        """All variables, those of the inner optimizer last."""
        return [*super().variables, *self.inner.variables]

    def save_own_variables(self, store):
        """Save all but the inner optimizer's, which is saved as a part of its own."""
        for number, variable in enumerate(super().variables):
            store[str(number)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Load what `save_own_variables` saved."""
        own = super().variables
        if len(store) != len(own):
            raise ValueError(f"Lookahead: the stored state must have {len(own)} arrays. Received: {len(store)}")
        for number, variable in enumerate(own):
            variable.assign(store[str(number)])

    @property
    def learning_rate(self):
        """The inner optimizer's."""
        return self.inner.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.inner.learning_rate = value

    def get_config(self):
        config = super().get_config()
        for key in ("learning_rate", "weight_decay", "gradient_accumulation_steps"):
            config.pop(key, None)
        inner = keras.saving.serialize_keras_object(self.inner)
        return config | {"inner": inner, "period": self.period, "slow_step": self.slow_step}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        inner = keras.saving.deserialize_keras_object(config.pop("inner"), custom_objects=custom_objects)
        return cls(inner, **config)


def _value(variable):
    return lambda shape, dtype: ops.cast(ops.convert_to_tensor(variable), dtype)
