"""A light curve and, below it, what the model said of it as the days went by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.style import (
    COLOURS,
    MARKERS,
    day_axis,
    line_look,
    marker_look,
    new_figure,
    plain,
    set_title,
    styled,
)
from zoo.reports.predictions import PREFIX

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

DETECTED, TRIGGER, SATURATED, UNKNOWN = 1, 2, 4, 8
"""Bits of the record's flags."""

BAND_LOOK = {
    "u": ("#0c71ff", "o"),
    "g": ("#49be61", "^"),
    "r": ("#c61c00", "v"),
    "i": ("#ffc200", "s"),
    "z": ("#f341a2", "D"),
    "y": ("#5d0000", "p"),
}
"""Colour and marker of a filter, as Rubin Observatory draws them on white."""

TOP = 5


@styled
def light_curve_figure(
    rows: pd.DataFrame,
    predictions: pd.DataFrame,
    classes: Sequence[str],
    title: str = "",
    flux_unit: str = "",
    steps: pd.DataFrame | None = None,
) -> Figure:
    """Draw flux against time above and the probabilities of the top classes against the day below.

    Where there are ``steps``, what the model said at every step stands between the two.

    Parameters
    ----------
    rows : DataFrame
        One object's observations: ``time_from_ref`` (days), ``band``, ``flux``, ``flux_err``, ``flags``.
        Filled markers are detections, open ones are not; rows without a finite time or flux are counted, not
        drawn.
    predictions : DataFrame
        The object's rows by day: ``class``, ``day`` and the ``p_<class>`` columns.
    classes : sequence of str
    title : str
    flux_unit : str
    steps : DataFrame, optional
        The object's rows by step: ``time_days`` and the ``p_<class>`` columns of all its step classes.
    """
    drawn = [] if steps is None else [2]
    figure = new_figure(8.4, 6.4 + sum(drawn))
    upper, *middle, lower = figure.subplots(2 + len(drawn), 1, height_ratios=[3, *drawn, 2])
    _flux(upper, rows)
    for axes in middle:
        _steps(axes, steps, str(predictions["class"].iloc[0]) if len(predictions) else "")
        axes.set_xlabel("steps of the model, days from the reference time")
        axes.set_ylabel("probability")
    upper.set_ylabel(f"flux ({flux_unit})" if flux_unit else "flux")
    upper.set_xlabel("days from the reference time")
    _probabilities(lower, predictions, list(classes))
    lower.set_xlabel("observations seen up to day (all = whole light curve)")
    lower.set_ylabel("probability")
    set_title(figure, title)
    return figure


def band_look(band: str, index: int) -> tuple[str, str]:
    """Give colour and marker of a band by its filter letter (``g``; also ``Y``, ``lsstg``, ``ztf_r``)."""
    letter = re.sub(r"^(lsst|ztf|sdss|des|ps1)[_: -]?", "", band.strip().lower())
    return BAND_LOOK.get(letter) or (COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)])


def _flux(axes, rows: pd.DataFrame) -> None:
    time, flux = (rows[name].to_numpy(np.float64) for name in ("time_from_ref", "flux"))
    error = rows["flux_err"].to_numpy(np.float64)
    error = np.where(np.isfinite(error) & (error >= 0), error, 0)
    flags = rows["flags"].to_numpy(np.int64)
    good = np.isfinite(time) & np.isfinite(flux)
    bands = rows["band"].astype(str).to_numpy()
    found = list(dict.fromkeys(bands))
    order = sorted(found, key=lambda b: ("ugrizy".find(b.lower()[-1:]) % 99, found.index(b)))
    detected = (flags & (DETECTED | TRIGGER | UNKNOWN)) > 0
    for index, band in enumerate(order):
        colour, marker = band_look(band, index)
        for filled in (False, True):
            these = good & (bands == band) & (detected == filled)
            face = colour if filled else "white"
            axes.errorbar(
                time[these], flux[these], yerr=error[these], linestyle="none", marker=marker, color=colour,
                markerfacecolor=face, markersize=4.5 if filled else 3.5, markeredgewidth=0.9, elinewidth=0.7,
                alpha=1 if filled else 0.65, zorder=3 if filled else 2,
            )  # fmt: skip
        axes.plot([], [], linestyle="none", marker=marker, color=colour, label=plain(band))
    _marks(axes, time, flux, flags, good, detected)
    if good.any():
        low, high = flux[good].min(), flux[good].max()
        pad = 0.08 * (high - low) or max(abs(high) * 0.1, 1.0)
        axes.set_ylim(low - pad, high + pad)
    hidden = int((~good).sum())
    words = "no observations" if not len(rows) else (f"{hidden} rows not finite, not drawn" if hidden else "")
    axes.annotate(words, (0.01, 0.97), xycoords="axes fraction", va="top", fontsize=8, color="#777777")
    if len(rows):
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _marks(axes, time, flux, flags, good, detected) -> None:
    axes.axhline(0, color="#999999", linewidth=0.8, zorder=1)
    trigger = good & ((flags & TRIGGER) > 0)
    saturated = good & ((flags & SATURATED) > 0)
    if trigger.any():
        for at in time[trigger]:
            axes.axvline(at, color="#555555", linewidth=0.9, linestyle="--", zorder=1)
        axes.plot(
            time[trigger], flux[trigger], linestyle="none", marker="*", markersize=14, color="#000000",
            markerfacecolor="none", label="trigger", zorder=5,
        )  # fmt: skip
    if saturated.any():
        axes.plot(
            time[saturated], flux[saturated], linestyle="none", marker="x", markersize=9, color="#000000",
            label="saturated", zorder=5,
        )  # fmt: skip
    if (good & ((flags & UNKNOWN) > 0)).any():
        axes.plot([], [], linestyle="none", marker="o", color="#888888", label="detections unknown")
    elif (good & ~detected).any():
        grey = {"linestyle": "none", "marker": "o", "color": "#888888"}
        axes.plot([], [], label="detected", **grey)
        axes.plot([], [], label="not detected", markerfacecolor="white", **grey)


def _steps(axes, steps: pd.DataFrame, truth: str) -> None:
    names = [name for name in steps.columns if str(name).startswith(PREFIX)]
    strength = [steps[name].mean() + 2.0 * (name == PREFIX + truth) for name in names]
    axes.axvline(0, color="#555555", linewidth=0.9, linestyle="--", zorder=1)
    for place, column in enumerate(np.argsort(-np.array(strength), kind="stable")[: TOP + 1]):
        name = names[column].removeprefix(PREFIX)
        label, width = (f"{name} (true)", 2.6) if name == truth else (name, 1.3)
        look = line_look(place) | {"linewidth": width, "label": plain(label)}
        axes.plot(steps["time_days"].to_numpy(np.float64), steps[names[column]].to_numpy(np.float64), **look)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _probabilities(axes, predictions: pd.DataFrame, classes: list[str]) -> None:
    table = predictions.sort_values("day")
    if not len(table):
        axes.annotate("no predictions", (0.5, 0.5), xycoords="axes fraction", ha="center", color="#777777")
        return
    probability = table[[PREFIX + name for name in classes]].to_numpy(np.float64)
    truth = str(table["class"].iloc[0])
    strength = probability.max(axis=0) + np.array([2.0 * (name == truth) for name in classes])
    x = table["day"].map(day_axis(axes, table["day"])).to_numpy(np.float64)
    for i, c in enumerate(np.argsort(-strength, kind="stable")[:TOP]):
        name = classes[c]
        label = f"{name} (true)" if name == truth else name
        axes.plot(
            x,
            probability[:, c],
            label=plain(label),
            **(marker_look(i) | {"linewidth": 2.6 if name == truth else 1.3}),
        )
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
