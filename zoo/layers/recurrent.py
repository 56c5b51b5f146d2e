"""Recurrent layers over observations with explicit masks."""

from __future__ import annotations

import keras
from keras import ops

CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}


@keras.saving.register_keras_serializable(package="zoo")
class RecurrentEncoder(keras.layers.Layer):
    """Stacked recurrent layers; the state of the last one after the last valid row, 0 where there is none.

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn"}
        In Keras's default form: tanh and sigmoid; the GRU with ``reset_after``.
    units : int
        Width of every layer.
    layers : int
        Number of layers.
    """

    def __init__(self, cell, units, layers, **kwargs):
        # Keras would cast times to bfloat16 on the way in.
        super().__init__(autocast=False, **kwargs)
        if cell not in CELLS:
            raise ValueError(f"Unknown recurrent cell. Valid: {', '.join(CELLS)}. Received: {cell!r}")
        self.settings = {"cell": cell, "units": units, "layers": layers}
        # The first layer sees days, which bfloat16 would round.
        policies = ["float32"] + [self.dtype_policy] * (layers - 1)
        self.stack = [
            CELLS[cell](units, return_sequences=place < layers - 1, dtype=policy, name=f"{cell}_{place}")
            for place, policy in enumerate(policies)
        ]

    def build(self, sequence_shape, valid_shape=None):
        width = sequence_shape[-1]
        for layer in self.stack:
            layer.build((*sequence_shape[:-1], width))
            width = self.settings["units"]

    def call(self, sequence, valid):
        """Encode.

        Parameters
        ----------
        sequence : tensor (batch, time, column), float32
            0 where not valid.
        valid : tensor (batch, time), bool
            True = a row. Rows that are not valid are passed over, wherever they stand.

        Returns
        -------
        tensor (batch, units)
        """
        rows = ops.shape(valid)[1]
        place = ops.arange(rows, dtype="int32")[None, :]
        # cuDNN takes neither gaps nor an empty sequence: valid rows go in front, and one row is always read.
        order = ops.argsort(ops.where(valid, place, place + rows), axis=1)
        sequence = ops.take_along_axis(sequence, order[..., None], axis=1)
        count = ops.sum(ops.cast(valid, "int32"), axis=1)[:, None]
        front = place < ops.maximum(count, 1)
        for layer in self.stack:
            sequence = layer(sequence, mask=front)
        return ops.where(count > 0, sequence, ops.zeros_like(sequence))

    def compute_output_shape(self, sequence_shape, valid_shape=None):
        return (sequence_shape[0], self.settings["units"])

    def get_config(self):
        return super().get_config() | self.settings
