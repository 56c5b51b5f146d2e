"""Scores against the number of labels a model was trained with, drawn from the table of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tfrecords.errors import DataError
from zoo.reports.plots.style import marker_look, new_figure, plain, styled
from zoo.reports.write import markdown_table, number, write_csv, write_figure, write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCORES = {"macro_f1": "macro F1", "accuracy": "accuracy", "log_loss": "log-loss"}
LINE = ["model", "preset", "start"]
NOTES = """Scores are of the whole test split, with whole light curves; *labels* are the training objects, *runs* the
seeds and folds behind a line. ± is the population standard deviation (ddof 0) over the runs; a single run has none.
The subsets thin training and validation, each by itself."""


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Give mean and spread over seeds and folds.

    Parameters
    ----------
    table : DataFrame
        One row a run: ``model, preset, start, subset, status, labels, macro_f1, accuracy, log_loss``.

    Returns
    -------
    DataFrame
        One row a model, preset, start and subset, by falling number of labels: ``labels``, ``runs``, and of each score
        the mean and ``<score>_std`` (NaN of a single run).
    """
    finished = table[table["status"] == "finished"]
    groups = finished.groupby([*LINE, "subset"], sort=False)
    found = groups[["labels", *SCORES]].mean()
    found.insert(1, "runs", groups.size())
    spread = groups[[*SCORES]].std(ddof=0).where(groups.size() > 1)
    found = found.join(spread.add_suffix("_std")).reset_index()
    return found.sort_values([*LINE, "labels"], ascending=[True] * 3 + [False], ignore_index=True)


@styled
def figure(lines: pd.DataFrame) -> Figure:
    """Draw each score against the number of labels, one line a model, preset and start."""
    drawn = new_figure(10.5, 3.6)
    for axes, (score, label) in zip(drawn.subplots(1, len(SCORES)), SCORES.items(), strict=True):
        for place, (name, rows) in enumerate(lines.groupby(LINE)):
            axes.errorbar(rows["labels"], rows[score], rows[f"{score}_std"].fillna(0.0), capsize=2,
                          label=plain(" ".join(name)), **marker_look(place))  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlabel("labels (training objects)")
        axes.set_ylabel(label)
    axes.legend()
    return drawn


def write(out: Path) -> Path:
    """Write ``scores_by_labels.csv``, its figure and ``index.md`` from ``table.csv`` of an experiment.

    Raises
    ------
    DataError
        If the table cannot be read.
    """
    import pandas as pd

    try:
        text = dict.fromkeys([*LINE, "subset", "fold", "seed", "status", "reason"], str)
        table = pd.read_csv(out / "table.csv", dtype=text, keep_default_na=False, na_values={
            name: [""] for name in ("labels", *SCORES)
        })  # fmt: skip
        lines = summary(table)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{out / 'table.csv'}: cannot be read: {error}") from None
    parts = ["# Scores against labels"]
    if len(lines):
        write_csv(out / "scores_by_labels.csv", lines)
        write_figure(out / "scores_by_labels.png", figure(lines))
        cells = [
            (row["model"], row["preset"], row["start"], row["subset"], f"{row['labels']:,.0f}", row["runs"],
             *(number(row[score], row[f"{score}_std"]) for score in SCORES))
            for row in lines.to_dict("records")
        ]  # fmt: skip
        header = ("model", "preset", "start", "subset", "labels", "runs", *SCORES.values())
        parts += [markdown_table(cells, header, text=(0, 1, 2, 3)), NOTES, "![Scores](scores_by_labels.png)"]
    failed = table[table["status"] != "finished"]
    if len(failed):
        names = [*LINE, "subset", "fold", "seed", "reason"]
        parts += ["## Failed", markdown_table(failed[names].to_numpy().tolist(), names, text=range(len(names)))]
    return write_text(out / "index.md", "\n\n".join(parts) + "\n")
