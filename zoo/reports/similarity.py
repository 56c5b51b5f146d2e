"""Figures and tables of what was found by cosine between representations: hits, classes, outliers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.style import new_figure, plain, set_title, styled
from zoo.reports.representations import UNKNOWN, category_looks, named
from zoo.reports.write import markdown_table, number, write_csv, write_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["hits_figure", "write_csv", "write_figure", "write_hits", "write_outliers", "write_zero_shot"]

PANELS = 12
"""Queries that a figure shows at most."""


@styled
def hits_figure(hits: pd.DataFrame) -> Figure:
    """Draw which classes the hits of queries have: one panel a query, one bar a modality searched.

    Parameters
    ----------
    hits : pandas.DataFrame
        ``query, query_class, from, to, class``, in the order of the ranks.
    """
    from matplotlib.patches import Patch

    queries = list(dict.fromkeys(hits["query"]))[:PANELS]
    targets = list(dict.fromkeys(hits["to"]))
    hits = hits[hits["query"].isin(queries)]
    looks = category_looks(hits["class"].to_numpy(object))
    figure = new_figure(7.2, 0.9 + len(queries) * (0.55 + 0.28 * len(targets)))
    axes = figure.subplots(len(queries), 1, squeeze=False, sharex=True)[:, 0]
    for axis, query in zip(axes, queries, strict=True):
        mine = hits[hits["query"] == query]
        for place, target in enumerate(targets):
            found = named(mine.loc[mine["to"] == target, "class"].to_numpy(object))
            # From left to right by rank.
            for rank, name in enumerate(found):
                axis.barh(place, 1, 0.8, rank, color=looks[name]["color"], edgecolor="white", linewidth=0.5)
        axis.set_yticks(range(len(targets)), [plain(target) for target in targets])
        axis.set_ylim(len(targets) - 0.5, -0.5)
        axis.grid(False)
        [label] = named(np.array([mine["query_class"].iloc[0]], object))
        axis.set_title(plain(f"{query} ({label}) from {mine['from'].iloc[0]}"), loc="left")
    axes[-1].set_xlabel("rank of the hit")
    shown = [name for name in looks if name in set(named(hits["class"].to_numpy(object)))]
    handles = [Patch(color=looks[name]["color"], label=plain(name)) for name in shown]
    figure.legend(handles=handles, loc="outside right upper", title="class")
    set_title(figure, "classes of the nearest objects")
    return figure


def write_hits(path: Path, table: pd.DataFrame) -> str:
    """Write the hits of queries as CSV; gives them as a Markdown table."""
    write_csv(path, table)
    header = list(table.columns)
    cells = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    numbers = ("rank", "cosine", "own_rank")
    return markdown_table(cells, header, text=[place for place, name in enumerate(header) if name not in numbers])


def write_zero_shot(path: Path, table: pd.DataFrame) -> str:
    """Write the scores of classification by cosine as CSV; gives them as a Markdown table."""
    write_csv(path, table)
    cells = [
        [row.run, row.representation, row.method, row.test_objects, number(row.accuracy), number(row.macro_f1)]
        for row in table.itertuples(index=False)
    ]
    return markdown_table(
        cells, ["run", "representation", "nearest", "test objects", "accuracy", "macro F1"], (0, 1, 2)
    )


def write_outliers(path: Path, table: pd.DataFrame, top: int) -> str:
    """Write all ranks as CSV; gives the first ``top`` of each run, and others high in several modalities, in Markdown.

    Parameters
    ----------
    path : Path
    table : pandas.DataFrame
        ``run, object_id, class, split``, ``score_*`` and ``rank_*`` by representation, ``high_in`` of networks with
        modalities, in the order of the combined rank.
    top : int
    """
    write_csv(path, table)
    first = next(name for name in table if name.startswith("rank_"))
    keep = table[first] <= top
    if "high_in" in table:
        keep |= table["high_in"] > 1
    header = [name for name in table.columns if not name.startswith("score_") or name == first.replace("rank", "score")]
    cells = [[_cell(value) for value in row] for row in table.loc[keep, header].itertuples(index=False)]
    text = [place for place, name in enumerate(header) if name in ("run", "object_id", "class", "split")]
    return markdown_table(cells, header, text)


def _cell(value) -> str:
    """Write a cell: whole numbers without a point, what is missing as a dash."""
    if isinstance(value, float) and value == value and value != round(value):
        return f"{value:.3f}"
    [text] = named(np.array([value], object))
    return "–" if text == UNKNOWN else text
