"""Runs of a reconstruction: unlabelled objects, noiseless twins, the report and what is held out."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from tfrecords.errors import DataError, UsageError
from tfrecords.info import Band
from tfrecords.reader import RecordDirectory
from tfrecords.schema import LightCurve, Record, sort_rows
from tfrecords.writer import DatasetWriter
from zoo.training.loop import fit, open_data
from zoo.training.reconstruction import HIDDEN, SCORES, hide
from zoo.training.resolve import resolve

SMALL = {
    "num_layers": 1, "d_model": 8, "num_heads": 2, "dff": 8, "embed": True, "epochs": 2, "batch_size": 8,
    "chunk_batches": 2, "schedule": "constant", "warmup_epochs": 0.0, "figure_epochs": 1, "export": False,
    "time_origin": "first", "grid_step": 1.0, "grid_steps": 12, "grid_fill": "none",
}  # fmt: skip


def _write(path, twins: bool):
    """Write forty unlabelled objects of two bands and ten days; the flux is the twin plus 1,000."""
    settings = {
        "survey": "toy", "bands": [Band("g", (), 4800.0), Band("r", (), 6200.0)], "zero_point": 27.5,
        "flux_unit": "FLUXCAL", "static_columns": [], "classes": [], "targets": ["flux"] if twins else [],
    }  # fmt: skip
    with DatasetWriter(path, **settings, folds=2, shards=1) as writer:
        for number in range(40):
            rng = np.random.default_rng(number)
            day = np.sort(rng.choice(10, 8, replace=False)).astype("f8")
            band = rng.integers(0, 2, 8)
            twin = 10 * np.sin(day / 3 + number)
            curve = sort_rows(LightCurve(60000 + day, band, twin + 1000, np.ones(8), np.zeros(8)))
            targets = {"flux": curve.flux.astype("f8") - 1000} if twins else {}
            record = Record(f"obj{number}", "toy", -1, lc=curve, targets=targets)
            writer.write(record, ("test", "fold0", "fold1")[number % 3])
    return path


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """Two directories of unlabelled objects: with and without noiseless light curves."""
    root = tmp_path_factory.mktemp("toys")
    return {twins: _write(root / str(twins), twins) for twins in (True, False)}


@pytest.fixture(scope="module")
def run(toys, tmp_path_factory):
    """A finished run on unlabelled objects."""
    runs = str(tmp_path_factory.mktemp("runs"))
    return fit("transformer_autoencoder", quiet=True, data=str(toys[False]), runs=runs, loss="KLD_RMSE", **SMALL)


def test_a_run_needs_no_labels_and_logs_the_parts_of_its_loss(run):
    history = pd.read_csv(run.path / "metrics.csv")
    assert {"loss", "rmse", "kld", "val_loss", "val_rmse"} <= set(history.columns) and len(history) == 2
    objects = pd.read_csv(run.path / "objects.csv").groupby("split")["used"].sum()
    assert dict(objects) == {"test": 14, "train": 13, "validation": 13}
    images = list((run.path / "tensorboard" / "validation").glob("*"))
    assert any(b"reconstruction/0" in item.read_bytes() for item in images)


def test_the_report_scores_shown_and_held_out_points(run):
    table = pd.read_parquet(run.path / "report" / "predictions_by_day.parquet")
    assert len(table) == 14 and np.isfinite(table[list(SCORES)]).all(axis=None)
    np.testing.assert_array_equal(table["kept_points"] + table["heldout_points"], table["points"])
    assert (table["heldout_points"] == np.round(HIDDEN * table["points"])).all()
    metrics = json.loads((run.path / "report" / "metrics.json").read_text())
    square = table["heldout_rmse"] ** 2 * table["heldout_points"]
    expected = np.sqrt(square.sum() / table["heldout_points"].sum())
    assert metrics["scores"][0]["heldout_rmse"] == pytest.approx(expected)
    page = (run.path / "report" / "index.md").read_text()
    assert page.count("![Object") == 8 and "history.png" in page


def test_the_report_is_drawn_again_from_its_files(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.path / "report", copy / "report")
    before = (copy / "report" / "index.md").read_text()
    from zoo.training.evaluation import evaluate

    assert evaluate([copy], redraw=True).read_text().splitlines()[0] == before.splitlines()[0]
    with pytest.raises(UsageError, match="may be given once"):
        evaluate([copy, copy], redraw=True)
    (copy / "report" / "reconstructions.parquet").write_bytes(b"broken")
    with pytest.raises(DataError, match="reconstructions"):
        evaluate([copy], redraw=True)


def test_several_runs_give_their_mean_and_spread(run, tmp_path):
    from zoo.training.evaluation import evaluate

    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        shutil.copytree(run.path / "report", place / "report")
    file = places[1] / "report" / "predictions_by_day.parquet"
    table = pd.read_parquet(file)
    table["heldout_rmse"] *= 3
    table.to_parquet(file)
    page = evaluate(places, redraw=True, out=tmp_path / "both").read_text()
    scores = pd.read_csv(tmp_path / "both" / "scores_by_day.csv").iloc[-1]
    single = json.loads((places[0] / "report" / "metrics.json").read_text())["scores"][0]
    assert scores["runs"] == 2 and scores["rmse_std"] == 0
    assert scores["heldout_rmse"] == pytest.approx(2 * single["heldout_rmse"], rel=1e-6)
    assert scores["heldout_rmse_std"] == pytest.approx(single["heldout_rmse"], rel=1e-6)
    assert "rmse_by_day.png" in page and (tmp_path / "both" / "rmse_by_day.png").is_file()
    assert len(pd.read_csv(tmp_path / "both" / "runs.csv")) == 2


def test_predictions_are_errors_of_each_object(run, toys):
    table = run.predict(toys[False])
    assert list(table.columns) == ["object_id", "rmse", "rmse_rollout", "points", "observations", "reason"]
    assert (table["points"] > 0).all() and np.isfinite(table["rmse_rollout"]).all()


def test_what_is_held_out_depends_on_the_object_alone():
    observed = np.random.default_rng(0).random((3, 20, 2)) < 0.5
    whole = hide(observed, [4, 5, 6], 0)
    assert not (whole & ~observed).any()
    np.testing.assert_array_equal(hide(observed[1:2], [5], 0), whole[1:2])
    assert (hide(observed, [4, 5, 6], 1) != whole).any()


def test_the_noiseless_twin_is_the_target(toys):
    from zoo.inputs import pipeline
    from zoo.inputs.spec import build_stage

    options = SMALL | {"mapping": "denoise", "drop_fraction": 0.5}
    settled = resolve("transformer_autoencoder", data=str(toys[True]), **options)
    _, spec, splits = open_data(settled)
    stage = build_stage(spec, "grid", settled.hparams.parts(), settled.inputs, ())
    for dataset in (
        pipeline.evaluation(splits["test"], stage, 7, day=6.0)[0],
        pipeline.training(splits["train"], stage, 4, sampling="natural", seed=0, chunk_batches=2)[0],
    ):
        inputs = {key: value.numpy() for key, value in next(iter(dataset))[0].items()}
        seen = inputs["observed"]
        assert seen.any()
        np.testing.assert_allclose(inputs["target_flux"][seen], inputs["flux"][seen] - 1000, atol=1e-3)
        assert (inputs["target_flux"][~seen] == 0).all()


def test_records_without_a_twin_are_refused(toys):
    settled = resolve("transformer_autoencoder", data=str(toys[False]), mapping="denoise", **SMALL)
    with pytest.raises(DataError, match=r"mapping denoise needs .* target/flux, which object 'obj\d+' lacks"):
        open_data(settled)


def test_labelled_objects_are_taken_whatever_their_number(records):
    settled = resolve("transformer_autoencoder", data=str(records), **SMALL)
    directory, _, splits = open_data(settled)
    assert isinstance(directory, RecordDirectory)
    assert sum(map(len, splits.values())) == len(directory)
    settled = resolve("transformer_autoencoder", data=str(records), classes=["SNIa"], **SMALL)
    _, spec, splits = open_data(settled)
    assert spec.classes == ("SNIa",) and set(splits["train"].labels) == {0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "crossentropy"}, "no loss for reconstruction"),
        ({"calibrate": "temperature"}, "no probabilities"),
        ({"members": 2}, "--members"),
    ],
)
def test_options_of_classifiers_are_refused(toys, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        fit("transformer_autoencoder", quiet=True, data=str(toys[False]), runs=str(tmp_path), **SMALL | options)
