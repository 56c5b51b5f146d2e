"""Several runs that reconstruct stamps in one report: errors on the same objects, the same objects side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfrecords.errors import DataError, UsageError
from zoo.reports.clusters import cluster_scores
from zoo.reports.plots.stamps import Column, errors_figure, stamp_grid
from zoo.reports.reconstruct_stamps import read_about
from zoo.reports.several import SPREAD, mean_by
from zoo.reports.stamps import Drawn, by_chance, read_errors, read_stamps, score_table
from zoo.reports.write import markdown_table, number, records, slug, write_csv, write_figure, write_json, write_text

if TYPE_CHECKING:
    import pandas as pd

ABOUT = ("model", "preset", "run", "survey", "fold", "seed")
SCORES = ("rmse", "median_rmse")
DRAWN = 4
"""Objects that are drawn, of those that all runs have drawn."""

ACROSS = 12
"""About so many stamps stand beside each other in one figure."""


@dataclass
class _Run:
    name: str
    about: dict[str, Any]
    errors: pd.DataFrame
    stamps: Drawn | None
    table: pd.DataFrame | None = None

    @property
    def group(self) -> str:
        """Model and preset, over whose runs scores are averaged."""
        return f"{self.about['model']} {self.about['preset']}".strip()

    @property
    def scaling(self) -> str:
        """What errors depend on beside the network, as text."""
        about = {} if self.stamps is None else self.stamps.about
        # The order of the channels changes no error.
        return str(sorted((about | {"channels": sorted(about.get("channels", []))}).items()))


def write_comparison(run_dirs: Sequence[str | Path], out_dir: str | Path) -> Path:
    """Score runs on the objects that all of them have, and draw the same objects by every run.

    Parameters
    ----------
    run_dirs : sequence of path
        Directories with the files of reports on stamps, see `zoo.reports.stamps`. Runs of one model and preset are
        averaged.
    out_dir : path
        Made if absent. Gets ``index.md``, ``runs.csv``, ``scores.csv`` (by group and class), ``metrics.json``,
        ``errors.parquet`` (every object by every run), ``errors.png`` and ``objects_<n>.png``.

    Returns
    -------
    Path
        ``index.md``, written last.

    Raises
    ------
    UsageError
        A run is given twice.
    DataError
        A run's file is missing or broken, or the runs have no object with a pixel in common.
    """
    import pandas as pd

    runs = _read([Path(path) for path in run_dirs])
    joined = _joined(runs)
    groups: dict[str, list[_Run]] = {}
    for run in runs:
        run.table = score_table(run.errors.loc[joined.index].reset_index())
        groups.setdefault(run.group, []).append(run)
    scores = mean_by(groups, lambda run: run.table, ["class"], list(SCORES))
    table = pd.DataFrame([_row(run) for run in runs]).astype({"fold": "Int64", "seed": "Int64"})
    cautions = _cautions(runs, len(joined))
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "runs.csv", table)
    write_csv(out / "scores.csv", scores)
    joined.to_parquet(out / "errors.parquet")
    content = {"cautions": cautions, "objects": len(joined), "runs": records(table), "scores": records(scores)}
    write_json(out / "metrics.json", content)
    surveys = ", ".join(dict.fromkeys(run.about["survey"] for run in runs))
    title = f"Errors on the same {len(joined):,} objects\n{surveys}{' † see cautions' if cautions else ''}"
    write_figure(out / "errors.png", errors_figure({run.name: joined[run.name].to_numpy() for run in runs}, title))
    return write_text(out / "index.md", _page(runs, groups, scores, table, cautions, _objects(out, runs), len(joined)))


def _read(paths: list[Path]) -> list[_Run]:
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(
            f"a run may be given once, or its group's spread is too small. Received: {', '.join(map(str, paths))}"
        )
    taken: set[str] = set()
    found = []
    for path in paths:
        about = read_about(path)
        errors = read_errors(path).drop_duplicates("object_id").set_index("object_id")
        found.append(_Run(slug(f"{about['model']}-{about['run']}", taken), about, errors, read_stamps(path)))
    return found


def _joined(runs: list[_Run]) -> pd.DataFrame:
    """Give the errors of the objects with a pixel in every run: by object_id ``class`` and one column a run."""
    import pandas as pd

    there = [run.errors.index[run.errors["pixels"] > 0] for run in runs]
    common = there[0]
    for ids in there[1:]:
        common = common[common.isin(ids)]
    if not len(common):
        found = ", ".join(f"{run.name} with {len(ids)} objects" for run, ids in zip(runs, there, strict=True))
        raise DataError(
            "the runs must have objects in common to be compared: evaluate them on the same data, with --data DIR. "
            f"Received: {found}"
        )
    columns = {run.name: run.errors.loc[common, "rmse"].to_numpy("float64") for run in runs}
    return pd.DataFrame({"class": runs[0].errors.loc[common, "class"].to_numpy()} | columns, index=common)


def _row(run: _Run) -> dict[str, Any]:
    whole = run.table.iloc[0]
    row = {"name": run.name} | {key: run.about[key] for key in ABOUT}
    row |= {"own_objects": len(run.errors)} | {key: whole[key] for key in ("objects", *SCORES)}
    found: dict[str, Any] = {}
    if "cluster" in run.errors:
        known = run.errors[(run.errors["class"] != "") & (run.errors["pixels"] > 0)]
        found = cluster_scores(known["cluster"].to_numpy(), known["class"].to_numpy(str))
    return row | {f"cluster_{key}": found.get(key, float("nan")) for key in ("accuracy", "purity")}


def _cautions(runs: list[_Run], common: int) -> list[str]:
    found = []
    if any(len(run.errors) != common for run in runs):
        found.append(f"the runs were tested on different objects; scores and figures are of the {common:,} common ones")
    if len({run.scaling for run in runs}) > 1:
        found.append("the runs do not see the same: frames, channels, crop or scaling differ, and so do their errors")
    if len({run.about["survey"] for run in runs}) > 1:
        found.append("the runs belong to different surveys")
    return found


def _objects(out: Path, runs: list[_Run]) -> list[str]:
    """Draw objects that all runs have drawn; give the names of the figures."""
    for old in out.glob("objects_*.png"):
        old.unlink()
    drawn = [run.stamps for run in runs if run.stamps is not None]
    if len(drawn) < len(runs):
        return []
    common = set.intersection(*(set(stamps.object_id.tolist()) for stamps in drawn))
    blocks = [_columns(runs, object_id) for object_id in by_chance(common)[:DRAWN]]
    names: list[str] = []
    while blocks:
        columns = blocks.pop(0)
        while blocks and len(columns) + len(blocks[0]) <= ACROSS:
            columns = columns + blocks.pop(0)
        names.append(f"objects_{len(names) + 1}.png")
        write_figure(out / names[-1], stamp_grid(columns, "The same objects by every run"))
    return names


def _columns(runs: list[_Run], object_id: str) -> list[Column]:
    alike = len({run.scaling for run in runs}) == 1
    columns = []
    for run in runs:
        place = int(np.flatnonzero(run.stamps.object_id == object_id)[0])
        # Once: ids are as long as a stamp is wide.
        words = ["" if columns else object_id, str(run.stamps.label[place]) or "no class", run.about["model"]]
        head = "\n".join([*words, run.about["run"], f"RMSE {run.stamps.rmse[place]:.3g}"])
        # Only what is scaled alike can share its colours.
        columns += run.stamps.columns(place, head, object_id if alike else f"{object_id} {run.name}")
    return columns


def _page(runs, groups, scores: pd.DataFrame, table: pd.DataFrame, cautions, figures: list[str], common: int) -> str:
    mark = " †" if cautions else ""
    parts = ["# Comparison of reconstructions of stamps", *(f"> **CAUTION †: {text}**" for text in cautions), SPREAD]
    rows = [(group, ", ".join(run.name for run in members)) for group, members in groups.items()]
    parts.append(markdown_table(rows, ("group (model preset)", "runs"), text=(0, 1)))
    parts.append(f"## Errors on the same {common:,} objects{mark}")
    names = ["all", *(name for name in dict.fromkeys(scores["class"]) if name != "all")]
    by_class = scores.set_index(["group", "class"])
    rows = [
        (group, name, f"{row['runs']:.0f}", *(number(row[key], row[f"{key}_std"], digits=4) for key in SCORES))
        for group in groups
        for name in names
        if (group, name) in by_class.index
        for row in [by_class.loc[(group, name)]]
    ]
    parts.append(markdown_table(rows, ("group", "class", "runs", "RMSE", "median of the objects"), text=(0, 1)))
    parts.append("RMSE is over all pixels of all objects, in units of the stamps as the models scale them.")
    parts.append(f"## Runs{mark}")
    rows = [
        (row["name"], f"{row['own_objects']:,}", number(row["rmse"], digits=4), number(row["median_rmse"], digits=4),
         number(row["cluster_accuracy"]), number(row["cluster_purity"]))
        for _, row in table.iterrows()
    ]  # fmt: skip
    header = ("run", "own objects", "RMSE", "median of the objects", "clusters: accuracy", "purity")
    parts.append(
        f"{markdown_table(rows, header)}\n\nClusters: of a mixture's own assignment, on the run's own objects."
    )
    parts.append("![Errors on the same objects](errors.png)")
    parts.append(f"## The same objects by every run{mark}")
    parts += [f"![The same objects]({name})" for name in figures] or ["No object is drawn by all runs."]
    parts.append("Tables: `runs.csv`, `scores.csv`, `errors.parquet` (every object); `metrics.json`.")
    return "\n\n".join(parts) + "\n"
