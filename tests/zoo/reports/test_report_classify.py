"""The report of one run."""

from __future__ import annotations

import json
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest

from tfrecords.errors import DataError
from zoo.reports.classify import write_report

TABLES = {
    "scores_by_day.csv",
    "per_class.csv",
    "confusion.csv",
    "reliability.csv",
    "metrics.json",
    "index.md",
}
FIGURES = {
    *("scores_by_day.png", "confusion.png", "roc.png", "precision_recall.png", "reliability.png"),
    *("history.png", "class_composition.png", "light_curve_obj00000.png", "light_curve_obj00001.png"),
}
SOURCES = {"report_config.json", "predictions_by_day.parquet", "light_curves.parquet"}


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def images(path):
    """Check every PNG of a folder for content and give their names."""
    from matplotlib.image import imread

    names = set()
    for file in path.glob("*.png"):
        assert imread(file)[..., :3].std() > 0.02, file
        names.add(file.name)
    return names


def test_report_holds_every_table_and_figure_and_shows_it(tmp_path, make):
    caution = "used hostgal_specz: most objects have no spectrum"
    run = make.run(tmp_path / "runs" / "atat" / "a", cautions=[caution], class_weights={"TDE": 2.0, "KN": 2.0})
    page = write_report(run, bootstrap=20)
    out = run / "report"
    assert page == out / "index.md"
    assert {p.name for p in out.iterdir()} == TABLES | FIGURES | SOURCES
    assert images(out) == FIGURES
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)) == FIGURES
    assert f"> **CAUTION †: {caution}**" in text and text.count("† see cautions") > 5
    assert "TDE: 2, KN: 2, all others 1" in text and "write_report('RUN')" in text
    assert str(tmp_path) not in text

    scores = pd.read_csv(out / "scores_by_day.csv")
    content = json.loads((out / "metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["headline"]["macro_f1"] == scores["macro_f1"].iloc[-1]
    assert content["headline"]["day"] == "inf" and len(content["by_day"]) == 4
    assert content["cautions"] == [caution] and content["preset"] == "lc_md"
    last = scores.iloc[-1]
    assert f"| macro F1 | {last['macro_f1']:.3f} ± {last['macro_f1_se']:.3f} |" in text
    for day, f1 in zip(("1", "8", "128", "all"), scores["macro_f1"], strict=True):
        assert f"| {day} | 60 | {f1:.3f} |" in text
    confusion = pd.read_csv(out / "confusion.csv")
    assert confusion.groupby("day")["count"].sum().eq(60).all() and len(confusion) == 4 * 16
    assert pd.read_csv(out / "per_class.csv")["support"].sum() == 4 * 60
    assert pd.read_csv(out / "reliability.csv")["objects"].sum() == 60


def test_the_same_files_give_the_same_bytes(tmp_path, make):
    run = make.run(tmp_path / "a", make.predictions(days=(8.0, math.inf)))
    kept = pd.read_parquet(run / "report" / "light_curves.parquet").iloc[:90]
    kept.to_parquet(run / "report" / "light_curves.parquet")
    write_report(run, bootstrap=5)
    first = {p.name: p.read_bytes() for p in (run / "report").iterdir()}
    write_report(run, bootstrap=5)
    assert first == {p.name: p.read_bytes() for p in (run / "report").iterdir()}


def test_a_lean_run_gets_a_lean_report_that_says_so(tmp_path, make):
    run = make.run(tmp_path / "a", make.predictions(days=(math.inf,)))
    for name in ("metrics.csv", "class_composition.csv", "report/light_curves.parquet"):
        (run / name).unlink()
    (run / "report" / "light_curve_gone.png").write_bytes(b"of an older report")
    text = write_report(run, bootstrap=0).read_text(encoding="utf-8")
    assert images(run / "report") == {n for n in FIGURES if n[:5] not in ("histo", "class", "light")}
    assert "no `metrics.csv`" in text and "no `class_composition.csv`" in text and "None: the run has no" in text
    assert "±" not in text and "CAUTION" not in text


def test_one_class_only_is_a_caution_and_no_score_is_made_up(tmp_path, make):
    run = make.run(tmp_path / "a", make.predictions(present=["TDE"], objects=20))
    text = write_report(run, bootstrap=5).read_text(encoding="utf-8")
    assert "all test objects are of class TDE" in text and "| AUROC | – |" in text
    assert "left out of macro means: 3" in text and "average precision: 4" in text and "nan" not in text.lower()
    assert json.loads((run / "report" / "metrics.json").read_text())["headline"]["auroc"] is None


def test_days_with_different_objects_are_a_caution(tmp_path, make):
    frame = make.predictions()
    run = make.run(tmp_path / "a", frame[~((frame["day"] == 1) & (frame["object_id"] == "obj00003"))])
    assert "the days have different test objects" in write_report(run, bootstrap=0).read_text(encoding="utf-8")


def test_a_broken_probability_names_file_and_object_and_leaves_no_report(tmp_path, make):
    frame = make.predictions()
    frame.loc[5, "p_KN"] = np.nan
    run = make.run(tmp_path / "a", frame)
    with pytest.raises(DataError, match=r"predictions_by_day\.parquet: .*object obj00005.*Received: nan"):
        write_report(run)
    assert {p.name for p in (run / "report").iterdir()} == SOURCES


def test_odd_object_ids_get_safe_file_names(tmp_path, make):
    frame = make.predictions(days=(math.inf,))
    frame["object_id"] = frame["object_id"].replace({"obj00000": "../a/b c", "obj00001": "../a/b_c"})
    run = make.run(tmp_path / "a", frame)
    write_report(run, bootstrap=0)
    names = {p.name for p in (run / "report").glob("light_curve_*.png")}
    assert names == {"light_curve_a_b_c.png", "light_curve_a_b_c_2.png"}


def test_numeric_object_ids_and_class_names_work(tmp_path, make):
    classes = ["15", "64", "90"]
    frame = make.predictions(classes, days=(1.0, math.inf))
    frame["object_id"] = frame["object_id"].str[3:].astype(int)
    run = make.run(tmp_path / "a", frame, classes, class_weights={"15": 2.0, "64": 2.0})
    assert "class 15" in write_report(run, bootstrap=0).read_text(encoding="utf-8")
