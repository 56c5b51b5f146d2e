"""The look that all figures share: fonts, grids, colours that colour-blind readers can tell apart."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.reports.predictions import BEFORE, day_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Okabe and Ito's palette without its yellow, which is too pale for lines on white, and a brown."""

DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

TICKS = 13
"""About so many days of a linear axis are labelled."""

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "figure.titlesize": 11,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "figure.dpi": 120,
    "savefig.dpi": 120,
}


def styled(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Draw under the shared style, whatever the user's own matplotlib settings are."""

    @functools.wraps(draw)
    def inside(*args: Any, **kwargs: Any) -> Any:
        from matplotlib import style

        with style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return inside


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """Make a figure (size in inches) on the Agg canvas, unknown to pyplot and so never left open."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", **options)
    FigureCanvasAgg(figure)
    return figure


def as_image(figure: Figure) -> np.ndarray:
    """Give a figure as an image for TensorBoard, uint8 [H, W, 4]."""
    figure.set_dpi(80)
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba(), dtype=np.uint8)


def plain(text: str) -> str:
    """Keep matplotlib from reading a name as mathematics (``$``) or hiding it in legends (leading ``_``)."""
    text = str(text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def set_title(figure: Figure, title: str) -> None:
    """Put a title above everything, its lines broken where the figure is too narrow for them."""
    import textwrap

    if title:
        width = max(int(figure.get_figwidth() * 11.5), 20)
        lines = [part for line in str(title).split("\n") for part in textwrap.wrap(line, width) or [""]]
        figure.suptitle(plain("\n".join(lines)))


def line_look(index: int) -> dict[str, Any]:
    """Give colour and dash of the index-th of up to 32 lines; colours come round before dashes change."""
    turn = index // len(COLOURS)
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[turn % len(DASHES)]}


def marker_look(index: int) -> dict[str, Any]:
    """Give colour, dash and marker of the index-th line of a figure with few lines."""
    return line_look(index) | {"marker": MARKERS[index % len(MARKERS)]}


def day_positions(days: Sequence[float], linear: bool = False) -> dict[float, float]:
    """Place days on an axis.

    On a log2 axis inf (all observations) stands an octave after the last day, 0 one before the first, and what came
    before the reference time one before these. On a linear one inf stands a twelfth of the axis after the last day.
    """
    finite = sorted({day for day in days if not math.isinf(day)})
    if linear:
        last = finite[-1] + ((finite[-1] - finite[0]) / 12 or 1.0) if finite else 0.0
        return {day: last if math.isinf(day) else day for day in days}
    first, last = (min(up), max(up)) if (up := [day for day in finite if day > 0]) else (1.0, 0.5)
    under = {day: first / 2**turn for turn, day in enumerate(sorted((d for d in finite if d <= 0), reverse=True), 1)}
    return {day: last * 2 if math.isinf(day) else under.get(day, day) for day in days}


def day_axis(axes: Axes, days: Sequence[float], linear: bool = False) -> dict[float, float]:
    """Set up the axis of days and give the place of each day on it.

    It is linear where ``linear`` says so or days before the reference time are told apart, else it goes by log2.
    """
    days = sorted(set(days))
    linear = linear or days[0] < BEFORE
    places = day_positions(days, linear)
    at = np.array(list(places.values()))
    if linear:
        # As many labels as can be read; the last stands for the whole light curve where there is one.
        shown = sorted({*range(0, len(days), -(-len(days) // TICKS)), len(days) - 1})
        margin = float(np.ptp(at)) * 0.02 or 1.0
        axes.set_xlim(at.min() - margin, at.max() + margin)
    else:
        axes.set_xscale("log", base=2)
        shown = list(range(len(days)))
        axes.set_xlim(at.min() / 1.3, at.max() * 1.3)
    axes.set_xticks(at[shown], [day_text(days[place]) for place in shown])
    axes.minorticks_off()
    if len(shown) > 8:
        axes.tick_params(axis="x", labelsize=7)
    return places
