"""ProbSparse self-attention (Zhou et al. 2021, arXiv:2012.07436): the few queries that stand out attend, all others
take the mean of the values."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from zoo.layers.attention import MASKED_SCORE
from zoo.layers.initializers import FanInUniform
from zoo.layers.layer_norm import linear


def chosen_rows(length: int, factor: int) -> np.ndarray:
    """Give u(n) = min(n, factor · ⌈ln n⌉) for n = 0 ... length, (length + 1,), int32; 0 for 0."""
    rows = np.arange(1, length + 1)
    chosen = np.minimum(rows, factor * np.ceil(np.log(rows)))
    return np.concatenate([[0], chosen]).astype("int32")


def flat_places(places, rows):
    """Give places (batch, ...) in sequences of ``rows`` rows as places in all of them one after another."""
    start = ops.arange(ops.shape(places)[0], dtype="int32") * rows
    return places + ops.reshape(start, (-1, *[1] * (len(places.shape) - 1)))


@keras.saving.register_keras_serializable(package="zoo")
class ProbSparseAttention(keras.layers.Layer):
    """Self-attention of the u = min(n, factor · ⌈ln n⌉) queries of n rows whose scores are least uniform.

    With the unscaled scores R_ij = q_i · k_j of U = u sampled keys a query's measure is
    M_i = max_j R_ij − Σ_j R_ij / n. The u queries of largest M get softmax(q_i Kᵀ / √d) V over all n rows, every other
    one the mean of V; each head chooses for itself. Every projection has a bias.

    Neither the values of all rows nor what most queries get is ever formed: the result of head h is the mean, which
    the output projection takes once, and for the chosen queries a difference to it,
    (Σ_j a_j x_j − x̄) W_v, which is put into its row by a product with zeros and ones. The measure only chooses and has
    no gradient.

    Parameters
    ----------
    num_heads : int
        Heads; each is as wide as the tokens' width divided by them, rounded down.
    length : int
        Most rows of a sequence.
    factor : int
        Of u and U.
    head_merge : {"standard", "mixed"}
        Heads side by side in each row; or, as the published code of AstroM3 does, the array (head, row, component) read
        as (row, head · component), which mixes rows.
    key_sampling : {"random", "fixed", "all"}
        Keys of the measure: drawn at every call, in inference too; drawn once and kept as a weight; or all of them.
        Every row has its own, uniform with replacement.
    seed : int, optional
        Of the draws.
    """

    def __init__(self, num_heads, length, factor=1, head_merge="standard", key_sampling="all", seed=None, **kwargs):
        super().__init__(**kwargs)
        self.settings = {"num_heads": num_heads, "length": length, "factor": factor, "head_merge": head_merge,
                         "key_sampling": key_sampling, "seed": seed}  # fmt: skip
        self.counts = chosen_rows(length, factor)
        self.most = int(self.counts.max())
        self.random = keras.random.SeedGenerator(seed) if key_sampling == "random" else None

    def build(self, input_shape):
        width, heads = input_shape[-1], self.settings["num_heads"]
        if width < heads:
            raise ValueError(
                f"{self.name}: more heads than the tokens are wide. Received: {heads} heads, width {width}"
            )
        self.width, self.size = width, width // heads
        inner = heads * self.size
        for part in ("query", "key", "value", "output"):
            shape = (inner, width) if part == "output" else (width, inner)
            kernel = self.add_weight(name=f"{part}_kernel", shape=shape, initializer=FanInUniform(shape[0]))
            bias = self.add_weight(name=f"{part}_bias", shape=shape[1:], initializer=FanInUniform(shape[0]))
            setattr(self, f"{part}_kernel", kernel)
            setattr(self, f"{part}_bias", bias)
        if self.settings["key_sampling"] == "fixed":
            # Of any dtype policy: bfloat16 would point to other rows.
            self.key_share = self.add_weight(
                name="key_share", shape=(self.settings["length"], self.most), dtype="float32", trainable=False,
                autocast=False, initializer=keras.initializers.RandomUniform(0.0, 1.0, seed=self.settings["seed"]),
            )  # fmt: skip

    def _sample(self, rows, index):
        """Give the sampled keys (row, U) as shares of the rows, float32 in [0, 1); None for all keys."""
        if index is not None:
            return (ops.cast(index, "float32") + 0.5) / self.settings["length"]
        kind = self.settings["key_sampling"]
        if kind == "random":
            return keras.random.uniform((rows, self.most), seed=self.random)
        return self.key_share[:rows] if kind == "fixed" else None

    def measure(self, tokens, lengths=None, index=None):
        """Give M (batch, head, row) of every query.

        Parameters
        ----------
        tokens : tensor (batch, row, width)
        lengths : tensor (batch,), int32, optional
            Rows n that count, in front; all of them when absent. The first u(n) of the sampled keys count.
        index : tensor (row, U), int32, optional
            The sampled keys among ``length`` rows, in place of the layer's own.
        """
        heads, size = self.settings["num_heads"], self.size
        batch, rows = ops.shape(tokens)[0], ops.shape(tokens)[1]
        query = ops.reshape(linear(tokens, self.query_kernel, self.query_bias), (batch, rows, heads, size))
        key = linear(ops.reshape(tokens, (-1, self.width)), self.key_kernel, self.key_bias)
        number = ops.cast(rows if lengths is None else ops.maximum(lengths, 1)[:, None, None], "float32")
        share = self._sample(rows, index)
        if share is None:
            return self._of_all(query, ops.reshape(key, (batch, rows, heads, size)), lengths, number)
        sampled = share.shape[1]
        places = ops.cast(share[None] * number, "int32")
        if lengths is None:
            places, counts = ops.broadcast_to(places, (batch, rows, sampled)), None
        else:
            # A share just below 1 may be rounded up.
            places = ops.minimum(places, ops.maximum(lengths, 1)[:, None, None] - 1)
            counts = ops.take(self.counts, lengths)[:, None] > ops.arange(sampled)[None]
        places, highest, total = flat_places(places, rows), None, None
        # One after another: all sampled keys together are U times as large as the keys and leave the cache.
        for draw in range(sampled):
            chosen = ops.take(key, ops.reshape(places[:, :, draw], (-1,)), axis=0)
            scores = ops.sum(query * ops.reshape(chosen, ops.shape(query)), axis=-1)
            scores = low = ops.cast(scores, "float32")
            if counts is not None:
                there = counts[:, draw, None, None]
                scores, low = ops.where(there, scores, 0.0), ops.where(there, scores, MASKED_SCORE)
            highest = low if highest is None else ops.maximum(highest, low)
            total = scores if total is None else total + scores
        return ops.transpose(highest - total / number, (0, 2, 1))

    def _of_all(self, query, key, lengths, number):
        scores = ops.matmul(ops.transpose(query, (0, 2, 1, 3)), ops.transpose(key, (0, 2, 3, 1)))
        scores = ops.cast(scores, "float32")
        if lengths is None:
            return ops.max(scores, axis=-1) - ops.sum(scores, axis=-1) / number
        there = (ops.arange(ops.shape(key)[1])[None] < lengths[:, None])[:, None, None]
        highest = ops.max(ops.where(there, scores, MASKED_SCORE), axis=-1)
        return highest - ops.sum(ops.where(there, scores, 0.0), axis=-1) / number

    def choose(self, measure, lengths=None):
        """Give the places (batch, head, u), int32, of the queries of largest measure, best first."""
        if lengths is not None:
            there = ops.arange(ops.shape(measure)[2])[None] < lengths[:, None]
            measure = ops.where(there[:, None], measure, MASKED_SCORE)
        return ops.cast(ops.top_k(measure, self.most)[1], "int32")

    def attend(self, tokens, chosen, lengths=None):
        """Give the attention's result (batch, row, width) where the chosen queries (batch, head, u) attend."""
        heads, size, width = self.settings["num_heads"], self.size, self.width
        batch, rows = ops.shape(tokens)[0], ops.shape(tokens)[1]
        many = heads * self.most
        # Heads in front, as the small products of the chosen rows differ by head.
        places = ops.transpose(flat_places(chosen, rows), (1, 0, 2))
        taken = ops.take(ops.reshape(tokens, (-1, width)), ops.reshape(places, (-1,)), axis=0)
        taken = ops.reshape(taken, (heads, -1, width))
        scale = 1.0 / math.sqrt(size)
        query = ops.matmul(taken, self._apart(self.query_kernel * scale, (1, 0, 2)))
        query = query + ops.cast(ops.reshape(self.query_bias * scale, (heads, 1, size)), query.dtype)
        # q · (x W_k) = (q W_kᵀ) · x; the softmax cancels the key's bias.
        probe = ops.matmul(query, self._apart(self.key_kernel, (1, 2, 0)))
        probe = ops.reshape(ops.transpose(ops.reshape(probe, (heads, batch, self.most, width)), (1, 0, 2, 3)),
                            (batch, many, width))  # fmt: skip
        # The large array stands on the left, where neither the product nor its gradient has to transpose it.
        scores = ops.transpose(ops.matmul(tokens, ops.transpose(probe, (0, 2, 1))), (0, 2, 1))
        uniform, there = self._uniform(batch, rows, lengths, scores.dtype)
        if there is not None:
            scores = scores + ops.where(there, ops.cast(0.0, scores.dtype), ops.cast(MASKED_SCORE, scores.dtype))
        weights = ops.softmax(scores, axis=-1) - uniform
        mixed = ops.matmul(ops.concatenate([weights, uniform], axis=1), tokens)
        change, mean = mixed[:, :many], mixed[:, many]
        mean = linear(mean, self.value_kernel, self.value_bias)
        change = ops.reshape(change, (batch, heads, self.most, width))
        change = ops.reshape(ops.transpose(change, (1, 0, 2, 3)), (heads, -1, width))
        change = ops.matmul(change, self._apart(self.value_kernel, (1, 0, 2)))
        if self.settings["head_merge"] == "standard":
            return self._merge(change, mean, chosen, lengths, rows)
        return self._merge_mixed(change, mean, chosen, lengths, rows)

    def _apart(self, kernel, order):
        """Give a kernel (width, head · size) with its heads apart, the axes (width, head, size) in another order."""
        heads, size = self.settings["num_heads"], self.size
        return ops.transpose(ops.reshape(ops.cast(kernel, self.compute_dtype), (self.width, heads, size)), order)

    def _uniform(self, batch, rows, lengths, dtype):
        """Give the weights (batch, 1, row) of the mean over the rows that count, and which those are."""
        if lengths is None:
            return ops.ones((batch, 1, rows), dtype) / ops.cast(rows, dtype), None
        there = (ops.arange(rows)[None] < lengths[:, None])[:, None]
        number = ops.cast(ops.maximum(lengths, 1), dtype)[:, None, None]
        return ops.cast(there, dtype) / number, there

    def _counting(self, chosen, lengths):
        """Give which chosen queries count, (batch, head, u), or None for all: an object has u of its own length."""
        if lengths is None:
            return None
        counts = ops.take(self.counts, lengths)[:, None] > ops.arange(self.most)[None]
        return ops.broadcast_to(counts[:, None], ops.shape(chosen))

    def _rows(self, places, counting, rows, dtype):
        """Give zeros and a one in the row of every chosen query, (batch, row, head · u)."""
        batch = ops.shape(places)[0]
        if counting is not None:
            places = ops.where(counting, places, -1)
        places = ops.reshape(places, (batch, 1, -1))
        return ops.cast(places == ops.arange(rows, dtype="int32")[None, :, None], dtype)

    def _merge(self, change, mean, chosen, lengths, rows):
        heads, batch = self.settings["num_heads"], ops.shape(chosen)[0]
        kernel = ops.reshape(ops.cast(self.output_kernel, self.compute_dtype), (heads, self.size, self.width))
        change = ops.reshape(ops.matmul(change, kernel), (heads, batch, self.most, self.width))
        change = ops.reshape(ops.transpose(change, (1, 0, 2, 3)), (batch, heads * self.most, self.width))
        place = self._rows(chosen, self._counting(chosen, lengths), rows, change.dtype)
        place = ops.concatenate([place, ops.ones((batch, rows, 1), place.dtype)], axis=2)
        mean = linear(mean, self.output_kernel, self.output_bias)[:, None]
        return ops.matmul(place, ops.concatenate([change, mean], axis=1))

    def _merge_mixed(self, change, mean, chosen, lengths, rows):
        """Place piece i of head h, piece h · n + i of all, into row (h · n + i) // H and slot (h · n + i) % H."""
        heads, size, width = self.settings["num_heads"], self.size, self.width
        batch = ops.shape(chosen)[0]
        number = rows if lengths is None else ops.maximum(lengths, 1)[:, None, None]
        piece = ops.arange(heads, dtype="int32")[None, :, None] * number + chosen
        slots = ops.arange(heads, dtype="int32")
        slot = ops.cast((piece % heads)[..., None, None] == slots[:, None], change.dtype)
        change = ops.transpose(ops.reshape(change, (heads, batch, self.most, size)), (1, 0, 2, 3))
        change = ops.reshape(slot * change[..., None, :], (batch, heads * self.most, heads * size))
        kernel = ops.cast(self.output_kernel, change.dtype)
        change = ops.matmul(change, kernel)
        # What the mean of every head gives in every slot, and where it stands.
        slices = ops.reshape(kernel, (heads, size, width))
        means = ops.einsum("bhd,sde->bhse", ops.reshape(mean, (batch, heads, size)), slices)
        # Every row has one piece in the first slot: the bias goes there.
        first = ops.cast(slots == 0, kernel.dtype)[:, None]
        means = means + first * ops.cast(self.output_bias, kernel.dtype)
        means = ops.reshape(means, (batch, heads * heads, width))
        pieces = ops.reshape(ops.arange(rows * heads, dtype="int32"), (1, rows, heads, 1))
        number = number if lengths is None else number[..., None]
        of_head = ops.minimum(pieces // number, heads - 1) == slots
        spread = ops.reshape(ops.transpose(ops.cast(of_head, change.dtype), (0, 1, 3, 2)), (-1, rows, heads * heads))
        spread = ops.broadcast_to(spread, (batch, rows, heads * heads))
        place = self._rows(piece // heads, self._counting(chosen, lengths), rows, change.dtype)
        return ops.matmul(ops.concatenate([place, spread], axis=2), ops.concatenate([change, means], axis=1))

    def call(self, tokens, lengths=None, index=None):
        """Attend from every row to every row that counts.

        Parameters
        ----------
        tokens : tensor (batch, row, width)
            At least u and at most ``length`` rows.
        lengths, index
            As in `measure`.

        Returns
        -------
        tensor (batch, row, width)
        """
        measure = self.measure(ops.stop_gradient(tokens), lengths, index)
        return self.attend(tokens, self.choose(measure, lengths), lengths)

    def compute_output_shape(self, input_shape, *_args, **_kwargs):
        return input_shape

    def get_config(self):
        return super().get_config() | self.settings
