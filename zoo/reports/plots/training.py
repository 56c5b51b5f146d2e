"""Training history and class composition of the splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.style import COLOURS, new_figure, plain, set_title, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SPLITS = ("train", "validation", "test")


@styled
def history_figure(history: pd.DataFrame, title: str = "") -> Figure:
    """Draw loss, macro F1 and learning rate against the epoch; the best validation macro F1 is marked.

    Parameters
    ----------
    history : DataFrame
        ``epoch`` and any of ``loss, macro_f1, learning_rate, val_loss, val_macro_f1``; others are not drawn.
    title : str
    """
    from matplotlib.ticker import MaxNLocator

    history = history.sort_values("epoch", kind="stable")
    epoch = history["epoch"].to_numpy(np.float64)
    figure = new_figure(11, 3.6)
    for axes, name, word in zip(
        figure.subplots(1, 3),
        ("loss", "macro_f1", "learning_rate"),
        ("loss", "macro F1", "learning rate"),
        strict=True,
    ):
        marker = "o" if len(epoch) <= 40 else ""
        for column, label, colour in (
            (name, "training", COLOURS[0]),
            (f"val_{name}", "validation", COLOURS[1]),
        ):
            if column in history.columns and history[column].notna().any():
                axes.plot(epoch, history[column].to_numpy(np.float64), color=colour, label=label, marker=marker)
        axes.set_title(word)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(epoch.min(initial=1) - 0.5, epoch.max(initial=1) + 0.5)
        if name == "macro_f1":
            axes.set_ylim(0, 1)
            _mark_best(axes, history, epoch)
        if not axes.lines:
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color="#777777")
        elif name != "learning_rate":
            axes.legend()
        elif (history[name] > 0).all() and history[name].max() > 20 * history[name].min():
            axes.set_yscale("log")
    set_title(figure, title)
    return figure


@styled
def composition_figure(composition: pd.DataFrame, classes: Sequence[str], title: str = "") -> Figure:
    """Draw the number of objects a class and split as logarithmic bars.

    Parameters
    ----------
    composition : DataFrame
        ``split, class, count``.
    classes : sequence of str
        Order of the bars; classes of the table that are not named follow.
    title : str
    """
    table = composition.pivot_table(index="class", columns="split", values="count", aggfunc="sum", fill_value=0)
    order = list(classes) + [name for name in table.index if name not in classes]
    splits = [s for s in SPLITS if s in table.columns] + [s for s in table.columns if s not in SPLITS]
    table = table.reindex(index=order, columns=splits, fill_value=0)
    figure = new_figure(max(6.4, 0.62 * len(order) + 2), 4.2)
    axes = figure.add_subplot()
    width = 0.84 / max(len(splits), 1)
    x = np.arange(len(order))
    for i, split in enumerate(splits):
        count = table[split].to_numpy(np.float64)
        place = x + (i - (len(splits) - 1) / 2) * width
        label = plain(f"{split} ({count.sum():g})")
        bars = axes.bar(place, count, width=width * 0.94, color=COLOURS[i % len(COLOURS)], label=label)
        axes.bar_label(bars, [f"{n:g}" for n in count], rotation=90, fontsize=6, padding=2)
    axes.set_yscale("log")
    axes.set_ylim(0.7, max(float(table.to_numpy().max(initial=1)) * 6, 10))
    axes.set_xticks(x, [plain(name) for name in order], rotation=45, ha="right", rotation_mode="anchor")
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("objects")
    if splits:
        axes.legend(ncols=3, loc="upper right")
    set_title(figure, title)
    return figure


def _mark_best(axes, history: pd.DataFrame, epoch: np.ndarray) -> None:
    if "val_macro_f1" not in history.columns or not history["val_macro_f1"].notna().any():
        return
    value = history["val_macro_f1"].to_numpy(np.float64)
    best = int(np.nanargmax(value))
    axes.axvline(epoch[best], color="#999999", linewidth=0.8, zorder=0)
    axes.plot(epoch[best], value[best], marker="*", markersize=11, color=COLOURS[1], linestyle="none")
    axes.annotate(
        f"best {value[best]:.3f}, epoch {epoch[best]:g}",
        (0.98, 0.03), xycoords="axes fraction", ha="right", fontsize=8,
    )  # fmt: skip
