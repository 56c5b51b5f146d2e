"""Comparison of classifiers: trees against scikit-learn by hand, rows that survive, runs that go on."""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.cases.variants import Example
from tests.zoo.reports.conftest import make_predictions, make_run
from tfrecords.derived import DerivedGroup
from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory
from zoo.training import baselines, compare, contender, resolve
from zoo.training.callbacks import Recorder
from zoo.training.run import Run, load_run


@pytest.fixture
def small(tmp_path):
    """A preset file of a small ATAT."""
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(Example("atat", "mix").hparams | {"objective": "mix"}))
    return path


def _rows(out):
    return list(csv.DictReader((out / "table.csv").read_text().splitlines()))


@pytest.mark.slow
def test_trees_are_those_of_scikit_learn_on_the_features_of_the_day(records, tmp_path):
    from sklearn.ensemble import RandomForestClassifier

    settled = resolve.common(["--data", str(records), "--fold", "1", "--seed", "3"])
    found = baselines.run("random_forest", "features", settled, tmp_path / "run", days=(1.0, 8.0, 300.0))
    assert found["training_seconds"] > 0 and found["light_curves_per_second"] > 0
    table = pd.read_parquet(tmp_path / "run" / "report" / "predictions_by_day.parquet")
    directory = RecordDirectory(records)
    values = DerivedGroup(directory, "features").values(range(len(directory)))
    native = directory.index["class_id"]
    train, test = directory.split_indices("train", 1), directory.split_indices("test")
    # Day 300 has the features of day 128, the last one before it; before day 8 nothing is known.
    for day, place in ((8.0, 0), (300.0, 1)):
        model = RandomForestClassifier(
            300, min_samples_leaf=2, class_weight="balanced_subsample", random_state=3
        ).fit(values[train, place], native[train])  # fmt: skip
        expected = model.predict_proba(values[test, place])
        rows = table[table["day"] == day]
        assert list(rows["object_id"]) == directory.ids(test)
        assert rows.filter(like="p_").to_numpy() == pytest.approx(expected, abs=1e-6)
    first = table[table["day"] == 1.0].filter(like="p_").to_numpy()
    assert np.ptp(first, axis=0).max() < 1e-6
    seen = [record.lc for record in map(directory.record, test)]
    assert table[table["day"] == 300.0]["observations"].max() <= max(map(len, seen))
    assert (table[table["day"] == 1.0]["observations"] >= 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", baselines.BASELINES)
def test_the_same_seed_gives_the_same_trees(name, records, tmp_path):
    tables = []
    for number in range(2):
        settled = resolve.common(["--data", str(records), "--seed", "5"])
        baselines.run(name, "features_metadata", settled, tmp_path / str(number), days=(128.0,))
        tables.append(pd.read_parquet(tmp_path / str(number) / "report" / "predictions_by_day.parquet"))
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(small, records, tmp_path, monkeypatch):
    flags = ("--data", str(records), "--epochs", "2", "--batch-size", "8")
    entry = contender.Contender("atat", "small", 0, flags, str(small))
    begin = Recorder.on_epoch_begin

    def die(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    # What is scored, and how, is another test's.
    monkeypatch.setattr(Run, "evaluate", lambda self, **options: None)
    monkeypatch.setattr(contender, "_headline", lambda path: {})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Recorder, "on_epoch_begin", die)
        contender.compete(entry, tmp_path, True)
    path = tmp_path / "runs" / "atat" / "small-fold0"
    first = (path / "metrics.csv").read_text().splitlines()
    before = json.loads((path.parent / "small-fold0.clock.json").read_text())["seconds"]
    row = contender.compete(entry, tmp_path, True)
    after = (path / "metrics.csv").read_text().splitlines()
    assert after[:2] == first and len(after) == 3 and row["epochs"] == 2
    assert row["training_seconds"] > before > 0
    weights = load_run(path).network.trainable_variables
    assert row["parameters"] == sum(int(np.prod(item.shape)) for item in weights)
    # Finished: nothing is trained again.
    monkeypatch.setattr(Recorder, "on_epoch_begin", die)
    assert contender.compete(entry, tmp_path, True)["training_seconds"] == row["training_seconds"]


@pytest.mark.slow
def test_models_and_trees_in_one_table(small, records, tmp_path):
    out = tmp_path / "out"
    names = [f"atat:{small}", "atat:ftune-1000", "random_forest"]
    flags = ["--epochs", "1", "--batch-size", "16", "--seed", "2"]
    index, whole = compare.compare(names, out, data=records, levels="plasticc", arguments=flags, quiet=True)
    assert not whole
    rows = {row["preset"]: row for row in _rows(out)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "small": "finished", "ftune-1000": "failed", "features": "finished"
    }  # fmt: skip
    assert "--init-from" in rows["ftune-1000"]["reason"]
    for name in ("small", "features"):
        headline = json.loads((out / rows[name]["run"] / "report" / "metrics.json").read_text())["headline"]
        assert float(rows[name]["macro_f1"]) == pytest.approx(headline["macro_f1"], abs=1e-5)
        assert float(rows[name]["light_curves_per_second"]) > 0
        assert (rows[name]["fold"], rows[name]["seed"]) == ("0", "2")
    lines = pd.read_csv(out / "report" / "scores_by_day.csv")
    assert set(lines["group"]) == {"atat small", "random_forest features"}
    assert (out / "report" / "macro_f1_by_day.png").is_file()
    assert "ftune-1000" in index.read_text()
    levels = pd.read_csv(out / "report" / "levels_plasticc" / "scores_by_level.csv")
    assert set(levels["group"]) == set(lines["group"]) and set(levels["day"]) == set(lines["day"])
    assert "report/levels_plasticc/index.md" in index.read_text()


def _no_training(out, calls, fail=()):
    """Stand in for the processes: reports that were made elsewhere."""

    def compete(entry, place, quiet):
        calls.append(entry.key)
        if entry.preset in fail:
            return "failed", {"reason": "no luck"}
        path = place / entry.place
        if not path.exists():
            make_run(path, make_predictions(objects=30, seed=len(calls)), model=entry.model, preset=entry.preset)
        return "finished", {"macro_f1": 0.5, "parameters": 7}

    return compete


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the figures out; gives the run directories of the last comparison."""
    drawn = []
    monkeypatch.setattr(
        "zoo.reports.several.write_comparison", lambda places, out: drawn.__setitem__(slice(None), places)
    )
    return drawn


def test_finished_rows_are_kept_and_failed_ones_tried_again(records, tmp_path, monkeypatch, undrawn):
    out, calls = tmp_path / "out", []
    names = ["random_forest", "random_forest:features_metadata", "gradient_boosting"]
    monkeypatch.setattr(compare, "_compete", _no_training(out, calls, fail=("features_metadata",)))
    assert not compare.compare(names, out, data=records, folds="all", quiet=True)[1]
    assert len(calls) == 6 and len({row["fold"] for row in _rows(out)}) == 2
    calls.clear()
    monkeypatch.setattr(compare, "_compete", _no_training(out, calls))
    assert compare.compare(names, out, data=records, folds="all", quiet=True)[1]
    assert calls == [("random_forest", "features_metadata", "network", fold) for fold in "01"]
    assert [row["status"] for row in _rows(out)] == ["finished"] * 6
    assert sorted(undrawn) == sorted(out / row["run"] for row in _rows(out))


def test_rows_are_there_when_a_later_one_is_killed(records, tmp_path, monkeypatch, undrawn):
    out, calls = tmp_path / "out", []
    good = _no_training(out, calls)

    def compete(entry, *rest):
        if entry.model == "gradient_boosting":
            raise KeyboardInterrupt
        return good(entry, *rest)

    monkeypatch.setattr(compare, "_compete", compete)
    with pytest.raises(KeyboardInterrupt):
        compare.compare(["random_forest", "gradient_boosting"], out, data=records, quiet=True)
    assert [row["model"] for row in _rows(out)] == ["random_forest"]


@pytest.mark.parametrize(
    ("models", "flags", "words"),
    [
        (["atatt"], [], "Closest: atat"),
        (["random_forest:lc"], [], "features_metadata"),
        (["random_forest", "random_forest"], [], "once"),
        (["random_forest"], ["--dropout", "0.1"], "'dropout'"),
        (["atat"], ["--name", "x"], "itself"),
        (["atat"], ["--epochs", "none"], "epochs"),
    ],
)
def test_wrong_usage_trains_nothing(models, flags, words, records, tmp_path):
    with pytest.raises(UsageError, match=words):
        compare.compare(models, tmp_path / "out", data=records, arguments=flags, quiet=True)
    assert not (tmp_path / "out").exists()


def test_columns_that_no_model_finds_train_nothing(stamp_records, tmp_path):
    with pytest.raises(UsageError, match="Received: .*fwhmm"):
        compare.compare(
            ["stamp_classifier", "stamp_ae"], tmp_path / "out", data=stamp_records,
            arguments=["--alert-columns", "fwhmm"], quiet=True,
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_tree_without_the_classes_trains_nothing(records, tmp_path):
    for name in ("elasticc", "elastic"):
        with pytest.raises(UsageError, match="elasticc"):
            compare.compare(["random_forest"], tmp_path / "out", data=records, levels=name, quiet=True)
    assert not (tmp_path / "out").exists()


def test_other_flags_or_records_need_another_directory(records, tmp_path, monkeypatch, undrawn):
    out = tmp_path / "out"
    monkeypatch.setattr(compare, "_compete", _no_training(out, []))
    compare.compare(["random_forest"], out, data=records, arguments=["--seed", "1"], quiet=True)
    with pytest.raises(UsageError, match="other records or flags"):
        compare.compare(["random_forest"], out, data=records, arguments=["--seed", "2"], quiet=True)
