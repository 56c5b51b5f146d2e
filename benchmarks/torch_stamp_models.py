"""Plain PyTorch twins of the networks on stamps, written from their published descriptions for comparison only.

Each takes raw stamps (batch, [frame,] channel, row, column) and columns of the alerts, prepares them itself, and has
``loss(inputs, labels)`` and ``infer(inputs)``. ``steps()`` gives its layers with weights in the order of its zoo
counterpart's.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


def prepare(stamps, size: int):
    """Cut the middle out and scale every image and channel to [0, 1]; unknown pixels and constant images are 0."""
    start = stamps.shape[-1] // 2 - size // 2
    images = stamps[..., start : start + size, start : start + size]
    known = torch.isfinite(images)
    images = torch.where(known, images, torch.inf)
    images = images - images.amin(dim=(-2, -1), keepdim=True)
    images = torch.where(known, images, -torch.inf)
    return torch.nan_to_num(images / images.amax(dim=(-2, -1), keepdim=True), nan=0.0, posinf=0.0, neginf=0.0)


class Trunk(nn.Module):
    """Five convolutions and two pools."""

    def __init__(self, channels: int, kernel: int, slope: float = 0.0):
        super().__init__()
        self.slope = slope
        self.first = nn.Conv2d(channels, 32, 4, padding=3)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel, padding=kernel // 2)
            for before, after in ((32, 32), (32, 64), (64, 64), (64, 64))
        )

    def forward(self, images):
        second, *others = self.convolutions
        images = functional.leaky_relu(self.first(images), self.slope)
        images = functional.max_pool2d(functional.leaky_relu(second(images), self.slope), 2)
        for convolution in others:
            images = functional.leaky_relu(convolution(images), self.slope)
        return functional.max_pool2d(images, 2).flatten(1)


class StampClassifier(nn.Module):
    """Trunk over four quarter turns, mean, columns beside it, three dense layers."""

    size, turns = 21, 4

    def __init__(self, columns: int, classes: int):
        super().__init__()
        side = (self.size + 3) // 4
        self.trunk = Trunk(3, 5)
        self.dense = nn.Linear(64 * side * side, 64)
        self.norm = nn.BatchNorm1d(columns, eps=1e-3, momentum=0.01)
        self.hidden = nn.ModuleList([nn.Linear(64 + columns, 64), nn.Linear(64, 64)])
        self.out = nn.Linear(64, classes)
        self.dropout = nn.Dropout(0.5)

    def steps(self):
        return [self.trunk.first, *self.trunk.convolutions, self.dense, self.norm, *self.hidden, self.out]

    def turned(self, stamps):
        images = prepare(stamps, self.size)
        return torch.cat([torch.rot90(images, turn, (2, 3)) for turn in range(4)])

    def infer(self, inputs):
        images = self.turned(inputs["stamp"])
        values = self.dropout(functional.relu(self.dense(self.trunk(images))))
        values = values.reshape(self.turns, -1, 64).mean(dim=0)
        values = torch.cat([values, self.norm(inputs["alert"])], dim=1)
        for layer in self.hidden:
            values = self.dropout(functional.relu(layer(values)))
        return self.out(values)

    def loss(self, inputs, labels):
        logits = self.infer(inputs)
        logs = functional.log_softmax(logits, dim=1)
        entropy = -(logs.exp() * logs).sum(dim=1).mean()
        return functional.cross_entropy(logits, labels) - 0.5 * entropy


class EnhancedStampClassifier(StampClassifier):
    """The same over six turns with jitter of a wider stamp."""

    size, turns, window, theta = 33, 6, 45, 0.08

    def turned(self, stamps):
        images = prepare(stamps, self.window)
        angles = torch.arange(self.turns)[:, None] * (2 * math.pi / self.turns) + torch.zeros(len(images))
        if self.training:
            angles = angles + (2 * torch.rand_like(angles) - 1) * self.theta
        angles = angles.flatten()
        none = torch.zeros_like(angles)
        matrix = torch.stack([
            torch.stack([torch.cos(angles), -torch.sin(angles), none], dim=1),
            torch.stack([torch.sin(angles), torch.cos(angles), none], dim=1),
        ], dim=1)  # fmt: skip
        images = images.repeat(self.turns, 1, 1, 1)
        grid = functional.affine_grid(matrix, list(images.shape), align_corners=True)
        images = functional.grid_sample(images, grid, padding_mode="border", align_corners=True)
        start = self.window // 2 - self.size // 2
        return images[..., start : start + self.size, start : start + self.size]


class DeepHits(nn.Module):
    """Trunk with leaky ReLU over four quarter turns, concatenated, three dense layers."""

    def __init__(self, columns: int, classes: int):
        super().__init__()
        self.trunk = Trunk(3, 3, 0.01)
        self.hidden = nn.ModuleList([nn.Linear(4 * 2304, 64), nn.Linear(64, 64)])
        self.out = nn.Linear(64, classes)
        self.dropout = nn.Dropout(0.5)

    def steps(self):
        return [self.trunk.first, *self.trunk.convolutions, *self.hidden, self.out]

    def infer(self, inputs):
        images = prepare(inputs["stamp"], 21)
        values = torch.cat([self.trunk(torch.rot90(images, turn, (2, 3))) for turn in range(4)], dim=1)
        for layer in self.hidden:
            values = self.dropout(functional.leaky_relu(layer(values), 0.01))
        return self.out(values)

    def loss(self, inputs, labels):
        return functional.cross_entropy(self.infer(inputs), labels)


class Encoder(nn.Module):
    """Four convolutions with batch normalisation, and linear heads."""

    def __init__(self, channels: int, latent: int, heads: int = 1):
        super().__init__()
        widths = (channels, 64, 64, 64, 64)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride, padding=1)
            for before, after, stride in zip(widths, widths[1:], (1, 2, 1, 2), strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(64) for _ in range(4))
        self.heads = nn.ModuleList(nn.Linear(2304, latent) for _ in range(heads))

    def steps(self):
        pairs = zip(self.convolutions, self.norms, strict=True)
        return [layer for pair in pairs for layer in pair] + list(self.heads)

    def forward(self, images):
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            images = functional.relu(norm(convolution(images)))
        images = images.flatten(1)
        return [head(images) for head in self.heads]


class Decoder(nn.Module):
    """A dense layer, then two convolutions at each of the encoder's sides."""

    def __init__(self, channels: int, latent: int):
        super().__init__()
        self.dense = nn.Linear(latent, 2304)
        self.convolutions = nn.ModuleList(nn.Conv2d(64, 64, 3, padding=1) for _ in range(5))
        self.norms = nn.ModuleList(nn.BatchNorm2d(64) for _ in range(5))
        self.last = nn.Conv2d(64, channels, 3, padding=1)

    def steps(self):
        pairs = zip(self.convolutions, self.norms, strict=True)
        return [self.dense] + [layer for pair in pairs for layer in pair] + [self.last]

    def forward(self, codes):
        images = functional.relu(self.dense(codes)).reshape(-1, 64, 6, 6)
        for place, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            if place in (2, 4):
                images = functional.interpolate(images, 11 if place == 2 else 21)
            images = functional.relu(norm(convolution(images)))
        return self.last(images)


class StampAe(nn.Module):
    """Encoder and decoder."""

    def __init__(self, columns: int, classes: int):
        super().__init__()
        self.encoder, self.decoder = Encoder(3, 50), Decoder(3, 50)

    def steps(self):
        return self.encoder.steps() + self.decoder.steps()

    def infer(self, inputs):
        return functional.relu(self.decoder(self.encoder(prepare(inputs["stamp"], 21))[0]))

    def loss(self, inputs, labels):
        return functional.mse_loss(self.infer(inputs), prepare(inputs["stamp"], 21))


class Vade(nn.Module):
    """Encoder to a normal distribution, decoder, variance of the pixels, mixture of Gaussians as the prior."""

    draws = 10

    def __init__(self, columns: int, classes: int):
        super().__init__()
        self.encoder, self.decoder = Encoder(1, 21, 2), Decoder(1, 21)
        self.variance = nn.Sequential(nn.Linear(21, 36), nn.ReLU(), nn.Linear(36, 1), nn.Sigmoid())
        self.weights = nn.Parameter(torch.zeros(10))
        self.means, self.logs = nn.Parameter(torch.randn(10, 21)), nn.Parameter(torch.zeros(10, 21))

    def steps(self):
        return self.encoder.steps() + self.decoder.steps() + [self.variance[0], self.variance[2]]

    def bound(self, images, mean, log_variance, noise):
        codes = mean + noise * torch.exp(0.5 * log_variance)
        found, log_pixel = self.decoder(codes), -5 * self.variance(codes)[:, 0]
        error = (images - found).square().sum(dim=(1, 2, 3))
        likelihood = -0.5 * error * torch.exp(-log_pixel)
        likelihood = likelihood - 0.5 * images[0].numel() * (math.log(2 * math.pi) + log_pixel)
        log_weights = functional.log_softmax(self.weights, dim=0)
        distance = (codes[:, None] - self.means).square() * torch.exp(-self.logs) + self.logs + math.log(2 * math.pi)
        log_gamma = functional.log_softmax(log_weights - 0.5 * distance.sum(dim=2), dim=1)
        gamma, variance = log_gamma.exp(), torch.exp(log_variance)[:, None]
        spread = self.logs + (variance + (mean[:, None] - self.means).square()) * torch.exp(-self.logs)
        mixture = -0.5 * (gamma * spread.sum(dim=2)).sum(dim=1)
        category = (gamma * (log_weights - log_gamma)).sum(dim=1)
        return likelihood + mixture + category + 0.5 * (1 + log_variance).sum(dim=1), found

    def images(self, inputs):
        return functional.pad(inputs["stamp"], (-21,) * 4)[:, 2:]

    def infer(self, inputs):
        images = self.images(inputs)
        mean, log_variance = self.encoder(images)
        found = self.bound(images, mean, log_variance, torch.zeros_like(mean))[1]
        for noise in inputs["noise"]:
            self.bound(images, mean, log_variance, noise)
        return found

    def loss(self, inputs, labels):
        images = self.images(inputs)
        mean, log_variance = self.encoder(images)
        return -self.bound(images, mean, log_variance, torch.randn_like(mean))[0].mean()


class StampRecurrentAe(nn.Module):
    """Encoder, two LSTM layers, a dense layer; decoder of every frame and logits of the last one."""

    def __init__(self, columns: int, classes: int):
        super().__init__()
        self.encoder, self.decoder = Encoder(3, 50), Decoder(3, 50)
        self.recurrent = nn.LSTM(50, 128, 2, batch_first=True)
        self.projection, self.head, self.dropout = nn.Linear(128, 50), nn.Linear(50, classes), nn.Dropout(0.5)

    def steps(self):
        return self.encoder.steps() + [self.recurrent, self.projection, self.head] + self.decoder.steps()

    def _both(self, images):
        batch, frames = images.shape[:2]
        codes = self.encoder(images.flatten(0, 1))[0].reshape(batch, frames, -1)
        codes = self.dropout(functional.relu(self.projection(self.recurrent(codes)[0])))
        found = functional.relu(self.decoder(codes.flatten(0, 1)))
        return self.head(codes[:, -1]), found.reshape(images.shape)

    def infer(self, inputs):
        return self._both(prepare(inputs["stamps"], 21))[0]

    def loss(self, inputs, labels):
        images = prepare(inputs["stamps"], 21)
        logits, found = self._both(images)
        return 0.5 * functional.mse_loss(found, images) + 0.5 * functional.cross_entropy(logits, labels)


TWINS = {
    "stamp_classifier": StampClassifier,
    "stamp_classifier_enhanced": EnhancedStampClassifier,
    "deep_hits": DeepHits,
    "stamp_ae": StampAe,
    "vade": Vade,
    "stamp_recurrent_ae": StampRecurrentAe,
}
"""Zoo's name -> class."""
