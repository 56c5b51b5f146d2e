"""Studies beside a report: scores by day, by share of the light curve and by part of the input, against loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from tfrecords.errors import DataError
from zoo.reports import studies
from zoo.reports.classify import write_report
from zoo.reports.predictions import BEFORE
from zoo.taxonomies.tree import load


@pytest.fixture
def no_figures(monkeypatch):
    """Write tables and the page only."""
    monkeypatch.setattr(studies, "_figures", lambda *_: [])


def _store(make, path, name, table):
    run = make.run(path / name, make.predictions(days=(8.0, np.inf)))
    (run / "report" / name).mkdir()
    table.to_parquet(run / "report" / name / "predictions.parquet", index=False)
    return run


def _macro_f1(make, part):
    guess = np.array(make.classes)[part[[f"p_{name}" for name in make.classes]].to_numpy().argmax(axis=1)]
    return f1_score(part["class"], guess, average="macro")


def test_curves_from_before_the_reference_time_on(make, tmp_path, no_figures):
    days = (-20.0, -2.0, 0.0, 200.0)
    table = make.predictions(days=days)
    run = _store(make, tmp_path, "curves", table)
    folder = studies.write_study(run, "curves").parent
    scores = pd.read_csv(folder / "scores.csv").set_index("day")
    assert scores.index.tolist() == list(days) and set(scores["level"]) == {"classes"}
    means = pd.read_csv(folder / "class_scores.csv").set_index(["day", "true", "class"])["mean_probability"]
    for day in days:
        part = table[table["day"] == day]
        assert scores.loc[day, "macro_f1"] == pytest.approx(_macro_f1(make, part))
        assert scores.loc[day, "unobserved"] == (part["observations"] == 0).sum()
        for true in make.classes:
            for name in make.classes:
                expected = part.loc[part["class"] == true, f"p_{name}"].mean()
                assert means[day, true, name] == pytest.approx(expected, abs=1e-6)
    unseen = int((table[table["day"] == -20]["observations"] == 0).sum())
    assert f"| of these, without an observation | {unseen} |" in (folder / "index.md").read_text()


def test_shares_at_the_levels_of_a_tree(make, tmp_path, no_figures):
    table = make.predictions(days=(0.1, 1.0)).rename(columns={"day": "fraction"})
    folder = studies.write_study(_store(make, tmp_path, "fractions", table), "fractions", load("plasticc")).parent
    scores = pd.read_csv(folder / "scores.csv")
    assert "day" not in scores and sorted(set(scores["fraction"])) == [0.1, 1.0]
    assert list(dict.fromkeys(scores["level"])) == ["level 1", "level 2", "leaves"]
    leaves = scores[scores["level"] == "leaves"].set_index("fraction")["macro_f1"]
    assert leaves[0.1] == pytest.approx(_macro_f1(make, table[table["fraction"] == 0.1]))


def test_parts_of_the_input_in_one_table(make, tmp_path, no_figures):
    parts = {name: make.predictions(days=(BEFORE, 8.0), seed=seed) for seed, name in enumerate(("both", "one"))}
    parts["one"]["class"] = parts["both"]["class"]
    for name, part in parts.items():
        part.insert(2, "branch", name)
    run = _store(make, tmp_path, "branches", pd.concat(parts, ignore_index=True))
    folder = studies.write_study(run, "branches").parent
    scores = pd.read_csv(folder / "scores.csv").set_index(["branch", "day"])["macro_f1"]
    for name, part in parts.items():
        for day in (BEFORE, 8.0):
            assert scores[name, day] == pytest.approx(_macro_f1(make, part[part["day"] == day]))
    assert "| branch | level | before | 8 |" in (folder / "index.md").read_text()


@pytest.mark.slow
def test_figures_and_the_link_from_the_report(make, tmp_path):
    run = _store(make, tmp_path, "curves", make.predictions(days=np.arange(-20.0, 201.0, 4.0)))
    folder = studies.write_study(run, "curves").parent
    assert {path.name for path in folder.glob("*.png")} == {"scores.png", "probability_classes.png"}
    assert "(curves/index.md)" in write_report(run).read_text()


def test_without_predictions_the_message_names_the_file(make, tmp_path):
    with pytest.raises(DataError, match="curves/predictions.parquet is missing"):
        studies.write_study(make.run(tmp_path / "run"), "curves")
