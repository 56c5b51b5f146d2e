"""Several runs of the task contrast in one report: mean and spread over folds and seeds, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrecords.errors import DataError
from zoo.reports.retrieval import LOSSES, PLACES, contrast_text
from zoo.reports.several import SPREAD, by_group, mean_by
from zoo.reports.write import markdown_table, number, records, write_csv, write_figure, write_json, write_text

if TYPE_CHECKING:
    import pandas as pd

ABOUT = ("model", "preset", "run", "survey", "split", "fold", "seed")
CONTRAST = {"clip_accuracy": "accuracy", **LOSSES}
SEARCH = {**{f"recall@{place}": f"recall@{place}" for place in PLACES}, "median_rank": "median rank",
          "same_class": "same class first"}  # fmt: skip


def write_comparison(run_dirs: Sequence[str | Path], out_dir: str | Path) -> Path:
    """Average runs by model and preset, all objects together, and draw the groups side by side.

    Parameters
    ----------
    run_dirs : sequence of path
        Directories in which `zoo.reports.retrieval.write_report` has written.
    out_dir : path
        Made if absent. Gets ``index.md``, ``runs.csv`` (a row a run: contrast, and the mean of the search over all
        pairs of modalities), ``scores.csv`` (groups), ``scores_by_pair.csv``, ``metrics.json`` and ``recall.png``.

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

    from zoo.reports.plots.retrieval import comparison_figure

    groups = by_group(run_dirs, _read)
    runs = [run for members in groups.values() for run in members]
    table = pd.DataFrame([_line(run) for run in runs]).astype({"fold": "Int64", "seed": "Int64"})
    whole = mean_by(groups, lambda run: pd.DataFrame([_line(run)]), ["split"], ["objects", *CONTRAST, *SEARCH])
    pairs = mean_by(groups, lambda run: run["table"], ["query", "searched"], ["candidates", *SEARCH])
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "runs.csv", table)
    write_csv(out / "scores.csv", whole)
    write_csv(out / "scores_by_pair.csv", pairs)
    cautions = _cautions(runs)
    content = {"cautions": cautions, "runs": records(table), "scores": records(whole), "by_pair": records(pairs)}
    write_json(out / "metrics.json", content)
    tables = {f"{group} ({len(members)})": pairs[pairs["group"] == group] for group, members in groups.items()}
    surveys = ", ".join(dict.fromkeys(run["survey"] for run in runs))
    title = f"Search between modalities\n{surveys}, mean ± standard deviation over runs (number)"
    write_figure(out / "recall.png", comparison_figure(tables, title))
    return write_text(out / "index.md", _page(groups, table, whole, pairs, cautions))


def _read(path: Path) -> dict[str, Any]:
    """Give what a run's report says of it, its contrast, and its scores over all objects by pair as a table."""
    import pandas as pd

    file = path / "report" / "metrics.json"
    try:
        content = json.loads(file.read_text("utf-8"))
        run = {key: content[key] for key in ABOUT}
        # Reports of earlier versions have none.
        contrast = dict(content.get("contrast") or {})
        run["contrast"] = {key: float("nan") if contrast.get(key) is None else float(contrast[key])
                           for key in ("objects", *CONTRAST)}  # fmt: skip
        table = pd.DataFrame([row for row in content["scores"] if row["class"] == "all"])
        table = table.astype({"candidates": "int64"} | dict.fromkeys(SEARCH, "float64"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: cannot be read; `python -m zoo.evaluate {path}` makes it anew. "
            f"Received: {type(error).__name__}: {error}"
        ) from None
    return run | {"table": table}


def _line(run) -> dict[str, Any]:
    means = {key: run["table"][key].mean() for key in SEARCH}
    return {key: run[key] for key in ABOUT} | run["contrast"] | means


def _cautions(runs) -> list[str]:
    """Say what makes scores of runs hard to compare."""
    found = []
    if len({tuple(zip(run["table"]["query"], run["table"]["searched"], run["table"]["candidates"], strict=True))
            for run in runs}) > 1:  # fmt: skip
        found.append("the runs searched among different numbers of objects; their scores compare only loosely")
    for key, words in (("survey", "surveys"), ("split", "splits")):
        if len({run[key] for run in runs}) > 1:
            found.append(f"the runs were scored on different {words}")
    return found


def _page(groups, table: pd.DataFrame, whole: pd.DataFrame, pairs: pd.DataFrame, cautions: list[str]) -> str:
    parts = ["# Comparison of searches between modalities", *(f"> **CAUTION †: {text}**" for text in cautions), SPREAD]
    rows = [(group, ", ".join(run["run"] for run in members)) for group, members in groups.items()]
    parts.append(markdown_table(rows, ("group (model preset)", "runs"), text=(0, 1)))
    names = [*CONTRAST, *SEARCH]
    rows = [
        (row["group"], f"{row['runs']}", number(row["objects"], digits=0), *_cells(row, names))
        for _, row in whole.iterrows()
    ]
    header = ("group", "runs", "objects", *CONTRAST.values(), *SEARCH.values())
    parts += [
        "## Contrast and search",
        markdown_table(rows, header),
        contrast_text("all that have two modalities"),
        "recall@k: share of the objects whose own embedding in the modality that is searched is among the k most "
        "similar to their embedding in the other one; median rank and same class first belong to the same search. Here "
        "all are means over the pairs of modalities.",
    ]
    rows = [
        (f"{row['model']} {row['preset']}", row["run"], number(row["objects"], digits=0), *_cells(row, names))
        for _, row in table.iterrows()
    ]
    header = ("group", "run", "objects", *CONTRAST.values(), *SEARCH.values())
    parts += ["## Every run", markdown_table(rows, header, text=(0, 1)), "## Search by pair of modalities"]
    rows = [
        (row["group"], row["query"], row["searched"], f"{row['runs']}", number(row["candidates"], digits=0),
         *_cells(row, SEARCH))
        for _, row in pairs.iterrows()
    ]  # fmt: skip
    header = ("group", "query", "searched", "runs", "objects", *SEARCH.values())
    parts.append(markdown_table(rows, header, text=(0, 1, 2)))
    parts.append("![Recall by pair of modalities](recall.png)")
    parts.append(
        "Tables: `runs.csv` (a row a run), `scores.csv`, `scores_by_pair.csv`; all in one file: `metrics.json`."
    )
    return "\n\n".join(parts) + "\n"


def _cells(row, names) -> list[str]:
    return [number(row[name], row.get(f"{name}_std"), digits=1 if name == "median_rank" else 3) for name in names]
