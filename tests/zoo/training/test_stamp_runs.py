"""Whole runs on stamps: trained, scored by day, predicted from alerts of any number, exported."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.stamp_records import COLUMNS, make_record
from tfrecords.reader import RecordDirectory
from tfrecords.writer import DatasetWriter
from zoo.training.loop import fit

SMALL = {"crop": 9, "kernel": 3, "units": 8, "filters": 4, "alert_columns": list(COLUMNS[:4]), "batch_size": 8,
         "epochs": 2, "quiet": True}  # fmt: skip
SEQUENCE = {"window": 11, "turns": 2, "core_units": 4, "classes": None, "dynamic": ["fwhm"]}


@pytest.fixture(params=["stamp_classifier", "temporal_stamp_classifier"])
def run(request, stamp_records, tmp_path):
    """A trained run on the tiny directory of stamps."""
    more = SEQUENCE if request.param.startswith("temporal") else {"stamp_augment": "sixfold", "alert": "random"}
    return fit(request.param, data=str(stamp_records), runs=str(tmp_path), name="a", **SMALL, **more)


def _bare(records, path):
    """Copy the records of a directory's info with two objects, the second without stamps."""
    info = RecordDirectory(records).info
    keys = ("survey", "bands", "zero_point", "flux_unit", "static_columns", "classes", "stamp_channels",
            "alert_columns")  # fmt: skip
    with DatasetWriter(path, **{key: getattr(info, key) for key in keys}) as writer:
        writer.write(make_record(4), "test")
        writer.write(dataclasses.replace(make_record(5), stamps=None), "test")
    return path


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
