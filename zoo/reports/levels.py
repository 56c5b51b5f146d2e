"""Scores at every level of a tree of classes, for hierarchical and flat classifiers alike.

A level is a cut through the tree: the nodes at one depth, with the leaves above them. An object's class at a level
is the node of the cut on the path to its class; an object whose class is an inner node above the cut has none there
and is left out. Probabilities of nodes are the run's own where it was trained on the tree; those of any other run
are sums of class probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfrecords.errors import DataError
from zoo.reports.files import RunFiles, read_config, read_run
from zoo.reports.predictions import PREFIX, DayPredictions, by_day, day_text, until_text
from zoo.reports.scores import METRICS, count_matrix, row_fractions, score_tables
from zoo.reports.write import (
    markdown_table,
    number,
    records,
    slug,
    write_animation,
    write_csv,
    write_figure,
    write_text,
)
from zoo.taxonomies.tree import Taxonomy

if TYPE_CHECKING:
    import pandas as pd

NODE_PREFIX = "node_"
WEIGHTED = ("precision", "recall", "f1")
SHOWN = ("macro_f1", "macro_precision", "macro_recall", "weighted_f1", "accuracy", "auroc")
LABELS = METRICS | {f"weighted_{name}": f"weighted {'F1' if name == 'f1' else name}" for name in WEIGHTED}
CURVES = ("macro_f1", "macro_precision", "macro_recall", "accuracy")


@dataclass(frozen=True)
class Level:
    """The predictions at one level of a tree.

    Attributes
    ----------
    name : str
    nodes : tuple of int
        Nodes of the cut.
    names : list of str
    table : DataFrame
        As `zoo.reports.predictions.by_day` takes it, with the nodes as classes.
    left_out : int
        Objects that have no class at this level.
    """

    name: str
    nodes: tuple[int, ...]
    names: list[str]
    table: pd.DataFrame
    left_out: int

    @cached_property
    def blocks(self) -> list[DayPredictions]:
        """The predictions day by day; none where no object has a class here."""
        return by_day(self.table, self.names, f"predictions at {self.name}") if len(self.table) else []


def write_levels(run_dir: str | Path, tree: Taxonomy | None = None) -> Path | None:
    """Score a run's predictions at every level of a tree and write tables, figures and a page.

    Parameters
    ----------
    run_dir : path
        With the files that `zoo.reports.classify.write_report` needs.
    tree : Taxonomy, optional
        With it, confusion and ROC are drawn for every day and animated. The run's own without animations when
        absent.

    Returns
    -------
    Path or None
        ``report/levels_<tree>/index.md``, written last; None if there is no tree.

    Raises
    ------
    UsageError
        If a class of the run is not in the tree.
    DataError
        If a file is missing or broken.
    """
    if tree is None and not read_config(run_dir).taxonomy:
        return None
    run, animate = read_run(run_dir, only_scores=True), tree is not None
    tree, places, probability, levels = at_levels(run, tree)
    out = run.path / "report" / f"levels_{slug(Path(tree.name).stem, set())}"
    out.mkdir(parents=True, exist_ok=True)
    scores, per_class = score_levels(levels)
    consistent = consistency_table(run.predictions, run.config.classes, probability, tree, places)
    write_csv(out / "scores_by_level.csv", scores)
    write_csv(out / "per_class.csv", per_class)
    write_csv(out / "confusion.csv", _confusion(levels))
    write_csv(out / "consistency.csv", consistent)
    figures = _figures(run, tree, out, levels, scores, per_class, animate)
    return write_text(out / "index.md", _page(run, tree, levels, scores, consistent, figures))


def at_levels(run: RunFiles, tree: Taxonomy | None) -> tuple[Taxonomy, list[int], np.ndarray, list[Level]]:
    """Give the tree, the run's own when absent, the node of every class, P (row, node) and the levels of a run."""
    own = _own_tree(run)
    tree = tree or own
    places = _places(run, tree, own)
    probability = node_probabilities(run, tree, own, places)
    return tree, places, probability, level_predictions(run.predictions, run.config.classes, probability, tree, places)


def _own_tree(run: RunFiles) -> Taxonomy | None:
    stored = run.config.taxonomy
    if not stored:
        return None
    try:
        return Taxonomy(str(stored["name"]), tuple(stored["nodes"]), tuple(stored["parents"]))
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{run.path}: key 'taxonomy' of the report's configuration must hold name, nodes and parents. "
            f"Received: {error}"
        ) from None


def _places(run: RunFiles, tree: Taxonomy, own: Taxonomy | None) -> list[int]:
    if own is not None and tree is own:
        stored = run.config.taxonomy["class_nodes"]
        return [int(stored[name]) for name in run.config.classes]
    return [tree.index(name) for name in run.config.classes]


def node_probabilities(run: RunFiles, tree: Taxonomy, own: Taxonomy | None, places: Sequence[int]) -> np.ndarray:
    """Give P (row, node), float64: the run's own if it has this tree, else sums of class probabilities."""
    table = run.predictions
    if own is not None and (own.nodes, own.parents) == (tree.nodes, tree.parents):
        columns = [NODE_PREFIX + name for name in tree.nodes]
        missing = [name for name in columns if name not in table.columns]
        if missing:
            raise DataError(
                f"{run.predictions_path}: misses probabilities of nodes; `python -m zoo.evaluate {run.path}` writes "
                f"them. Received: no columns {missing}"
            )
        return table[columns].to_numpy("float64")
    classes = table[[PREFIX + name for name in run.config.classes]].to_numpy("float64")
    return classes @ tree.paths[list(places)]


def members(tree: Taxonomy, cut: Sequence[int]) -> np.ndarray:
    """Give which node of a cut lies on the path to each node, int64 (node,); −1 above the cut."""
    inside = tree.paths[:, list(cut)]
    return np.where(inside.any(axis=1), np.array(cut)[inside.argmax(axis=1)], -1)


def level_predictions(predictions: pd.DataFrame, classes, probability, tree, places) -> list[Level]:
    """Give the predictions at every level of a tree."""
    import pandas as pd

    by_day(predictions, list(classes))
    truth = np.array(places)[pd.Index(classes).get_indexer(predictions["class"])]
    levels = []
    for name, cut in tree.levels().items():
        home = members(tree, cut)[truth]
        known = home >= 0
        shares = probability[:, list(cut)]
        # Where classes are inner nodes, what they got is not shared out below them.
        total = shares.sum(axis=1, keepdims=True)
        shares = np.divide(shares, total, out=np.full_like(shares, 1 / len(cut)), where=total > 0)
        names = [tree.nodes[node] for node in cut]
        keep = [column for column in ("object_id", "day", "observations") if column in predictions.columns]
        table = predictions[keep].copy()
        table["class"] = np.array(tree.nodes, object)[np.maximum(home, 0)]
        table = pd.concat([table, pd.DataFrame(shares, columns=[PREFIX + n for n in names], index=table.index)], axis=1)
        left_out = int(predictions["object_id"][~known].nunique())
        levels.append(Level(name, cut, names, table[known].reset_index(drop=True), left_out))
    return levels


def score_levels(levels: list[Level]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the scores of every level and day, and those of every level, day and class.

    Beside the columns of `zoo.reports.scores.score_tables` the first has ``level``, ``weighted_*`` and
    ``objects_left_out``, the second ``level`` and ``mean_probability``, of the true class.
    """
    import pandas as pd

    all_scores, all_classes = [], []
    for level in levels:
        if not level.blocks:
            continue
        scores, per_class = score_tables(level.table, level.names, bootstrap=0)
        for name in WEIGHTED:
            part = per_class.assign(product=per_class["support"] * per_class[name].fillna(0.0)).groupby("day")
            scores[f"weighted_{name}"] = (part["product"].sum() / part["support"].sum()).to_numpy()
        per_class["mean_probability"] = np.concatenate([_true_probability(block, len(level.names))
                                                        for block in level.blocks])  # fmt: skip
        for table, found in ((scores, all_scores), (per_class, all_classes)):
            table.insert(0, "level", level.name)
            found.append(table)
        scores["objects_left_out"] = level.left_out
    return pd.concat(all_scores, ignore_index=True), pd.concat(all_classes, ignore_index=True)


def _true_probability(block: DayPredictions, size: int) -> np.ndarray:
    """Mean probability of the true class over the objects of each class; NaN without objects."""
    chosen = np.take_along_axis(block.probability, block.truth[:, None], axis=1)[:, 0]
    count = np.bincount(block.truth, minlength=size)
    total = np.bincount(block.truth, chosen, minlength=size)
    return np.divide(total, count, out=np.full(size, np.nan), where=count > 0)


def greedy_leaves(probability: np.ndarray, tree: Taxonomy) -> np.ndarray:
    """Give the leaf (row,) at the end of the path that takes the most probable child at every step."""
    best = np.tile(np.arange(len(tree)), (len(probability), 1))
    for node in range(len(tree)):
        if children := tree.children(node):
            best[:, node] = np.array(children)[probability[:, children].argmax(axis=1)]
    rows, node = np.arange(len(probability)), np.zeros(len(probability), "int64")
    for _ in range(int(tree.depths.max())):
        node = best[rows, node]
    return node


def consistency_table(predictions: pd.DataFrame, classes, probability, tree, places) -> pd.DataFrame:
    """Say, day by day, whether the winners of the levels lie on one path, and how the greedy path scores.

    Returns
    -------
    DataFrame
        ``day, objects, consistent`` (share of objects whose winners all lie on one path), ``consistent: A / B``
        (share for neighbouring levels), ``greedy is leaf winner``, ``greedy accuracy: A`` (among the objects that
        have a class at the level; NaN without any).
    """
    import pandas as pd

    levels = tree.levels()
    homes = {name: members(tree, cut) for name, cut in levels.items()}
    winners = {name: np.array(cut)[probability[:, list(cut)].argmax(axis=1)] for name, cut in levels.items()}
    truth = np.array(places)[pd.Index(classes).get_indexer(predictions["class"])]
    greedy = greedy_leaves(probability, tree)
    columns = {}
    names = list(levels)
    pairs = [homes[upper][winners[lower]] == winners[upper] for upper, lower in zip(names, names[1:], strict=False)]
    columns["consistent"] = np.all(pairs, axis=0) if pairs else np.ones(len(predictions), bool)
    for upper, lower, agree in zip(names, names[1:], pairs, strict=False):
        columns[f"consistent: {upper} / {lower}"] = agree
    columns["greedy is leaf winner"] = greedy == winners["leaves"]
    for name in names:
        right = (homes[name][greedy] == homes[name][truth]).astype("float64")
        columns[f"greedy accuracy: {name}"] = np.where(homes[name][truth] >= 0, right, np.nan)
    table = pd.DataFrame(columns).astype("float64").groupby(predictions["day"].to_numpy()).mean()
    table.insert(0, "objects", predictions.groupby("day").size())
    return table.rename_axis("day").reset_index()


def _confusion(levels: list[Level]) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for level in levels:
        size = len(level.names)
        for block in level.blocks:
            matrix = count_matrix(block, size)
            part = {"level": level.name, "day": block.day, "true": np.repeat(level.names, size),
                    "predicted": np.tile(level.names, size)}  # fmt: skip
            parts.append(pd.DataFrame(part | {"count": matrix.ravel(), "fraction": row_fractions(matrix).ravel()}))
    return pd.concat(parts, ignore_index=True)


def _figures(run, tree, out: Path, levels, scores, per_class, animate: bool) -> list[tuple[str, str]]:
    """Draw; give (heading, file name) in the page's order. What an earlier drawing left is removed."""
    from zoo.reports.plots.days import comparison_figure
    from zoo.reports.plots.levels import probability_figure
    from zoo.reports.plots.matrices import confusion_figure
    from zoo.reports.plots.ranking import roc_figure

    config = run.config

    def title(what: str, level: Level | None = None, block: DayPredictions | None = None) -> str:
        at = f", {level.name} of {tree.name}" if level else f" at the levels of {tree.name}"
        until = f", {len(block.truth):,} test objects, {until_text(block.day)}" if block else ""
        return f"{what}{at}\n{config.group} on {config.survey}, run {config.run}{until}{config.mark}"

    drawn: list[tuple[str, str]] = [("Scores by day", "scores_by_day.png")]
    kept = {"scores_by_day.png"}
    groups = {name: part for name, part in scores.groupby("level", sort=False)}
    write_figure(out / "scores_by_day.png", comparison_figure(groups, CURVES, title("Scores by day")))
    draws = {
        "confusion": ("Confusion matrix", lambda level, block, t: confusion_figure(
            count_matrix(block, len(level.names)), level.names, t)),
        "roc": ("ROC, one against the rest", lambda level, block, t: roc_figure(block, level.names, t)),
    }  # fmt: skip
    for level in (level for level in levels if level.blocks):
        stem = level.name.replace(" ", "_")
        for kind, (heading, draw) in draws.items():
            blocks = level.blocks if animate else level.blocks[-1:]
            figures = [draw(level, block, title(heading, level, block)) for block in blocks]
            names = [f"{kind}_{stem}_{day_text(block.day)}.png" for block in blocks]
            for name, figure in zip(names, figures, strict=True):
                write_figure(out / name, figure)
            kept |= set(names)
            shown = names[-1]
            if len(figures) > 1:
                shown = f"{kind}_{stem}.gif"
                write_animation(out / shown, figures)
                kept.add(shown)
            drawn.append((f"{heading}, {level.name}", shown))
        name, heading = f"probability_{stem}.png", "Mean probability of the true class"
        part = per_class[per_class["level"] == level.name]
        write_figure(out / name, probability_figure(part, title(heading, level)))
        drawn.append((f"{heading}, {level.name}", name))
        kept.add(name)
    for old in [*out.glob("*.png"), *out.glob("*.gif")]:
        if old.name not in kept:
            old.unlink()
    return drawn


def _page(run, tree, levels, scores, consistent, figures) -> str:
    config = run.config
    last = scores["day"].max()
    parts = [f"# {config.group} on {config.survey}: run {config.run} at the levels of {tree.name}"]
    parts += [f"> **CAUTION †: {text}**" for text in config.cautions]
    parts.append(f"## Scores, {until_text(last)}{config.mark}")
    rows = [
        (row["level"], f"{row['objects']:.0f}", *(number(row[name]) for name in SHOWN))
        for row in records(scores[scores["day"] == scores.groupby("level")["day"].transform("max")])
    ]
    parts.append(markdown_table(rows, ("level", "objects", *(LABELS[name] for name in SHOWN))))
    missing = [f"{level.name} {level.left_out}" for level in levels if level.left_out]
    if missing:
        parts.append(f"Objects whose class is an inner node above a level, left out there: {', '.join(missing)}.")
    parts.append("## Do the winners of the levels lie on one path?")
    header = [name for name in consistent.columns if name not in ("day", "objects")]
    rows = [(day_text(row["day"]), *(number(row[name]) for name in header)) for _, row in consistent.iterrows()]
    parts.append(markdown_table(rows, ("day", *header)))
    parts.append("The greedy path takes the most probable child at every step from the root.")
    parts += [f"## {heading}{config.mark}\n\n![{heading}]({name})" for heading, name in figures]
    parts.append(
        "## Draw this again\n\n`python -m zoo.evaluate RUN --redraw --taxonomy NAME` needs "
        "`predictions_by_day.parquet` and `report_config.json`, and not the model. Tables of all days: "
        "`scores_by_level.csv`, `per_class.csv`, `confusion.csv`, `consistency.csv`."
    )
    return "\n\n".join(parts) + "\n"
