"""Whole runs on stamps: trained, scored by day, predicted from alerts of any number, exported."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from tests.stamp_records import COLUMNS, make_record
from tfrecords.errors import DataError
from tfrecords.reader import RecordDirectory
from tfrecords.writer import DatasetWriter
from zoo.inputs import alert_columns
from zoo.training.loop import fit

SMALL = {"crop": 9, "kernel": 3, "units": 8, "filters": 4, "alert_columns": list(COLUMNS[:4]), "batch_size": 8,
         "epochs": 2, "quiet": True}  # fmt: skip
SEQUENCE = {"window": 11, "turns": 2, "core_units": 4, "classes": None, "dynamic": ["fwhm"]}


@pytest.fixture(params=["stamp_classifier", "temporal_stamp_classifier"])
def run(request, stamp_records, tmp_path):
    """A trained run on the tiny directory of stamps."""
    more = SEQUENCE if request.param.startswith("temporal") else {"stamp_augment": "sixfold", "alert": "random"}
    return fit(request.param, data=str(stamp_records), runs=str(tmp_path), name="a", **SMALL, **more)


def _written(records, path, objects):
    """Write objects, each with its split, into a directory with a directory's info."""
    info = RecordDirectory(records).info
    keys = ("survey", "bands", "zero_point", "flux_unit", "static_columns", "classes", "stamp_channels",
            "alert_columns")  # fmt: skip
    with DatasetWriter(path, **{key: getattr(info, key) for key in keys}) as writer:
        for record, split in objects:
            writer.write(record, split)
    return path


def _bare(records, path):
    """Write two objects, the second without stamps."""
    objects = [make_record(4), dataclasses.replace(make_record(5), stamps=None)]
    return _written(records, path, [(record, "test") for record in objects])


@pytest.mark.parametrize(
    ("model", "split"),
    # The classifier is fitted to the alerts' columns first; only the others come to the fit loop.
    [("stamp_classifier", "train"), pytest.param("stamp_classifier", "validation", marks=pytest.mark.slow),
     pytest.param("stamp_ae", "train", marks=pytest.mark.slow)],
)  # fmt: skip
def test_training_names_the_object_whose_stamps_are_of_another_shape(
    model, split, stamp_records, tmp_path, monkeypatch
):
    small = make_record(6)
    small.stamps = dataclasses.replace(small.stamps, images=small.stamps.images[:, 1:])
    objects = [(make_record(number), ("train", "train", "validation")[number % 3]) for number in range(6)]
    path = _written(stamp_records, tmp_path / "bad", [*objects[:5], (small, split), objects[5]])
    # Of a directory of any size a few records are looked at before.
    monkeypatch.setattr(alert_columns, "LOOKED_AT", 2)
    options = {"filters": 2, "loss": "MSE"} if model == "stamp_ae" else {key: SMALL[key] for key in (
        "kernel", "units", "filters", "alert_columns")}  # fmt: skip
    words = "stamps of 27x27x3 with 7 columns an alert are expected. Received others of ZTF06"
    with pytest.raises(DataError, match=f"^{re.escape(words)}$"):
        fit(model, data=str(path), runs=str(tmp_path), name="a", crop=9, batch_size=4, epochs=1, quiet=True, **options)


@pytest.mark.slow
def test_a_run_on_stamps(run, stamp_records, tmp_path):
    import pandas as pd

    table = pd.read_parquet(run.path / "report" / "predictions_by_day.parquet")
    seen = table.pivot_table(index="object_id", columns="day", values="observations")
    assert (seen.to_numpy() >= 1).all() and (run.path / "saved_model" / "saved_model.pb").is_file()
    if run.bundle.entry.view == "stamp_sequence":
        assert (seen[np.inf] > seen[1.0]).any()
    predicted = run.predict(stamp_records)
    assert len(predicted) == 42 and (predicted["reason"] == "").all()
    bare = run.predict(_bare(stamp_records, tmp_path / "bare")).set_index("object_id")
    assert bare["observations"].tolist()[1] == 0 and "no observation left" in bare["reason"].iloc[1]
    assert np.isfinite(bare["p_AGN"]).all() and bare["reason"].iloc[0] == ""
    before = run.evaluate(days=[-1.0, 0.0])
    assert before.is_file()


@pytest.mark.slow
def test_one_seed_gives_the_same_weights(run, stamp_records, tmp_path):
    settled = run.config
    more = {key: value for section in ("hparams", "inputs", "selection") for key, value in settled[section].items()}
    again = fit(run.bundle.model, data=str(stamp_records), runs=str(tmp_path / "b"), batch_size=8, epochs=2,
                quiet=True, evaluate=False, export=False, **more)  # fmt: skip
    for ours, theirs in zip(run.network.get_weights(), again.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
