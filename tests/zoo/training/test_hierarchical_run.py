"""A run over a tree of classes, from training through prediction, report and export to what starts from it."""

from __future__ import annotations

import json
import shutil
from importlib import resources

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

from tfrecords.errors import DataError
from tfrecords.reader import RecordDirectory
from tfrecords.times import reference_time
from zoo.inputs.data import Examples
from zoo.losses.hierarchical import log_conditional
from zoo.taxonomies.tree import load
from zoo.training.evaluation import evaluate
from zoo.training.loop import fit
from zoo.training.run import load_run

TREE = load("plasticc")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def taxonomy(tmp_path_factory):
    """The tree of PLAsTiCC as a file of one's own."""
    path = tmp_path_factory.mktemp("tree") / "own.yaml"
    shutil.copy(str(resources.files("zoo.taxonomies") / "plasticc.yaml"), path)
    return path


@pytest.fixture(scope="module")
def settings(options, taxonomy):
    """Options of one epoch over the tree."""
    return options | {"epochs": 1, "warmup_epochs": 0.0, "loss": "hierarchical", "taxonomy": str(taxonomy)}


@pytest.fixture(scope="module")
def tree_run(settings):
    """A finished run over the tree."""
    return fit("atat", name="tree", quiet=True, **(settings | {"export": True}))


def _nodes(table):
    return table[[f"node_{name}" for name in TREE.nodes]].to_numpy("float64")


def test_it_predicts_classes_and_nodes(tree_run, records):
    run = load_run(tree_run.path)
    assert run.network.info.nodes == run.bundle.spec.nodes == TREE.nodes
    table = run.predict(records)
    path, classes = _nodes(table), table.filter(like="p_").to_numpy("float64")
    np.testing.assert_allclose(path[:, TREE.leaves].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(classes, path[:, run.bundle.spec.places], atol=1e-5)
    names = np.array(run.bundle.spec.classes)
    assert (table["predicted_class"] == names[classes.argmax(axis=1)]).all()
    history = pd.read_csv(run.path / "metrics.csv")
    assert np.isfinite(history[["loss", "val_loss", "val_macro_f1"]]).all(axis=None)
    # Over the whole data set macro F1 is over the run's classes and not over nodes.
    assert set(run.bundle.calibration) == {"mix"}


def test_the_exported_model_answers_for_nodes(tree_run, records):
    loaded = tf.saved_model.load(str(tree_run.path / "saved_model"))
    names = {key: value.numpy() for key, value in loaded.signatures["classes"]().items()}
    assert [name.decode() for name in names["nodes"]] == list(TREE.nodes)
    assert names["parents"].tolist() == list(TREE.parents)
    directory = RecordDirectory(records)
    answer = loaded.signatures["serve_examples"](tf.constant(directory.serialized(np.arange(9))))
    table = load_run(tree_run.path).predict(records).head(9)
    np.testing.assert_allclose(answer["path"].numpy(), _nodes(table), atol=1e-6)
    parents = np.array(TREE.parents[1:])
    expected = answer["path"].numpy()[:, 1:] / answer["path"].numpy()[:, parents]
    np.testing.assert_allclose(answer["conditional"].numpy()[:, 1:], expected, atol=1e-5)


def test_the_report_has_the_levels_of_its_own_tree(tree_run):
    index = load_run(tree_run.path).evaluate(days=(8.0, np.inf))
    folder = index.parent / "levels_own"
    scores = pd.read_csv(folder / "scores_by_level.csv")
    assert scores["level"].unique().tolist() == ["level 1", "level 2", "leaves"]
    assert "levels_own/index.md" in index.read_text() and not list(folder.glob("*.gif"))
    predictions = pd.read_parquet(index.parent / "predictions_by_day.parquet")
    part = predictions[predictions["day"] == 8]
    guess = _nodes(part)[:, 1:3].argmax(axis=1) + 1
    truth = part["class"].map(lambda name: np.flatnonzero(TREE.paths[TREE.index(name)])[1])
    row = scores[(scores["level"] == "level 1") & (scores["day"] == 8)].iloc[0]
    assert row["accuracy"] == pytest.approx((guess == truth).mean())


def test_it_goes_on_with_the_same_tree_only(tree_run, taxonomy):
    path = tree_run.path.parent / "again"
    shutil.copytree(tree_run.path, path)
    text = taxonomy.read_text()
    taxonomy.write_text(text.replace("[SLSN-I, TDE]", "[TDE, SLSN-I]"))
    try:
        with pytest.raises(DataError, match="taxonomy is not the one"):
            fit("atat", resume=path, epochs=2, quiet=True)
    finally:
        taxonomy.write_text(text)
    assert len(pd.read_csv(fit("atat", resume=path, epochs=2, quiet=True).path / "metrics.csv")) == 2


def test_a_flat_run_gives_it_all_but_the_heads(run, settings, tree_run, capsys):
    for source, words in ((run, "not loaded"), (tree_run, "arrays loaded\n")):
        fit("atat", name=f"from_{source.path.name}", **(settings | {"init_from": [str(source.path)]}))
        assert words in capsys.readouterr().err


def test_an_ensemble_means_the_conditional_log_probabilities(settings, records):
    ensemble = fit("atat", name="both", quiet=True, **(settings | {"members": 2, "calibrate": "none"}))
    paths = [_nodes(load_run(ensemble.path / "members" / str(number)).predict(records)) for number in range(2)]
    parents = np.array(TREE.parents[1:])
    mean = np.zeros((len(paths[0]), len(TREE)))
    for path in paths:
        mean[:, 1:] += np.log(path[:, 1:] / path[:, parents]) / 2
    expected = np.exp(np.array(log_conditional(mean, TREE)))
    found = _nodes(load_run(ensemble.path).predict(records))
    np.testing.assert_allclose(found[:, 1:] / found[:, parents], expected[:, 1:], atol=1e-5)


def test_the_loss_of_a_run_follows_the_phase(settings, tree_run):
    plain = pd.read_csv(tree_run.path / "metrics.csv")["loss"][0]
    losses = {}
    for beta in (1.0, 0.01):
        options = settings | {"phase_aware": True, "phase_beta": beta, "epochs": 1}
        found = fit("atat", name=f"phase_{beta}", quiet=True, **options)
        losses[beta] = pd.read_csv(found.path / "metrics.csv")["loss"][0]
    # With beta = 1 the discount is that of every phase; with a smaller one fine nodes count more.
    assert losses[1.0] == pytest.approx(plain, rel=1e-6)
    assert losses[0.01] > plain * 1.01


def test_the_best_epoch_is_that_of_the_mean_over_days(settings, records):
    days = [-3.0, 8.0, np.inf]
    changes = {"epochs": 2, "monitor": "macro_f1_over_days", "validation_days": days, "calibrate": "none"}
    finished = load_run(fit("atat", name="days", quiet=True, **(settings | changes)).path)
    state = json.loads((finished.path / "state.json").read_text())
    rows = pd.read_csv(finished.path / "metrics.csv")
    assert state["monitor"] == "val_macro_f1_over_days"
    assert state["best"] == pytest.approx(rows["val_macro_f1_over_days"].max(), rel=1e-6)
    assert "macro_f1_over_days" not in rows
    directory, spec = RecordDirectory(records), finished.bundle.spec
    examples = Examples(directory, directory.split_indices("validation", 0), spec)
    stage, expected = finished.stage(spec.record_static), []
    for day in days:
        values, _ = finished.predictor(examples, stage, day=day)
        guess = values[:, : len(spec.classes)].argmax(axis=1)
        expected.append(f1_score(examples.labels, guess, average="macro"))
    assert np.mean(expected) == pytest.approx(state["best"], abs=1e-5)
    best = rows.iloc[state["best_epoch"] - 1]
    names = ["val_macro_f1_day_-3", "val_macro_f1_day_8", "val_macro_f1_all"]
    np.testing.assert_allclose(best[names], expected, atol=1e-5)


def test_studies_of_a_run(tree_run, records):
    run = load_run(tree_run.path)
    options = {"curves": (-20.0, -2.0, 8.0), "fractions": (0.3, 1.0), "branches": True}
    folder = run.evaluate(days=(-2.0, 8.0, np.inf), **options).parent
    main, tables = pd.read_parquet(folder / "predictions_by_day.parquet"), {}
    for name in ("curves", "fractions", "branches"):
        assert (folder / name / "scores.png").is_file() or (folder / name / "scores_leaves.png").is_file()
        tables[name] = pd.read_parquet(folder / name / "predictions.parquet")
        assert np.isfinite(tables[name].filter(regex="p_|node_").to_numpy()).all()
    directory = RecordDirectory(records)
    curves = {record.object_id: record.lc for record in map(directory.record, directory.split_indices("test"))}
    since = {name: lc.time - reference_time(lc.time, lc.flags) for name, lc in curves.items()}
    for row in tables["curves"].itertuples():
        assert row.observations == (since[row.object_id] <= row.day).sum()
    for row in tables["fractions"].itertuples():
        assert row.observations == max(1, int(row.fraction * len(since[row.object_id])))
    numbers = [name for name in main if name.startswith("node_")]
    whole = main[np.isinf(main["day"])][numbers].to_numpy()
    shares = tables["fractions"]
    np.testing.assert_allclose(shares[shares["fraction"] == 1][numbers], whole, atol=1e-6)
    branches = tables["branches"].set_index("branch")
    np.testing.assert_allclose(branches.loc["light curve and static columns"][numbers], main[numbers], atol=1e-6)
    assert (branches.loc["static columns alone", "observations"] == 0).all()
    # What is hidden does not count: every day is as every other, and objects as every other.
    alone = branches.loc["static columns alone"]
    first, last = (alone[alone["day"] == day][numbers].to_numpy() for day in (-2.0, np.inf))
    np.testing.assert_allclose(first, last, atol=1e-6)
    assert np.abs(branches.loc["light curve alone"][numbers].to_numpy() - main[numbers].to_numpy()).max() > 1e-4
    before = (folder / "curves" / "scores.csv").read_bytes()
    (folder / "curves" / "scores.csv").unlink()
    evaluate(run, redraw=True)
    assert (folder / "curves" / "scores.csv").read_bytes() == before
