"""The report on reconstructed stamps: pooled errors, objects without pixels, files that are not there."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tfrecords.errors import DataError
from zoo.reports.reconstruct_stamps import write_report
from zoo.reports.stamps import score_table

OBJECTS = pd.DataFrame(
    {"object_id": list("abcd"), "class": ["SN", "SN", "", "AGN"], "rmse": [0.1, 0.3, 0.2, 0.0],
     "pixels": [100.0, 300.0, 100.0, 0.0]}
)  # fmt: skip


def test_errors_are_pooled_over_pixels():
    scores = score_table(OBJECTS).set_index("class")
    assert list(scores.index) == ["all", "AGN", "SN"]
    assert scores.loc["SN", "rmse"] == pytest.approx(np.sqrt((0.01 * 100 + 0.09 * 300) / 400))
    assert scores.loc["all", "median_rmse"] == pytest.approx(0.2) and scores.loc["all", "objects"] == 4
    assert scores.loc["AGN", "empty"] == 1 and np.isnan(scores.loc["AGN", "rmse"])


def test_the_page_shows_them_and_a_missing_file_is_named(tmp_path):
    out = tmp_path / "report"
    out.mkdir()
    config = {"model": "stamp_ae", "preset": "autoencoder", "survey": "ztf", "run": "one", "split": "test",
              "seed": 0, "fold": None}  # fmt: skip
    (out / "report_config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"stamp_errors\.parquet: must be there and readable.*zoo\.evaluate.*Received"):
        write_report(tmp_path)
    OBJECTS.to_parquet(out / "stamp_errors.parquet")
    text = write_report(tmp_path).read_text()
    assert "4 objects of the split test" in text and "| SN" in text and "0.2646" in text
    assert json.loads((out / "metrics.json").read_text())["scores"][0]["objects"] == 4
