"""A light curve on its grid and, below it, which steps speak for which class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.lightcurves import TOP, band_look
from zoo.reports.plots.style import line_look, new_figure, plain, set_title, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@styled
def activation_figure(
    rows: pd.DataFrame, classes: Sequence[str], truth: str = "", title: str = "", flux_unit: str = ""
) -> Figure:
    """Draw the grid's flux by band above and the class-activation map of the strongest classes below.

    Parameters
    ----------
    rows : DataFrame
        One object's steps in order: ``step``, ``flux_<band>`` and ``a_<class>``. Steps without any flux, such as those
        that hold the redshift, are drawn apart as points.
    classes : sequence of str
    truth : str
        The true class, drawn broad.
    title, flux_unit : str
    """
    figure = new_figure(8.4, 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 3])
    step = rows["step"].to_numpy()
    bands = [name.removeprefix("flux_") for name in rows.columns if name.startswith("flux_")]
    flux = rows[[f"flux_{band}" for band in bands]].to_numpy(np.float64)
    on_grid = np.isfinite(flux).any(axis=1)
    for index, band in enumerate(bands):
        upper.plot(step[on_grid], flux[on_grid, index], color=band_look(band, index)[0], label=plain(band))
    upper.set_ylabel(f"interpolated flux\n({flux_unit})" if flux_unit else "interpolated flux")
    if not on_grid.any():
        upper.annotate("no grid", (0.5, 0.5), xycoords="axes fraction", ha="center", color="#777777")
    values = rows[[f"a_{name}" for name in classes]].to_numpy(np.float64)
    strength = values.mean(axis=0)
    order = sorted(range(len(classes)), key=lambda c: (classes[c] != truth, -strength[c]))[:TOP]
    for index, c in enumerate(order):
        name = classes[c]
        look = line_look(index) | {"linewidth": 2.6 if name == truth else 1.3}
        lower.plot(step[on_grid], values[on_grid, c], label=plain(f"{name} (true)" if name == truth else name), **look)
        lower.plot(step[~on_grid], values[~on_grid, c], linestyle="none", marker="o", color=look["color"])
    lower.axhline(0, color="#999999", linewidth=0.8, zorder=1)
    lower.set_xlabel("step of the grid, from the first kept observation to the last")
    lower.set_ylabel("class activation")
    for axes in (upper, lower):
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    set_title(figure, title)
    return figure
