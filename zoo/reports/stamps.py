"""What a report shows of reconstructed stamps: errors by class, drawn objects, prototypes of a mixture."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfrecords.errors import DataError
from zoo.reports.clusters import DEFINITIONS, cluster_scores, cluster_table
from zoo.reports.plots.stamps import Column, prototype_figure, stamp_grid
from zoo.reports.write import markdown_table, number, records, slug, write_csv, write_figure

if TYPE_CHECKING:
    import pandas as pd

ERRORS, STAMPS, PROTOTYPES = "stamp_errors.parquet", "stamps.npz", "prototypes.npz"
"""Files of a report from which all this is drawn."""

KINDS = {"best": "the least errors", "median": "middle errors", "worst": "the largest errors"}

ACROSS = 10
"""Most components in one figure."""


@dataclass(frozen=True)
class Drawn:
    """Stamps and reconstructions of some objects of a run.

    Attributes
    ----------
    object_id, label, kind : array (object,) of str
        ``kind`` is a key of `KINDS`, or empty for objects that are drawn in comparisons of runs only.
    rmse : array (object,)
    about : dict
        ``channels``, ``crop``, ``normalize`` and ``sequence`` (whether objects have several frames).
    arrays : dict of array
        ``target``, ``reconstruction``, ``observed`` (object, frame, height, width, channel), ``frames`` (object,).
    """

    object_id: np.ndarray
    label: np.ndarray
    kind: np.ndarray
    rmse: np.ndarray
    about: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def columns(self, place: int, head: str, group: str = "") -> list[Column]:
        """Give the columns of a figure that show an object, see `columns_of`."""
        return columns_of(self.arrays, place, self.about["channels"], head, group)


def columns_of(arrays: Mapping[str, np.ndarray], place: int, channels, head: str, group: str = "") -> list[Column]:
    """Give an object as the columns of a figure, one a frame.

    Parameters
    ----------
    arrays : mapping of str to array
        As in `Drawn`.
    place : int
        Of the object.
    channels : sequence of str
    head : str
        What stands above the first frame.
    group : str
        Whose colour scale it shares.
    """
    count, wide = int(arrays["frames"][place]), arrays["target"].shape[1] > 1
    parts = [arrays[name][place] for name in ("target", "reconstruction", "observed")]
    return [
        Column((head if frame == 0 else "\n" * head.count("\n")) + (f"\nframe {frame + 1}" if wide else ""),
               group or head, channels, *(part[frame] for part in parts))
        for frame in range(count)
    ]  # fmt: skip


def by_chance(ids: Iterable[str]) -> list[str]:
    """Give ids in an order that depends on nothing but themselves, so that all runs begin with the same."""
    return sorted(map(str, ids), key=lambda name: (zlib.crc32(name.encode()), name))


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


def _broken(file: Path, error: object) -> DataError:
    return DataError(
        f"{file}: must be there and readable; `python -m zoo.evaluate {file.parent.parent}` makes it anew. "
        f"Received: {type(error).__name__}: {error}"
    )


def read_errors(run_dir: Path) -> pd.DataFrame:
    """Read the errors of a run's objects. Raises DataError that names the file and the command that makes it."""
    import pandas as pd
    import pyarrow

    file = run_dir / "report" / ERRORS
    try:
        table = pd.read_parquet(file)
        table[["object_id", "class", "rmse", "pixels"]]
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise _broken(file, error) from None
    return table


def _arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as content:
            return dict(content)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _broken(file, error) from None


def read_stamps(run_dir: Path) -> Drawn | None:
    """Read the drawn objects of a run; None where no object has a pixel. Raises DataError for a broken file."""
    file = run_dir / "report" / STAMPS
    if not file.is_file():
        return None
    content = _arrays(file)
    try:
        names = ("object_id", "label", "kind", "rmse")
        rest = {name: content[name] for name in ("target", "reconstruction", "observed", "frames")}
        return Drawn(*(content[name] for name in names), json.loads(str(content["about"])), rest)
    except (KeyError, ValueError) as error:
        raise _broken(file, error) from None


def error_part(scores: pd.DataFrame) -> str:
    """Give a table of errors by class as Markdown, with what they mean."""
    rows = [
        (row["class"], f"{row['objects']:,}", f"{row['empty']:,}", number(row["rmse"], digits=4),
         number(row["median_rmse"], digits=4))
        for _, row in scores.iterrows()
    ]  # fmt: skip
    table = markdown_table(rows, ("class", "objects", "without a pixel", "RMSE", "median of the objects"))
    return (
        f"{table}\n\nRoot mean squared error over the pixels that have a value, in units of the stamps as the model "
        "scales them."
    )


def stamp_part(run_dir: Path, title: str) -> list[str]:
    """Draw the objects with the least, a middle and the largest error into a run's report; give parts of its page.

    Single stamps are drawn in one figure, the frames of sequences in one an object.
    """
    out, drawn = run_dir / "report", read_stamps(run_dir)
    for old in out.glob("stamps_*.png"):
        old.unlink()
    if drawn is None:
        return ["No stamps are drawn: no object has a pixel with a value."]
    figures: list[tuple[str, str, list[Column]]] = []
    for kind in KINDS:
        for place in np.flatnonzero(drawn.kind == kind).tolist():
            object_id, label = str(drawn.object_id[place]), str(drawn.label[place])
            words = f"{kind}\n{object_id}\n{label or 'no class'}\nRMSE {drawn.rmse[place]:.3g}"
            columns = drawn.columns(place, words)
            if drawn.about["sequence"]:
                heading = f"{kind.capitalize()} reconstruction: object {object_id}"
                figures.append((heading, f"{kind}_{object_id}", columns))
            elif figures:
                figures[0][2].extend(columns)
            else:
                figures.append(("Best, median and worst reconstructions", "reconstructed", columns))
    parts = [
        "## Reconstructions\n\nObjects with "
        + ", ".join(KINDS.values())
        + ". Input and output of a channel have one colour scale, the numbers in the panel; the residual, input - "
        "output, has its own. Yellow pixels have no value."
    ]
    taken: set[str] = set()
    for heading, stem, columns in figures:
        name = f"stamps_{slug(stem, taken)}.png"
        write_figure(out / name, stamp_grid(columns, f"{heading}\n{title}"))
        parts.append(f"![{heading}]({name})")
    return parts


def cluster_part(run_dir: Path, errors: pd.DataFrame, title: str) -> tuple[list[str], dict[str, Any]]:
    """Draw the prototypes of a run's mixture and score its clusters.

    Parameters
    ----------
    run_dir : Path
    errors : pandas.DataFrame
        As `read_errors` gives it.
    title : str

    Returns
    -------
    parts : list of str
        Of the report's page; empty where the network has no mixture.
    scores : dict
        ``clusters`` (see `zoo.reports.clusters.cluster_scores`, of objects with a class and a pixel) and
        ``components`` (see `zoo.reports.clusters.cluster_table`), for ``metrics.json``; empty likewise.
    """
    out = run_dir / "report"
    for old in out.glob("prototypes_*.png"):
        old.unlink()
    (out / "clusters.csv").unlink(missing_ok=True)
    if not (out / PROTOTYPES).is_file() or "cluster" not in errors:
        return [], {}
    content = _arrays(out / PROTOTYPES)
    errors = errors[errors["pixels"] > 0]
    try:
        table = cluster_table(errors, content["weight"]).assign(
            spread=content["spread"].astype("float64"), pixel_spread=content["pixel_spread"].astype("float64")
        )
        images = {"mean + σ": content["above"], "mean": content["mean"], "mean − σ": content["below"]}
        channels = [str(name) for name in content["channels"]]
    except (KeyError, ValueError) as error:
        raise _broken(out / PROTOTYPES, error) from None
    write_csv(out / "clusters.csv", table)
    labelled = errors[errors["class"] != ""]
    scores = cluster_scores(labelled["cluster"].to_numpy(), labelled["class"].to_numpy(str))
    order = np.argsort(-table["weight"].to_numpy(), kind="stable")
    figures = []
    for turn, first in enumerate(range(0, len(order), ACROSS), 1):
        some = order[first : first + ACROSS]
        name, heading = f"prototypes_{turn}.png", "Prototypes of the components"
        heads = [_head(table.iloc[place]) for place in some]
        shown = {words: values[some] for words, values in images.items()}
        write_figure(out / name, prototype_figure(shown, heads, channels, f"{heading}\n{title}"))
        figures.append(f"![{heading}]({name})")
    return [_cluster_words(scores, len(table)), *figures, _component_words(table.iloc[order])], {
        "clusters": scores,
        "components": records(table),
    }


def _head(row) -> str:
    share = f"{row['majority_class']} {row['share']:.0%}" if row["labelled"] else "no class"
    return f"component {row['component']}\nweight {row['weight']:.3f}\n{row['objects']} objects\n{share}"


def _cluster_words(scores: dict[str, Any], components: int) -> str:
    text = "## Clusters\n\nEvery object belongs to the component of the mixture that is the most probable for its code."
    if "reason" in scores:
        return f"{text} No score: it {scores['reason']}."
    rows = [(name.replace("_", " "), number(scores[name]), words) for name, words in DEFINITIONS.items()]
    table = markdown_table(rows, ("score", "value", "how it is computed"), text=(0, 2))
    return (
        f"{text} Scores of {scores['objects']:,} labelled objects of {scores['classes']} classes, which lie in "
        f"{scores['clusters']} of {components} components:\n\n{table}"
    )


def _component_words(table: pd.DataFrame) -> str:
    rows = [
        (row["component"], number(row["weight"]), f"{row['objects']:,}", number(row["mean_probability"]),
         row["majority_class"] or "–", number(row["share"]), number(row["spread"]), number(row["pixel_spread"]))
        for _, row in table.iterrows()
    ]  # fmt: skip
    header = ("component", "weight", "objects", "mean probability", "majority class", "its share of the labelled",
              "σ", "pixels' σ")  # fmt: skip
    return (
        f"{markdown_table(rows, header, text=(4,))}\n\nA prototype is what the mean of a component is decoded to; "
        "above and below it the mean is moved by σ, the component's standard deviation along the axis of its largest "
        "variance. All of a component and channel have one colour scale."
    )
