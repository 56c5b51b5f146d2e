"""Reconstructed light curves, band by band, and the training history of a reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.lightcurves import band_look
from zoo.reports.plots.style import COLOURS, as_image, day_axis, marker_look, new_figure, plain, set_title, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

PANELS = {"": "points shown", "heldout_": "points held out"}
HISTORY = ("loss", "rmse", "kld", "learning_rate")


@styled
def reconstruction_figure(points: pd.DataFrame, title: str = "", flux_unit: str = "") -> Figure:
    """Draw one object, a panel a band: points, prediction from the true past, prediction from its own past.

    Parameters
    ----------
    points : DataFrame
        One row a step and band: ``time`` (days), ``band``, ``flux``, ``flux_err`` (NaN where nothing was observed),
        ``hidden`` (the model was not shown it), ``target``, ``teacher``, ``rollout``, all in flux units.
    title, flux_unit : str
    """
    bands = list(dict.fromkeys(points["band"].astype(str)))
    columns = min(3, max(len(bands), 1))
    rows = -(-max(len(bands), 1) // columns)
    figure = new_figure(4.0 * columns, 2.6 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for index, (axes, band) in enumerate(zip(panels, bands, strict=False)):
        _band(axes, points[points["band"].astype(str) == band], band_look(band, index))
        axes.set_title(plain(band))
    for axes in panels[len(bands) :]:
        axes.set_axis_off()
    panels[0].set_ylabel(f"flux ({flux_unit})" if flux_unit else "flux")
    panels[0].set_xlabel("days")
    if bands:
        panels[0].legend()
    else:
        panels[0].text(0.5, 0.5, "no observations", transform=panels[0].transAxes, ha="center")
    set_title(figure, title)
    return figure


def _band(axes, points, look) -> None:
    colour, marker = look
    time = points["time"].to_numpy(np.float64)
    flux, error = (points[name].to_numpy(np.float64) for name in ("flux", "flux_err"))
    hidden, seen = points["hidden"].to_numpy(bool), np.isfinite(flux)
    for which, face, label in ((seen & ~hidden, colour, "shown"), (seen & hidden, "white", "held out")):
        axes.errorbar(
            time[which], flux[which], yerr=error[which], linestyle="none", marker=marker, color=colour,
            markerfacecolor=face, elinewidth=0.7, label=label,
        )  # fmt: skip
    target = points["target"].to_numpy(np.float64)
    if seen.any() and not np.allclose(target[seen], flux[seen], rtol=1e-4, atol=1e-4 * np.abs(flux[seen]).max()):
        axes.plot(time[seen], target[seen], linestyle="none", marker="_", color="#000000", label="noiseless")
    axes.plot(time, points["teacher"], color=COLOURS[6], linewidth=1.0, label="from the true past")
    axes.plot(time, points["rollout"], color=COLOURS[1], linewidth=1.0, linestyle="--", label="from its own past")


def reconstruction_image(points: pd.DataFrame, title: str = "") -> np.ndarray:
    """Draw one object as an image for TensorBoard, uint8 [H, W, 4]."""
    return as_image(reconstruction_figure(points, title))


@styled
def comparison_figure(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Draw the errors of groups of runs against the day: on points that were shown, and on those held out.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By the name of the group: ``day``, the scores of `PANELS`, and their spread with ``_std`` behind the name.
    title : str
    """
    figure = new_figure(10.0, 4.2)
    for axes, (kind, words) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        places = day_axis(axes, sorted({day for table in tables.values() for day in table["day"]}))
        for index, (name, table) in enumerate(tables.items()):
            at = [places[day] for day in table["day"]]
            for score, label, more in (
                (f"{kind}rmse", f"{name}, from the true past", {"linestyle": "-"}),
                (f"{kind}rmse_rollout", f"{name}, from its own past", {"linestyle": "--", "markerfacecolor": "white"}),
            ):
                spread = np.nan_to_num(table[f"{score}_std"].to_numpy(np.float64))
                axes.errorbar(at, table[score], yerr=spread, label=plain(label), **marker_look(index) | more)
        axes.set_title(words)
        axes.set_xlabel("days after the reference time")
    axes.legend()
    figure.axes[0].set_ylabel("RMSE")
    set_title(figure, title)
    return figure


@styled
def history_figure(history: pd.DataFrame, title: str = "") -> Figure:
    """Draw loss, RMSE, divergence of the weights and learning rate against the epoch, those that are there."""
    names = [name for name in HISTORY if name in history.columns]
    figure = new_figure(3.6 * max(len(names), 1), 3.2)
    epoch = history["epoch"].to_numpy(np.float64)
    for axes, name in zip(figure.subplots(1, max(len(names), 1), squeeze=False)[0], names, strict=False):
        for column, label, colour in ((name, "training", COLOURS[0]), (f"val_{name}", "validation", COLOURS[1])):
            if column in history.columns:
                axes.plot(epoch, history[column].to_numpy(np.float64), color=colour, label=label, marker=".")
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.legend()
    set_title(figure, title)
    return figure
