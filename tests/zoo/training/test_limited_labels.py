"""Limited-label experiments: rows, what each is trained with, what is drawn, and what is refused."""

from __future__ import annotations

import csv
import importlib
import json

import pandas as pd
import pytest

from tfrecords.errors import UsageError
from zoo.reports import limited_labels as report
from zoo.training import compare, limited_labels, resolve
from zoo.training.run import CONFIG


@pytest.fixture
def trained(monkeypatch):
    """Stand in for the processes that train; gives the flags of every row that was asked for, by key."""
    flags = {}

    def compete(row, out, quiet):
        flags[row.key] = row.flags
        if row.subset in trained_not:
            return "failed", {"reason": "no luck"}
        path = out / row.place
        (path / "report").mkdir(parents=True, exist_ok=True)
        labels = {"full": 100, "sub50": 50, "sub10": 10}[row.subset]
        (path / "class_composition.csv").write_text(f"split,class,count\ntrain,a,{labels - 1}\ntrain,b,1\ntest,a,9\n")
        score = labels / 200 + 0.1 * (row.start == "pretrained") + 0.01 * row.seed
        (path / "report" / "metrics.json").write_text(json.dumps({"headline": {"accuracy": score}}))
        return "finished", {"macro_f1": score, "log_loss": 1 - score, "epochs": 3, "parameters": 7}

    trained_not = []
    flags["not"] = trained_not
    monkeypatch.setattr(compare, "_compete", compete)
    return flags


@pytest.fixture
def earlier(tmp_path, records):
    """The directory of a run on fold 1 of the records."""
    from tfrecords.reader import RecordDirectory

    path = tmp_path / "run-1"
    path.mkdir()
    text = resolve.resolve("atat", fold=1).to_yaml()
    (path / CONFIG).write_text(text + f"data_fingerprint: {RecordDirectory(records).info.fingerprint}\n")
    return path


def _rows(out):
    return list(csv.DictReader((out / "table.csv").read_text().splitlines()))


def test_every_subset_seed_and_start_has_a_row(records, tmp_path, trained, earlier):
    trained.pop("not")
    out, source = tmp_path / "out", f"lc={earlier.parent}/run-{{fold}}"
    settings = {"subsets": ["sub10"], "pretrained": [source], "seeds": [0, 2], "folds": "1", "quiet": True}
    arguments = {"data": records, "arguments": ["--epochs", "3"]}
    index, whole = limited_labels.experiment(["atat:lc", "random_forest"], out, **settings, **arguments)
    assert whole and len(trained) == len(_rows(out)) == 2 * 3
    flags = trained["atat", "lc", "pretrained", "sub10", "1", "2"]
    assert flags[-8:] == ["--fold", "1", "--seed", "2", "--subset", "sub10", "--init-from", f"lc={earlier}"]
    assert resolve.resolve("atat", "lc", arguments=flags).run.epochs == 3
    assert "--init-from" not in trained["atat", "lc", "scratch", "sub10", "1", "2"]
    assert "--init-from" not in trained["random_forest", "features", "scratch", "sub10", "1", "0"]
    lines = pd.read_csv(out / "scores_by_labels.csv").set_index(["model", "start", "subset"])
    line = lines.loc["atat", "pretrained", "sub10"]
    assert (line["labels"], line["runs"]) == (10, 2)
    assert line["macro_f1"] == pytest.approx(0.16) and line["macro_f1_std"] == pytest.approx(0.01)
    assert (out / "scores_by_labels.png").stat().st_size > 1000
    assert "| atat | lc | pretrained | sub10 | 10 | 2 | 0.160 ± 0.010 |" in index.read_text()
    # The same command again trains nothing; other flags need another directory.
    trained.clear()
    assert limited_labels.experiment(["atat:lc", "random_forest"], out, **settings, **arguments)[1] and not trained
    with pytest.raises(UsageError, match="other records or flags"):
        limited_labels.experiment(["atat:lc"], out, data=records, quiet=True)


def test_failed_rows_are_named_and_tried_again(records, tmp_path, trained):
    out, failing = tmp_path / "out", trained.pop("not")
    failing.append("sub50")
    settings = {"subsets": ["full", "sub50"], "data": records, "quiet": True}
    index, whole = limited_labels.experiment(["atat:lc"], out, **settings)
    assert not whole and "no luck" in index.read_text()
    assert "--subset" not in trained["atat", "lc", "scratch", "full", "0", "0"]
    assert [row["status"] for row in _rows(out)] == ["finished", "failed"]
    failing.clear()
    trained.clear()
    index, whole = limited_labels.experiment(["atat:lc"], out, **settings)
    assert whole and list(trained) == [("atat", "lc", "scratch", "sub50", "0", "0")]
    assert "Failed" not in index.read_text()


def test_an_experiment_without_finished_rows_has_a_page(tmp_path):
    header = ",".join(limited_labels.COLUMNS)
    (tmp_path / "table.csv").write_text(f"{header}\natat,lc,scratch,full,0,0,failed,,,,,,,runs/x,broken\n")
    assert "broken" in report.write(tmp_path).read_text()


def test_wrong_usage_trains_nothing(records, tmp_path, trained, earlier):
    out = tmp_path / "out"
    for models, options, words in [
        (["atat"], {"subsets": ["sub33"]}, "--subsets: different ones of full, sub50.*sub33"),
        (["atat"], {"subsets": []}, "--subsets: .*none"),
        (["atat", "atat"], {}, "--models: every model and preset once"),
        (["atatt"], {}, "Closest: atat"),
        (["atat"], {"seeds": [1, 1]}, "--seeds: different numbers"),
        (["atat"], {"arguments": ["--seed", "3"]}, "limited labels set .*--seeds.*Received: --seed"),
        (["atat"], {"pretrained": ["lc=nowhere"]}, "--pretrained: .*Received: lc=nowhere"),
        (["atat"], {"pretrained": [str(earlier)]}, "trained on fold 1 of these records.*fold 0 validates"),
    ]:
        with pytest.raises(UsageError, match=words):
            limited_labels.experiment(models, out, data=records, quiet=True, **options)
    assert not out.exists()
    for flags, words in [
        (["--seeds", "1"], "go with --subsets"),
        (["--subsets", "full", "--seeds", "one"], "--seeds: numbers"),
        (["--subsets", "full", "--levels", "plasticc"], "--levels does not go with --subsets"),
    ]:
        with pytest.raises(UsageError, match=words):
            importlib.import_module("zoo.compare").main(["--models", "atat", *flags])
