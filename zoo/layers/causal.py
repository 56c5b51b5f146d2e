"""Causal sequence encoders: what comes out at a step depends on that step and earlier ones alone."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.activations import hard_sigmoid
from zoo.layers.batch_norm import MaskedBatchNorm
from zoo.layers.dropout import Dropout
from zoo.layers.layer_norm import linear

GATES = {"sigmoid": "sigmoid", "hard_sigmoid": hard_sigmoid}


@keras.saving.register_keras_serializable(package="zoo")
class RecurrentStack(keras.layers.Layer):
    """Recurrent layers one on the other, (batch, step, channel) to (batch, step, units).

    After the first layers follow dropout and normalisation, after the last one normalisation and dropout, as in
    RAPID (arXiv:1904.00014).

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn"}
        The last is the plain one, without gates.
    units, layers : int
        Width of a layer, and their number.
    gate : {"sigmoid", "hard_sigmoid"}
        Activation of the gates; the second is that of Keras before version 3.
    reset_after : bool
        GRU: apply the reset gate after the matrix product. With it and ``sigmoid`` cuDNN can be used.
    batch_norm : bool
        Whether to normalise over the valid steps of a batch.
    dropout : float
        Rate after each layer.
    """

    def __init__(self, cell="gru", units=100, layers=2, gate="sigmoid", reset_after=True, batch_norm=False,
                 dropout=0.0, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.settings = {"cell": cell, "units": units, "layers": layers, "gate": gate, "reset_after": reset_after,
                         "batch_norm": batch_norm, "dropout": dropout}  # fmt: skip
        policy = self.dtype_policy
        options = {"return_sequences": True, "dtype": policy}
        if cell != "rnn":
            options["recurrent_activation"] = GATES[gate]
        if cell == "gru":
            options["reset_after"] = reset_after
        make = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}[cell]
        self.layers = [make(units, name=f"{cell}_{place}", **options) for place in range(layers)]
        self.norms = [MaskedBatchNorm(dtype=policy, name=f"norm_{place}") for place in range(layers * batch_norm)]
        self.dropouts = [Dropout(dropout, dtype=policy, name=f"dropout_{n}") for n in range(layers)]

    def build(self, values_shape, mask_shape=None, skip_shape=None):
        shape = tuple(values_shape)
        for layer in self.layers:
            layer.build(shape)
            shape = (*shape[:-1], self.settings["units"])
        for layer in (*self.norms, *self.dropouts):
            layer.build(shape)

    def call(self, values, mask, skip=None, training=None, every=False):
        """Encode.

        Parameters
        ----------
        values : tensor (batch, step, channel)
        mask : tensor (batch, step), bool
            True = valid; valid steps come first.
        skip : tensor (batch, step), bool, optional
            False = leave the state as it is, and give the last step's output again.
        every : bool
            Give the outputs of all layers, as they are inside, and not of the last alone.
        """
        # Nothing flows from a step to an earlier one, so padding behind the valid steps needs no mask here.
        inside, last = [], len(self.layers) - 1
        for place, (layer, dropout) in enumerate(zip(self.layers, self.dropouts, strict=True)):
            values = layer(values, mask=skip)
            inside.append(values)
            if self.norms and place == last:
                values = self.norms[place](values, mask, training=training)
                inside.append(values)
            values = dropout(values, training=training)
            if self.norms and place < last:
                values = self.norms[place](values, mask, training=training)
                inside.append(values)
        return (values, inside) if every else values

    def compute_output_shape(self, values_shape, mask_shape=None, skip_shape=None):
        return (*values_shape[:-1], self.settings["units"])

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class CausalConvolutions(keras.layers.Layer):
    """Temporal convolutional network, (batch, step, channel) to (batch, step, units), arXiv:1803.01271.

    Each block applies (convolution, activation, spatial dropout) twice, then the activation once more; that is its
    skip output, and activation(skip output + input) feeds the next block, the input through a 1 × 1 convolution
    where its width is another. The result is the sum of the skip outputs.

    Parameters
    ----------
    units : int
        Filters of every convolution.
    kernel_size : int
        Steps that a convolution sees.
    dilations : sequence of int
        Distance of those steps, one a block.
    activation : str
        Keras activation.
    dropout : float
        Rate by which whole channels of an object are dropped.
    """

    def __init__(self, units=100, kernel_size=2, dilations=(1, 2, 4, 8), activation="sigmoid", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"units": units, "kernel_size": kernel_size, "dilations": list(dilations),
                         "activation": activation, "dropout": dropout}  # fmt: skip
        policy = self.dtype_policy
        self.activation = keras.activations.get(activation)
        self.pairs, self.dropouts = [], []
        for block, rate in enumerate(dilations):
            options = {"padding": "causal", "dilation_rate": rate, "dtype": policy}
            self.pairs += [keras.layers.Conv1D(units, kernel_size, name=f"block_{block}_conv_{place}", **options)
                           for place in range(2)]  # fmt: skip
            self.dropouts += [keras.layers.SpatialDropout1D(dropout, dtype=policy, name=f"block_{block}_dropout_{n}")
                              for n in range(2)]  # fmt: skip
        self.match = keras.layers.Conv1D(units, 1, dtype=policy, name="block_0_match")

    def build(self, input_shape):
        shape = tuple(input_shape)
        self.matches = shape[-1] != self.settings["units"]
        if self.matches:
            self.match.build(shape)
        for convolution in self.pairs:
            convolution.build(shape)
            shape = (*shape[:-1], self.settings["units"])
        for layer in self.dropouts:
            layer.build(shape)

    def call(self, values, training=None):
        """Encode; padding behind the valid steps changes nothing at them."""
        total = None
        for block in range(len(self.settings["dilations"])):
            hidden = values
            for place in (2 * block, 2 * block + 1):
                rate = self.settings["dilations"][block]
                hidden = self.activation(_convolved(hidden, self.pairs[place], rate))
                hidden = self.dropouts[place](hidden, training=training)
            hidden = self.activation(hidden)
            total = hidden if total is None else total + hidden
            values = self.activation(hidden + (self.match(values) if block == 0 and self.matches else values))
        return total

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.settings["units"])

    def get_config(self):
        return super().get_config() | self.settings


def _convolved(values, layer, rate):
    """Apply a causal convolution (batch, step, channel) to (batch, step, filter) as one product of matrices.

    Libraries rearrange a dilated convolution into batches first, which takes longer than the product itself.
    """
    size = layer.kernel.shape[0]
    seen = [delayed(values, place * rate) for place in range(size - 1, 0, -1)]
    kernel = ops.reshape(layer.kernel, (-1, layer.kernel.shape[2]))
    return linear(ops.concatenate([*seen, values], axis=-1), kernel, layer.bias)


def delayed(values, count: int):
    """Give values (batch, step, channel) ``count`` steps later, 0 before the first.

    The gradient is written out, the same towards the other end: that of a slice is many times slower.
    """

    @ops.custom_gradient
    def apply(values):
        def gradient(*arguments, upstream=None):
            if upstream is None:
                (upstream,) = arguments
            return ops.pad(upstream, [[0, 0], [0, count], [0, 0]])[:, count:]

        return ops.pad(values, [[0, 0], [count, 0], [0, 0]])[:, : ops.shape(values)[1]], gradient

    return apply(values)


def last_valid(values, mask):
    """Let the last valid step of every object stand for the steps after it.

    Parameters
    ----------
    values : tensor (batch, step, channel)
    mask : tensor (batch, step), bool
        True = valid; valid steps come first.

    Returns
    -------
    tensor (batch, step, channel)
        0 for objects without a valid step.
    """
    count = ops.sum(ops.cast(mask, "int32"), axis=1)[:, None]
    place = ops.minimum(ops.arange(ops.shape(mask)[1], dtype="int32")[None], ops.maximum(count - 1, 0))
    values = ops.take_along_axis(values, place[..., None], axis=1)
    return ops.where((count > 0)[..., None], values, ops.zeros_like(values))
