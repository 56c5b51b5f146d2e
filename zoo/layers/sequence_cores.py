"""What makes one vector of a few frames: convolution over time, time-delay network, gamma memory."""

from __future__ import annotations

import keras
from keras import ops


def front(sequence, mask):
    """Put the valid frames of sequences (batch, frame, column) in front, in their order, and zeros behind them.

    Returns
    -------
    sequence : tensor (batch, frame, column)
    count : tensor (batch,), int32
        Valid frames of each.
    """
    place = ops.arange(ops.shape(mask)[1], dtype="int32")[None, :]
    order = ops.argsort(ops.where(mask, place, place + ops.shape(mask)[1]), axis=1)
    sequence = ops.where(mask[..., None], sequence, ops.zeros_like(sequence))
    return ops.take_along_axis(sequence, order[..., None], axis=1), ops.sum(ops.cast(mask, "int32"), axis=1)


def last(sequence, count):
    """Give the last valid frame (batch, column) of what `front` gave; zeros where there is none."""
    return ops.take_along_axis(sequence, ops.maximum(count - 1, 0)[:, None, None], axis=1)[:, 0]


class _Core(keras.layers.Layer):
    """A core that sees the first ``frames`` valid frames."""

    def __init__(self, frames, units, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.settings = {"frames": frames, "units": units}

    def frames(self, sequence, mask):
        """Give the frames (batch, frames, column), zeros behind the last, and their number (batch,)."""
        sequence, count = front(sequence, mask)
        length = self.settings["frames"]
        sequence = ops.pad(sequence, ((0, 0), (0, length), (0, 0)))[:, :length]
        # The number of frames that come in may be unknown in the graph; of those that go out it is not.
        return ops.reshape(sequence, (-1, length, sequence.shape[-1])), ops.minimum(count, length)

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class ConvolutionCore(_Core):
    """Convolution over time without padding, ReLU, all its steps side by side.

    Parameters
    ----------
    frames : int
        Length that sequences are cut or filled up to.
    units : int
        Filters.
    kernel : int
        Frames that a filter sees.
    """

    def __init__(self, frames, units, kernel=2, **kwargs):
        super().__init__(frames, units, **kwargs)
        self.settings["kernel"] = kernel
        self.convolution = keras.layers.Conv1D(units, kernel, activation="relu", dtype=self.dtype_policy, name="conv")

    def build(self, sequence_shape, mask_shape=None):
        self.convolution.build((None, self.settings["frames"], sequence_shape[-1]))

    def call(self, sequence, mask):
        """Turn (batch, frame, column) into (batch, (frames − kernel + 1) · units)."""
        steps = self.convolution(ops.cast(self.frames(sequence, mask)[0], self.compute_dtype))
        return ops.reshape(steps, (-1, steps.shape[1] * steps.shape[2]))

    def compute_output_shape(self, sequence_shape, mask_shape=None):
        steps = self.settings["frames"] - self.settings["kernel"] + 1
        return (sequence_shape[0], steps * self.settings["units"])


@keras.saving.register_keras_serializable(package="zoo")
class DelayCore(_Core):
    """Time-delay network (Waibel et al. 1989): the same Dense ReLU on windows of frames, averaged over the windows.

    A window counts if its last frame is valid; of an object with fewer frames than a window has, the first one does.

    Parameters
    ----------
    frames : int
        Most frames.
    units : int
        Width.
    window : int
        Frames of a window.
    """

    def __init__(self, frames, units, window=2, **kwargs):
        super().__init__(frames, units, **kwargs)
        self.settings["window"] = window
        self.windows = keras.layers.Conv1D(units, window, activation="relu", dtype=self.dtype_policy, name="windows")

    def build(self, sequence_shape, mask_shape=None):
        self.windows.build((None, self.settings["frames"], sequence_shape[-1]))

    def call(self, sequence, mask):
        """Turn (batch, frame, column) into (batch, units)."""
        sequence, count = self.frames(sequence, mask)
        steps = ops.cast(self.windows(ops.cast(sequence, self.compute_dtype)), "float32")
        number = ops.where(count > 0, ops.maximum(count - self.settings["window"] + 1, 1), 0)
        counted = ops.cast(ops.arange(steps.shape[1], dtype="int32")[None, :] < number[:, None], "float32")
        total = ops.sum(steps * counted[..., None], axis=1)
        return total / ops.cast(ops.maximum(number, 1), "float32")[:, None]

    def compute_output_shape(self, sequence_shape, mask_shape=None):
        return (sequence_shape[0], self.settings["units"])


@keras.saving.register_keras_serializable(package="zoo")
class GammaCore(_Core):
    """Gamma memory (de Vries and Principe 1992): a chain of leaky taps, and Dense ReLU on it at the last frame.

    x_0(t) is the input and x_k(t) = (1 − μ) x_k(t − 1) + μ x_{k−1}(t − 1), all taps 0 before the first frame; μ in
    (0, 2) is learned and starts at 1, where the memory is a plain delay line.

    Parameters
    ----------
    frames : int
        Most frames.
    units : int
        Width of the dense layer.
    taps : int
        Taps beside the input itself.
    """

    def __init__(self, frames, units, taps=4, **kwargs):
        super().__init__(frames, units, **kwargs)
        self.settings["taps"] = taps
        self.dense = keras.layers.Dense(units, activation="relu", dtype=self.dtype_policy, name="dense")

    def build(self, sequence_shape, mask_shape=None):
        self.rate = self.add_weight(name="rate", shape=(), initializer="zeros", autocast=False)
        self.dense.build((None, sequence_shape[-1] * (1 + self.settings["taps"])))

    def call(self, sequence, mask):
        """Turn (batch, frame, column) into (batch, units)."""
        sequence, count = self.frames(sequence, mask)
        sequence = ops.cast(sequence, "float32")
        rate = 2.0 * ops.sigmoid(ops.convert_to_tensor(self.rate))
        memory = [ops.zeros_like(sequence[:, 0]) for _ in range(1 + self.settings["taps"])]
        for step in range(self.settings["frames"]):
            moved = [sequence[:, step]]
            moved += [memory[tap] + rate * (memory[tap - 1] - memory[tap]) for tap in range(1, len(memory))]
            valid = (step < count)[:, None]
            memory = [ops.where(valid, new, old) for new, old in zip(moved, memory, strict=True)]
        return self.dense(ops.cast(ops.concatenate(memory, axis=-1), self.compute_dtype))

    def compute_output_shape(self, sequence_shape, mask_shape=None):
        return (sequence_shape[0], self.settings["units"])
