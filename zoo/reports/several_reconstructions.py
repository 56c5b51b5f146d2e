"""Several runs of reconstructions in one report: mean and spread over folds and seeds, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrecords.errors import DataError
from zoo.reports.predictions import day_text
from zoo.reports.reconstruct import KINDS
from zoo.reports.several import SPREAD, by_group, mean_by
from zoo.reports.write import markdown_table, number, records, write_csv, write_figure, write_json, write_text

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = tuple(f"{kind}{name}" for kind in KINDS for name in ("rmse", "rmse_rollout"))
ABOUT = ("model", "preset", "run", "survey", "fold", "seed")


def write_comparison(run_dirs: Sequence[str | Path], out_dir: str | Path) -> Path:
    """Average runs by model and preset, all objects together, and draw the groups side by side.

    Parameters
    ----------
    run_dirs : sequence of path
        Directories in which `zoo.reports.reconstruct.write_report` has written.
    out_dir : path
        Made if absent. Gets ``index.md``, ``runs.csv``, ``scores_by_day.csv``, ``metrics.json`` and
        ``rmse_by_day.png``.

    Returns
    -------
    Path
        ``index.md``, written last.

    Raises
    ------
    UsageError
        A run is given twice.
    DataError
        A run's ``metrics.json`` is missing or broken.
    """
    import pandas as pd

    from zoo.reports.plots.reconstruction import comparison_figure

    groups = by_group(run_dirs, _read)
    by_days = mean_by(groups, lambda run: run["table"], ["day"], list(COLUMNS))
    runs = [run for members in groups.values() for run in members]
    last = by_days["day"].max()
    table = pd.DataFrame([_last(run, last) for run in runs]).astype({"fold": "Int64", "seed": "Int64"})
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "runs.csv", table)
    write_csv(out / "scores_by_day.csv", by_days)
    write_json(out / "metrics.json", {"runs": records(table), "by_day": records(by_days)})
    tables = {f"{group} ({len(members)})": by_days[by_days["group"] == group] for group, members in groups.items()}
    surveys = ", ".join(dict.fromkeys(run["survey"] for run in runs))
    title = f"RMSE by day\n{surveys}, mean ± standard deviation over runs (number)"
    write_figure(out / "rmse_by_day.png", comparison_figure(tables, title))
    return write_text(out / "index.md", _page(groups, by_days, last))


def _read(path: Path) -> dict[str, Any]:
    """Give what a run's report says of it, and its scores over all objects as a table."""
    import pandas as pd

    file = path / "report" / "metrics.json"
    try:
        content = json.loads(file.read_text("utf-8"))
        run = {key: content[key] for key in ABOUT}
        table = pd.DataFrame([row for row in content["scores"] if row["class"] == "all"])
        table = table.astype({"day": "float64"} | dict.fromkeys(COLUMNS, "float64"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: cannot be read; `python -m zoo.evaluate {path}` makes it anew. "
            f"Received: {type(error).__name__}: {error}"
        ) from None
    return run | {"table": table}


def _last(run, day: float) -> dict[str, Any]:
    table = run["table"]
    row = table[table["day"] == day]
    scores = {name: row[name].iloc[0] if len(row) else float("nan") for name in COLUMNS}
    return {key: run[key] for key in ABOUT} | {"day": day} | scores


def _page(groups, by_days: pd.DataFrame, last: float) -> str:
    parts = ["# Comparison of reconstructions", SPREAD]
    rows = [(group, ", ".join(run["run"] for run in members)) for group, members in groups.items()]
    parts.append(markdown_table(rows, ("group (model preset)", "runs"), text=(0, 1)))
    names = [f"{kind}{name}" for kind in ("", "heldout_") for name in ("rmse", "rmse_rollout")]
    rows = [
        (row["group"], day_text(row["day"]), f"{row['runs']}",
         *(number(row[name], row[f"{name}_std"], digits=4) for name in names))
        for _, row in by_days.iterrows()
    ]  # fmt: skip
    parts.append("## By day")
    header = ("group", "day", "runs", "RMSE", "roll-out", "held out", "held out, roll-out")
    parts.append(markdown_table(rows, header, text=(0, 1)))
    parts.append("![RMSE by day](rmse_by_day.png)")
    parts.append(
        "Root mean squared error over all points in units of the flux as the models scale it, which compare only where "
        "they scale alike. Tables: `runs.csv`, `scores_by_day.csv`; both in one file: `metrics.json`."
    )
    return "\n\n".join(parts) + "\n"
