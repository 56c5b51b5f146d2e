"""Probes on codes: what they are told, rows of a comparison, the same numbers as other commands give."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml

from tests.stamp_records import make_record
from tests.zoo.reports.conftest import make_predictions, make_run
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.writer import DatasetWriter
from zoo.training import compare, latent_probe
from zoo.training.projection import ProjectionConfig, linear_probe

SMALL = {"crop": 9, "filters": 2, "latent": 4, "batch_size": 8, "epochs": 2, "learning_rate": 0.01}
FILES = {
    "stamp_ae": SMALL | {"loss": "MSE"},
    "stamp_recurrent_ae": SMALL | {"loss": "MSE", "units": 3, "layers": 1, "output": "linear"},
    "vade": SMALL | {"loss": "ELBO", "components": 3, "draws": 2,
                     "stages": [{"name": "vae", "objective": "vae", "epochs": 1}, {"name": "vade"}]},
    "stamp_classifier": {"crop": 9, "kernel": 3, "units": 8, "filters": 4, "batch_size": 8, "epochs": 2,
                         "alert_columns": ["fwhm", "ndethist", "chinr"]},
}  # fmt: skip


def _rows(out):
    rows = csv.DictReader((out / "table.csv").read_text().splitlines())
    return {(row["model"], row["head"]): row for row in rows}


def _written(records, path, strip=False):
    """Write some of the objects anew, with or without the columns of their alerts."""
    info = RecordDirectory(records).info
    keys = ("survey", "bands", "zero_point", "flux_unit", "static_columns", "classes", "stamp_channels")
    more = {"alert_columns": () if strip else info.alert_columns}
    with DatasetWriter(path, **{key: getattr(info, key) for key in keys}, **more) as writer:
        for number in range(20):
            record = make_record(number)
            if strip:
                record.stamps.metadata = record.stamps.metadata[:, :0]
            writer.write(record, ("train", "validation", "test", "train")[number % 4])
    return path


@pytest.fixture
def undrawn(monkeypatch):
    """Stand in for processes and figures; gives the contenders that would have been trained."""
    entries = []

    def compete(entry, out, quiet):
        entries.append(entry)
        make_run(out / entry.place, make_predictions(objects=30, seed=1), model=entry.model, preset=entry.preset)
        return "finished", {"macro_f1": 0.5, "accuracy": 0.6, "rmse": 0.1, "clusters": None}

    monkeypatch.setattr(compare, "_compete", compete)
    monkeypatch.setattr("zoo.reports.several.write_comparison", lambda places, out: None)
    return entries


@pytest.fixture
def codes():
    """Two hundred codes and columns, both telling one of two differences between three classes, with gaps."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    found = rng.normal(size=(200, 4)) + 4 * (labels == 1)[:, None]
    columns = np.column_stack([np.exp(5 * rng.normal(size=200)), rng.normal(size=200), np.full(200, np.nan)])
    # What tells the third class is that a value is missing.
    columns[labels == 2, 1] = np.nan
    return found, columns, labels


def test_columns_beside_the_code_are_read_even_where_they_are_missing(codes):
    found, columns, labels = codes
    shares = {}
    for name, part in (("latent", columns[:, :0]), ("columns", columns)):
        model = latent_probe.Probe(found, part, labels, 4, ProjectionConfig())
        probabilities = model(found, part)
        assert probabilities.shape == (200, 4) and not probabilities[:, 3].any()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        shares[name] = (probabilities.argmax(axis=1) == labels).mean()
    assert shares["latent"] < 0.8 < 0.97 < shares["columns"]


def test_a_code_that_is_not_finite_is_the_mean_one(codes):
    found, _, labels = codes
    model = latent_probe.Probe(found, np.zeros((200, 0)), labels, 3, ProjectionConfig())
    gone = np.full((1, 4), np.nan)
    np.testing.assert_allclose(
        model(gone, np.zeros((1, 0))), model(found.mean(axis=0)[None], np.zeros((1, 0))), atol=1e-6
    )


def test_one_class_is_not_told_from_others(codes):
    found, _, labels = codes
    with pytest.raises(DataError, match="at least two classes. Received: 200 objects of 1"):
        latent_probe.Probe(found, np.zeros((200, 0)), 0 * labels, 3, ProjectionConfig())


def test_without_columns_it_is_the_probe_of_zoo_embed(codes):
    found, _, labels = codes
    names = np.array(["a", "b", "c"])
    expected = linear_probe(found[:150], names[labels[:150]], found[150:], names[labels[150:]], ProjectionConfig())
    none = np.zeros((200, 0))
    model = latent_probe.Probe(found[:150], none[:150], labels[:150], 3, ProjectionConfig())
    right = model(found[150:], none[150:]).argmax(axis=1) == labels[150:]
    assert right.mean() == pytest.approx(expected["accuracy"])


def test_autoencoders_have_a_row_for_every_probe(stamp_records, tmp_path, undrawn):
    names = ["stamp_classifier", "stamp_ae", "stamp_recurrent_ae:combined"]
    index, whole = compare.compare(names, tmp_path / "out", data=stamp_records, quiet=True)
    assert whole and len({entry.place for entry in undrawn}) == 6
    assert list(_rows(tmp_path / "out")) == [
        ("stamp_classifier", "network"), ("stamp_ae", "latent"), ("stamp_ae", "latent_columns"),
        ("stamp_recurrent_ae", "network"), ("stamp_recurrent_ae", "latent"), ("stamp_recurrent_ae", "latent_columns"),
    ]  # fmt: skip
    assert len({entry.run_place for entry in undrawn if entry.model == "stamp_ae"}) == 1
    text = index.read_text()
    assert "classified by" in text and "RMSE" in text and "latent_columns" in text


def test_without_columns_of_alerts_there_is_no_probe_on_them(stamp_records, tmp_path, undrawn):
    bare = _written(stamp_records, tmp_path / "bare", strip=True)
    assert compare.compare(["stamp_ae"], tmp_path / "out", data=bare, quiet=True)[1]
    assert list(_rows(tmp_path / "out")) == [("stamp_ae", "latent")]


@pytest.mark.slow
def test_autoencoders_and_a_classifier_in_one_table(stamp_records, tmp_path):
    import pandas as pd

    from zoo.training import embedding
    from zoo.training.run import load_run

    names = []
    for model, options in FILES.items():
        (tmp_path / f"{model}.yaml").write_text(yaml.safe_dump(options))
        names.append(f"{model}:{tmp_path / model}.yaml")
    out = tmp_path / "out"
    assert compare.compare(names, out, data=stamp_records, arguments=["--seed", "3"], quiet=True)[1], _rows(out)
    rows = _rows(out)
    assert len(rows) == 8
    for (_, head), row in rows.items():
        headline = json.loads((out / row["run"] / "report" / "metrics.json").read_text())["headline"]
        for name in ("accuracy", "macro_f1", "log_loss"):
            assert float(row[name]) == pytest.approx(headline[name], abs=1e-5)
        assert bool(row["rmse"]) == (head != "network") and float(row["light_curves_per_second"]) > 0
    lines = pd.read_csv(out / "report" / "runs.csv")
    assert len(lines) == 8 and lines["objects"].nunique() == 1
    for model in ("stamp_ae", "vade"):
        run = load_run(out / "runs" / model / f"{model}-fold0")
        run.evaluate()
        scores = json.loads((run.path / "report" / "metrics.json").read_text())["scores"]
        row = rows[model, "latent"]
        assert float(row["rmse"]) == pytest.approx(scores[0]["rmse"], rel=1e-4)
        found = embedding.scores("x", embedding.compute(run, stamp_records), ProjectionConfig(seed=3))
        assert float(row["macro_f1"]) == pytest.approx(found["linear_probe"]["macro_f1"], abs=1e-5)
        assert float(row["clusters"]) == pytest.approx(found["clustering"]["accuracy"], abs=1e-5)
    # The same run, given as it is.
    again, path = tmp_path / "again", out / "runs" / "stamp_ae" / "stamp_ae-fold0"
    assert compare.compare([str(path)], again, data=stamp_records, quiet=True)[1], _rows(again)
    for head in ("latent", "latent_columns"):
        old, new = rows["stamp_ae", head], _rows(again)["stamp_ae", head]
        for name in ("accuracy", "log_loss", "rmse", "clusters", "epochs", "fold", "seed"):
            assert old[name] == new[name], name
        assert new["training_seconds"] == ""


@pytest.mark.slow
def test_a_run_on_other_records_is_refused(stamp_records, tmp_path):
    from zoo.training.loop import fit

    run = fit("stamp_ae", data=str(stamp_records), runs=str(tmp_path), name="a", quiet=True, evaluate=False,
              export=False, **FILES["stamp_ae"])  # fmt: skip
    other = _written(stamp_records, tmp_path / "other")
    with pytest.raises(UsageError, match="fingerprint"):
        compare.compare([str(run.path)], tmp_path / "out", data=other, quiet=True)
