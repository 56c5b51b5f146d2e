"""The whole way, shortened: survey files, records, features, partition, fit, evaluate, export, predict."""

from __future__ import annotations

import importlib

import numpy as np
import pandas as pd
import pytest

from data_tools import features, partition, snana
from tfrecords.info import DatasetInfo

VERBS = ("fit", "evaluate", "export", "predict")
SMALL = ["--head-dim", "4", "--num-heads", "2", "--layers", "1", "--harmonics", "4", "--batch-size", "16"]


def _run(main, *arguments):
    try:
        code = main([str(each) for each in arguments])
    except SystemExit as left:
        code = left.code
    assert not code


@pytest.fixture(scope="module", name="records")
def records_fixture(tmp_path_factory):
    """Records of a synthetic set, with features, divided anew with neighbours on the sky together."""
    place = tmp_path_factory.mktemp("sequence")
    files, raw, records = place / "files", place / "raw", place / "records"
    _run(snana.main, "synth", "--out", files, "--objects", 6, "--mixed-traps", "--workers", 1)
    _run(snana.main, files, "--out", raw, "--quiet")
    _run(features.main, raw, "--days", "4,12,inf", "--workers", 1, "--quiet")
    # RA and DEC must be among the static columns to keep neighbours together.
    _run(partition.main, raw, "--out", records, "--folds", 2, "--by-position", "RA,DEC", "--quiet")
    return records


def test_nothing_is_lost_on_the_way(records):
    info = DatasetInfo.load(records)
    assert (info.count, info.folds, len(info.classes)) == (192, 2, 32)
    assert (records / "derived" / "features").is_dir()


@pytest.mark.parametrize("preset", [pytest.param("lc", marks=pytest.mark.slow), "lc_header_feat_mtime"])
def test_from_survey_files_to_predictions_on_new_ones(records, tmp_path, preset):
    fit, evaluate, export, predict = (importlib.import_module(f"zoo.{verb}") for verb in VERBS)
    runs = tmp_path / "runs"
    _run(fit.main, "--model", "atat", "--preset", preset, "--data", records, "--label-map", "elasticc_20",
         "--runs", runs, "--name", "one", "--epochs", 1, "--steps-per-epoch", 4, "--quiet", *SMALL)  # fmt: skip
    run = runs / "atat" / "one"
    _run(evaluate.main, run, "--days", "12", "--quiet")
    scores = pd.read_csv(run / "report" / "scores_by_day.csv")
    assert 12.0 in scores["day"].to_list()
    _run(export.main, run, "--quiet")
    assert (run / "saved_model" / "saved_model.pb").is_file()
    _run(snana.main, "synth", "--out", tmp_path / "new", "--objects", 3, "--models", "EB,AGN", "--seed", 9)
    _run(predict.main, run, "--data", tmp_path / "new", "--day", 12, "--out", tmp_path / "table.csv", "--quiet")
    table = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    classes = [name for name in table.columns if name.startswith("p_")]
    assert (len(table), len(classes)) == (6, 20)
    np.testing.assert_allclose(table[classes].sum(axis=1), 1, atol=1e-5)
    assert set(table["reason"]) == {""}
