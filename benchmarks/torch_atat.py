"""A plain PyTorch twin of ATAT, as the published code computes it: every slot, padding included.

Written from the specification for comparison only. Parameters carry the reference's names, so that
``zoo.models.atat.reference`` reads its state.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    """Masked multi-head attention: eager matmul, mask, softmax, matmul, or PyTorch's fused kernel."""

    def __init__(self, heads: int, size: int, fused: bool):
        super().__init__()
        width = heads * size
        self.heads, self.size, self.fused = heads, size, fused
        for name in "qkvo":
            setattr(self, f"{name}_proj", nn.Linear(width, width))

    def forward(self, tokens, mask):
        batch, length, width = tokens.shape
        query, key, value = (
            getattr(self, f"{name}_proj")(tokens).view(batch, length, self.heads, self.size).transpose(1, 2)
            for name in "qkv"
        )
        if self.fused:
            allowed = None if mask is None else mask[:, None, None, :]
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        else:
            scores = query @ key.transpose(-2, -1) / math.sqrt(self.size)
            if mask is not None:
                scores = scores.masked_fill(~mask[:, None, None, :], -9e15)
            mixed = torch.softmax(scores, dim=-1) @ value
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, width))


class Residual(nn.Module):
    """Norm and function of one residual step, under the reference's names."""

    def __init__(self, width: int, function: nn.Module):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = function


class Holder(nn.Module):
    """A module that only holds named children."""

    def __init__(self, **children):
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


class Encoder(nn.Module):
    """Pre-norm encoder blocks."""

    def __init__(self, layers: int, heads: int, size: int, fused: bool):
        super().__init__()
        width = heads * size
        self.layers = nn.ModuleList()
        for _ in range(layers):
            net = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(0.0), nn.Linear(2 * width, width))
            attention = Holder(mha_lc=Attention(heads, size, fused))
            blocks = [Residual(width, attention), Residual(width, Holder(net=net))]
            self.layers.append(nn.ModuleList(blocks))

    def forward(self, tokens, mask):
        for attention, feed_forward in self.layers:
            tokens = tokens + attention.fn.mha_lc(attention.norm(tokens), mask)
            tokens = tokens + feed_forward.fn.net(feed_forward.norm(tokens))
        return tokens


class Modulator(nn.Module):
    """Fourier series of time of one band."""

    def __init__(self, harmonics: int, width: int, max_period: float):
        super().__init__()
        for name in ("alpha_sin", "alpha_cos", "beta_sin", "beta_cos"):
            setattr(self, name, nn.Parameter(torch.randn(harmonics, width)))
        self.harmonics, self.max_period = harmonics, max_period

    def forward(self, values, time):
        order = torch.arange(self.harmonics, dtype=torch.float32)
        angle = time[..., None] * (order * (2 * math.pi / self.max_period))
        sine, cosine = torch.sin(angle), torch.cos(angle)
        alpha = sine @ self.alpha_sin + cosine @ self.alpha_cos
        return values * alpha + sine @ self.beta_sin + cosine @ self.beta_cos


class Head(nn.Module):
    """LayerNorm and linear layer."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.norm, self.output_layer = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, values):
        return self.output_layer(self.norm(values))


class Mix(nn.Module):
    """Fusion head."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.net = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Dropout(0.0),
            nn.Linear(width, width), nn.GELU(), nn.Dropout(0.0), nn.Linear(width, classes),
        )  # fmt: skip

    def forward(self, values):
        return self.net(self.norm(values))


class TorchAtat(nn.Module):
    """ATAT; ``config`` holds the reference's keys. Inputs are (batch, slot, band)."""

    def __init__(self, config: dict, fused: bool):
        super().__init__()
        self.config = config
        heads, size, classes = config["num_heads"], config["head_dim"], config["n_classes"]
        width, bands = heads * size, config["dataset_channel"]
        modulators = [Modulator(config["M"], width, config["T_max"]) for _ in range(bands)]
        self.time_modulator = Holder(to_emb=nn.Linear(1, width), time_mod=nn.ModuleList(modulators))
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.transformer = Encoder(config["attn_layers"], heads, size, fused)
        self.lc_classifier = Head(width, classes)
        if config["n_tab"]:
            heads, size = config["tab_num_heads"], config["tab_head_dim"]
            tab_width = heads * size
            self.tab_W_feat = nn.Parameter(torch.randn(1, config["n_tab"], tab_width))
            self.tab_b_feat = nn.Parameter(torch.randn(1, config["n_tab"], tab_width))
            self.tab_token = nn.Parameter(torch.randn(1, 1, tab_width))
            self.tab_transformer = Encoder(config["attn_layers"], heads, size, fused)
            self.tab_classifier = Head(tab_width, classes)
            self.mix_classifier = Mix(tab_width + width, classes)

    def forward(self, data, time, mask, table=None):
        """Give the logits of every head, the last one the model's answer."""
        batch = data.shape[0]
        embedded = self.time_modulator.to_emb(data[..., None])
        tokens = torch.cat(
            [modulator(embedded[:, :, band], time[:, :, band])
             for band, modulator in enumerate(self.time_modulator.time_mod)], dim=1,
        )  # fmt: skip
        valid = mask.transpose(1, 2).reshape(batch, -1)
        key = time.transpose(1, 2).reshape(batch, -1) * valid + 9999999 * (1 - valid)
        order = torch.argsort(key, dim=1)
        tokens = torch.gather(tokens, 1, order[..., None].expand_as(tokens))
        valid = torch.gather(valid, 1, order) > 0
        tokens = torch.cat([self.token.expand(batch, -1, -1), tokens], dim=1)
        valid = torch.cat([torch.ones(batch, 1, dtype=torch.bool), valid], dim=1)
        light_curve = self.transformer(tokens, valid)[:, 0]
        heads = [self.lc_classifier(light_curve)]
        if table is not None:
            tokens = table[..., None] * self.tab_W_feat + self.tab_b_feat
            tokens = torch.cat([self.tab_token.expand(batch, -1, -1), tokens], dim=1)
            tab = self.tab_transformer(tokens, None)[:, 0]
            heads += [self.tab_classifier(tab), self.mix_classifier(torch.cat([tab, light_curve], dim=1))]
        return heads
