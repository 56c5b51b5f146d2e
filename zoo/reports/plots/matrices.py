"""Confusion matrices as figures and as an image for TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfrecords.errors import UsageError
from zoo.reports.plots.style import new_figure, plain, set_title, styled
from zoo.reports.scores import row_fractions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FULL_TEXT = 32
"""Up to so many classes a cell carries text; above, only its colour."""

SHOWN = 0.005
"""Fractions below this would read 0.00 and stay without text."""


@styled
def confusion_figure(matrix: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """Draw counts, row-normalised by colour; every cell with objects carries its fraction and its count.

    Parameters
    ----------
    matrix : ndarray of int, [K, K]
        Objects by true (rows) and predicted (columns) class.
    classes : sequence of str, K names
    title : str

    Returns
    -------
    Figure
        Rows of classes without objects are grey.
    """
    matrix = _checked(matrix, classes)
    fractions = row_fractions(matrix)

    def text(row: int, column: int) -> str:
        count = matrix[row, column]
        return f"{fractions[row, column]:.2f}\n{count:g}" if count > 0 else ""

    labels = [f"{name}  ({total:g})" for name, total in zip(classes, matrix.sum(axis=1), strict=True)]
    return _draw(fractions, classes, labels, text, title, "true class (objects)")


@styled
def mean_confusion_figure(
    mean: np.ndarray, spread: np.ndarray | None, classes: Sequence[str], title: str = ""
) -> Figure:
    """Draw the mean over runs of row-normalised matrices.

    Parameters
    ----------
    mean : ndarray of float, [K, K]
        Mean fraction; NaN in rows of classes without objects.
    spread : ndarray of float, [K, K], or None
        Population standard deviation over runs; None for a single run.
    classes : sequence of str, K names
    title : str

    Returns
    -------
    Figure
        Cells whose mean is at least `SHOWN` carry mean and spread.
    """
    mean = _checked(mean, classes)

    def text(row: int, column: int) -> str:
        if not mean[row, column] >= SHOWN:
            return ""
        error = "" if spread is None else f"\n±{spread[row, column]:.2f}"
        return f"{mean[row, column]:.2f}{error}"

    return _draw(mean, classes, list(classes), text, title, "true class")


@styled
def confusion_image(matrix: np.ndarray, classes: Sequence[str], title: str = "") -> np.ndarray:
    """Draw a confusion matrix as an image for TensorBoard.

    Parameters
    ----------
    matrix : ndarray of int, [K, K]
        Objects by true (rows) and predicted (columns) class.
    classes : sequence of str, K names
    title : str

    Returns
    -------
    ndarray of uint8, [H, W, 4]
        Red, green, blue, alpha.
    """
    figure = confusion_figure(matrix, classes, title)
    figure.set_dpi(100)
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba(), dtype=np.uint8)


def _checked(matrix: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (len(classes), len(classes)):
        raise UsageError(
            f"a confusion matrix of {len(classes)} classes has the shape {(len(classes), len(classes))}. "
            f"Received: {matrix.shape}"
        )
    return matrix


def _draw(fractions, classes, labels, text, title, row_title) -> Figure:
    size = len(classes)
    edge = float(np.clip(0.52 * size, 2.6, 20))
    longest = max(len(name) for name in classes)
    figure = new_figure(edge + 1.9 + 0.06 * longest, edge + 0.9 + 0.06 * longest)
    axes = figure.add_subplot()
    colours = _colours()
    image = axes.imshow(np.ma.masked_invalid(fractions), cmap=colours, vmin=0, vmax=1, aspect="equal")
    _tidy(axes, size)
    axes.set_xticks(range(size), [plain(name) for name in classes], rotation=90)
    axes.set_yticks(range(size), [plain(name) for name in labels])
    axes.set_xlabel("predicted class")
    axes.set_ylabel(row_title)
    set_title(figure, title)
    if size <= FULL_TEXT:
        for row in range(size):
            for column in range(size):
                words = text(row, column)
                if words:
                    shade = "white" if fractions[row, column] > 0.55 else "#222222"
                    axes.text(column, row, words, ha="center", va="center", color=shade, fontsize=7, linespacing=1.1)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01, aspect=40)
    bar.set_label("fraction of the true class")
    bar.outline.set_visible(False)
    return figure


def _colours():
    from matplotlib import colormaps

    return colormaps["Blues"].with_extremes(bad="#e4e4e4")


def _tidy(axes: Axes, size: int) -> None:
    """Thin white lines between cells instead of the grid through their middles."""
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
