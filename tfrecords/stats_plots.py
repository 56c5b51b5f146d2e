"""Plots of the statistics of a directory of records (`tfrecords.stats`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfrecords.info import DatasetInfo
from tfrecords.stats import ClassStats, Histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 40


def draw(folder: Path, rows: Sequence[dict[str, Any]], found: dict[int, ClassStats], info: DatasetInfo) -> list[Path]:
    """Draw what `tfrecords.stats.summarise` gives, classes without objects left out.

    Parameters
    ----------
    folder : pathlib.Path
        Made if it is not there.
    rows : sequence of dict
        Of `summarise`.
    found : dict of int to ClassStats
        Of `tfrecords.stats.collect`, in the same order.
    info : DatasetInfo

    Returns
    -------
    list of pathlib.Path
        ``classes.png`` (objects), ``lengths.png`` (observations an object), ``bands.png`` (observations by band),
        ``snr.png`` (signal-to-noise ratio of observations by band, and of each object's largest), ``missing.png``
        (share of the objects that lack a static value).
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [(row, stats) for row, stats in zip(rows, found.values(), strict=True) if row["objects"]]
    names = [str(row["class"]) for row, _ in pairs]
    stats = [each for _, each in pairs]
    height = 1.5 + 0.3 * len(names)
    drawings: dict[str, tuple[tuple[float, float], Callable[[Figure], None]]] = {
        "classes": ((7, height), lambda figure: _bars(figure, names, [row["objects"] for row, _ in pairs])),
        "lengths": ((7, height), lambda figure: _lengths(figure, names, stats)),
        "bands": ((7, height), lambda figure: _bands(figure, names, stats, info)),
        "snr": ((10, 4), lambda figure: _snr(figure, names, stats, info)),
    }
    if info.static_columns:
        drawings["missing"] = (
            (3 + 0.5 * len(info.static_columns), height + 1),
            lambda figure: _missing(figure, names, [row for row, _ in pairs], info),
        )
    return [_save(folder / f"{name}.png", size, fill) for name, (size, fill) in drawings.items()]


def _save(path: Path, size: tuple[float, float], fill: Callable[[Figure], None]) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    fill(figure)
    figure.savefig(path, dpi=110)
    return path


def _bars(figure: Figure, names: list[str], counts: list[int]) -> None:
    axis = figure.subplots()
    bars = axis.barh(names, counts, color="#0072b2")
    axis.bar_label(bars, padding=3, fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(right=2.5 * max(counts))
    axis.set_xlabel("objects")
    axis.invert_yaxis()


def _lengths(figure: Figure, names: list[str], stats: list[ClassStats]) -> None:
    seen = [length for each in stats for length in each.lengths if length]
    edges = np.unique(np.round(np.geomspace(min(seen, default=1), max(seen, default=1) + 1, _BINS)))
    if len(edges) < 2:
        edges = np.array([1.0, 2.0])
    shares = np.zeros((len(stats), len(edges)))
    for row, each in enumerate(stats):
        values, weights = np.array(list(each.lengths)), np.array(list(each.lengths.values()))
        # The first cell holds objects without observations.
        shares[row, 0] = weights[values == 0].sum()
        shares[row, 1:] = np.histogram(values, edges, weights=weights)[0]
        shares[row] /= weights.sum()
    axis = figure.subplots()
    image = axis.imshow(shares, aspect="auto", cmap="viridis", interpolation="nearest")
    places = np.linspace(2, len(edges) - 1, min(8, len(edges) - 2)).astype(int) if len(edges) > 2 else [1]
    axis.set_xticks([0, *places], ["none", *(f"{edges[place - 1]:.0f}" for place in places)])
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("observations an object")
    figure.colorbar(image, label="share of the class")


def _bands(figure: Figure, names: list[str], stats: list[ClassStats], info: DatasetInfo) -> None:
    axis = figure.subplots()
    left = np.zeros(len(stats))
    totals = np.array([max(1, each.rows_in_band.sum()) for each in stats])
    for number, band in enumerate(info.bands):
        shares = np.array([each.rows_in_band[number] for each in stats]) / totals
        axis.barh(names, shares, left=left, label=band.name)
        left += shares
    axis.set_xlabel("share of the observations")
    axis.invert_yaxis()
    if info.bands:
        figure.legend(loc="outside upper center", ncols=8, fontsize=8)


def _snr(figure: Figure, names: list[str], stats: list[ClassStats], info: DatasetInfo) -> None:
    by_band, by_class = figure.subplots(1, 2)
    for number, band in enumerate(info.bands):
        _step(by_band, sum(each.snr[number].counts for each in stats), band.name)
    if by_band.patches:
        by_band.legend(fontsize=7, ncols=2)
    by_band.set_ylabel("share")
    by_band.set_xlabel("flux / flux error of an observation")
    low, middle, high = (np.array([each.peak_snr.percentile(percent) for each in stats]) for percent in (10, 50, 90))
    by_class.errorbar(middle, names, xerr=[middle - low, high - middle], fmt="o", ms=4, lw=1, capsize=2)
    by_class.set_ylim(len(names) - 0.5, -0.5)
    by_class.tick_params(axis="y", labelsize=7)
    by_class.set_xlabel("largest flux / flux error of an object (10, 50, 90 %)")
    for axis in (by_band, by_class):
        axis.set_xscale("symlog", linthresh=1)


def _step(axis: Axes, counts: np.ndarray, label: str) -> None:
    # Bins of 0.02 are joined to such of 0.2.
    joined = counts.reshape(-1, 10).sum(axis=1)
    if joined.sum():
        used = np.flatnonzero(joined)
        shown = slice(used[0], used[-1] + 1)
        edges = Histogram.edges[::10][used[0] : used[-1] + 2]
        axis.stairs(joined[shown] / joined.sum(), edges, label=label)


def _missing(figure: Figure, names: list[str], rows: list[dict[str, Any]], info: DatasetInfo) -> None:
    columns = [column.name for column in info.static_columns]
    shares = np.array([[row[f"missing_{name}"] for name in columns] for row in rows])
    axis = figure.subplots()
    image = axis.imshow(shares, aspect="auto", vmin=0, vmax=1, cmap="magma_r", interpolation="nearest")
    axis.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7)
    axis.set_yticks(range(len(names)), names)
    figure.colorbar(image, label="share of the objects without a value")
