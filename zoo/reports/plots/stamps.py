"""Stamps and what networks make of them: panels of images, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.style import COLOURS, as_image, line_look, new_figure, plain, set_title, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    Limits = dict[tuple[str, str], tuple[float, float]]

PANEL, GAP, LEFT, TOP = 1.05, 0.06, 1.15, 0.62
"""Side of a panel, gaps between panels, and margins beside and above them, in inches."""

NO_VALUE = "#F0E442"
"""Colour of pixels without a value, which neither map of colours has."""

CUT = (0.5, 99.5)
"""Percentiles of an input's pixels between which its colours run."""

WIDE = 30.0
"""Errors whose largest is so many times the smallest are drawn on logarithmic axes."""

ROWS = ("input", "output", "residual")


@dataclass(frozen=True)
class Column:
    """A stamp and its reconstruction.

    Attributes
    ----------
    head : str
        What stands above it.
    group : str
        Columns of one group share their colour scales, and stand close together.
    channels : sequence of str
    target, reconstruction : array (height, width, channel)
    observed : array (height, width, channel), bool
        Pixels that have a value.
    """

    head: str
    group: str
    channels: Sequence[str]
    target: np.ndarray
    reconstruction: np.ndarray
    observed: np.ndarray

    def images(self, channel: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Give input, output and residual (input - output) of a channel, NaN without a value; None without it."""
        if channel not in self.channels:
            return None
        place = list(self.channels).index(channel)
        output = np.asarray(self.reconstruction[..., place], "float64")
        target = np.where(self.observed[..., place], self.target[..., place], np.nan).astype("float64")
        return target, output, target - output


@dataclass(frozen=True)
class _Cell:
    image: np.ndarray
    low: float
    high: float
    colours: str = "gray"
    note: str = ""


def _limits(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Give where the colours of images begin and end: percentiles of their finite pixels."""
    values = np.concatenate([image[np.isfinite(image)] for image in images]) if images else np.zeros(0)
    low, high = np.percentile(values, CUT) if len(values) else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1.0)


def _scales(columns: Sequence[Column], channels: Sequence[str]) -> tuple[Limits, Limits]:
    """Give the limits of inputs and outputs, and those of residuals, by group and channel."""
    shared, residual = {}, {}
    for group in dict.fromkeys(column.group for column in columns):
        for channel in channels:
            found = [column.images(channel) for column in columns if column.group == group]
            found = [images for images in found if images is not None]
            shared[group, channel] = _limits([images[0] for images in found])
            rest = [np.abs(images[2][np.isfinite(images[2])]) for images in found]
            most = max((float(values.max()) for values in rest if len(values)), default=0.0)
            residual[group, channel] = (-most or -1.0, most or 1.0)
    return shared, residual


@styled
def stamp_grid(columns: Sequence[Column], title: str = "") -> Figure:
    """Draw stamps from left to right: input, output and residual of every channel below each other.

    Input and output of a group have one colour scale, the residual one that is symmetric about 0; both are written
    into the panels. Pixels without a value are `NO_VALUE`; the output has one everywhere.
    """
    channels = list(dict.fromkeys(name for column in columns for name in column.channels))
    shared, residual = _scales(columns, channels)
    labels, cells = [], []
    for channel in channels:
        found = [column.images(channel) for column in columns]
        for place, what in enumerate(ROWS):
            labels.append(f"{channel}\n{what}")
            row: list[_Cell | None] = []
            for column, images in zip(columns, found, strict=True):
                low, high = (residual if what == "residual" else shared)[column.group, channel]
                note = {"input": f"{low:.2g} … {high:.2g}", "residual": f"±{high:.2g}"}.get(what, "")
                colours = "RdBu_r" if what == "residual" else "gray"
                row.append(None if images is None else _Cell(images[place], low, high, colours, note))
            cells.append(row)
    breaks = [place for place in range(1, len(columns)) if columns[place].group != columns[place - 1].group]
    return _draw(cells, labels, [column.head for column in columns], breaks, title)


def stamp_image(columns: Sequence[Column], title: str = "") -> np.ndarray:
    """Draw a grid of stamps as an image for TensorBoard, uint8 [H, W, 4]."""
    return as_image(stamp_grid(columns, title))


@styled
def prototype_figure(
    images: Mapping[str, np.ndarray], heads: Sequence[str], channels: Sequence[str], title: str = ""
) -> Figure:
    """Draw what components of a mixture stand for, one a column.

    Parameters
    ----------
    images : mapping of str to array (component, height, width, channel)
        By what they show, the rows from top to bottom; all of a component and channel have one colour scale.
    heads : sequence of str
        What stands above a component.
    channels : sequence of str
    title : str
    """
    labels, cells = [], []
    for place, channel in enumerate(channels):
        limits = [_limits([images[name][number, ..., place] for name in images]) for number in range(len(heads))]
        for name, values in images.items():
            labels.append(f"{channel}\n{name}")
            cells.append([
                _Cell(values[number, ..., place], *limits[number], note="{:.2g} … {:.2g}".format(*limits[number]))
                for number in range(len(heads))
            ])  # fmt: skip
    return _draw(cells, labels, heads, range(1, len(heads)), title)


def _draw(cells, labels: Sequence[str], heads: Sequence[str], breaks: Sequence[int], title: str) -> Figure:
    """Lay panels out by hand: a hundred of them take a layout engine seconds."""
    from matplotlib import colormaps

    down, across = len(labels), len(heads)
    lines = max(head.count("\n") for head in heads) + 1
    above = TOP + 0.13 * lines + 0.17 * title.count("\n")
    width = max(LEFT + across * (PANEL + GAP) + 0.2 * len(breaks) + 0.1, 5.0)
    height = above + down * (PANEL + GAP) + GAP
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    maps = {name: colormaps[name].with_extremes(bad=NO_VALUE) for name in ("gray", "RdBu_r")}
    for row, label in enumerate(labels):
        bottom = height - above - (row + 1) * PANEL - row * GAP
        figure.text((LEFT - 0.1) / width, (bottom + PANEL / 2) / height, plain(label), ha="right", va="center", size=8)
        for place, cell in enumerate(cells[row]):
            left = LEFT + place * (PANEL + GAP) + 0.2 * sum(place >= at for at in breaks)
            axes = figure.add_axes((left / width, bottom / height, PANEL / width, PANEL / height))
            axes.set_axis_off()
            if row == 0:
                axes.set_title(plain(heads[place]), size=6.5)
            if cell is None:
                continue
            axes.imshow(np.ma.masked_invalid(cell.image), cmap=maps[cell.colours], vmin=cell.low, vmax=cell.high,
                        origin="lower", interpolation="nearest")  # fmt: skip
            axes.text(0.03, 0.03, cell.note, transform=axes.transAxes, size=5.5, va="bottom",
                      bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.8})  # fmt: skip
    set_title(figure, title)
    return figure


@styled
def errors_figure(errors: Mapping[str, np.ndarray], title: str = "") -> Figure:
    """Draw the errors of runs on the same objects: how they are distributed, and each against the first run's.

    Parameters
    ----------
    errors : mapping of str to array (object,)
        RMSE by the run's name, objects in one order.
    title : str
    """
    names = list(errors)
    figure = new_figure(9.6, 4.4)
    left, right = figure.subplots(1, 2)
    for index, name in enumerate(names):
        values = np.sort(errors[name])
        share = np.arange(1, len(values) + 1) / len(values)
        left.step(values, share, where="post", label=plain(name), **line_look(index))
    left.set_xlabel("RMSE of an object")
    left.set_ylabel("share of the objects with at most this")
    left.set_ylim(0, 1.02)
    left.legend()
    first = errors[names[0]]
    for index, name in enumerate(names[1:], 1):
        right.scatter(first, errors[name], s=9, linewidths=0, alpha=0.6, color=COLOURS[index % len(COLOURS)],
                      label=plain(name))  # fmt: skip
    everything = np.concatenate(list(errors.values()))
    low, high = float(everything.min()), float(everything.max())
    right.plot([low, high], [low, high], color="#999999", linewidth=0.8)
    if low > 0 and high / low > WIDE:
        for scale in (left.set_xscale, right.set_xscale, right.set_yscale):
            scale("log")
    right.set_xlabel(plain(f"RMSE by {names[0]}"))
    right.set_ylabel("RMSE of the same object by another run")
    right.legend()
    set_title(figure, title)
    return figure
