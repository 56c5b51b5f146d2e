"""Plain PyTorch twins of the light-curve models, written from their published descriptions for comparison only.

Each takes a dict of tensors, the arrays that its zoo counterpart gets, and has ``loss(inputs, labels)`` and
``infer(inputs)``. `EXPECTED` holds the number of trained weights of each, from the published counts.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

WAVELENGTHS = (0.360, 0.476, 0.6215, 0.7545, 0.870, 1.015)

EXPECTED = {
    "transformer_autoencoder": 1_863_174,
    # Published: 93,613 with 400 means and variances of the normalisations, which are not trained.
    "rapid_gru": 93_613 - 400,
    "rapid_lstm": 122_509,
    # PyTorch's own layers have a second bias: 3 · 100 and 4 · 100 more a layer.
    "rapid_gru_sigmoid": 93_613 - 400 + 2 * 300,
    "rapid_lstm_sigmoid": 122_509 + 2 * 400,
    "rapid_tcn": 142_709,
    "t2": 13_390,
    "hierarchical_lstm": 136_346,
    "oracle_gru": 122_294,
}
"""Model -> number of trained weights of its twin at the published size."""


class Attention(nn.Module):
    """Multi-head attention with four linear layers and PyTorch's fused kernel."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, queries, keys, allowed=None):
        def split(values):
            return values.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(
            split(self.query(queries)), split(self.key(keys)), split(self.value(keys)), attn_mask=allowed
        )
        return self.out(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Sequential):
    """Two linear layers with a ReLU between them."""

    def __init__(self, width: int, hidden: int):
        super().__init__(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))


class EncoderLayer(nn.Module):
    """Post-norm: attention and feed-forward layer, each added and normalised."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.attention, self.feed_forward = Attention(width, heads), FeedForward(width, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens, allowed=None):
        tokens = self.norms[0](tokens + self.dropout(self.attention(tokens, tokens, allowed)))
        return self.norms[1](tokens + self.dropout(self.feed_forward(tokens)))


class DecoderLayer(nn.Module):
    """Post-norm: causal attention, attention to the encoder, feed-forward layer."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.own, self.cross = Attention(width, heads), Attention(width, heads)
        self.feed_forward = FeedForward(width, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(3))

    def forward(self, tokens, memory, causal, allowed):
        tokens = self.norms[0](tokens + self.own(tokens, tokens, causal))
        tokens = self.norms[1](tokens + self.cross(tokens, memory, allowed))
        return self.norms[2](tokens + self.feed_forward(tokens))


def positions(length: int, width: int) -> torch.Tensor:
    """Give interleaved sines and cosines (length, width)."""
    angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).flatten(1).float()


class Autoencoder(nn.Module):
    """Transformer autoencoder with band embedding; a start row of zeros comes before the steps."""

    def __init__(self, bands: int = 6, width: int = 128, heads: int = 8, hidden: int = 64, layers: int = 8):
        super().__init__()
        self.width = width
        self.embed = nn.ModuleList(nn.Linear(bands, width) for _ in range(2))
        self.encoder = nn.ModuleList(EncoderLayer(width, heads, hidden) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderLayer(width, heads, hidden) for _ in range(layers))
        self.head = nn.Linear(width, bands)
        self.register_buffer("table", positions(512, width))

    def _tokens(self, rows, which: int):
        return self.embed[which](rows) * math.sqrt(self.width) + self.table[: rows.shape[1]]

    def forward(self, inputs):
        observed = inputs["observed"].float()
        flux = functional.pad(inputs["flux"] * observed, (0, 0, 1, 0))
        seen = functional.pad(inputs["observed"].any(-1), (1, 0), value=True)
        length, allowed = flux.shape[1] - 1, seen[:, None, None, :]
        memory = self._tokens(flux, 0)
        for layer in self.encoder:
            memory = layer(memory, allowed)
        causal = torch.ones(length, length, dtype=torch.bool).tril() & seen[:, None, None, :-1]
        causal = causal | torch.eye(length, dtype=torch.bool)
        tokens = self._tokens(flux[:, :-1], 1)
        for layer in self.decoder:
            tokens = layer(tokens, memory, causal, allowed)
        return self.head(tokens) * observed

    def loss(self, inputs, labels):
        """Give the mean squared error of the observed points."""
        observed = inputs["observed"].float()
        error = (self(inputs) - inputs["flux"]).square() * observed
        return error.sum() / observed.sum()

    infer = forward


def steps_with_static(inputs) -> torch.Tensor:
    """Give flux (batch, step, band) with the static columns repeated over the steps."""
    flux = inputs["flux"]
    if "static" not in inputs:
        return flux
    static = inputs["static"][:, None].expand(-1, flux.shape[1], -1)
    return torch.cat([flux, static], dim=-1)


class PerStep(nn.Module):
    """Base of networks with one prediction a step."""

    def loss(self, inputs, labels):
        """Give the cross-entropy of all steps, the object's class from the first one on."""
        logits = self(inputs)
        return functional.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(logits.shape[1]))

    def infer(self, inputs):
        """Give the probabilities of every step."""
        return torch.softmax(self(inputs), dim=-1)


class PublishedLayer(nn.Module):
    """A recurrent layer with the published gates clip(0.2 x + 0.5, 0, 1), which PyTorch's own layers do not have."""

    def __init__(self, cell: str, channels: int, units: int):
        super().__init__()
        self.gates, self.units = {"gru": 3, "lstm": 4}[cell], units
        self.entrance = nn.Linear(channels, self.gates * units)
        self.recurrent = nn.Parameter(torch.randn(units, self.gates * units) / units**0.5)

    @staticmethod
    def gate(values):
        """Give the published gate."""
        return (0.2 * values + 0.5).clamp(0, 1)

    def forward(self, rows):
        state = cell = rows.new_zeros(len(rows), self.units)
        found = []
        # The input's product for all steps at once.
        for step in self.entrance(rows).unbind(1):
            if self.gates == 4:
                step = step + state @ self.recurrent
                gate = self.gate(step[:, : 3 * self.units])
                kept, new, shown = gate.chunk(3, dim=1)
                cell = kept * cell + new * torch.tanh(step[:, 3 * self.units :])
                state = shown * torch.tanh(cell)
            else:
                first, last = step[:, : 2 * self.units], step[:, 2 * self.units :]
                update, reset = self.gate(first + state @ self.recurrent[:, : 2 * self.units]).chunk(2, dim=1)
                new = torch.tanh(last + (reset * state) @ self.recurrent[:, 2 * self.units :])
                state = update * state + (1 - update) * new
            found.append(state)
        return torch.stack(found, dim=1)


class Library(nn.Module):
    """PyTorch's own layer, GRU or LSTM, of which the outputs are taken."""

    def __init__(self, cell: str, channels: int, units: int):
        super().__init__()
        self.layer = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](channels, units, batch_first=True)

    def forward(self, rows):
        return self.layer(rows)[0]


class RapidGru(PerStep):
    """Two GRU layers with dropout and batch normalisation."""

    layer = PublishedLayer

    def __init__(self, channels: int = 3, units: int = 100, classes: int = 13):
        super().__init__()
        self.first, self.second = self.layer("gru", channels, units), self.layer("gru", units, units)
        self.norms = nn.ModuleList(nn.BatchNorm1d(units) for _ in range(2))
        self.dropout, self.head = nn.Dropout(0.2), nn.Linear(units, classes)

    def forward(self, inputs):
        rows = self.dropout(self.first(steps_with_static(inputs)))
        rows = self.second(self.norms[0](rows.transpose(1, 2)).transpose(1, 2))
        return self.head(self.dropout(self.norms[1](rows.transpose(1, 2)).transpose(1, 2)))


class RapidLstm(PerStep):
    """Two LSTM layers."""

    layer = PublishedLayer

    def __init__(self, channels: int = 2, units: int = 100, classes: int = 9):
        super().__init__()
        self.layers = nn.Sequential(self.layer("lstm", channels, units), self.layer("lstm", units, units))
        self.head = nn.Linear(units, classes)

    def forward(self, inputs):
        return self.head(self.layers(steps_with_static(inputs)))


class RapidGruSigmoid(RapidGru):
    """The same with PyTorch's own layers: sigmoid gates, the reset gate behind the product."""

    layer = Library


class RapidLstmSigmoid(RapidLstm):
    """The same with PyTorch's own layers: sigmoid gates."""

    layer = Library


class RapidTcn(PerStep):
    """Causal convolutions of kernel 2 and growing dilation; the output is the sum of the blocks."""

    def __init__(self, channels: int = 3, units: int = 100, classes: int = 9, dilations=(1, 2, 4, 8)):
        super().__init__()
        widths = [channels, *[units] * (len(dilations) - 1)]
        self.dilations, self.kernel = dilations, 2
        self.first, self.second, self.match = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for width, dilation in zip(widths, dilations, strict=True):
            self.first.append(nn.Conv1d(width, units, self.kernel, dilation=dilation))
            self.second.append(nn.Conv1d(units, units, self.kernel, dilation=dilation))
            self.match.append(nn.Conv1d(width, units, 1) if width != units else nn.Identity())
        self.head = nn.Linear(units, classes)

    def forward(self, inputs):
        rows, total = steps_with_static(inputs).transpose(1, 2), 0
        for number, dilation in enumerate(self.dilations):
            found = rows
            for layer in (self.first[number], self.second[number]):
                found = torch.sigmoid(layer(functional.pad(found, (dilation * (self.kernel - 1), 0))))
            found = torch.sigmoid(found)
            total = total + found
            rows = torch.sigmoid(self.match[number](rows) + found)
        return self.head(total.transpose(1, 2))


class Classifier(nn.Module):
    """Base of networks with one prediction an object."""

    def loss(self, inputs, labels):
        """Give the cross-entropy."""
        return functional.cross_entropy(self(inputs), labels)

    def infer(self, inputs):
        """Give the probabilities."""
        return torch.softmax(self(inputs), dim=-1)


class T2(Classifier):
    """One transformer block on an interpolated light curve, the redshift as two more steps; average over all."""

    def __init__(self, bands: int = 6, width: int = 32, heads: int = 16, hidden: int = 128, classes: int = 14):
        super().__init__()
        self.bands, self.embed = bands, nn.Linear(bands, width)
        self.block, self.dropout = EncoderLayer(width, heads, hidden, 0.1), nn.Dropout(0.1)
        self.head = nn.Linear(width, classes)
        self.register_buffer("table", positions(512, width))

    def forward(self, inputs):
        static = inputs["static"].repeat(1, self.bands).unflatten(1, (-1, self.bands))
        rows = torch.cat([inputs["features"].unflatten(1, (-1, self.bands)), static], dim=1)
        tokens = torch.relu(self.embed(rows)) + self.table[: rows.shape[1]]
        return self.head(self.dropout(self.block(tokens).mean(dim=1)))


def packed(rows, inputs):
    """Pack rows (batch, time, channel) of unequal lengths for PyTorch's recurrent layers."""
    return pack_padded_sequence(rows, inputs["mask"].sum(1), batch_first=True, enforce_sorted=False)


class HierarchicalLstm(Classifier):
    """Four LSTM layers, their last state beside the table."""

    def __init__(self, bands: int = 6, static: int = 42, units: int = 64, outputs: int = 26):
        super().__init__()
        self.bands = bands
        self.layers = nn.LSTM(4 + bands, units, 4, batch_first=True)
        self.hidden, self.head = nn.Linear(units + static, 128), nn.Linear(128, outputs)

    def forward(self, inputs):
        columns = [inputs["time"], torch.ones_like(inputs["time"])]
        columns += [torch.asinh(inputs[name]) for name in ("flux", "flux_err")]
        band = functional.one_hot(inputs["band"].long(), self.bands).float()
        rows = torch.cat([torch.stack(columns, dim=-1), band], dim=-1)
        state = self.layers(packed(rows, inputs))[1][0][-1]
        both = torch.relu(torch.cat([state, inputs["static"]], dim=1))
        return self.head(torch.relu(self.hidden(both)))


class OracleGru(Classifier):
    """Two GRU layers and a table, joined in two dense layers."""

    def __init__(self, static: int = 23, units: int = 100, outputs: int = 26):
        super().__init__()
        self.layers = nn.GRU(5, units, 2, batch_first=True)
        self.curve, self.table = nn.Linear(units, units), nn.Linear(static, 10)
        self.joint, self.latent, self.head = nn.Linear(units + 10, 100), nn.Linear(100, 64), nn.Linear(64, outputs)
        self.register_buffer("wavelengths", torch.tensor(WAVELENGTHS))

    def forward(self, inputs):
        columns = [inputs["time"] / 100, torch.ones_like(inputs["time"]), inputs["flux"] / 1000]
        columns += [inputs["flux_err"] / 1000, self.wavelengths[inputs["band"].long()]]
        state = self.layers(packed(torch.stack(columns, dim=-1), inputs))[1][-1]
        both = torch.cat([torch.tanh(self.curve(state)), self.table(inputs["static"])], dim=1)
        return self.head(torch.relu(self.latent(torch.relu(self.joint(both)))))


TWINS = {
    "transformer_autoencoder": Autoencoder,
    "rapid_gru": RapidGru,
    "rapid_lstm": RapidLstm,
    "rapid_gru_sigmoid": RapidGruSigmoid,
    "rapid_lstm_sigmoid": RapidLstmSigmoid,
    "rapid_tcn": RapidTcn,
    "t2": T2,
    "hierarchical_lstm": HierarchicalLstm,
    "oracle_gru": OracleGru,
}
"""Entry of the benchmark -> its twin, at the published size by default."""


def trained_weights(model: nn.Module) -> int:
    """Count the trained weights."""
    return sum(parameter.numel() for parameter in model.parameters())
