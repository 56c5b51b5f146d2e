"""Several runs at every level of a tree of classes: flat networks, hierarchical ones and baselines side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.reports.files import read_run
from zoo.reports.levels import CURVES, LABELS, at_levels, consistency_table, score_levels
from zoo.reports.predictions import day_text, until_text
from zoo.reports.several import SPREAD, mean_by
from zoo.reports.write import markdown_table, number, slug, write_csv, write_figure, write_text

if TYPE_CHECKING:
    import pandas as pd

    from zoo.taxonomies.tree import Taxonomy


def write_level_comparison(run_dirs: Sequence[str | Path], out_dir: str | Path, tree: Taxonomy) -> Path:
    """Average the scores of runs at the levels of a tree by model and preset, and draw the groups together.

    Parameters
    ----------
    run_dirs : sequence of path
        As `zoo.reports.several.write_comparison` takes them.
    out_dir : path
        Gets a folder ``levels_<tree>``, whose files are named below.
    tree : Taxonomy

    Returns
    -------
    Path
        ``levels_<tree>/index.md``, written last, beside ``scores_by_level.csv``, ``consistency.csv`` and a figure of
        scores by day for every level.

    Raises
    ------
    UsageError
        If a class of a run is not in the tree.
    DataError
        If a file of a run is missing or broken.
    """
    groups: dict[str, list[tuple[pd.DataFrame, pd.DataFrame]]] = {}
    for path in run_dirs:
        run = read_run(path, only_scores=True)
        _, places, probability, levels = at_levels(run, tree)
        consistent = consistency_table(run.predictions, run.config.classes, probability, tree, places)
        groups.setdefault(run.config.group, []).append((score_levels(levels)[0], consistent))
    columns = list(LABELS)
    scores = mean_by(groups, lambda run: run[0], ["level", "day"], columns)
    shares = [name for name in next(iter(groups.values()))[0][1].columns if name not in ("day", "objects")]
    consistent = mean_by(groups, lambda run: run[1], ["day"], shares)
    out = Path(out_dir) / f"levels_{slug(Path(tree.name).stem, set())}"
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "scores_by_level.csv", scores)
    write_csv(out / "consistency.csv", consistent)
    figures = _figures(out, tree, groups, scores)
    return write_text(out / "index.md", _page(tree, groups, scores, consistent, figures))


def _level_names(tree: Taxonomy, scores: pd.DataFrame) -> list[str]:
    """Give the levels that have scores from the root on, and not by the alphabet."""
    return [name for name in tree.levels() if name in set(scores["level"])]


def _figures(out: Path, tree: Taxonomy, groups, scores: pd.DataFrame) -> list[tuple[str, str]]:
    from zoo.reports.plots.days import comparison_figure

    drawn = []
    for level in _level_names(tree, scores):
        part = scores[scores["level"] == level]
        tables = {f"{group} ({len(runs)})": part[part["group"] == group] for group, runs in groups.items()}
        heading, name = f"Scores by day, {level} of {tree.name}", f"scores_{level.replace(' ', '_')}.png"
        title = f"{heading}\nmean ± standard deviation over runs (number)"
        write_figure(out / name, comparison_figure(tables, CURVES, title))
        drawn.append((heading, name))
    return drawn


def _page(tree: Taxonomy, groups, scores: pd.DataFrame, consistent: pd.DataFrame, figures) -> str:
    parts = [f"# Comparison of runs at the levels of {tree.name}", SPREAD]
    last, levels = scores["day"].max(), _level_names(tree, scores)
    whole = scores[scores["day"] == last].set_index(["group", "level"])
    parts.append(f"## {LABELS['macro_f1']}, {until_text(last)}")
    rows = [(group, len(runs), *_cells(whole, [(group, level) for level in levels])) for group, runs in groups.items()]
    parts.append(markdown_table(rows, ("group (model preset)", "runs", *levels)))
    days = sorted(set(scores["day"]))
    for level, (heading, name) in zip(levels, figures, strict=True):
        part = scores[scores["level"] == level].set_index(["group", "day"])
        rows = [(group, *_cells(part, [(group, day) for day in days])) for group in groups]
        parts.append(f"## {LABELS['macro_f1']} by day, {level}")
        parts.append(markdown_table(rows, ("group", *map(day_text, days))))
        parts.append(f"![{heading}]({name})")
    parts.append(f"## Share of objects whose winners of all levels lie on one path, {until_text(last)}")
    whole = consistent[consistent["day"] == last].set_index("group")
    rows = [(group, *_cells(whole, [group], "consistent")) for group in groups]
    parts.append(markdown_table(rows, ("group", "consistent")))
    parts.append("Tables of all days and scores: `scores_by_level.csv`, `consistency.csv`.")
    return "\n\n".join(parts) + "\n"


def _cells(table: pd.DataFrame, keys, column: str = "macro_f1") -> list[str]:
    return [number(table[column][key], table[f"{column}_std"][key]) if key in table.index else "–" for key in keys]
