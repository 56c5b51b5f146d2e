"""Figures of the levels of a tree: mean probability of the true node against the day, and the tree itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.days import MARKED, X_LABEL
from zoo.reports.plots.style import day_axis, line_look, new_figure, plain, set_title, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from zoo.taxonomies.tree import Taxonomy


@styled
def probability_figure(table: pd.DataFrame, title: str = "", x_label: str = "", linear: bool = False) -> Figure:
    """Draw, for each class, the mean probability of the true class over its objects against the day.

    Parameters
    ----------
    table : DataFrame
        ``day, class, support, mean_probability``; classes without objects are left out.
    title, x_label, linear
        See `zoo.reports.plots.days.comparison_figure`.
    """
    table = table[table["support"] > 0]
    names = list(dict.fromkeys(table["class"]))
    figure = new_figure(8.4, max(4.4, 0.21 * len(names) + 1.2))
    axes = figure.add_subplot()
    places = day_axis(axes, table["day"], linear)
    every = -(-len(places) // MARKED)
    for number, name in enumerate(names):
        part = table[table["class"] == name]
        label = plain(f"{name}  ({int(part['support'].max())})")
        axes.plot(part["day"].map(places), part["mean_probability"], marker="o", markevery=every, label=label,
                  **line_look(number))  # fmt: skip
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(x_label or X_LABEL)
    axes.set_ylabel("mean probability of the true class")
    figure.legend(loc="outside right center", title="class  (objects)", title_fontsize=8, handlelength=2.6)
    set_title(figure, title)
    return figure


@styled
def tree_figure(tree: Taxonomy, probability: Sequence[float] | None = None, title: str = "") -> Figure:
    """Draw a tree from left to right, a level a column.

    Parameters
    ----------
    tree : Taxonomy
    probability : sequence of float, (node,), optional
        Path probability of every node: colours the boxes and stands in them.
    title : str
    """
    from matplotlib import colormaps

    rows = _rows(tree)
    longest = [max(len(name) for name, own in zip(tree.nodes, tree.depths, strict=True) if own == depth)
               for depth in range(int(tree.depths.max()) + 1)]  # fmt: skip
    # A column is as wide as its longest name, with room for the number and for the edges.
    left = np.concatenate([[0], np.cumsum([0.085 * size + 1.3 for size in longest])])
    figure = new_figure(max(float(left[-1]), 3.0), max(0.32 * len(tree.leaves) + 0.8, 2.0))
    axes = figure.add_subplot()
    colours = colormaps["Blues"]
    for node, name in enumerate(tree.nodes):
        x, y = left[tree.depths[node]], rows[node]
        if node:
            parent = tree.parents[node]
            axes.annotate(
                "", (x, y), (left[tree.depths[parent]], rows[parent]), zorder=1,
                arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.8,
                            "connectionstyle": "angle,angleA=-90,angleB=180"},
            )  # fmt: skip
        share = None if probability is None else float(probability[node])
        face = "#eeeeee" if share is None else colours(share)
        text = plain(name) if share is None else f"{plain(name)}  {share:.3f}"
        dark = share is not None and share > 0.55
        axes.text(
            x, y, text, va="center", ha="left", fontsize=8, color="white" if dark else "#222222", zorder=2,
            bbox={"boxstyle": "round,pad=0.3", "facecolor": face, "edgecolor": "#777777", "linewidth": 0.6},
        )  # fmt: skip
    axes.set_xlim(-0.2, left[-1])
    axes.set_ylim(len(tree.leaves) - 0.4, -0.6)
    axes.axis("off")
    set_title(figure, title)
    return figure


def _rows(tree: Taxonomy) -> np.ndarray:
    """Give each node's height on the page: leaves one below the other, a parent in the middle of its children."""
    rows, following = np.zeros(len(tree)), 0

    def place(node: int) -> None:
        nonlocal following
        children = tree.children(node)
        for child in children:
            place(child)
        if children:
            rows[node] = rows[children].mean()
        else:
            rows[node], following = following, following + 1

    place(0)
    return rows
