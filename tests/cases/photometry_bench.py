"""Batches of the view ``photometry``, of spectra and of catalogue columns, and the workbench of networks on them."""

from __future__ import annotations

import numpy as np

from tests.cases.stamp_bench import StampBench
from zoo.registry import ModelInfo

CLASSES = tuple(f"class_{number}" for number in range(14))
COLUMNS = ("amplitude", "period", "lksl_statistic", "rfr_score", "mean_vmag", "parallax", "l", "b", "ruwe")
INFO = ModelInfo(classes=CLASSES, bands=("V",), static=COLUMNS, spectrum_size=75)
ROWS = 30
LENGTHS = (30, 24, 1, 17, 30, 5, 29, 12)
"""Rows of the light curves, of which there are at most `ROWS`."""


def inputs_of(parts, size: int, seed: int = 0, info: ModelInfo = INFO, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Give the tensors of some parts: light curves of unequal lengths, spectra that end early, columns with gaps.

    Parameters
    ----------
    parts : sequence of str
        ``light_curve``, ``spectrum``, ``static``.
    size : int
        Objects.
    seed : int
        The second object has no light curve, the third no spectrum, the fourth no static value, whatever the seed.
    info : ModelInfo
        Number of static columns and of the spectra's points.
    rows : int
        Most rows of a light curve.
    """
    rng, found = np.random.default_rng(seed + 1), {}
    if "light_curve" in parts:
        lengths = np.minimum(np.resize(LENGTHS, size), rows)
        lengths[1:2] = 0
        mask = np.arange(rows) < lengths[:, None]
        time = np.sort(rng.uniform(size=mask.shape), axis=1)
        flux = np.sin(2 * np.pi * (time + rng.uniform(size=(size, 1)))) * 1.5 + rng.normal(size=mask.shape) * 0.3
        found = {
            "time": np.where(mask, time, 0).astype("float32"),
            "flux": np.where(mask, flux, 0).astype("float32"),
            "flux_err": np.where(mask, rng.uniform(0.2, 0.4, mask.shape), 0).astype("float32"),
            "band": np.zeros(mask.shape, "int32"),
            "mask": mask,
            "curve_scale": np.where(lengths[:, None] > 0, rng.normal(1.0, 0.5, (size, 2)), 0).astype("float32"),
        }
    if "spectrum" in parts:
        points = info.spectrum_size
        there = np.arange(points) < rng.integers(points // 2, points + 1, size)[:, None]
        there[2:3] = False
        place = rng.uniform(size=(size, 1)) * points
        flux = -2 * np.exp(-np.square(np.arange(points) - place) / 20) + rng.normal(size=there.shape) * 0.2
        found |= {
            "spectrum": np.where(there, flux, 0).astype("float32"),
            "spectrum_err": np.where(there, rng.uniform(0.5, 2, there.shape), 0).astype("float32"),
            "spectrum_scale": np.where(there.any(axis=1, keepdims=True), rng.normal(size=(size, 1)), 0).astype(
                "float32"
            ),
            "spectrum_mask": there,
        }
    if "static" in parts:
        static = rng.uniform(0.1, 3.0, (size, len(info.static)))
        static[rng.random(static.shape) < 0.05] = np.nan
        static[3:4] = np.nan
        found["static"] = static.astype("float32")
    return found


class PhotometryBench(StampBench):
    """A small network on light curves, spectra and columns, and batches for it."""

    info = INFO

    def __init__(self, example, **options):
        super().__init__(example, **options)
        self.info = INFO

    def build(self, seed: int = 0):
        network = super().build(seed)
        rows = inputs_of(("static",), 64, seed=99)["static"]
        for layer in network.fitted().values():
            layer.fit(rows)
        return network

    def batch(self, size: int = 8, start: int = 0, day: float = float("inf")):
        """Give one batch ``(inputs, targets, weight)``."""
        targets = {"label": ((np.arange(size) + start) % len(CLASSES)).astype("int32")}
        parts = self.settled.hparams.parts()
        return inputs_of(parts, size, start), targets, np.ones(size, "float32")
