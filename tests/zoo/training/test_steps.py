"""Runs of networks that answer at every step: computed targets, resuming, tables by step, report."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from data_tools import explosion_time
from tests.cases.variants import Example
from tests.conftest import ROOT
from tfrecords.derived import DerivedGroup
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from zoo.inputs.data import Examples
from zoo.training.loop import fit
from zoo.training.steps import predict_steps

FILES = sorted((ROOT / "tests" / "fixtures" / "plasticc_tiny").glob("*.csv.gz"))


@pytest.fixture(scope="module")
def options(records, tmp_path_factory):
    """Options of a quick run with explosion times, on records of its own."""
    place = tmp_path_factory.mktemp("steps") / "records"
    shutil.copytree(records, place)
    explosion_time.compute(place)
    return Example("rapid_gru", "redshift").hparams | {
        "data": str(place), "runs": str(place.parent), "batch_size": 8, "epochs": 2, "target_group": "explosion_times",
        "static_columns": ["hostgal_photoz"], "rest_frame_time": "hostgal_photoz", "evaluate": False, "export": False,
        "patience": 0, "dropout": 0.2, "quiet": True,
    }  # fmt: skip


@pytest.fixture(scope="module")
def run(options):
    """A finished run."""
    return fit("rapid_gru", name="whole", **options)


def _arrays(path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    return found


def test_a_resumed_run_has_the_running_means_of_an_uninterrupted_one(run, options):
    first = fit("rapid_gru", name="resumed", **options | {"epochs": 1})
    assert np.abs(first.network.encoder.norms[0].moving_mean).max() > 0
    again = fit("rapid_gru", resume=first.path, epochs=2, quiet=True)
    for name in ("checkpoints/last.weights.h5", "bundle/model.weights.h5"):
        ours, theirs = _arrays(again.path / name), _arrays(run.path / name)
        assert ours == theirs and len(ours) >= 16
    rows = pd.read_csv(run.path / "metrics.csv")
    assert rows["step_accuracy"].between(0, 1).all() and rows["val_step_accuracy"].between(0, 1).all()


def test_the_table_by_step_ends_where_the_prediction_stands(run, options):
    table = predict_steps(run, options["data"])
    names = run.task.step_columns()
    assert list(table) == ["object_id", "step", "time_days", *names]
    np.testing.assert_allclose(table[names].sum(axis=1), 1, atol=1e-5)
    whole = run.predict(options["data"]).set_index("object_id")
    for object_id, part in table.groupby("object_id"):
        np.testing.assert_array_equal(part["step"], np.arange(len(part)))
        # Steps are three days of the source apart, more of the observer's.
        assert (np.diff(part["time_days"]) > 2.99).all()
        last = part[names[1:]].to_numpy()[-1]
        np.testing.assert_allclose(whole.loc[object_id, names[1:]].astype("float64"), last / last.sum(), atol=1e-4)


def test_files_give_the_steps_of_records_and_days_cut_them(run, options):
    ours, theirs = predict_steps(run, FILES), predict_steps(run, options["data"])
    assert set(ours["object_id"]) == set(theirs["object_id"])
    pair = [item.sort_values(["object_id", "step"]).reset_index(drop=True) for item in (ours, theirs)]
    pd.testing.assert_frame_equal(*pair, atol=1e-5)
    early = predict_steps(run, options["data"], day=10.0)
    assert early["time_days"].max() <= 10 < theirs["time_days"].max()


def test_targets_are_those_of_the_object(run, options):
    directory = RecordDirectory(options["data"])
    examples = Examples(directory, np.array([5, 2, 9]), run.bundle.spec, "explosion_times")
    expected = DerivedGroup(directory, "explosion_times").values([9, 5])[:, 0]
    np.testing.assert_array_equal(examples.target_values(np.array([2, 0])), expected)
    assert examples.keep([True, False, True]).target_columns == ("t0", "spread", "flag")
    with pytest.raises(DataError, match="Received: 'nowhere'"):
        fit("rapid_gru", **options | {"target_group": "nowhere"})


@pytest.mark.slow
def test_the_report_draws_the_steps(run):
    index = run.evaluate(days=(8.0, float("inf")))
    steps = pd.read_parquet(index.parent / "steps.parquet")
    drawn = pd.read_parquet(index.parent / "light_curves.parquet")
    assert set(steps["object_id"]) <= set(drawn["object_id"]) and len(steps)
    picture = next(iter(sorted(index.parent.glob("light_curve_*.png")))).read_bytes()
    (index.parent / "steps.parquet").unlink()
    run.plot()
    assert next(iter(sorted(index.parent.glob("light_curve_*.png")))).read_bytes() != picture


def test_what_cannot_be_is_said(records, options):
    with pytest.raises(UsageError, match="rest-frame-time.*Valid: hostgal_photoz. Received: 'mwebv'"):
        fit("rapid_gru", **options | {"rest_frame_time": "mwebv"})
    other = fit("atat", name="other", **Example("atat", "tab").hparams, data=str(records), runs=options["runs"],
                epochs=1, batch_size=8, evaluate=False, export=False, quiet=True)  # fmt: skip
    with pytest.raises(UsageError, match="task per_step.*Received: atat of the task classify"):
        predict_steps(other, records)
