"""The report of one reconstruction run: tables, figures and a page that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tfrecords.errors import DataError
from zoo.reports.predictions import day_text
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

KINDS = {
    "": "all points shown, scored on them",
    "kept_": "a share held out, scored on the points shown",
    "heldout_": "a share held out, scored on the points held out",
}
COLUMNS = tuple(f"{kind}{name}" for kind in KINDS for name in ("rmse", "rmse_rollout", "points"))


def pooled(table: pd.DataFrame, kind: str, name: str) -> float:
    """Give the root mean squared error over the points of all objects from each object's own and its points."""
    import numpy as np

    points = table[f"{kind}points"].to_numpy("float64")
    square = np.square(table[f"{kind}{name}"].to_numpy("float64"))
    return float(np.sqrt((square * points).sum() / points.sum())) if points.sum() else float("nan")


def score_table(table: pd.DataFrame) -> pd.DataFrame:
    """Give the scores by day and by class ("all" for every object) of a table of objects."""
    import pandas as pd

    rows = []
    for day, of_day in table.groupby("day", sort=True):
        groups = [("all", of_day), *((name, part) for name, part in of_day.groupby("class") if name)]
        for name, part in groups:
            scores = {
                f"{kind}{score}": pooled(part, kind, score) for kind in KINDS for score in ("rmse", "rmse_rollout")
            }
            points = {f"{kind}points": int(part[f"{kind}points"].sum()) for kind in KINDS}
            rows.append({"day": day, "class": name, "objects": len(part), **scores, **points})
    return pd.DataFrame(rows)


def _read(path: Path, name: str, columns) -> pd.DataFrame:
    import pandas as pd
    import pyarrow

    file = path / "report" / name
    maker = f"`python -m zoo.evaluate {path}` makes it anew"
    try:
        table = pd.read_parquet(file)
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        raise DataError(f"{file}: must be a readable parquet table; {maker}. Received: {error}") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(f"{file}: misses the columns {missing}; {maker}. Received: {list(table.columns)}")
    return table


def write_report(run_dir: str | Path) -> Path:
    """Write tables and figures of a run into its ``report/``, from the run's files alone.

    Parameters
    ----------
    run_dir : path
        ``runs/<model>/<name>`` with ``report/report_config.json``, ``report/predictions_by_day.parquet`` and
        ``report/reconstructions.parquet``; ``metrics.csv`` is drawn where it exists.

    Returns
    -------
    Path
        ``report/index.md``, written last.

    Raises
    ------
    DataError
        A file is missing or broken; the message names it and the command that makes it.
    """
    import pandas as pd

    path = Path(run_dir)
    out = path / "report"
    try:
        config = json.loads((out / "report_config.json").read_text("utf-8"))
        title = f"{config['model']} {config['preset']} on {config['survey']}, run {config['run']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{out / 'report_config.json'}: cannot be read; `python -m zoo.evaluate {path}` makes it anew. "
            f"Received: {type(error).__name__}: {error}"
        ) from None
    objects = _read(path, "predictions_by_day.parquet", ("object_id", "class", "day", *COLUMNS))
    curves = _read(path, "reconstructions.parquet", ("object_id", "time", "band", "flux", "hidden", "teacher"))
    scores = score_table(objects)
    write_csv(out / "scores.csv", scores)
    write_json(out / "metrics.json", config | {"scores": records(scores)})
    figures = _figures(out, curves, title, config.get("flux_unit", ""))
    history = path / "metrics.csv"
    if history.is_file():
        from zoo.reports.plots.reconstruction import history_figure

        write_figure(out / "history.png", history_figure(pd.read_csv(history), f"Training history\n{title}"))
        figures.insert(0, ("Training history", "history.png"))
    return write_text(out / "index.md", _page(config, scores, figures, title))


def _figures(out: Path, curves: pd.DataFrame, title: str, flux_unit: str) -> list[tuple[str, str]]:
    from zoo.reports.plots.reconstruction import reconstruction_figure

    for old in out.glob("reconstruction_*.png"):
        old.unlink()
    taken: set[str] = set()
    found = []
    for object_id, points in curves.groupby("object_id", sort=False):
        name = f"reconstruction_{slug(str(object_id), taken)}.png"
        heading = f"Object {object_id}"
        write_figure(out / name, reconstruction_figure(points, f"{heading}\n{title}", flux_unit))
        found.append((heading, name))
    return found


def _page(config, scores: pd.DataFrame, figures, title: str) -> str:
    parts = [f"# Reconstruction: {title}"]
    last = scores[scores["day"] == scores["day"].max()]
    whole = last[last["class"] == "all"].iloc[0]
    parts.append(f"{int(whole['objects']):,} objects of the split {config['split']}, day {day_text(whole['day'])}.")
    rows = [
        (words, f"{int(whole[f'{kind}points']):,}", number(whole[f"{kind}rmse"], digits=4),
         number(whole[f"{kind}rmse_rollout"], digits=4))
        for kind, words in KINDS.items()
    ]  # fmt: skip
    parts.append(markdown_table(rows, ("points", "number", "RMSE, from the true past", "RMSE, from its own past")))
    parts.append(
        "Root mean squared error over all points, in units of the flux as the model scales it. From the true past: "
        "each step is predicted from the true earlier ones (teacher forcing); from its own past: from those it "
        "predicted itself (roll-out)."
    )
    parts.append("## By day and class")
    names = [f"{kind}{name}" for kind in ("", "heldout_") for name in ("rmse", "rmse_rollout")]
    rows = [
        (day_text(row["day"]), row["class"], f"{row['objects']}", *(number(row[name], digits=4) for name in names))
        for _, row in scores.iterrows()
    ]
    header = ("day", "class", "objects", "RMSE", "roll-out", "held out", "held out, roll-out")
    parts.append(markdown_table(rows, header, text=(0, 1)))
    parts += [f"## {heading}\n\n![{heading}]({name})" for heading, name in figures]
    parts.append("Tables: `scores.csv`, `metrics.json`, `predictions_by_day.parquet` (every object).")
    return "\n\n".join(parts) + "\n"
