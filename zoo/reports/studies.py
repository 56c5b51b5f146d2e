"""Scores beside a run's report: against the day, against the share of the light curve, and of each part of the input.

A study has predictions of its own, ``report/<study>/predictions.parquet``, and is drawn from them and from the
configuration of the run's report, without the model: for the run's classes, or at every level of a tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.files import RunFiles, read_config, read_predictions
from zoo.reports.levels import CURVES, LABELS, Level, at_levels, score_levels
from zoo.reports.predictions import PREFIX, day_text
from zoo.reports.write import markdown_table, number, slug, write_csv, write_figure, write_text

if TYPE_CHECKING:
    import pandas as pd

    from zoo.taxonomies.tree import Taxonomy

SHOWN = 12
"""About so many columns of a table on the page; the files hold all."""

KEPT = ("objects", "unobserved", *LABELS, "objects_left_out")


@dataclass(frozen=True)
class Study:
    """What a study is about.

    Attributes
    ----------
    heading : str
    axis : {"day", "fraction"}
        Column of the predictions, and of the tables, that scores are drawn against.
    by : str
        Column of the predictions whose values are scored apart and drawn together; empty for the levels of a tree.
    x_label : str
    linear : bool
        Whether the axis is linear.
    """

    heading: str
    axis: str = "day"
    by: str = ""
    x_label: str = ""
    linear: bool = False


STUDIES = {
    "curves": Study(
        "Scores against the day", x_label="days after the reference time (observations until then)", linear=True
    ),
    "fractions": Study(
        "Scores against the share of the light curve", axis="fraction", linear=True,
        x_label="share of each object's observations",
    ),
    "branches": Study("Scores of the parts of the input apart", by="branch"),
}  # fmt: skip
"""By name, which is the folder's too."""


def predictions_place(name: str) -> str:
    """Give where the predictions of a study lie in a run."""
    return f"report/{name}/predictions.parquet"


def write_study(run_dir: str | Path, name: str, tree: Taxonomy | None = None) -> Path:
    """Score the predictions of a study and write tables, figures and a page.

    Parameters
    ----------
    run_dir : path
        With ``report/report_config.json`` and the study's predictions.
    name : str
        Of `STUDIES`.
    tree : Taxonomy, optional
        Score at its levels; at those of the run's own tree if it has one, else for its classes alone, when absent.

    Returns
    -------
    Path
        ``report/<name>/index.md``, written last. Beside it ``scores.csv``, ``per_class.csv`` and
        ``class_scores.csv`` (mean probability of every class over the objects of every true class).

    Raises
    ------
    DataError
        If a file is missing or broken.
    """
    import pandas as pd

    study, path = STUDIES[name], Path(run_dir)
    need = ("object_id", "class", study.axis, "observations", *([study.by] if study.by else []))
    table = read_predictions(path, predictions_place(name), need).rename(columns={study.axis: "day"})
    config = read_config(path)
    groups = dict(list(table.groupby(study.by, sort=False))) if study.by else {"": table}
    found: dict[str, list] = {"scores": [], "per_class": [], "class_scores": []}
    for group, part in groups.items():
        part = part.drop(columns=[study.by] if study.by else []).reset_index(drop=True)
        levels = _levels(RunFiles(path, config, part), tree)
        scores, per_class = score_levels(levels)
        scores = scores[["level", "day", *(key for key in KEPT if key in scores)]]
        for key, rows in (("scores", scores), ("per_class", per_class), ("class_scores", _class_scores(levels))):
            if study.by:
                rows.insert(0, study.by, group)
            found[key].append(rows)
    tables = {key: pd.concat(parts, ignore_index=True) for key, parts in found.items()}
    out = path / "report" / name
    for key, rows in tables.items():
        write_csv(out / f"{key}.csv", rows.rename(columns={"day": study.axis}))
    figures = _figures(study, config, out, tables)
    return write_text(out / "index.md", _page(study, config, tables["scores"], figures))


def _levels(run: RunFiles, tree: Taxonomy | None) -> list[Level]:
    if tree is None and not run.config.taxonomy:
        return [Level("classes", (), run.config.classes, _plain(run), 0)]
    return at_levels(run, tree)[3]


def _plain(run: RunFiles) -> pd.DataFrame:
    columns = [PREFIX + name for name in run.config.classes]
    return run.predictions[["object_id", "class", "day", "observations", *columns]]


def _class_scores(levels: list[Level]) -> pd.DataFrame:
    """Give the mean probability of every class over the objects of every true class that has some, by level and day."""
    import pandas as pd

    parts = []
    for level in levels:
        names = np.array(level.names, object)
        for block in level.blocks:
            count = np.bincount(block.truth, minlength=len(names))
            total = np.zeros((len(names), len(names)))
            np.add.at(total, block.truth, block.probability)
            there = np.flatnonzero(count)
            mean = total[there] / count[there, None]
            part = {"level": level.name, "day": block.day, "true": np.repeat(names[there], len(names)),
                    "class": np.tile(names, len(there)), "objects": np.repeat(count[there], len(names)),
                    "mean_probability": mean.ravel()}  # fmt: skip
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def _figures(study: Study, config, out: Path, tables) -> list[tuple[str, str]]:
    """Draw; give (heading, file name) in the page's order. What an earlier drawing left is removed."""
    from zoo.reports.plots.days import comparison_figure
    from zoo.reports.plots.levels import probability_figure

    scores, per_class = tables["scores"], tables["per_class"]
    title = f"{config.group} on {config.survey}, run {config.run}{config.mark}"
    drawn, taken = [], set()
    axis = {"x_label": study.x_label, "linear": study.linear}
    levels = list(dict.fromkeys(scores["level"]))
    # Where parts are compared each level has a figure of its own, else the levels are the lines of one.
    for level in levels if study.by else [""]:
        part = scores[scores["level"] == level] if study.by else scores
        groups = dict(list(part.groupby(study.by or "level", sort=False)))
        name = f"{slug(f'scores_{level}' if level else 'scores', taken)}.png"
        heading = f"{study.heading}, {level}" if level else study.heading
        write_figure(out / name, comparison_figure(groups, CURVES, f"{heading}\n{title}", **axis))
        drawn.append((heading, name))
    for level in levels if not study.by else []:
        name, heading = f"{slug(f'probability_{level}', taken)}.png", f"Mean probability of the true class, {level}"
        part = per_class[per_class["level"] == level]
        write_figure(out / name, probability_figure(part, f"{heading}\n{title}", **axis))
        drawn.append((heading, name))
    kept = {name for _, name in drawn}
    for old in out.glob("*.png"):
        if old.name not in kept:
            old.unlink()
    return drawn


def _page(study: Study, config, scores: pd.DataFrame, figures) -> str:
    parts = [f"# {study.heading}: {config.group} on {config.survey}, run {config.run}"]
    parts += [f"> **CAUTION †: {text}**" for text in config.cautions]
    days = sorted(set(scores["day"]))
    shown = [days[place] for place in sorted({*range(0, len(days), -(-len(days) // SHOWN)), len(days) - 1})]
    keys = [*([study.by] if study.by else []), "level"]
    for metric in ("macro_f1", "accuracy"):
        rows = []
        for names, part in scores.groupby(keys, sort=False):
            values = part.set_index("day")[metric]
            rows.append((*names, *(number(values[day]) if day in values else "–" for day in shown)))
        text = [day_text(day) for day in shown]
        parts.append(f"## {LABELS[metric]} by {study.axis}{config.mark}")
        parts.append(markdown_table(rows, (*keys, *text), text=tuple(range(len(keys)))))
    # Of the first part, which sees the whole input.
    first = scores[scores[study.by] == scores[study.by].iloc[0]] if study.by else scores
    first = first.groupby("day")[["objects", "unobserved"]].max()
    named = {"objects": "objects", "unobserved": "of these, without an observation"}
    rows = [(text_of, *(f"{first[column][day]:.0f}" for day in shown)) for column, text_of in named.items()]
    parts.append(markdown_table(rows, ("", *text)))
    parts.append("An object without an observation is predicted from what is left of its input, and counts.")
    parts += [f"## {heading}{config.mark}\n\n![{heading}]({name})" for heading, name in figures]
    parts.append(
        "## Draw this again\n\n`python -m zoo.evaluate RUN --redraw` needs `predictions.parquet` beside this page and "
        "`report_config.json` of the report, and not the model. Tables: `scores.csv`, `per_class.csv`, "
        "`class_scores.csv` (mean probability of every class over the objects of every true class)."
    )
    return "\n\n".join(parts) + "\n"
