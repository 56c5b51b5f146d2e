"""Scores at the levels of a tree: against scikit-learn and loops, for flat and for hierarchical runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn import metrics

from tfrecords.errors import DataError, UsageError
from zoo.reports import levels as reports
from zoo.reports.classify import write_report
from zoo.reports.levels import write_levels
from zoo.reports.plots.levels import tree_figure
from zoo.taxonomies.tree import Taxonomy, load

TREE = load("plasticc")
SMALL = Taxonomy("small", ("R", "early", "RRL", "SNIa", "TDE", "KN"), (-1, 0, 0, 1, 1, 1))
DAYS = (8.0, np.inf)


def _ancestor(name: str, cut) -> str:
    node = TREE.index(name)
    while node not in cut:
        node = TREE.parents[node]
    return TREE.nodes[node]


@pytest.fixture
def no_figures(monkeypatch):
    """Write tables and the page only."""
    monkeypatch.setattr(reports, "_figures", lambda *_: [])


@pytest.fixture
def flat(make, tmp_path):
    """A run of four classes without a tree of its own."""
    return make.run(tmp_path / "flat", make.predictions(days=DAYS))


def test_a_flat_run_is_scored_by_sums_of_its_probabilities(flat, make, no_figures):
    index = write_levels(flat, TREE)
    assert index == flat / "report" / "levels_plasticc" / "index.md"
    scores = pd.read_csv(index.parent / "scores_by_level.csv").set_index(["level", "day"])
    per_class = pd.read_csv(index.parent / "per_class.csv").set_index(["level", "day", "class"])
    predictions = make.predictions(days=DAYS)
    for level, cut in TREE.levels().items():
        names = [TREE.nodes[node] for node in cut]
        for day in DAYS:
            part = predictions[predictions["day"] == day]
            share = np.zeros((len(part), len(cut)))
            for name in make.classes:
                share[:, names.index(_ancestor(name, cut))] += part[f"p_{name}"]
            truth = np.array([_ancestor(name, cut) for name in part["class"]])
            guess = np.array(names)[share.argmax(axis=1)]
            row = scores.loc[level, day]
            assert row["accuracy"] == pytest.approx((truth == guess).mean()) and row["objects"] == len(part)
            for kind in ("macro", "weighted"):
                found = metrics.precision_recall_fscore_support(
                    truth, guess, labels=np.unique(truth), average=kind, zero_division=0
                )
                for score, value in zip(("precision", "recall", "f1"), found[:3], strict=True):
                    assert row[f"{kind}_{score}"] == pytest.approx(value), (level, day, kind, score)
            for name in np.unique(truth):
                mine = per_class.loc[level, day, name]
                assert mine["support"] == (truth == name).sum()
                place = names.index(name)
                assert mine["mean_probability"] == pytest.approx(share[truth == name, place].mean(), abs=1e-6)
                assert mine["auroc"] == pytest.approx(metrics.roc_auc_score(truth == name, share[:, place]))
    confusion = pd.read_csv(index.parent / "confusion.csv")
    assert set(confusion["level"]) == set(TREE.levels()) and set(confusion["day"]) == set(DAYS)
    assert confusion.groupby(["level", "day"])["count"].sum().eq(60).all()


def test_winners_that_contradict_each_other_are_counted():
    tree = Taxonomy("some", ("R", "A", "B", "a1", "a2", "a3", "b1"), (-1, 0, 0, 1, 1, 1, 2))
    # A has more than B, and b1 more than each child of A: the winners contradict each other, the greedy path not.
    path = np.array([[1, 0.6, 0.4, 0.3, 0.2, 0.1, 0.4], [1, 0.3, 0.7, 0.1, 0.1, 0.1, 0.7]])
    table = pd.DataFrame({"object_id": ["x", "y"], "class": ["a1", "A"], "day": np.inf})
    found = reports.consistency_table(table, ["a1", "A"], path, tree, [3, 1]).iloc[0]
    assert found["consistent"] == 0.5 and found["objects"] == 2
    assert reports.greedy_leaves(path, tree).tolist() == [3, 6]
    assert found["greedy is leaf winner"] == 0.5
    # The second is an A without a leaf of its own: it counts at level 1 alone.
    assert found["greedy accuracy: level 1"] == 0.5 and found["greedy accuracy: leaves"] == 1.0


@pytest.mark.slow
def test_animations_have_a_frame_a_day_of_half_a_second(flat):
    folder = write_levels(flat, SMALL).parent
    assert {path.name for path in folder.glob("*.gif")} == {
        f"{kind}_{level}.gif" for kind in ("confusion", "roc") for level in ("level_1", "leaves")
    }
    for path in folder.glob("*.gif"):
        with Image.open(path) as image:
            assert image.n_frames == len(DAYS) and image.info["duration"] == 500
            first = np.asarray(image.convert("RGB"))
            image.seek(1)
            assert (np.asarray(image.convert("RGB")) != first).any()
    assert (folder / "roc_leaves_8.png").is_file() and (folder / "confusion_level_1_all.png").is_file()
    page = (folder / "index.md").read_text()
    for name in ("scores_by_day.png", "confusion_leaves.gif", "probability_level_1.png"):
        assert f"({name})" in page
    assert "levels_small/index.md" in write_report(flat).read_text()


@pytest.fixture
def hierarchical(make, tmp_path):
    """A run with a tree of its own, whose nodes have other probabilities than sums of its classes give."""
    random, table = np.random.default_rng(4), make.predictions(days=DAYS)
    path = np.ones((len(table), len(TREE)))
    for first, end in TREE.groups[1:]:
        share = random.dirichlet(np.ones(end - first), len(table))
        path[:, first:end] = share * path[:, [TREE.parents[first]]]
    table = pd.concat([table, pd.DataFrame(path, columns=[f"node_{name}" for name in TREE.nodes])], axis=1)
    tree = {"name": "plasticc", "nodes": list(TREE.nodes), "parents": list(TREE.parents),
            "class_nodes": {name: TREE.index(name) for name in make.classes}}  # fmt: skip
    return make.run(tmp_path / "own", table, taxonomy=tree), table


def test_a_hierarchical_run_is_scored_by_its_own_nodes(hierarchical, no_figures):
    path, table = hierarchical
    folder = write_levels(path).parent
    scores = pd.read_csv(folder / "scores_by_level.csv").set_index(["level", "day"])
    part = table[table["day"] == 8]
    guess = part[["node_Transient", "node_Variable"]].to_numpy().argmax(axis=1)
    truth = part["class"].map(lambda name: _ancestor(name, (1, 2)) == "Variable").to_numpy()
    assert scores.loc["level 1", 8.0]["accuracy"] == pytest.approx((guess == truth).mean())
    # With another tree the sums of class probabilities count.
    found = pd.read_csv(write_levels(path, SMALL).parent / "scores_by_level.csv").set_index(["level", "day"])
    guess = part["p_RRL"].to_numpy() > part[["p_SNIa", "p_TDE", "p_KN"]].sum(axis=1).to_numpy()
    assert found.loc["level 1", 8.0]["accuracy"] == pytest.approx((guess == (part["class"] == "RRL")).mean())


@pytest.mark.slow
def test_the_same_files_give_the_same_bytes_and_no_animations_of_a_runs_own_tree(hierarchical):
    folder = write_levels(hierarchical[0]).parent
    before = {item.name: item.read_bytes() for item in folder.iterdir()}
    assert "confusion_leaves_all.png" in before and not [name for name in before if name.endswith(".gif")]
    (folder / "roc_leaves_3.png").write_bytes(b"of an earlier drawing")
    write_levels(hierarchical[0])
    assert {item.name: item.read_bytes() for item in folder.iterdir()} == before


def test_objects_of_inner_classes_are_left_out_below_them(make, tmp_path, no_figures):
    classes = ["SN", "SNIa", "AGN"]
    run = make.run(tmp_path / "inner", make.predictions(classes, days=DAYS), classes=classes)
    folder = write_levels(run, TREE).parent
    scores = pd.read_csv(folder / "scores_by_level.csv").set_index(["level", "day"])
    table = make.predictions(classes, days=DAYS)
    count = int((table[table["day"] == 8]["class"] == "SN").sum())
    assert scores.loc["level 2", 8.0]["objects"] == 60
    assert scores.loc["leaves", 8.0]["objects"] == 60 - count
    assert f"left out there: leaves {count}" in (folder / "index.md").read_text()


def test_what_does_not_fit_is_refused(flat, hierarchical):
    with pytest.raises(UsageError, match="ztf_stamps: .*'SNIa'"):
        write_levels(flat, load("ztf_stamps"))
    assert write_levels(flat) is None
    path, table = hierarchical
    table.drop(columns="node_KN").to_parquet(path / "report" / "predictions_by_day.parquet", index=False)
    with pytest.raises(DataError, match="node_KN"):
        write_levels(path)


def test_a_tree_is_drawn():
    for probability in (None, np.linspace(1, 0, len(TREE))):
        figure = tree_figure(TREE, probability, "title")
        figure.canvas.draw()
        texts = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
        assert len(texts) == len(TREE)
        assert [text.split("  ")[0] for text in texts] == list(TREE.nodes)
