"""Figures and tables of what was found by cosine."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.zoo.reports.test_report_plots import pixels, words
from zoo.reports import similarity as report


def _hits(queries=2, targets=("photo", "meta"), k=5):
    rows = [
        {"run": "r", "query": f"q{query}", "query_class": None, "from": "spectra", "to": target, "rank": rank + 1,
         "object_id": f"{rank}", "class": ["EW", "$x$", None][rank % 3], "cosine": 0.5, "own_rank": np.nan}
        for query in range(queries) for target in targets for rank in range(k)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_bars_of_hits_have_their_classes():
    figure = report.hits_figure(_hits())
    pixels(figure)
    assert [len(axis.patches) for axis in figure.axes] == [10, 10]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [r"\$x\$", "EW", "none"]
    assert {"q0 (none) from spectra", "photo", "meta"} <= set(words(figure))
    colours = {patch.get_facecolor() for patch in figure.axes[0].patches}
    assert len(colours) == 3
    assert len(report.hits_figure(_hits(20, ("all",))).axes) == report.PANELS


def test_tables_show_the_first_and_those_high_in_several(tmp_path):
    text = report.write_hits(tmp_path / "hits.csv", _hits(1, ("all",), 2))
    assert text.count("\n") == 3 and "| q0 |" in text and "| 0.500 | – |" in text
    table = pd.DataFrame({
        "run": "r", "object_id": list("abcd"), "class": "EW", "split": "test", "score_all": [0.9, 0.5, 0.2, np.nan],
        "rank_all": [1, 2, 3, np.nan], "score_photo": 0.1, "rank_photo": [2.0, 3.0, 1.0, 4.0], "high_in": [0, 1, 2, 0],
    })  # fmt: skip
    text = report.write_outliers(tmp_path / "outliers.csv", table, 1)
    assert [line.split("|")[2].strip() for line in text.splitlines()[2:]] == ["a", "c"]
    assert "score_all" in text and "score_photo" not in text
    assert len(pd.read_csv(tmp_path / "outliers.csv")) == 4
    scores = pd.DataFrame([{"run": "r", "representation": "all", "method": "centre", "train_objects": 3,
                            "test_objects": 0, "accuracy": np.nan, "macro_f1": 0.25}])  # fmt: skip
    assert "| r | all | centre | 0 | – | 0.250 |" in report.write_zero_shot(tmp_path / "zero.csv", scores)
