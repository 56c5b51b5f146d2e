"""ROC and precision-recall curves, one class against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports.plots.style import line_look, new_figure, plain, set_title, styled
from zoo.reports.predictions import DayPredictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def roc_figure(block: DayPredictions, classes: Sequence[str], title: str = "") -> Figure:
    """Draw one ROC curve a class, with its area; the legend names classes without positives or negatives.

    Parameters
    ----------
    block : DayPredictions
        Predictions of one day.
    classes : sequence of str
    title : str
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    def curve(positive: np.ndarray, score: np.ndarray):
        false_rate, true_rate, _ = roc_curve(positive, score)
        return false_rate, true_rate, roc_auc_score(positive, score)

    figure, axes = _curves(block, classes, title, curve, "area")
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, zorder=1)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    return figure


@styled
def precision_recall_figure(block: DayPredictions, classes: Sequence[str], title: str = "") -> Figure:
    """Draw one precision-recall curve a class, with its average precision, as steps.

    Parameters
    ----------
    block : DayPredictions
        Predictions of one day.
    classes : sequence of str
    title : str
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    def curve(positive: np.ndarray, score: np.ndarray):
        precision, recall, _ = precision_recall_curve(positive, score)
        return recall, precision, average_precision_score(positive, score)

    figure, axes = _curves(block, classes, title, curve, "average precision", drawstyle="steps-post")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    return figure


def _curves(block, classes, title, curve, word, **look):
    figure = new_figure(7.6, max(5.2, 0.21 * len(classes) + 1.2))
    figure.set_layout_engine("compressed")
    axes = figure.add_subplot()
    for c, name in enumerate(classes):
        positive = block.truth == c
        style = line_look(c) | look
        if not 0 < positive.sum() < len(positive):
            why = "no objects" if not positive.any() else "no others"
            axes.plot([], [], label=plain(f"{name}: {why}"), **style)
            continue
        x, y, area = curve(positive, block.probability[:, c])
        axes.plot(x, y, label=plain(f"{name}: {area:.3f}  ({positive.sum()})"), **style)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    figure.legend(loc="outside right center", title=f"class: {word}  (objects)", title_fontsize=8, handlelength=2.6)
    set_title(figure, title)
    return figure, axes
