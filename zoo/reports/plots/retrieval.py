"""Search between modalities: how far one must look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.style import line_look, marker_look, new_figure, plain, set_title, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@styled
def recall_figure(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw the share of objects found among the first k candidates against k, a line an ordered pair of modalities.

    Parameters
    ----------
    table : pandas.DataFrame
        ``query``, ``searched``, ``rank`` and ``candidates`` of every object and pair.
    title : str
    """
    figure = new_figure(6.4, 4.6)
    axes, most = figure.add_subplot(), int(table["candidates"].max())
    for place, ((query, searched), part) in enumerate(table.groupby(["query", "searched"], sort=False)):
        ranks = np.sort(part["rank"].to_numpy())
        share = np.arange(1, len(ranks) + 1) / len(ranks)
        found = float((ranks == 1).mean())
        axes.step([1, *ranks, most], [found, *share, 1.0], where="post", label=plain(f"{query} to {searched}"),
                  **line_look(place))  # fmt: skip
    chance = np.geomspace(1, most)
    axes.plot(chance, chance / most, color="#999999", linewidth=0.8, zorder=1, label="chance")
    axes.set(xscale="log", xlim=(1, max(most, 2)), ylim=(0, 1.02))
    axes.set_xlabel("candidates looked at, k")
    axes.set_ylabel("share of objects found")
    axes.legend(loc="lower right")
    set_title(figure, title)
    return figure


@styled
def comparison_figure(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Draw the share of objects found first, and among the first ten, of groups of runs by pair of modalities.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By the name of the group: ``query``, ``searched``, ``recall@1``, ``recall@10`` and their spread with ``_std``
        behind the name.
    title : str
    """
    figure = new_figure(10.0, 4.6)
    pairs = [f"{row.query} to {row.searched}" for table in tables.values() for row in table.itertuples()]
    places = {name: place for place, name in enumerate(dict.fromkeys(pairs))}
    for axes, score in zip(figure.subplots(1, 2, sharey=True), ("recall@1", "recall@10"), strict=True):
        for index, (name, table) in enumerate(tables.items()):
            shift = (index - (len(tables) - 1) / 2) * 0.6 / max(len(tables), 1)
            at = [places[f"{row.query} to {row.searched}"] + shift for row in table.itertuples()]
            spread = np.nan_to_num(table[f"{score}_std"].to_numpy(np.float64))
            axes.errorbar(
                at, table[score], yerr=spread, label=plain(name), **marker_look(index) | {"linestyle": "none"}
            )
        axes.set_xticks(range(len(places)), list(places), rotation=30, ha="right", rotation_mode="anchor")
        axes.set(ylim=(0, 1.02), title=score)
    figure.axes[0].set_ylabel("share of objects found")
    axes.legend()
    set_title(figure, title)
    return figure
