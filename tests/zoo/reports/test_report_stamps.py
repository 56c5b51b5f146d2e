"""Drawn stamps, clusters and the comparison of runs that reconstruct stamps, from files made here."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from tfrecords.errors import DataError, UsageError
from zoo.reports.clusters import cluster_scores, cluster_table
from zoo.reports.plots.stamps import NO_VALUE, Column, stamp_grid
from zoo.reports.reconstruct_stamps import write_report
from zoo.reports.several_stamps import write_comparison
from zoo.reports.stamps import by_chance

CLUSTERS = np.array([0, 0, 0, 1, 1, 2, 2, 2])
LABELS = np.array(list("aaabbaab"))


def _run(path, name="one", frames=1, scale=1.0, ids="abcdef", mixture=False):
    """Write the files of a report on 5 x 5 stamps of two channels with one pixel that has no value."""
    out = path / "report"
    out.mkdir(parents=True)
    config = {
        "model": "toy",
        "preset": name[:3],
        "run": name,
        "survey": "ztf",
        "split": "test",
        "seed": 0,
        "fold": None,
    }
    (out / "report_config.json").write_text(json.dumps(config))
    rng, count = np.random.default_rng(0), len(ids)
    target = rng.random((count, frames, 5, 5, 2)).astype("float32")
    observed = np.ones(target.shape, bool)
    observed[:, :, 0, 0, 0] = False
    rmse = scale * np.linspace(0.1, 0.6, count)
    table = pd.DataFrame(
        {"object_id": list(ids), "class": ["SN", "AGN", ""] * (count // 3), "rmse": rmse, "pixels": 49.0}
    )
    if mixture:
        table["cluster"], table["cluster_probability"] = [0, 1, 1] * (count // 3), 0.9
        images = {name: rng.random((2, 5, 5, 2)) for name in ("mean", "above", "below")}
        np.savez(out / "prototypes.npz", weight=np.array([0.3, 0.7]), spread=np.ones(2), pixel_spread=np.ones(2),
                 channels=np.array(["science", "template"]), **images)  # fmt: skip
    table.to_parquet(out / "stamp_errors.parquet")
    about = {"channels": ["science", "template"], "crop": 5, "normalize": "per_image", "sequence": frames > 1}
    np.savez(
        out / "stamps.npz", target=target, reconstruction=target * (1 - scale / 2), observed=observed,
        frames=np.full(count, frames), object_id=table["object_id"].to_numpy(str), label=table["class"].to_numpy(str),
        rmse=rmse, about=np.array(json.dumps(about)), kind=np.array(["best", "median", "worst", *[""] * (count - 3)]),
    )  # fmt: skip
    return path


def test_clusters_are_matched_to_classes_and_counted_by_majority():
    scores = cluster_scores(CLUSTERS, LABELS)
    # Cluster 0 is a, 1 is b, 2 is left over; by majority 2 is a too, but for one object.
    assert scores["accuracy"] == 5 / 8 and scores["purity"] == 7 / 8
    assert (scores["objects"], scores["classes"], scores["clusters"]) == (8, 2, 3)
    assert cluster_scores(CLUSTERS + 10, LABELS) == scores
    perfect = cluster_scores(np.array([5, 5, 2]), np.array(["b", "b", "a"]))
    assert perfect["accuracy"] == perfect["purity"] == perfect["adjusted_rand"] == 1
    assert "at least two classes" in cluster_scores(np.array([0, 1]), np.array(["a", "a"]))["reason"]


def test_components_are_described_by_their_objects():
    table = pd.DataFrame(
        {"class": ["a", "", "b", "b"], "cluster": [0, 2, 2, 2], "cluster_probability": [1.0, 0.4, 0.6, 0.8]}
    )
    found = cluster_table(table, np.array([0.5, 0.2, 0.3]))
    assert found["objects"].tolist() == [1, 0, 3] and found["labelled"].tolist() == [1, 0, 2]
    assert found["majority_class"].tolist() == ["a", "", "b"] and found["share"].tolist()[::2] == [1, 1]
    assert found["mean_probability"].iloc[2] == pytest.approx(0.6)


def test_input_and_output_share_a_scale_and_gaps_are_marked():
    target = np.linspace(0, 1, 25).reshape(5, 5, 1)
    observed = np.ones(target.shape, bool)
    observed[0, 0] = False
    columns = [
        Column("x", "x", ["science"], target, 3 * target, observed),
        Column("y", "y", ["other"], target, target, observed),
    ]
    axes = stamp_grid(columns).axes
    assert len(axes) == 12 and sum(bool(panel.images) for panel in axes) == 6
    given, output, residual = (axes[place].images[0] for place in (0, 2, 4))
    assert given.get_clim() == output.get_clim() and given.get_clim()[1] <= 1
    assert residual.get_clim() == (-2, 2)
    np.testing.assert_allclose(residual.get_array()[4, 4], -2)
    for image in (given, residual):
        np.testing.assert_allclose(image.to_rgba(image.get_array())[0, 0], to_rgba(NO_VALUE))
        assert not np.ma.getmaskarray(output.get_array()).any()


def test_the_report_draws_stamps_and_prototypes(tmp_path):
    text = write_report(_run(tmp_path / "single", mixture=True)).read_text()
    assert "stamps_reconstructed.png" in text and "prototypes_1.png" in text
    content = json.loads((tmp_path / "single" / "report" / "metrics.json").read_text())
    assert content["clusters"]["accuracy"] == 1 and content["components"][1]["majority_class"] == "AGN"
    assert content["components"][1]["objects"] == 4 and "| accuracy | 1.000 |" in text
    text = write_report(_run(tmp_path / "several", frames=3)).read_text()
    names = sorted(path.name for path in (tmp_path / "several" / "report").glob("stamps_*.png"))
    assert names == ["stamps_best_a.png", "stamps_median_b.png", "stamps_worst_c.png"] and "Clusters" not in text
    (tmp_path / "several" / "report" / "stamps.npz").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"stamps\.npz: must be there and readable.*Received"):
        write_report(tmp_path / "several")


def test_runs_are_compared_on_the_objects_that_all_have(tmp_path):
    runs = [
        _run(tmp_path / "a", "one"),
        _run(tmp_path / "b", "one2", scale=2.0),
        _run(tmp_path / "c", "two", ids="defghi"),
    ]
    text = write_comparison(runs, tmp_path / "out").read_text()
    scores = pd.read_csv(tmp_path / "out" / "scores.csv").set_index(["group", "class"])
    # Objects d, e and f: errors 0.4, 0.5 and 0.6 of the first run, twice these of the second, 0.1 to 0.3 of the third.
    assert scores.loc[("toy one", "all"), "median_rmse"] == pytest.approx(0.75)
    assert scores.loc[("toy one", "all"), "median_rmse_std"] == pytest.approx(0.25)
    assert scores.loc[("toy two", "all"), "rmse"] == pytest.approx(np.sqrt(np.mean(np.square([0.1, 0.2, 0.3]))))
    assert "of the 3 common ones" in text and "objects_1.png" in text and (tmp_path / "out" / "errors.png").is_file()
    assert list(pd.read_parquet(tmp_path / "out" / "errors.parquet").columns) == [
        "class",
        "toy-one",
        "toy-one2",
        "toy-two",
    ]
    with pytest.raises(UsageError, match="may be given once"):
        write_comparison([runs[0], runs[0]], tmp_path / "out")
    with pytest.raises(DataError, match="objects in common.*Received: toy-one with 6"):
        write_comparison([runs[0], _run(tmp_path / "d", ids="uvwxyz")], tmp_path / "out")


def test_the_order_of_shared_objects_depends_on_ids_alone():
    assert by_chance(["b", "c", "a"]) == by_chance(["a", "b", "c"]) != ["a", "b", "c"]
