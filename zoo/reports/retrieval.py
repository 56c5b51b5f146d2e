"""The report of one run of the task contrast: search between modalities, from the run's files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tfrecords.errors import DataError
from zoo.reports.write import markdown_table, number, records, write_csv, write_figure, write_json, write_text

if TYPE_CHECKING:
    import pandas as pd

TABLE, CONTRAST = "retrieval.parquet", "contrast.json"
COLUMNS = ("class", "query", "searched", "rank", "candidates", "nearest_class")
PLACES = (1, 5, 10)
LOSSES = {"loss": "loss", "loss_photo_spectra": "photo, spectra", "loss_spectra_meta": "spectra, meta",
          "loss_meta_photo": "meta, photo"}  # fmt: skip


def score_table(table: pd.DataFrame) -> pd.DataFrame:
    """Give the scores of every ordered pair of modalities by class, and "all" for every object.

    Parameters
    ----------
    table : pandas.DataFrame
        `COLUMNS` of every object and pair; the class is empty without one.

    Returns
    -------
    pandas.DataFrame
        ``query``, ``searched``, ``class``, ``objects``, ``candidates``; ``recall@k``, the share of objects whose own
        counterpart is among the k most similar, and ``chance@k``; ``median_rank``; ``same_class``, the share of
        labelled objects whose most similar counterpart is of their class.
    """
    import pandas as pd

    rows = []
    for (query, searched), pair in table.groupby(["query", "searched"], sort=False):
        for name, part in [("all", pair), *((name, part) for name, part in pair.groupby("class") if name)]:
            candidates = int(part["candidates"].iloc[0])
            labelled = part[part["class"] != ""]
            row = {"query": query, "searched": searched, "class": name, "objects": len(part), "candidates": candidates}
            for place in PLACES:
                row[f"recall@{place}"] = float((part["rank"] <= place).mean())
                row[f"chance@{place}"] = min(1.0, place / candidates)
            row["median_rank"] = float(part["rank"].median())
            same = labelled["class"] == labelled["nearest_class"]
            rows.append(row | {"same_class": float(same.mean()) if len(same) else float("nan")})
    return pd.DataFrame(rows)


def write_report(run_dir: str | Path) -> Path:
    """Write the tables and the figure of a run into its ``report/``.

    Parameters
    ----------
    run_dir : path
        ``runs/<model>/<name>`` with ``report/report_config.json`` and ``report/retrieval.parquet``;
        ``report/contrast.json`` is shown where it exists.

    Returns
    -------
    Path
        ``report/index.md``, written last.

    Raises
    ------
    DataError
        If a file is missing or broken, or no object has two modalities; the message names it and the command that
        makes it.
    """
    import pandas as pd
    import pyarrow

    from zoo.reports.plots.retrieval import recall_figure

    path = Path(run_dir)
    out, maker = path / "report", f"`python -m zoo.evaluate {path}` makes it anew"
    try:
        config = json.loads((out / "report_config.json").read_text("utf-8"))
        title = f"{config['model']} {config['preset']} on {config['survey']}, run {config['run']}"
        table = pd.read_parquet(out / TABLE)[list(COLUMNS)]
        contrast = dict(json.loads((out / CONTRAST).read_text("utf-8"))) if (out / CONTRAST).is_file() else {}
        contrast = {key: contrast[key] for key in ("objects", "clip_accuracy", *LOSSES)} if contrast else {}
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{out}: report_config.json, {TABLE} and {CONTRAST} must be readable; {maker}. "
            f"Received: {type(error).__name__}: {error}"
        ) from None
    if not len(table):
        raise DataError(
            f"{out / TABLE}: a search between modalities needs objects that have two. "
            f"Received: none in the split {config['split']}"
        )
    scores = score_table(table)
    write_csv(out / "scores.csv", scores)
    write_json(out / "metrics.json", config | {"contrast": contrast, "scores": records(scores)})
    write_figure(out / "recall.png", recall_figure(table, f"Search between modalities\n{title}"))
    return write_text(out / "index.md", _page(config, contrast, scores, title))


def _page(config, contrast, scores: pd.DataFrame, title: str) -> str:
    whole = scores[scores["class"] == "all"]
    keys = (*(f"recall@{place}" for place in PLACES), "chance@10", "same_class")
    rows = [
        (row["query"], row["searched"], f"{row['candidates']:,}", *(number(row[key], digits=4) for key in keys[:3]),
         f"{row['median_rank']:g}", *(number(row[key], digits=4) for key in keys[3:]))
        for _, row in whole.iterrows()
    ]  # fmt: skip
    header = ("query", "searched", "objects", *keys[:3], "median rank", "chance@10", "same class first")
    parts = [
        f"# Search between modalities: {title}",
        f"Objects of the split {config['split']} that have both modalities of a pair.",
        markdown_table(rows, header, text=(0, 1)),
        "recall@k: share of the objects whose own embedding in the modality that is searched is among the k most "
        "similar to their embedding in the other one, by cosine. Same class first: share of the labelled objects "
        "whose most similar one is of their class.",
        *_contrast_part(contrast),
        "![Recall against the number of candidates looked at](recall.png)",
        f"Tables: `scores.csv` (by class, too), `metrics.json`, `{TABLE}` (every object and pair).",
    ]
    return "\n\n".join(parts) + "\n"


def contrast_text(objects: str) -> str:
    """Say what the scores of the contrast are, among ``objects``."""
    return (
        f"Contrast of each object with {objects}: accuracy, the share of those whose most probable one, by the mean "
        "over the pairs of modalities, is itself; loss, the sum of the cross-entropies of the pairs, in both "
        "directions. Guessing has the loss 2 ln N a pair of N objects."
    )


def _contrast_part(contrast) -> list[str]:
    if not contrast:
        return []
    values = [contrast[key] for key in ("clip_accuracy", *LOSSES)]
    line = [number(value, digits=4) for value in values]
    text = contrast_text(f"all {contrast['objects']:,} that have two modalities")
    return ["## Contrast", text, markdown_table([line], ("accuracy", *LOSSES.values()), text=())]
