"""Runs that reconstruct stamps: what their reports are drawn from, TensorBoard, several runs."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.cases.stamp_bench import INFO
from tfrecords.errors import UsageError
from zoo import registry
from zoo.training.evaluation import evaluate
from zoo.training.loop import fit
from zoo.training.run import CONFIG
from zoo.training.stamp_reconstruction import choose

SMALL = {"crop": 9, "filters": 4, "batch_size": 8, "epochs": 1, "figure_epochs": 1, "stages": None, "quiet": True,
         "export": False}  # fmt: skip


def _table(errors, **more):
    ids = [f"o{number}" for number in range(len(errors))]
    return pd.DataFrame({"object_id": ids, "class": "", "frames": 1, "rmse": errors, "pixels": 9.0} | more)


def test_the_best_the_worst_and_the_shared_are_chosen():
    errors = np.random.default_rng(0).permutation(40) / 40.0
    table = _table(errors)
    found = choose(table, 3)
    by_kind = {kind: [row for row in found if found[row] == kind] for kind in ("best", "median", "worst", "")}
    assert errors[by_kind["best"]].max() < 3 / 40 and errors[by_kind["worst"]].min() > 36 / 40
    np.testing.assert_allclose(np.sort(errors[by_kind["median"]]) * 40, [18, 19, 20])
    others = choose(_table(errors[::-1]), 3)
    shared = {row for row in found if found[row] == ""} & {row for row in others if others[row] == ""}
    assert len(shared) >= 1 and list(found.values()) == sorted(
        found.values(), key=["best", "median", "worst", ""].index
    )
    # Some with a class, some with a second frame, some without any pixel.
    assert 7 in choose(_table(errors, **{"class": ["SN" if row == 7 else "" for row in range(40)]}), 3)
    assert set(choose(_table(errors, frames=[1 + (row < 5) for row in range(40)]), 1)) == set(range(5))
    assert choose(_table([0.1, 0.2], pixels=[0.0, 0.0]), 3) == {} and list(choose(_table([0.1]), 3).values()) == [
        "best"
    ]


def test_prototypes_lie_on_the_axis_of_the_largest_variance():
    network = registry.create("vade", INFO, crop=9, filters=4, latent=3, components=2)
    means, variances = np.array([[0.0, 1, 2], [3, 0, 1]]), np.array([[1.0, 4, 1], [9, 1, 1]])
    network.prior.assign(means, variances)
    found = {name: np.asarray(value) for name, value in network.prototypes().items()}
    np.testing.assert_allclose(found["weight"], 0.5)
    np.testing.assert_allclose(found["spread"], [2, 3], rtol=1e-6)
    step = np.array([[0, 2, 0], [3, 0, 0]])
    for name, codes in (("mean", means), ("above", means + step), ("below", means - step)):
        np.testing.assert_allclose(found[name], network.decode(codes.astype("float32"))[0], atol=1e-6)
    assert registry.create("vade", INFO, crop=9, filters=4, objective="vae").prototypes() is None


def test_runs_that_do_not_compare_are_refused_before_they_are_predicted(tmp_path):
    # What would be needed to predict is not there.
    for model in ("stamp_ae", "stamp_classifier"):
        (tmp_path / model).mkdir()
        parts = dict.fromkeys(("run", "inputs", "selection", "hparams"), {})
        (tmp_path / model / CONFIG).write_text(yaml.safe_dump(parts | {"model": model}))
    with pytest.raises(UsageError, match="different tasks"):
        evaluate([tmp_path / "stamp_ae", tmp_path / "stamp_classifier"])
    with pytest.raises(UsageError, match="given once"):
        evaluate([tmp_path / "stamp_ae"] * 2)


@pytest.mark.slow
def test_runs_draw_what_they_reconstruct(stamp_records, tmp_path):
    options = SMALL | {"data": str(stamp_records), "runs": str(tmp_path), "channels": ["science", "difference"]}
    places = [fit(model, **options).path for model in ("stamp_ae", "vade", "stamp_recurrent_ae")]
    for place in places:
        images = list((place / "tensorboard" / "validation").glob("*"))
        assert any(b"reconstruction/0" in item.read_bytes() for item in images)
        table = pd.read_parquet(place / "report" / "stamp_errors.parquet")
        content = np.load(place / "report" / "stamps.npz")
        assert len(table) == 14 and {"best", "median", "worst"} <= set(content["kind"])
        squares = np.where(content["observed"], content["target"] - content["reconstruction"], 0) ** 2
        error = np.sqrt(squares.sum((1, 2, 3, 4)) / content["observed"].sum((1, 2, 3, 4)))
        np.testing.assert_allclose(error, content["rmse"], rtol=1e-4)
        assert "stamps_" in (place / "report" / "index.md").read_text()
    assert content["frames"].min() >= 2 and content["target"].shape[1] == content["frames"].max()
    metrics = json.loads((places[1] / "report" / "metrics.json").read_text())
    assert metrics["clusters"]["objects"] == 14 and len(metrics["components"]) == 10
    text = evaluate(places, redraw=True, out=tmp_path / "out").read_text()
    assert "vade-" in text and "objects_1.png" in text
    assert "reconstructions/index.md" not in text
