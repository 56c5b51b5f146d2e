"""Figures, tables and projector files of representations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfrecords.errors import UsageError
from zoo.reports.plots.style import COLOURS, MARKERS, new_figure, plain, set_title, styled
from zoo.reports.write import (
    markdown_table,
    number,
    slug,
    write_bytes,
    write_csv,
    write_figure,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["projection_figure", "run_names", "write_figure", "write_neighbours", "write_projector", "write_scores"]

CATEGORIES = 12
"""A column of numbers with at most so many different whole ones is drawn as categories."""

UNKNOWN = "none"
"""What a legend calls objects without a value."""

SPRITE = 8192
"""Longest side of a sprite that TensorBoard takes, in pixels."""


def run_names(paths: Sequence[str | Path]) -> list[str]:
    """Name runs by model and name, for folders and titles. Raises UsageError if one is given twice."""
    resolved = [Path(path).resolve() for path in paths]
    for place, path in enumerate(resolved):
        if path in resolved[:place]:
            raise UsageError(f"a run may be given once. Received: {paths[place]} twice")
    taken: set[str] = set()
    return [slug("-".join([path.parent.name, path.name]), taken) for path in resolved]


def is_category(values: np.ndarray) -> bool:
    """Say whether a column (object,) holds names, or few whole numbers, rather than a continuous quantity."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiu":
        return True
    known = np.unique(values[np.isfinite(values)])
    return bool(len(known) <= CATEGORIES and (known == np.round(known)).all())


@styled
def projection_figure(panels: Sequence[tuple[str, np.ndarray, tuple[str, str], np.ndarray]], column: str) -> Figure:
    """Draw projections side by side, one panel a run, with one legend or one colour bar.

    Parameters
    ----------
    panels : sequence of (title, points, labels, values)
        ``points`` (object, 2) and the names of the axes; ``values`` (object,) of the column, names or numbers, null
        where there is none.
    column : str
        What the colours mean.
    """
    across = min(len(panels), 3)
    down = math.ceil(len(panels) / across)
    figure = new_figure(4.2 * across + 1.8, 3.9 * down + 0.4)
    grid = figure.subplots(down, across, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[len(panels) :]:
        spare.set_axis_off()
    everything = _joined([values for *_, values in panels])
    names = is_category(everything)
    draw = _draw_categories if names else _draw_numbers
    looks = category_looks(everything) if names else _range(everything)
    for axis, (title, points, labels, values) in zip(axes, panels, strict=False):
        draw(axis, points, values, looks, _size(len(points)))
        axis.set_title(plain(title))
        axis.set_xlabel(labels[0])
        axis.set_ylabel(labels[1])
        axis.set_xticklabels([])
        axis.set_yticklabels([])
        axis.tick_params(length=0)
    if names:
        _legend(figure, everything, looks, column)
    else:
        figure.colorbar(looks, ax=axes[: len(panels)], label=plain(column), fraction=0.05, pad=0.02)
    set_title(figure, f"{max(len(points) for _, points, *_ in panels)} objects by {column}")
    return figure


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    parts = [np.asarray(values) for values in parts]
    if all(values.dtype.kind in "fiu" for values in parts):
        return np.concatenate(parts)
    return np.concatenate([np.array(named(values), object) for values in parts])


def named(values: np.ndarray) -> list[str]:
    """Write categories as text; null is `UNKNOWN`, whole numbers have no point."""
    found = []
    for value in np.asarray(values, object).tolist():
        if value is None or value != value:
            found.append(UNKNOWN)
        else:
            found.append(f"{value:g}" if isinstance(value, float) else str(value))
    return found


def category_looks(values: np.ndarray) -> dict[str, dict[str, Any]]:
    """Give colour and marker of every category in the order of the legend, unknown ones grey and last."""
    from matplotlib import colormaps

    numbers = np.asarray(values).dtype.kind in "fiu"
    known = sorted({name for name in named(values) if name != UNKNOWN}, key=float if numbers else None)
    # Points are too small for their markers to be told apart: more classes take more colours first.
    table = colormaps["tab20"].colors
    colours = COLOURS if len(known) <= len(COLOURS) else [*table[::2], *table[1::2]]
    looks = {
        name: {"color": colours[place % len(colours)], "marker": MARKERS[place // len(colours) % len(MARKERS)]}
        for place, name in enumerate(known)
    }
    return looks | {UNKNOWN: {"color": "#bbbbbb", "marker": "."}}


def _size(count: int) -> float:
    return float(np.clip(6000 / max(count, 1), 2.0, 18.0))


def _draw_categories(axis, points, values, looks, size):
    names = np.array(named(values), object)
    # Objects without a value lie below all others.
    for name in [UNKNOWN, *(name for name in looks if name != UNKNOWN)]:
        here = names == name
        if here.any():
            axis.scatter(*points[here].T, s=size, linewidths=0, alpha=0.75, **looks[name])


def _legend(figure, values, looks, column):
    from matplotlib.lines import Line2D

    found, counts = np.unique(np.array(named(values), object).astype(str), return_counts=True)
    there = dict(zip(found.tolist(), counts.tolist(), strict=True))
    handles = [
        Line2D([], [], linestyle="", markersize=5, label=plain(name), color=look["color"], marker=look["marker"])
        for name, look in looks.items()
        if name in there
    ]
    columns = 1 if len(handles) <= 24 else 2
    figure.legend(handles=handles, loc="outside right upper", ncols=columns, title=plain(column))


def _range(values: np.ndarray):
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    known = values[np.isfinite(values)]
    # A few outliers must not take all colours for themselves.
    low, high = np.percentile(known, [1, 99]) if len(known) else (0.0, 1.0)
    return ScalarMappable(Normalize(low, high if high > low else low + 1.0), colormaps["viridis"])


def _draw_numbers(axis, points, values, mappable, size):
    values = np.asarray(values, "float64")
    known = np.isfinite(values)
    if not known.all():
        axis.scatter(*points[~known].T, s=size, linewidths=0, alpha=0.75, color="#bbbbbb", marker=".")
    colours = mappable.to_rgba(values[known])
    axis.scatter(*points[known].T, s=size, linewidths=0, alpha=0.75, c=colours)


def write_scores(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write the scores of runs as JSON; gives them as a Markdown table.

    Parameters
    ----------
    path : Path
    rows : sequence of dict
        ``run, dimension, objects, refused``, ``clustering`` and ``linear_probe``, see `zoo.training.projection`.
    """
    write_json(path, {"runs": list(rows)})
    header = ["run", "dimension", "objects", "refused", "clusters: accuracy", "adjusted Rand", "linear probe: macro F1"]
    cells, notes = [], []
    for row in rows:
        cluster, probe = row["clustering"], row["linear_probe"]
        cells.append([
            row["run"], row["dimension"], row["objects"], row["refused"], number(cluster.get("accuracy")),
            number(cluster.get("adjusted_rand")), number(probe.get("macro_f1")),
        ])  # fmt: skip
        notes += [f"{what}: {part['reason']}." for what, part in (("Clusters", cluster), ("Linear probe", probe))
                  if "reason" in part]  # fmt: skip
        if "accuracy" in cluster:
            kind = {"test": "labelled test objects", "all": "labelled objects"}[cluster["split"]]
            notes.append(f"Clusters: of the {cluster['objects']} {kind}, {cluster['classes']} classes.")
        if "macro_f1" in probe:
            late = "" if probe["converged"] else "; the optimiser had not converged"
            notes.append(
                f"Linear probe: {probe['train_objects']} training, {probe['test_objects']} test objects{late}."
            )
    return "\n\n".join([markdown_table(cells, header), "\n".join(dict.fromkeys(notes))])


def write_neighbours(path: Path, tables: Sequence[pd.DataFrame]) -> str:
    """Write the nearest neighbours of objects by all runs as CSV; gives them as a Markdown table."""
    import pandas as pd

    table = pd.concat(tables, ignore_index=True)
    write_csv(path, table)
    header = list(table.columns)
    cells = [
        [f"{value:.4g}" if isinstance(value, float) and value == value else named(np.array([value], object))[0]
         for value in row]
        for row in table.itertuples(index=False)
    ]  # fmt: skip
    return markdown_table(cells, header, text=[place for place, name in enumerate(header) if name != "distance"])


def write_projector(out: Path, parts: Sequence[tuple[str, np.ndarray, pd.DataFrame, np.ndarray | None]]) -> Path:
    """Write files for TensorBoard's projector, which ``tensorboard --logdir OUT`` shows.

    Parameters
    ----------
    out : Path
        Gets ``projector_config.pbtxt``, and ``tensors.tsv``, ``metadata.tsv`` and perhaps ``sprite.png`` in a folder
        a run.
    parts : sequence of (name, values, metadata, thumbnails)
        Name of the run, representations (object, dimension), a table with the columns to show, and square
        thumbnails (object, side, side), uint8, or None.
    """
    blocks = []
    for name, values, metadata, thumbnails in parts:
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["\t".join(f"{value:.7g}" for value in row) for row in np.asarray(values).tolist()]
        write_text(folder / "tensors.tsv", "".join(f"{line}\n" for line in lines))
        rows = [list(map(_cell, metadata.columns))]
        rows += [[_cell(value) for value in row] for row in metadata.itertuples(index=False)]
        write_text(folder / "metadata.tsv", "".join("\t".join(row) + "\n" for row in rows))
        block = (
            f'  tensor_name: "{name}"\n  tensor_path: "{name}/tensors.tsv"\n  metadata_path: "{name}/metadata.tsv"\n'
        )
        if thumbnails is not None and len(thumbnails):
            image = sprite(thumbnails)
            side = image.shape[1] // math.ceil(math.sqrt(len(thumbnails)))
            write_bytes(folder / "sprite.png", _png(image))
            block += f'  sprite {{\n    image_path: "{name}/sprite.png"\n    single_image_dim: {side}\n'
            block += f"    single_image_dim: {side}\n  }}\n"
        blocks.append(f"embeddings {{\n{block}}}\n")
    return write_text(out / "projector_config.pbtxt", "".join(blocks))


def _cell(value: Any) -> str:
    [text] = named(np.array([value], object))
    return " ".join(text.split()) or "-"


def sprite(thumbnails: np.ndarray) -> np.ndarray:
    """Lay thumbnails (object, side, side), uint8, out row by row in a square image, smaller if it got too large."""
    count, side = len(thumbnails), thumbnails.shape[1]
    across = math.ceil(math.sqrt(count))
    size = max(1, min(side, SPRITE // across))
    pick = np.arange(size) * side // size
    tiles = np.zeros((across * across, size, size), "uint8")
    tiles[:count] = thumbnails[:, pick][:, :, pick]
    return tiles.reshape(across, across, size, size).transpose(0, 2, 1, 3).reshape(across * size, across * size)


def _png(image: np.ndarray) -> bytes:
    import io

    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, image, cmap="gray", vmin=0, vmax=255, format="png", metadata={"Software": None})
    return buffer.getvalue()
