"""Predictions of models with computed features: the same from survey files as from records with the derived group."""

from __future__ import annotations

import importlib
import shutil
from types import SimpleNamespace

import pytest

from data_tools import features, gp_grid
from tests.cases.variants import Example
from tests.cases.workbench import Workbench
from tests.conftest import ROOT
from tests.trimodal_records import NO_SPECTRUM
from tfrecords.errors import DataError, UsageError
from zoo.training import bundle as bundles
from zoo.training.loop import fit
from zoo.training.prediction import pieces
from zoo.training.run import Run

FILES = sorted((ROOT / "tests" / "fixtures" / "plasticc_tiny").glob("*.csv.gz"))


@pytest.fixture(scope="module")
def computed(records, tmp_path_factory):
    """The records with features of `data_tools.features`, and a run trained on them."""
    place = tmp_path_factory.mktemp("computed") / "records"
    shutil.copytree(records, place)
    features.main([str(place), "--overwrite", "--days", "8,2048", "--workers", "1", "--quiet"])
    options = Example("atat", "all_mlp_rest_frame").hparams | {
        "rest_fluxes": ["peak_flux"], "rest_times": ["rise_time"], "epochs": 1, "batch_size": 8, "quiet": True,
        "evaluate": False, "export": False, "runs": str(place.parent), "data": str(place),
    }  # fmt: skip
    return place, fit("atat", **options)


@pytest.mark.parametrize("day", [1.0, 30.0, float("inf")])
def test_files_give_what_records_give(computed, day):
    place, run = computed
    ours = run.predict(FILES, day=day).set_index("object_id")
    theirs = run.predict(place, day=day).set_index("object_id").loc[ours.index]
    assert (ours["reason"] == "").all() and len(ours) == 42
    probabilities = [name for name in ours if name.startswith("p_")]
    assert abs(ours[probabilities] - theirs[probabilities]).to_numpy().max() < 1e-6


def test_records_without_the_group_do_as_well(computed, tmp_path):
    place, run = computed
    shutil.copytree(place, tmp_path / "plain", ignore=shutil.ignore_patterns("derived"))
    ours, theirs = run.predict(tmp_path / "plain"), run.predict(place)
    assert ours["object_id"].tolist() == theirs["object_id"].tolist()
    assert abs(ours.filter(like="p_") - theirs.filter(like="p_")).to_numpy().max() < 1e-6
    ours, theirs = run.embed(tmp_path / "plain", split="test"), run.embed(place, split="test")
    assert ours["object_id"].tolist() == theirs["object_id"].tolist() and set(ours["split"]) == {"test"}
    assert ours["class"].tolist() == theirs["class"].tolist()
    assert abs(ours.filter(like="e_") - theirs.filter(like="e_")).to_numpy().max() < 1e-5


@pytest.mark.slow
def test_grids_are_made_from_files_as_for_records(records, tmp_path):
    pytest.importorskip("george", reason="the extra gp is not installed")
    place = tmp_path / "records"
    shutil.copytree(records, place)
    gp_grid.main([str(place), "--overwrite", "--days", "30,inf", "--steps", "5", "--workers", "1", "--quiet"])
    options = Example("t2", "steps").hparams | {"epochs": 1, "batch_size": 8, "evaluate": False, "export": False}
    run = fit("t2", quiet=True, data=str(place), runs=str(tmp_path), **options)
    ours, theirs = (run.predict(data, day=40.0).set_index("object_id") for data in (FILES, place))
    assert abs(ours.filter(like="p_") - theirs.filter(like="p_")).to_numpy().max() < 1e-5


def test_features_of_another_making_cannot_be_made_here(records):
    options = Example("atat", "tab_raw_columns").hparams | {"epochs": 1, "evaluate": False, "export": False}
    run = fit("atat", quiet=True, data=str(records), runs=str(records.parent / "runs"), batch_size=8, **options)
    with pytest.raises(UsageError, match="another making.*Received: features 1"):
        run.predict(FILES)


PRIOR = ": the prediction is the model's prior"


@pytest.mark.parametrize(
    ("example", "lacking", "reason"),
    [
        (Example("galspecnet", "flux"), NO_SPECTRUM, f"no spectrum on the model's grid{PRIOR}"),
        pytest.param(Example("astrom3", "avg"), (13,), f"every part of the object is missing{PRIOR}",
                     marks=pytest.mark.slow),
        pytest.param(Example("astrom3_clip", "columns"), (13,), "every part of the object is missing",
                     marks=pytest.mark.slow),
    ],
    ids=["galspecnet", "astrom3", "astrom3_clip"],
)  # fmt: skip
def test_objects_of_which_nothing_is_seen_are_named(records, tmp_path, example, lacking, reason):
    bench = Workbench(example, records)
    bundles.save(tmp_path / "bundle", bench.bundle, bench.network)
    table = Run(tmp_path).predict(bench.directory.path).set_index("object_id")
    expected = {f"star{number:02d}": reason if number in lacking else "" for number in range(42)}
    assert table["reason"].to_dict() == expected


def test_files_of_another_survey_are_named_as_such():
    # Their static columns differ as well, which says less.
    spec = SimpleNamespace(raw_static=("VPEC",), survey="elasticc", bands=(), zero_point=27.5, feature_group="")
    run = SimpleNamespace(bundle=SimpleNamespace(spec=spec))
    with pytest.raises(DataError, match="the survey is not the one .* Valid: elasticc. Received: plasticc"):
        next(pieces(run, FILES, None, quiet=True))


def test_a_table_without_classes_is_written_and_counted(tmp_path, monkeypatch, capsys):
    import pandas as pd

    table = pd.DataFrame({"object_id": ["a", "b"], "rmse": [0.5, None], "observations": [3, 0], "reason": ["", "no"]})
    monkeypatch.setattr("zoo.training.prediction.predict", lambda *args, **options: table)
    # The package has a function of that name.
    assert importlib.import_module("zoo.predict").main(["RUN", "--data", "x", "--out", str(tmp_path / "a.csv")]) == 0
    said = capsys.readouterr().err
    assert "2 rows, 1 without a prediction" in said and "b: no" in said
    assert pd.read_csv(tmp_path / "a.csv")["object_id"].tolist() == ["a", "b"]
