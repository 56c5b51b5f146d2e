"""AstroM3's networks at their published sizes in plain PyTorch, the twins of ``astrom3.py``.

Written from arXiv:2411.08842 and Zhou et al. 2021 (arXiv:2012.07436), names of weights as in the published files, so
that what reads those reads these. Every function does what its formula says, in the obvious order.
"""

from __future__ import annotations

import math

import torch
from torch import nn

CLASSES, LENGTH, CHANNELS, WIDTH, HEADS, FFN, LAYERS = 10, 200, 9, 128, 4, 512, 8
POINTS, FILTERS, COLUMNS, HIDDEN = 2575, (3, 64, 64, 32, 32), 34, 512
EXPECTED = {"informer": 1_845_898, "galspecnet": 34_122, "astrom3": 15_874_957}
"""Numbers of weights of the published networks."""


class ProbSparse(nn.Module):
    """ProbSparse attention: scores of sampled keys choose the queries that attend."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        for name in ("query", "key", "value", "out"):
            setattr(self, f"{name}_projection", nn.Linear(width, width))
        self.index = None

    def forward(self, x):
        batch, length, width = x.shape
        count = min(length, math.ceil(math.log(length)))

        def split(values):
            return values.view(batch, length, self.heads, -1).transpose(1, 2)

        query, key = split(self.query_projection(x)), split(self.key_projection(x))
        value = split(self.value_projection(x))
        index = torch.randint(length, (length, count)) if self.index is None else self.index
        sampled = key[:, :, index]
        scores = torch.matmul(query.unsqueeze(-2), sampled.transpose(-2, -1)).squeeze(-2)
        measure = scores.max(-1)[0] - scores.sum(-1) / length
        top = measure.topk(count, sorted=False)[1]
        rows = torch.arange(batch)[:, None, None], torch.arange(self.heads)[None, :, None], top
        weights = torch.softmax(torch.matmul(query[rows], key.transpose(-2, -1)) / math.sqrt(key.shape[-1]), dim=-1)
        context = value.mean(dim=2, keepdim=True).expand_as(value).clone()
        context[rows] = torch.matmul(weights, value)
        # As published, without putting the heads beside each other first.
        return self.out_projection(context.reshape(batch, length, width))


class Block(nn.Module):
    """Attention and a feed-forward layer of convolutions of kernel 1, a layer norm behind each."""

    def __init__(self, width, heads, ffn, dropout):
        super().__init__()
        self.attention = ProbSparse(width, heads)
        self.conv1, self.conv2 = nn.Conv1d(width, ffn, 1), nn.Conv1d(ffn, width, 1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = self.norm1(x + self.dropout(self.attention(x)))
        y = self.dropout(nn.functional.gelu(self.conv1(x.transpose(1, 2))))
        y = self.dropout(self.conv2(y).transpose(1, 2))
        return self.norm2(x + y)


class InformerEncoder(nn.Module):
    """Circular convolution, sinusoids, blocks, a layer norm, rows under the mask side by side."""

    def __init__(self, dropout=0.2):
        super().__init__()
        convolution = nn.Conv1d(CHANNELS, WIDTH, 3, padding=1, padding_mode="circular", bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_in", nonlinearity="leaky_relu")
        self.enc_embedding = nn.ModuleDict({"value_embedding": nn.ModuleDict({"tokenConv": convolution})})
        blocks = nn.ModuleList(Block(WIDTH, HEADS, FFN, dropout) for _ in range(LAYERS))
        self.encoder = nn.ModuleDict({"attn_layers": blocks, "norm": nn.LayerNorm(WIDTH)})
        angle = torch.arange(LENGTH)[:, None] * torch.exp(torch.arange(0, WIDTH, 2) * -(math.log(10000.0) / WIDTH))
        table = torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).reshape(LENGTH, WIDTH)
        self.register_buffer("table", table, persistent=False)
        self.embedding_dropout, self.dropout = nn.Dropout(0.1), nn.Dropout(dropout)

    def forward(self, x, mask):
        x = self.enc_embedding["value_embedding"]["tokenConv"](x.permute(0, 2, 1)).transpose(1, 2)
        x = self.embedding_dropout(x + self.table[: x.shape[1]])
        for block in self.encoder["attn_layers"]:
            x = block(x)
        x = self.dropout(self.encoder["norm"](x)) * mask[..., None]
        return x.reshape(len(x), -1)


class GalSpecNetEncoder(nn.Module):
    """Convolutions with ReLU, a pool of four behind all but the last."""

    def __init__(self, dropout=0.2):
        super().__init__()
        layers = []
        for place, (before, after) in enumerate(zip(FILTERS[:-1], FILTERS[1:], strict=True)):
            layers += [nn.Conv1d(before, after, 3), nn.ReLU()]
            if place < len(FILTERS) - 2:
                layers.append(nn.MaxPool1d(4))
        self.layers, self.dropout = nn.Sequential(*layers), nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.layers(x).flatten(1))


class MetaEncoder(nn.Module):
    """Two dense layers with ReLU."""

    def __init__(self, dropout=0.2):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(COLUMNS, HIDDEN), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, x):
        return self.model(x)


class Informer(InformerEncoder):
    """The encoder and a dense layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(LENGTH * WIDTH, CLASSES)

    def forward(self, photometry, mask):
        return self.fc(super().forward(photometry, mask))


class GalSpecNet(GalSpecNetEncoder):
    """The encoder and a dense layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1184, CLASSES)

    def forward(self, spectra):
        return self.fc(super().forward(spectra))


class AstroM3(nn.Module):
    """Three encoders, the mean of their normalised projections, a dense layer."""

    def __init__(self):
        super().__init__()
        self.photometry_encoder, self.spectra_encoder = InformerEncoder(), GalSpecNetEncoder()
        self.metadata_encoder = MetaEncoder()
        self.photometry_proj = nn.Linear(LENGTH * WIDTH, HIDDEN)
        self.spectra_proj, self.metadata_proj = nn.Linear(1184, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        for pair in ("ps", "sm", "mp"):
            setattr(self, f"logit_scale_{pair}", nn.Parameter(torch.tensor(math.log(100.0))))
        self.fc = nn.Linear(HIDDEN, CLASSES)

    def forward(self, photometry, mask, spectra, metadata):
        parts = (
            self.photometry_proj(self.photometry_encoder(photometry, mask)),
            self.spectra_proj(self.spectra_encoder(spectra)),
            self.metadata_proj(self.metadata_encoder(metadata)),
        )
        return self.fc(sum(part / part.norm(dim=-1, keepdim=True) for part in parts) / 3)


TWINS = {"informer": Informer, "galspecnet": GalSpecNet, "astrom3": AstroM3}


def set_indices(model: nn.Module, indices) -> None:
    """Let every attention take its sampled keys from ``indices``, one array (row, U) a layer; None draws anew."""
    layers = [module for module in model.modules() if isinstance(module, ProbSparse)]
    for layer, index in zip(layers, indices or [None] * len(layers), strict=True):
        layer.index = None if index is None else torch.from_numpy(index).long()
