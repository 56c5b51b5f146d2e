"""The report of one run that reconstructs stamps: errors by class, from the run's files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tfrecords.errors import DataError
from zoo.reports.write import markdown_table, number, records, write_csv, write_json, write_text

if TYPE_CHECKING:
    import pandas as pd

TABLE = "predictions.parquet"


def score_table(table: pd.DataFrame) -> pd.DataFrame:
    """Give errors by class, and "all" for every object.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``class`` (empty without one), ``rmse`` and ``pixels`` of every object.

    Returns
    -------
    pandas.DataFrame
        ``class``, ``objects``, ``empty`` (objects without a pixel), ``pixels``, ``rmse`` (over all pixels of all
        objects) and ``median_rmse`` (of the objects with pixels).
    """
    import numpy as np
    import pandas as pd

    rows = []
    for name, part in [("all", table), *((name, part) for name, part in table.groupby("class") if name)]:
        pixels, error = part["pixels"].to_numpy("float64"), part["rmse"].to_numpy("float64")
        there = pixels > 0
        total = pixels.sum()
        rows.append(
            {
                "class": name,
                "objects": len(part),
                "empty": int((~there).sum()),
                "pixels": int(total),
                "rmse": float(np.sqrt((error**2 * pixels).sum() / total)) if total else float("nan"),
                "median_rmse": float(np.median(error[there])) if there.any() else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def write_report(run_dir: str | Path) -> Path:
    """Write the tables of a run into its ``report/``.

    Parameters
    ----------
    run_dir : path
        ``runs/<model>/<name>`` with ``report/report_config.json`` and ``report/predictions.parquet``.

    Returns
    -------
    Path
        ``report/index.md``, written last.

    Raises
    ------
    DataError
        If a file is missing or broken; the message names it and the command that makes it.
    """
    import pandas as pd
    import pyarrow

    path = Path(run_dir)
    out, maker = path / "report", f"`python -m zoo.evaluate {path}` makes it anew"
    try:
        config = json.loads((out / "report_config.json").read_text("utf-8"))
        title = f"{config['model']} {config['preset']} on {config['survey']}, run {config['run']}"
        objects = pd.read_parquet(out / TABLE)[["object_id", "class", "rmse", "pixels"]]
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{out}: report_config.json and {TABLE} must be readable; {maker}. "
            f"Received: {type(error).__name__}: {error}"
        ) from None
    scores = score_table(objects)
    write_csv(out / "scores.csv", scores)
    write_json(out / "metrics.json", config | {"scores": records(scores)})
    rows = [
        (row["class"], f"{row['objects']:,}", f"{row['empty']:,}", number(row["rmse"], digits=4),
         number(row["median_rmse"], digits=4))
        for _, row in scores.iterrows()
    ]  # fmt: skip
    parts = [
        f"# Reconstruction of stamps: {title}",
        f"{len(objects):,} objects of the split {config['split']}.",
        markdown_table(rows, ("class", "objects", "without a pixel", "RMSE", "median of the objects")),
        "Root mean squared error over the pixels that have a value, in units of the stamps as the model scales them.",
        f"Tables: `scores.csv`, `metrics.json`, `{TABLE}` (every object).",
    ]
    return write_text(out / "index.md", "\n\n".join(parts) + "\n")
