"""Scores against the day up to which a model saw the light curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.style import (
    day_axis,
    marker_look,
    new_figure,
    plain,
    set_title,
    styled,
)
from zoo.reports.scores import METRICS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (
    ("macro_f1", "macro_precision", "macro_recall", "accuracy"),
    ("auroc", "average_precision"),
    ("log_loss", "weighted_log_loss"),
    ("ece",),
)
FROM_ZERO_TO_ONE = {
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "accuracy",
    "balanced_accuracy",
    "average_precision",
}
COMPARED = (
    "macro_precision",
    "macro_recall",
    "accuracy",
    "auroc",
    "average_precision",
    "log_loss",
    "weighted_log_loss",
    "ece",
)
MARKED = 24
"""Most markers of a line."""

X_LABEL = "days after the reference time (all = whole light curve)"


@styled
def scores_figure(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw the scores of one run against the day, with bands of +-1 bootstrap standard error.

    Parameters
    ----------
    table : DataFrame
        From `zoo.reports.scores.score_table`; without ``_se`` columns there are no bands.
    title : str
    """
    figure = new_figure(11, 7.4)
    for axes, names in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        places = day_axis(axes, table["day"])
        x = table["day"].map(places).to_numpy(np.float64)
        for i, name in enumerate(names):
            error = table.get(f"{name}_se")
            _line(axes, x, table[name], error, METRICS[name], i)
        axes.set_title(", ".join(METRICS[name] for name in names))
        _limits(axes, names)
        if len(names) > 1:
            axes.legend()
    for axes in figure.axes[-2:]:
        axes.set_xlabel(X_LABEL)
    set_title(figure, title)
    return figure


@styled
def comparison_figure(groups: Mapping[str, pd.DataFrame], metrics: Sequence[str], title: str = "",
                      x_label: str = "", linear: bool = False) -> Figure:  # fmt: skip
    """Draw scores of several groups of runs against the day, with bands of +-1 standard deviation over runs.

    Parameters
    ----------
    groups : mapping of str to DataFrame
        Name of the group -> rows by day with ``day``, ``<metric>`` (mean) and ``<metric>_std`` (NaN for a
        single run).
    metrics : sequence of str
        One panel each.
    title : str
    x_label : str
        What ``day`` is, if no day.
    linear : bool
        A linear axis, whatever the days are.
    """
    columns = 1 if len(metrics) == 1 else (2 if len(metrics) <= 4 else 4)
    lines = -(-len(metrics) // columns)
    figure = new_figure(7.6 if columns == 1 else 4.2 * columns, 4.8 if columns == 1 else 3.3 * lines + 0.8)
    panels = np.atleast_1d(figure.subplots(lines, columns)).ravel()
    days = sorted({day for table in groups.values() for day in table["day"]})
    for axes, name in zip(panels, metrics, strict=False):
        places = day_axis(axes, days, linear)
        for i, (group, table) in enumerate(groups.items()):
            x = table["day"].map(places).to_numpy(np.float64)
            _line(axes, x, table[name], table.get(f"{name}_std"), group, i)
        axes.set_title(METRICS[name])
        _limits(axes, [name])
        if columns > 2:
            axes.tick_params(axis="x", labelsize=6.5, rotation=90 if len(days) > 8 else 0)
    for axes in panels[len(metrics) :]:
        axes.remove()
    for axes in figure.axes[-columns:]:
        axes.set_xlabel(x_label or (X_LABEL if columns < 3 else "day (all = whole light curve)"))
    handles, labels = panels[0].get_legend_handles_labels()
    if len(groups) > 6:
        figure.legend(handles, labels, loc="outside right center")
    else:
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


def _line(axes, x, value, error, label, index) -> None:
    look = marker_look(index)
    value = np.asarray(value, np.float64)
    axes.plot(x, value, label=plain(label), markevery=-(-len(x) // MARKED), **look)
    if error is None:
        return
    error = np.asarray(error, np.float64)
    if len(x) == 1:
        axes.errorbar(x, value, yerr=error, color=look["color"], capsize=3, linestyle="none")
    else:
        axes.fill_between(x, value - error, value + error, color=look["color"], alpha=0.2, linewidth=0)


def _limits(axes, names) -> None:
    """Scores that live in [0, 1] start at 0 and never show more than it; losses start at 0."""
    if set(names) <= {"auroc", "average_precision"}:
        axes.set_ylim(min(axes.get_ylim()[0], 0.5), 1.02)
    elif set(names) <= FROM_ZERO_TO_ONE:
        axes.set_ylim(0, min(max(axes.get_ylim()[1], 0.1), 1.02))
    else:
        axes.set_ylim(bottom=0)
