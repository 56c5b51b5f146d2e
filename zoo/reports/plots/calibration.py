"""Reliability diagram: how often the top probability is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.style import COLOURS, new_figure, set_title, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@styled
def reliability_figure(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw accuracy against mean top probability a bin, and the number of objects below.

    Parameters
    ----------
    table : DataFrame
        From `zoo.reports.scores.reliability_table`. Error bars are 68 % Wilson intervals of the accuracy.
    title : str
    """
    figure = new_figure(5.6, 6.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    middle = (table["bin_low"] + table["bin_high"]).to_numpy() / 2
    width = float(table["bin_high"].iloc[0] - table["bin_low"].iloc[0])
    count = table["objects"].to_numpy()
    some = count > 0
    x = table["mean_probability"].to_numpy()[some]
    y = table["accuracy"].to_numpy()[some]
    gap = float((np.abs(x - y) * count[some]).sum() / count.sum())
    upper.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, label="perfect")
    upper.errorbar(
        x,
        y,
        yerr=_wilson(y, count[some]),
        color=COLOURS[0],
        marker="o",
        capsize=2,
        label=f"model, calibration error {gap:.3f}",
    )
    upper.set(ylim=(-0.02, 1.02), xlim=(0, 1))
    upper.set_ylabel("accuracy")
    upper.legend(loc="upper left")
    lower.bar(middle, count, width=width * 0.92, color=COLOURS[0], alpha=0.75)
    lower.set_yscale("log")
    lower.set_ylim(0.5, max(count.max() * 3, 10))
    lower.set_ylabel("objects")
    lower.set_xlabel("probability of the predicted class")
    for place, total in zip(middle[some], count[some], strict=True):
        lower.annotate(f"{total}", (place, total), (0, 2), textcoords="offset points", ha="center", fontsize=6)
    set_title(figure, title)
    return figure


def _wilson(share: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Distances of the 68 % Wilson interval's ends from the share: [2, bins]."""
    middle = (share + 0.5 / count) / (1 + 1 / count)
    half = np.sqrt(share * (1 - share) / count + 0.25 / count**2) / (1 + 1 / count)
    return np.maximum(np.stack([share - (middle - half), middle + half - share]), 0)
