"""The report of one run that reconstructs stamps, from the run's files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfrecords.errors import DataError
from zoo.reports.stamps import ERRORS, cluster_part, error_part, read_errors, score_table, stamp_part
from zoo.reports.write import records, write_csv, write_figure, write_json, write_text


def read_about(run_dir: Path) -> dict[str, Any]:
    """Read ``report/report_config.json``. Raises DataError that says how to make it anew."""
    file = run_dir / "report" / "report_config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
        for key in ("model", "preset", "run", "survey", "split", "seed", "fold"):
            config[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: cannot be read; `python -m zoo.evaluate {run_dir}` makes it anew. "
            f"Received: {type(error).__name__}: {error}"
        ) from None
    return config


def write_report(run_dir: str | Path) -> Path:
    """Write tables and figures of a run into its ``report/``.

    Parameters
    ----------
    run_dir : path
        ``runs/<model>/<name>`` with ``report/report_config.json`` and ``report/stamp_errors.parquet``; drawn where they
        exist: ``report/stamps.npz``, ``report/prototypes.npz`` (of a mixture), ``metrics.csv``.

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

    path = Path(run_dir)
    out, config, objects = path / "report", read_about(path), read_errors(path)
    title = f"{config['model']} {config['preset']} on {config['survey']}, run {config['run']}"
    scores = score_table(objects)
    clusters, found = cluster_part(path, objects, title)
    write_csv(out / "scores.csv", scores)
    write_json(out / "metrics.json", config | {"scores": records(scores)} | found)
    parts = [
        f"# Reconstruction of stamps: {title}",
        f"{len(objects):,} objects of the split {config['split']}.",
        error_part(scores),
        *clusters,
        *stamp_part(path, title),
    ]
    history = path / "metrics.csv"
    if history.is_file():
        from zoo.reports.plots.reconstruction import history_figure

        write_figure(out / "history.png", history_figure(pd.read_csv(history), f"Training history\n{title}"))
        parts.append("## Training history\n\n![Training history](history.png)")
    tables = ["`scores.csv`", *(["`clusters.csv`"] if clusters else []), "`metrics.json`", f"`{ERRORS}` (every object)"]
    parts.append(f"Tables: {', '.join(tables)}. `python -m zoo.evaluate RUN --redraw` needs no model.")
    return write_text(out / "index.md", "\n\n".join(parts) + "\n")
