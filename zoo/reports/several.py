"""Several runs in one report: mean and spread over folds and seeds, groups of runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfrecords.errors import DataError, UsageError
from zoo.reports.files import RunFiles, read_run
from zoo.reports.predictions import by_day, day_text, until_text
from zoo.reports.scores import (
    DEFINITIONS,
    METRICS,
    PER_CLASS,
    count_matrix,
    row_fractions,
    score_tables,
)
from zoo.reports.write import (
    markdown_table,
    number,
    records,
    slug,
    write_csv,
    write_figure,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    import pandas as pd

SPREAD = "± is the population standard deviation (ddof 0) over the runs of a group; a single run has none."


@dataclass(frozen=True)
class ScoredRun:
    """One run with what the comparison needs of it.

    Attributes
    ----------
    files : RunFiles
    scores, per_class : DataFrame
        See `zoo.reports.scores.score_tables`.
    fractions : ndarray of float64, [K, K]
        Row-normalised confusion matrix at the last day.
    objects : frozenset of str
        Test objects of the last day.
    last_day : float
    """

    files: RunFiles
    scores: pd.DataFrame
    per_class: pd.DataFrame
    fractions: np.ndarray
    objects: frozenset[str]
    last_day: float


def write_comparison(run_dirs: Sequence[str | Path], out_dir: str | Path) -> Path:
    """Average runs by model and preset and draw the groups together.

    Parameters
    ----------
    run_dirs : sequence of path
        Run directories, each with the files that `zoo.reports.classify.write_report` needs. Runs of one model
        and preset (folds, seeds) are averaged.
    out_dir : path
        Made if absent. Gets ``index.md``, ``runs.csv, scores_by_day.csv, per_class.csv, confusion.csv,
        metrics.json``, ``macro_f1_by_day.png, scores_by_day.png`` and one ``confusion_<group>.png`` a group.

    Returns
    -------
    Path
        ``index.md``, written last.

    Raises
    ------
    UsageError
        No run is given, or one twice.
    DataError
        A run's file is missing or broken, or two runs have different classes or last days.
    """
    runs = _read(run_dirs)
    groups: dict[str, list[ScoredRun]] = {}
    for run in runs:
        groups.setdefault(run.files.config.group, []).append(run)
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    classes, last = runs[0].files.config.classes, runs[0].last_day
    by_days = mean_by(groups, lambda run: run.scores, ["day"], list(METRICS))
    per_class = mean_by(groups, lambda run: run.per_class, ["day", "class"], ["support", *PER_CLASS])
    per_class = _in_class_order(per_class, classes)
    matrices = {name: _mean_matrix(members) for name, members in groups.items()}
    cautions = _cautions(groups)
    write_csv(out / "runs.csv", _runs_table(runs))
    write_csv(out / "scores_by_day.csv", by_days)
    write_csv(out / "per_class.csv", per_class)
    write_csv(out / "confusion.csv", _confusion_table(matrices, classes, last))
    write_json(out / "metrics.json", _metrics(groups, by_days, per_class, cautions, last))
    figures = _figures(out, groups, by_days, matrices, classes, last, bool(cautions))
    levels = sorted(path.parent.name for path in out.glob("levels_*/index.md"))
    stamps = (out / "reconstructions" / "index.md").is_file()
    page = _page(groups, by_days, per_class, cautions, figures, classes, last, levels, stamps)
    return write_text(out / "index.md", page)


def _read(run_dirs: Sequence[str | Path]) -> list[ScoredRun]:
    paths = [Path(path) for path in run_dirs]
    if not paths:
        raise UsageError("a comparison needs at least one run directory. Received: none")
    seen: dict[Path, Path] = {}
    runs: list[ScoredRun] = []
    for path in paths:
        if path.resolve() in seen:
            raise UsageError(f"a run may be given once, or its group's spread is too small. Received: {path} twice")
        seen[path.resolve()] = path
        runs.append(_score(read_run(path, only_scores=True)))
        _check_alike(runs[0], runs[-1])
    return runs


def _score(files: RunFiles) -> ScoredRun:
    config, where = files.config, str(files.predictions_path)
    block = by_day(files.predictions, config.classes, where)[-1]
    scores, per_class = score_tables(files.predictions, config.classes, config.class_weights, 0, where=where)
    fractions = row_fractions(count_matrix(block, len(config.classes)))
    return ScoredRun(files, scores, per_class, fractions, frozenset(block.object_id), block.day)


def _check_alike(first: ScoredRun, other: ScoredRun) -> None:
    a, b = first.files, other.files
    if a.config.classes != b.config.classes:
        raise DataError(
            f"runs {a.path} and {b.path} must have the same classes in the same order to be compared; "
            f"{a.path} has {a.config.classes}. Received: {b.path} with {b.config.classes}"
        )
    if first.last_day != other.last_day:
        raise DataError(
            f"runs {a.path} and {b.path} must be evaluated up to the same last day; {a.path} ends at day "
            f"{day_text(first.last_day)}. Received: {b.path} with {day_text(other.last_day)}"
        )
    if (a.config.class_weights or {}) != (b.config.class_weights or {}):
        raise DataError(
            f"runs {a.path} and {b.path} must weigh the classes of the weighted log-loss alike; {a.path} has "
            f"{a.config.class_weights}. Received: {b.path} with {b.config.class_weights}"
        )


def by_group(run_dirs: Sequence[str | Path], read) -> dict[str, list[dict[str, Any]]]:
    """Read runs, a dict with ``model`` and ``preset`` each, and give those of one model and preset together.

    Raises
    ------
    UsageError
        A run is given twice.
    """
    paths = [Path(path) for path in run_dirs]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(
            f"a run may be given once, or its group's spread is too small. Received: {', '.join(map(str, paths))}"
        )
    groups: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        run = read(path)
        groups.setdefault(f"{run['model']} {run['preset']}", []).append(run)
    return groups


def mean_by(groups, pick, keys: list[str], columns: list[str]) -> pd.DataFrame:
    """Mean and population standard deviation of columns over the runs of every group, NaN left out."""
    import pandas as pd

    parts = []
    for group, members in groups.items():
        rows = pd.concat([pick(run) for run in members], ignore_index=True)
        grouped = rows.groupby(keys, sort=True)[columns]
        mean, spread = grouped.mean(), grouped.std(ddof=0)
        # A spread of one value would read as certainty.
        spread = spread.where(grouped.count() > 1)
        spread.columns = [f"{name}_std" for name in columns]
        part = pd.concat([mean, spread], axis=1).reset_index()
        part.insert(0, "group", group)
        part.insert(1 + len(keys), "runs", grouped.size().to_numpy())
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _in_class_order(table: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    place = {name: i for i, name in enumerate(classes)}
    groups = {name: i for i, name in enumerate(dict.fromkeys(table["group"]))}
    order = np.lexsort([table["class"].map(place), table["day"], table["group"].map(groups)])
    return table.iloc[order].reset_index(drop=True)


def _mean_matrix(members: list[ScoredRun]) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean and population spread of row-normalised matrices; a run without a class leaves that row out."""
    stack = np.stack([run.fractions for run in members])
    count = np.isfinite(stack).sum(axis=0)
    mean = np.divide(np.nansum(stack, axis=0), count, out=np.full(count.shape, np.nan), where=count > 0)
    if len(members) == 1:
        return mean, None
    square = np.nansum((stack - mean) ** 2, axis=0)
    return mean, np.sqrt(np.divide(square, count, out=np.full(count.shape, np.nan), where=count > 1))


def _runs_table(runs: list[ScoredRun]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for run in runs:
        config = run.files.config
        row = {key: getattr(config, key) for key in ("model", "preset", "run", "survey", "fold", "seed")}
        last = run.scores.iloc[-1]
        rows.append({"group": config.group} | row | {"day": run.last_day} | {k: last[k] for k in ("objects", *METRICS)})
    table = pd.DataFrame(rows)
    # A run without a fold must not turn its neighbours' folds into 1.0.
    return table.astype({"fold": "Int64", "seed": "Int64"})


def _confusion_table(matrices, classes: list[str], day: float) -> pd.DataFrame:
    import pandas as pd

    size = len(classes)
    parts = []
    for group, (mean, spread) in matrices.items():
        part = {
            "group": group,
            "day": day,
            "true": np.repeat(classes, size),
            "predicted": np.tile(classes, size),
        }
        part["mean"] = mean.ravel()
        part["std"] = np.full(size * size, np.nan) if spread is None else spread.ravel()
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def _cautions(groups: dict[str, list[ScoredRun]]) -> list[str]:
    found: dict[str, None] = {}
    for group, members in groups.items():
        for text in dict.fromkeys(text for run in members for text in run.files.config.cautions):
            found[f"{group}: {text}"] = None
    runs = [run for members in groups.values() for run in members]
    if len({run.objects for run in runs}) > 1:
        found["the runs were tested on different objects; their scores compare only loosely"] = None
    if len({run.files.config.survey for run in runs}) > 1:
        found["the runs belong to different surveys"] = None
    return list(found)


def _metrics(groups, by_days, per_class, cautions: list[str], last: float) -> dict[str, Any]:
    members = {
        group: [
            {key: getattr(run.files.config, key) for key in ("model", "preset", "run", "survey", "fold", "seed")}
            for run in runs
        ]
        for group, runs in groups.items()
    }
    return {
        "spread": "population standard deviation (ddof 0) over runs; null for a single run",
        "definitions": DEFINITIONS,
        "cautions": cautions,
        "classes": next(iter(groups.values()))[0].files.config.classes,
        "groups": members,
        "headline": records(by_days[by_days["day"] == last]),
        "by_day": records(by_days),
        "per_class": records(per_class[per_class["day"] == last]),
    }


def _figures(out, groups, by_days, matrices, classes, last, marked: bool) -> list[tuple[str, str]]:
    from zoo.reports.plots.days import COMPARED, comparison_figure
    from zoo.reports.plots.matrices import mean_confusion_figure

    mark = " † see cautions" if marked else ""
    survey = ", ".join(dict.fromkeys(run.files.config.survey for runs in groups.values() for run in runs))
    tables = {f"{group} ({len(runs)})": by_days[by_days["group"] == group] for group, runs in groups.items()}
    models = ", ".join(groups) if len(groups) <= 3 else f"{len(groups)} groups of runs"
    head = f"{models} on {survey}, mean ± standard deviation over runs (number){mark}"
    figures = [("Macro F1 by day", "macro_f1_by_day.png"), ("Scores by day", "scores_by_day.png")]
    for (heading, name), metrics in zip(figures, (["macro_f1"], COMPARED), strict=True):
        write_figure(out / name, comparison_figure(tables, metrics, f"{heading}\n{head}"))
    taken: set[str] = set()
    for group, (mean, spread) in matrices.items():
        count, until = len(groups[group]), until_text(last)
        heading = f"Confusion matrix of {group}"
        words = f"mean ± standard deviation over {count} runs" if count > 1 else "one run"
        title = f"{heading}\n{survey}, {words}, {until}{mark}"
        name = f"confusion_{slug(group, taken)}.png"
        write_figure(out / name, mean_confusion_figure(mean, spread, classes, title))
        figures.append((heading, name))
    return figures


def _page(groups, by_days, per_class, cautions, figures, classes, last, levels, reconstructed) -> str:
    until = until_text(last)
    mark = " †" if cautions else ""
    parts = ["# Comparison of runs", *(f"> **CAUTION †: {text}**" for text in cautions), SPREAD]
    rows = [(group, ", ".join(run.files.config.run for run in runs)) for group, runs in groups.items()]
    parts.append(markdown_table(rows, ("group (model preset)", "runs"), text=(0, 1)))
    parts.append(f"## Scores, {until}{mark}")
    rows = [
        (row["group"], row["runs"], *(number(row[name], row[f"{name}_std"]) for name in METRICS))
        for _, row in by_days[by_days["day"] == last].iterrows()
    ]
    parts.append(markdown_table(rows, ("group", "runs", *METRICS.values())))
    parts.append(f"## Macro F1 by day{mark}")
    days = sorted(set(by_days["day"]))
    rows = []
    for group in groups:
        own = by_days[by_days["group"] == group].set_index("day")
        cells = [
            number(own["macro_f1"][d], own["macro_f1_std"][d]) if d in own.index else "not evaluated" for d in days
        ]
        rows.append((group, *cells))
    parts.append(markdown_table(rows, ("group", *(day_text(day) for day in days))))
    parts += [f"![{heading}]({name})" for heading, name in figures[:2]]
    parts.append(f"## Scores by class, {until}{mark}")
    parts += [_class_part(per_class, group, last, classes) for group in groups]
    parts.append(
        f"## Confusion matrices{mark}\n\nEach run's matrix is divided by its row sums, then averaged over runs."
    )
    parts += [f"![{heading}]({name})" for heading, name in figures[2:]]
    runs = " ".join(
        f"{run.files.config.model}/{run.files.config.run}" for members in groups.values() for run in members
    )
    if levels:
        links = [f"* [{name.removeprefix('levels_')}]({name}/index.md)" for name in levels]
        parts.append("## Scores at the levels of a tree of classes\n\n" + "\n".join(links))
    if reconstructed:
        parts.append("## Reconstructions\n\n* [errors and stamps of the runs](reconstructions/index.md)")
    parts.append(
        "## Draw this again\n\nFrom the runs' own `report/` files, without their models: "
        f"`zoo.reports.several.write_comparison([...], OUT)` with the run directories of {runs}. "
        "Tables: `runs.csv`, "
        "`scores_by_day.csv`, `per_class.csv`, `confusion.csv`; everything in one file: `metrics.json`.\n\n"
        "How scores are computed:\n\n" + "\n".join(f"* {METRICS[name]}: {text}" for name, text in DEFINITIONS.items())
    )
    return "\n\n".join(parts) + "\n"


def _class_part(per_class: pd.DataFrame, group: str, last: float, classes: list[str]) -> str:
    table = per_class[(per_class["group"] == group) & (per_class["day"] == last)].set_index("class")
    rows = [
        (
            name,
            f"{table['support'][name]:.1f}",
            *(number(table[k][name], table[f"{k}_std"][name]) for k in PER_CLASS),
        )
        for name in classes
    ]
    header = ("class", "test objects (mean)", "precision", "recall", "F1", "AUROC", "average precision")
    return f"### {group}\n\n{markdown_table(rows, header)}"
