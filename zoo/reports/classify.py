"""The report of one classification run: tables, figures and a page that shows them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.reports.files import LIGHT_CURVES, RunFiles, read_run
from zoo.reports.predictions import DayPredictions, by_day, day_text, until_text
from zoo.reports.scores import (
    DEFINITIONS,
    METRICS,
    count_matrix,
    reliability_table,
    row_fractions,
    score_tables,
)
from zoo.reports.studies import STUDIES
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

BY_DAY_COLUMNS = [name for name in METRICS if name != "balanced_accuracy"]


def write_report(run_dir: str | Path, bootstrap: int = 200, seed: int = 0) -> Path:
    """Write tables and figures of a run into its ``report/``, from the run's files alone.

    Parameters
    ----------
    run_dir : path
        ``runs/<model>/<name>`` with ``report/report_config.json`` and ``report/predictions_by_day.parquet``;
        drawn where they exist: ``metrics.csv``, ``class_composition.csv``, ``report/light_curves.parquet``,
        ``report/steps.parquet``, ``report/class_activations.parquet``.
    bootstrap : int
        Resamplings of the test objects behind standard errors; 0 gives none.
    seed : int
        Seed of the resampling.

    Returns
    -------
    Path
        ``report/index.md``, written last.

    Raises
    ------
    DataError
        A file is missing or broken; the message names it and the command that makes it.

    Notes
    -----
    The same files give the same bytes. Every file is written beside its place and renamed when whole.
    """
    run = read_run(run_dir)
    config, out = run.config, run.path / "report"
    where = str(run.predictions_path)
    blocks = by_day(run.predictions, config.classes, where)
    scores, per_class = score_tables(run.predictions, config.classes, config.class_weights, bootstrap, seed, where)
    write_csv(out / "scores_by_day.csv", scores)
    write_csv(out / "per_class.csv", per_class)
    write_csv(out / "confusion.csv", _confusion_table(blocks, config.classes))
    write_csv(out / "reliability.csv", reliability_table(blocks[-1]))
    write_json(out / "metrics.json", _metrics(run, scores, per_class, bootstrap, seed))
    figures = _figures(run, out, blocks[-1], scores)
    curves = _light_curves(run, out) + _activations(run, out)
    stamps = _stamps(run, out)
    return write_text(out / "index.md", _page(run, blocks, scores, per_class, figures, stamps, curves, bootstrap))


def _title(run: RunFiles, what: str, block: DayPredictions | None = None) -> str:
    config = run.config
    text = f"{what}\n{config.group} on {config.survey}, run {config.run}"
    if block is not None:
        text += f", {len(block.truth):,} test objects, {until_text(block.day)}"
    return text + config.mark


def _confusion_table(blocks: list[DayPredictions], classes: list[str]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    size = len(classes)
    parts = []
    for block in blocks:
        matrix = count_matrix(block, size)
        part = {"day": block.day, "true": np.repeat(classes, size), "predicted": np.tile(classes, size)}
        parts.append(pd.DataFrame(part | {"count": matrix.ravel(), "fraction": row_fractions(matrix).ravel()}))
    return pd.concat(parts, ignore_index=True)


def _metrics(run: RunFiles, scores: pd.DataFrame, per_class: pd.DataFrame, bootstrap: int, seed: int) -> dict[str, Any]:
    config = run.config
    head = {
        key: getattr(config, key) for key in ("model", "preset", "run", "task", "survey", "seed", "fold", "classes")
    }
    last = scores["day"].max()
    return head | {
        "class_weights": config.class_weights,
        "cautions": config.cautions,
        "definitions": DEFINITIONS,
        "bootstrap": {"resamplings": bootstrap, "seed": seed, "errors": "standard deviation, ddof 1"},
        "headline": records(scores[scores["day"] == last])[0],
        "by_day": records(scores),
        "per_class": records(per_class[per_class["day"] == last]),
    }


def _figures(run: RunFiles, out: Path, block: DayPredictions, scores: pd.DataFrame) -> list[tuple[str, str]]:
    """Draw what the run has files for; give (heading, file name) in the page's order."""
    from zoo.reports.plots import calibration, days, matrices, ranking, training

    classes = run.config.classes
    matrix = count_matrix(block, len(classes))
    draws = [
        ("Curves of the scores", "scores_by_day.png", lambda t: days.scores_figure(scores, t), None),
        ("Confusion matrix", "confusion.png", lambda t: matrices.confusion_figure(matrix, classes, t), block),
        ("ROC, one against the rest", "roc.png", lambda t: ranking.roc_figure(block, classes, t), block),
        ("Precision and recall, one against the rest", "precision_recall.png",
         lambda t: ranking.precision_recall_figure(block, classes, t), block),
        ("Reliability", "reliability.png",
         lambda t: calibration.reliability_figure(reliability_table(block), t), block),
    ]  # fmt: skip
    figures = []
    for heading, name, draw, of_day in draws:
        write_figure(out / name, draw(_title(run, heading, of_day)))
        figures.append((heading, name))
    if run.history is not None:
        title = _title(run, "Training history")
        write_figure(out / "history.png", training.history_figure(run.history, title))
        figures.append(("Training history", "history.png"))
    if run.composition is not None:
        title = _title(run, "Class composition")
        write_figure(out / "class_composition.png", training.composition_figure(run.composition, classes, title))
        figures.append(("Class composition", "class_composition.png"))
    return figures


def _light_curves(run: RunFiles, out: Path) -> list[tuple[str, str]]:
    """Draw the kept test objects; remove drawings of objects that an earlier report kept."""
    drawn: list[tuple[str, str]] = []
    if run.light_curves is not None:
        from zoo.reports.plots.lightcurves import light_curve_figure

        taken: set[str] = set()
        predicted = run.predictions.assign(object_id=run.predictions["object_id"].astype(str))
        rows = run.light_curves.assign(object_id=run.light_curves["object_id"].astype(str))
        for object_id, part in rows.groupby("object_id", sort=False):
            heading = f"Object {object_id}, class {part['class'].iloc[0]}"
            mine = predicted[predicted["object_id"] == object_id]
            name = f"light_curve_{slug(object_id, taken)}.png"
            title = _title(run, heading)
            steps = None if run.steps is None else run.steps[run.steps["object_id"].astype(str) == object_id]
            figure = light_curve_figure(part, mine, run.config.classes, title, run.config.flux_unit, steps)
            write_figure(out / name, figure)
            drawn.append((heading, name))
    names = {name for _, name in drawn}
    for old in out.glob("light_curve_*.png"):
        if old.name not in names:
            old.unlink()
    return drawn


def _activations(run: RunFiles, out: Path) -> list[tuple[str, str]]:
    """Draw the class-activation maps of the kept test objects; remove drawings of an earlier report."""
    drawn: list[tuple[str, str]] = []
    if run.activations is not None:
        from zoo.reports.plots.activation import activation_figure

        taken: set[str] = set()
        truth = run.predictions.assign(object_id=run.predictions["object_id"].astype(str))
        truth = dict(zip(truth["object_id"], truth["class"], strict=True))
        for object_id, part in run.activations.groupby("object_id", sort=False):
            label = str(truth.get(str(object_id), ""))
            heading = f"Class activation of object {object_id}, class {label or 'unknown'}"
            name = f"class_activation_{slug(str(object_id), taken)}.png"
            title = _title(run, heading)
            figure = activation_figure(part, run.config.classes, label, title, run.config.flux_unit)
            write_figure(out / name, figure)
            drawn.append((heading, name))
    names = {name for _, name in drawn}
    for old in out.glob("class_activation_*.png"):
        if old.name not in names:
            old.unlink()
    return drawn


def _stamps(run: RunFiles, out: Path) -> list[str]:
    """Write what the page says of reconstructed stamps, of runs that reconstruct them too."""
    from zoo.reports.stamps import ERRORS, error_part, read_errors, score_table, stamp_part

    if not (out / ERRORS).is_file():
        return []
    table = score_table(read_errors(run.path))
    write_csv(out / "reconstruction_scores.csv", table)
    return [f"## Errors of the reconstruction\n\n{error_part(table)}", *stamp_part(run.path, _title(run, "").strip())]


def _page(run, blocks, scores, per_class, figures, stamps, curves, bootstrap) -> str:
    config = run.config
    last = scores.iloc[-1]
    mark = config.mark
    parts = [f"# {config.group} on {config.survey}: run {config.run}"]
    parts += [f"> **CAUTION †: {text}**" for text in _cautions(run, blocks)]
    facts = [f"task {config.task}", f"model {config.model}", f"preset {config.preset or 'none'}"]
    facts += [f"{name} {value}" for name, value in (("fold", config.fold), ("seed", config.seed)) if value is not None]
    parts.append(", ".join(facts) + f". {len(config.classes)} classes, {int(last['objects']):,} test objects.")
    parts.append(f"## Scores, {until_text(last['day'])}{mark}")
    rows = [(label, number(last[name], last.get(f"{name}_se")), DEFINITIONS[name]) for name, label in METRICS.items()]
    parts.append(markdown_table(rows, ("score", "value", "how it is computed"), text=(0, 2)))
    parts.append(_notes(config, last, bootstrap))
    parts.append(f"## Scores by day{mark}")
    rows = [
        (day_text(row["day"]), f"{row['objects']:.0f}", *(number(row[name]) for name in BY_DAY_COLUMNS))
        for _, row in scores.iterrows()
    ]
    parts.append(markdown_table(rows, ("day", "objects", *(METRICS[name] for name in BY_DAY_COLUMNS))))
    parts.append("`all` is the whole light curve. Standard errors are in `scores_by_day.csv`.")
    parts += [f"## {heading}{mark}\n\n![{heading}]({name})" for heading, name in figures[:2]]
    parts.append(f"## Scores by class, {until_text(last['day'])}{mark}")
    parts.append(_class_table(per_class[per_class["day"] == last["day"]]))
    parts += [f"## {heading}{mark}\n\n![{heading}]({name})" for heading, name in figures[2:]]
    parts += stamps
    levels = sorted(path.parent.name for path in (run.path / "report").glob("levels_*/index.md"))
    if levels:
        links = [f"* [{name.removeprefix('levels_')}]({name}/index.md)" for name in levels]
        parts.append("## Scores at the levels of a tree of classes\n\n" + "\n".join(links))
    studies = [name for name in STUDIES if (run.path / "report" / name / "index.md").is_file()]
    if studies:
        parts.append("## More\n\n" + "\n".join(f"* [{STUDIES[name].heading}]({name}/index.md)" for name in studies))
    parts.append("## Light curves and predicted probabilities")
    parts += [f"![{heading}]({name})" for heading, name in curves] or [f"None: the run has no `{LIGHT_CURVES}`."]
    if run.history is None:
        parts.append("The run has no `metrics.csv`, so no training history is drawn.")
    if run.composition is None:
        parts.append("The run has no `class_composition.csv`, so no class composition is drawn.")
    parts.append(_redraw())
    return "\n\n".join(parts) + "\n"


def _cautions(run: RunFiles, blocks: list[DayPredictions]) -> list[str]:
    """The run's own cautions, and what the predictions themselves show."""
    found = list(run.config.cautions)
    if len({frozenset(block.object_id) for block in blocks}) > 1:
        found.append("the days have different test objects; scores of different days do not compare")
    last = blocks[-1]
    if len(set(last.truth)) == 1:
        name = run.config.classes[last.truth[0]]
        found.append(f"all test objects are of class {name}; ranking scores are not defined")
    return found


def _notes(config, last, bootstrap: int) -> str:
    lines = []
    if bootstrap:
        lines.append(f"± is one standard error from {bootstrap} resamplings of the test objects.")
    if config.class_weights:
        named = ", ".join(f"{name}: {weight:g}" for name, weight in config.class_weights.items() if weight != 1)
        lines.append(f"Weights of the weighted log-loss: {named or 'all 1'}{', all others 1' if named else ''}.")
    else:
        lines.append("The weighted log-loss weighs all classes alike.")
    absent, unranked = int(last["classes_left_out"]), int(last["ranking_classes_left_out"])
    if absent:
        lines.append(f"Classes without test objects, left out of macro means: {absent}.")
    if unranked:
        lines.append(f"Classes without positives or negatives, left out of AUROC and average precision: {unranked}.")
    return " ".join(lines)


def _class_table(table: pd.DataFrame) -> str:
    names = ("precision", "recall", "f1", "auroc", "average_precision")
    rows = [
        (row["class"], f"{row['support']}", f"{row['predicted']}", *(number(row[name]) for name in names))
        for row in records(table)
    ]
    header = ("class", "test objects", "predicted", "precision", "recall", "F1", "AUROC", "average precision")
    return markdown_table(rows, header)


def _redraw() -> str:
    return (
        "## Draw this again\n\n"
        "Everything here comes from `predictions_by_day.parquet`, `light_curves.parquet`, `steps.parquet` "
        "(of models that answer at every step) and `report_config.json` beside this page and from `metrics.csv` "
        "and `class_composition.csv` of the run; the model is not needed. RUN is the folder that holds "
        "`report/`:\n\n```\npython -c \"from zoo.reports.classify import write_report; write_report('RUN')\"\n```\n\n"
        "`python -m zoo.evaluate RUN` predicts anew first. Tables: `scores_by_day.csv`, `per_class.csv`, "
        "`confusion.csv` (all days), `reliability.csv`; everything in one file: `metrics.json`."
    )
