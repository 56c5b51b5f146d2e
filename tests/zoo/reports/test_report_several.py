"""Several runs in one report."""

from __future__ import annotations

import json
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from tfrecords.errors import DataError, UsageError
from zoo.reports.several import write_comparison
from zoo.reports.several_levels import write_level_comparison
from zoo.taxonomies.tree import load


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(name="runs")
def three_runs(tmp_path, make):
    """Two folds of one preset and one run of another."""
    made = [make.run(tmp_path / "atat" / f"lc-{k}", make.predictions(seed=k), preset="lc", fold=k) for k in (0, 1)]
    alone = make.run(tmp_path / "rf" / "f", make.predictions(seed=5), model="rf", preset=None, cautions=["used specz"])
    return [*made, alone]


def recall_matrix(make, seed):
    """Row-normalised confusion matrix at the whole light curve, by plain loops."""
    frame = make.predictions(seed=seed)
    frame = frame[np.isinf(frame["day"])]
    matrix = np.zeros((4, 4))
    for _, row in frame.iterrows():
        best = max(range(4), key=lambda c: row[f"p_{make.classes[c]}"])
        matrix[make.classes.index(row["class"]), best] += 1
    return matrix / matrix.sum(axis=1, keepdims=True)


def test_folds_are_averaged_with_the_population_spread(runs, tmp_path, make):
    from matplotlib.image import imread

    page = write_comparison(runs, tmp_path / "out")
    out, text = page.parent, page.read_text(encoding="utf-8")
    pngs = {"macro_f1_by_day.png", "scores_by_day.png", "confusion_atat_lc.png", "confusion_rf.png"}
    tables = {"runs.csv", "scores_by_day.csv", "per_class.csv", "confusion.csv", "metrics.json", "index.md"}
    assert {p.name for p in out.iterdir()} == pngs | tables
    assert all(imread(out / name)[..., :3].std() > 0.02 for name in pngs)
    assert set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)) == pngs

    single = pd.read_csv(out / "runs.csv")
    assert single["group"].tolist() == ["atat lc", "atat lc", "rf"] and single["fold"].tolist()[:2] == [0, 1]
    scores = pd.read_csv(out / "scores_by_day.csv").set_index(["group", "day"])
    pair = single["macro_f1"][:2]
    row = scores.loc[("atat lc", math.inf)]
    assert row["runs"] == 2 and row["macro_f1"] == pytest.approx(pair.mean())
    assert row["macro_f1_std"] == pytest.approx(abs(pair[0] - pair[1]) / 2)
    assert math.isnan(scores.loc[("rf", math.inf), "macro_f1_std"])
    assert f"| atat lc | 2 | {row['macro_f1']:.3f} ± {row['macro_f1_std']:.3f} |" in text
    assert f"| rf | 1 | {single['macro_f1'][2]:.3f} |" in text
    assert "ddof 0" in text and "> **CAUTION †: rf: used specz**" in text and str(tmp_path) not in text

    matrices = pd.read_csv(out / "confusion.csv").set_index("group")
    both = np.stack([recall_matrix(make, seed) for seed in (0, 1)])
    np.testing.assert_allclose(matrices.loc["atat lc", "mean"], both.mean(axis=0).ravel())
    np.testing.assert_allclose(matrices.loc["atat lc", "std"], both.std(axis=0).ravel(), atol=1e-12)
    assert matrices.loc["rf", "std"].isna().all()
    per_class = pd.read_csv(out / "per_class.csv")
    assert per_class["class"].tolist() == make.classes * 8
    recall = per_class[(per_class["group"] == "atat lc") & np.isinf(per_class["day"])]["recall"]
    np.testing.assert_allclose(recall, both.mean(axis=0).diagonal())
    content = json.loads((out / "metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert [len(content["groups"][g]) for g in ("atat lc", "rf")] == [2, 1]
    assert content["headline"][0]["macro_f1"] == pytest.approx(pair.mean())


def test_a_class_that_one_fold_lacks_is_averaged_over_the_others(tmp_path, make):
    lacking = make.predictions(seed=1, present=["SNIa", "TDE", "RRL"])
    runs = [make.run(tmp_path / "a"), make.run(tmp_path / "b", lacking)]
    out = write_comparison(runs, tmp_path / "out").parent
    matrix = pd.read_csv(out / "confusion.csv").set_index(["true", "predicted"])
    np.testing.assert_allclose(matrix.loc["KN", "mean"], recall_matrix(make, 0)[2])
    assert matrix.loc["KN", "std"].isna().all() and matrix.loc["TDE", "std"].notna().all()


def test_runs_of_other_classes_are_refused_naming_both(tmp_path, make):
    other = ["SNIa", "TDE", "KN", "Mira"]
    runs = [make.run(tmp_path / "a"), make.run(tmp_path / "b", make.predictions(other), other)]
    with pytest.raises(DataError) as error:
        write_comparison(runs, tmp_path / "out")
    text = str(error.value)
    assert str(runs[0]) in text and str(runs[1]) in text and "Mira" in text and "Received: " in text
    assert not (tmp_path / "out").exists()


def test_runs_that_do_not_compare_are_refused_or_marked(tmp_path, make):
    short = make.run(tmp_path / "short", make.predictions(days=(1.0, 8.0)))
    whole = make.run(tmp_path / "whole")
    with pytest.raises(DataError, match="same last day.*all.*Received: .*short with 8"):
        write_comparison([whole, short], tmp_path / "out")
    weighted = make.run(tmp_path / "weighted", class_weights={"KN": 2.0})
    with pytest.raises(DataError, match="weigh the classes"):
        write_comparison([whole, weighted], tmp_path / "out")
    few = make.run(tmp_path / "few", make.predictions(objects=30), survey="elasticc")
    text = write_comparison([whole, few], tmp_path / "out").read_text(encoding="utf-8")
    assert "tested on different objects" in text and "different surveys" in text


def test_days_that_only_some_runs_have_are_averaged_over_those(tmp_path, make):
    a = make.run(tmp_path / "a")
    b = make.run(tmp_path / "b", make.predictions(days=(8.0, math.inf)), model="other")
    page = write_comparison([a, b], tmp_path / "out")
    assert "not evaluated" in page.read_text(encoding="utf-8")
    scores = pd.read_csv(page.parent / "scores_by_day.csv")
    assert scores.groupby("group")["day"].count().to_dict() == {"atat lc_md": 4, "other lc_md": 2}


def test_no_run_or_one_twice_is_a_usage_error(tmp_path, make):
    run = make.run(tmp_path / "a")
    with pytest.raises(UsageError, match="at least one.*Received: none"):
        write_comparison([], tmp_path / "out")
    with pytest.raises(UsageError, match="twice"):
        write_comparison([run, tmp_path / "x" / ".." / "a"], tmp_path / "out")
    with pytest.raises(DataError, match="zoo.evaluate"):
        write_comparison([run, tmp_path / "nowhere"], tmp_path / "out")


def test_groups_at_the_levels_of_a_tree(runs, tmp_path, make):
    tree = load("plasticc")
    page = write_level_comparison(runs, tmp_path / "out", tree)
    assert page == tmp_path / "out" / "levels_plasticc" / "index.md"
    table = pd.read_csv(page.parent / "scores_by_level.csv").set_index(["group", "level", "day"])
    seeds = {"atat lc": (0, 1), "rf": (5,)}
    for group, drawn in seeds.items():
        found = []
        for seed in drawn:
            part = make.predictions(seed=seed)
            part = part[part["day"] == 8]
            # Of these classes RRL alone is variable.
            guess = part["p_RRL"] > part[["p_SNIa", "p_TDE", "p_KN"]].sum(axis=1)
            found.append(f1_score(part["class"] == "RRL", guess, average="macro"))
        row = table.loc[group, "level 1", 8.0]
        assert row["macro_f1"] == pytest.approx(np.mean(found)) and row["runs"] == len(drawn)
        assert row["macro_f1_std"] == pytest.approx(np.std(found)) or len(drawn) == 1
    assert {path.name for path in page.parent.glob("*.png")} == {
        "scores_level_1.png", "scores_level_2.png", "scores_leaves.png"
    }  # fmt: skip
    assert pd.read_csv(page.parent / "consistency.csv")["consistent"].between(0, 1).all()
    assert "levels_plasticc/index.md" in write_comparison(runs, tmp_path / "out").read_text()
