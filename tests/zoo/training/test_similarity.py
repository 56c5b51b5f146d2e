"""Search, classes and outliers by cosine, within and between modalities, alone and of a run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from zoo.embed import main
from zoo.training import modalities
from zoo.training.embedding import compute, embed_runs
from zoo.training.run import Run
from zoo.training.similarity import (
    SimilarityConfig,
    class_centres,
    majority,
    nearest_class,
    outlier_scores,
    ranks,
    report_similarity,
    search,
    unit,
    zero_shot,
)


class Trimodal:
    """Stands for a network of several modalities: embeddings are sums over the rows of each of six bands."""

    def present(self, inputs):
        """Give who has what: spectra and metadata need a positive sum of the second and third band."""
        sums = tf.reduce_sum(inputs["grid_flux"], axis=2)
        return {"photo": sums[:, 0] > -1e9, "spectra": sums[:, 1] > 0, "meta": sums[:, 2] > 0}

    def embeddings(self, inputs):
        """Give three vectors of length 1, 0 where missing."""
        flux, error, there = inputs["grid_flux"], inputs["grid_flux_err"], self.present(inputs)
        parts = {"photo": flux, "spectra": tf.tanh(flux), "meta": error}
        parts = {name: tf.math.l2_normalize(tf.reduce_sum(part, axis=2), axis=1) for name, part in parts.items()}
        return {name: tf.where(there[name][:, None], part, 0.0) for name, part in parts.items()}

    def represent(self, inputs):
        """Give the mean of the embeddings that are there."""
        found, there = self.embeddings(inputs), self.present(inputs)
        count = sum(tf.cast(there[name], "float32") for name in found)
        return sum(found.values()) / count[:, None]


@pytest.fixture(scope="module")
def trimodal(run):
    """The finished run with a network of three modalities in its place."""
    found = Run(run.path)
    found.__dict__["network"] = Trimodal()
    return found


@pytest.fixture(scope="module")
def item(trimodal, records):
    """All its representations of the records."""
    return compute(trimodal, records, every=True)


def _has(item, modality):
    """Give which objects (object,), bool, have a modality by the sign of what is in their photometry."""
    return item.parts["photo"][:, {"spectra": 1, "meta": 2}[modality]] > 0


def _blobs(seed=0, objects=60, classes=3, dimension=8):
    random = np.random.default_rng(seed)
    labels = np.arange(objects) % classes
    return unit(random.normal(size=(classes, dimension))[labels] * 3 + random.normal(size=(objects, dimension))), labels


def test_unit_vectors_have_length_one_or_none():
    found = unit(np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 1]], "float32"))
    np.testing.assert_array_equal(np.isfinite(found).all(axis=1), [True, False, False, False])
    np.testing.assert_allclose(found[0], [0.6, 0.8])


def test_search_is_by_cosine_without_the_object_itself():
    values, _ = _blobs()
    other = values.copy()
    other[5] = np.nan
    at, cosines, own = search(values, other, 7, 4)
    expected = sorted(
        (place for place in range(60) if place not in (5, 7)), key=lambda place: -(values[7] @ other[place])
    )
    assert at.tolist() == expected[:4] and own == 1
    np.testing.assert_allclose(cosines, [values[7] @ other[place] for place in at])
    assert np.isnan(search(values, other, 5, 100)[2]) and len(search(values, other, 5, 100)[0]) == 59
    moved = np.roll(values, 1, axis=0)
    assert search(values, moved, 7, 3)[2] > 1


def test_classes_by_centre_and_by_neighbour_are_those_of_a_loop():
    values, labels = _blobs(1)
    values[3] = np.nan
    train = np.arange(60) < 40
    centres = class_centres(values[train], labels[train], 4)
    for label in range(3):
        mine = values[train & (labels == label) & (np.arange(60) != 3)].mean(axis=0)
        np.testing.assert_allclose(centres[label], mine / np.linalg.norm(mine))
    assert np.isnan(centres[3]).all()
    found, cosines = nearest_class(values, centres, np.arange(4))
    assert found[3] == -1 and np.isnan(cosines[3])
    expected = [int(np.argmax([values[place] @ centres[label] for label in range(3)])) for place in (0, 1, 2, 59)]
    assert found[[0, 1, 2, 59]].tolist() == expected
    near, _ = nearest_class(values[~train], values[train], labels[train])
    by_hand = [labels[np.nanargmax(values[:40] @ values[place])] for place in range(40, 60)]
    assert near.tolist() == by_hand
    nothing, _ = nearest_class(values, np.full((2, 8), np.nan), np.arange(2))
    assert (nothing == -1).all()


def test_majority_of_votes_and_cosines_of_ties():
    votes = np.array([[0, 0, 0, -1, -1], [1, 1, 1, 2, -1], [1, 0, 2, -1, -1]])
    cosines = np.array([[0.9, 0.1, 0.2, np.nan, np.nan], [0.1, 0.2, 0.3, 0.5, np.nan], [0.1, 0.2, 0.1, np.nan, np.nan]])
    assert majority(votes, cosines, 3).tolist() == [1, 0, 1, 2, -1]


def test_zero_shot_of_what_is_easy_and_of_what_says_nothing():
    values, labels = _blobs(2, 90)
    noise = unit(np.random.default_rng(3).normal(size=(90, 5)))
    train = np.arange(90) < 60
    parts = {"all": values, "photo": values, "meta": noise, "spectra": values[:, ::-1]}
    found = zero_shot(parts, labels, train, ~train, 3)
    assert len(found) == 10
    accuracy = {key: np.mean(each == labels[~train]) for key, each in found.items()}
    assert min(accuracy["photo", "centre"], accuracy["majority", "centre"], accuracy["photo", "neighbour"]) > 0.85
    assert accuracy["meta", "centre"] < 0.7
    assert ("majority", "centre") not in zero_shot({"all": values}, labels, train, ~train, 3)


def test_the_odd_one_of_a_class_ranks_first():
    values, labels = _blobs(4)
    train = np.arange(60) < 50
    values[52], values[8] = -values[55], np.nan
    labels[52] = labels[55]
    score = outlier_scores(values, labels, train, 3)
    assert ranks(score)[52] == 1 and np.isnan(score[8]) and np.isnan(ranks(score)[8])
    centre = class_centres(values[train], labels[train], 3)[labels[10]]
    assert score[10] == pytest.approx(1 - values[10] @ centre)
    assert sorted(ranks(score)[np.isfinite(score)].tolist()) == list(range(1, 60))


def test_representations_lie_side_by_side(item, trimodal, records):
    assert modalities.names(trimodal) == ("photo", "spectra", "meta")
    assert list(item.parts) == ["all", "photo", "spectra", "meta"]
    assert [column for column in item.table if column.startswith("spectra")] == []
    np.testing.assert_array_equal(item.values(), item.parts["all"])
    assert 5 < _has(item, "spectra").sum() < 42 and 5 < _has(item, "meta").sum() < 42
    np.testing.assert_array_equal(np.isnan(item.parts["spectra"]).all(axis=1), ~_has(item, "spectra"))
    there = np.stack([np.nan_to_num(item.parts[name]) for name in ("photo", "spectra", "meta")])
    count = 1 + _has(item, "spectra") + _has(item, "meta")
    np.testing.assert_allclose(item.parts["all"], there.sum(axis=0) / count[:, None], atol=1e-6)
    whole = trimodal.embed(records)
    pd.testing.assert_frame_equal(whole, item.table)


def test_one_modality_instead_of_the_whole(trimodal, run, item, records):
    found = compute(trimodal, records, modality="meta")
    assert found.parts == {} and found.dimension == 6
    lacking = ~_has(item, "meta")
    assert (found.table.loc[lacking, "reason"] == "the object lacks meta").all()
    np.testing.assert_array_equal(found.table[found.columns], item.parts["meta"])
    with pytest.raises(
        UsageError, match="--modality: atat has the representations all, photo, spectra, meta. Rec.*'x'"
    ):
        compute(trimodal, records, modality="x")
    with pytest.raises(UsageError, match="has the representations all. Received: 'photo'"):
        compute(run, records, modality="photo")


def test_everything_is_written(trimodal, item, records, tmp_path):
    full = item.table["object_id"][_has(item, "spectra") & _has(item, "meta")].tolist()
    config = SimilarityConfig(tuple(full[:2]), "photo", ("spectra", "all"), 4, True, True, 5)
    text = embed_runs([trimodal], records, tmp_path, plot=(), modality="meta", similarity=config)
    hits = pd.read_csv(tmp_path / "similar.csv", dtype={"object_id": str, "query": str})
    assert len(hits) == 2 * 2 * 4 and set(hits["to"]) == {"spectra", "all"} and set(hits["from"]) == {"photo"}
    parts = {name: unit(values) for name, values in item.parts.items()}
    place = item.table.index[item.table["object_id"] == full[1]][0]
    at, cosines, own = search(parts["photo"], parts["spectra"], place, 4)
    mine = hits[(hits["query"] == full[1]) & (hits["to"] == "spectra")]
    assert mine["object_id"].tolist() == item.table["object_id"][at].tolist()
    np.testing.assert_allclose(mine["cosine"], cosines)
    assert set(mine["own_rank"]) == {own} and mine["rank"].tolist() == [1, 2, 3, 4]
    scores = pd.read_csv(tmp_path / "zero_shot.csv")
    assert scores["representation"].tolist() == ["all", "photo", "spectra", "meta", "majority"] * 2
    predictions = pd.read_csv(tmp_path / "zero_shot_predictions.csv")
    for row in scores.itertuples():
        known = predictions[f"{row.representation}_{row.method}"].notna()
        right = predictions[f"{row.representation}_{row.method}"] == predictions["class"]
        assert (known.sum(), right[known].mean()) == (row.test_objects, pytest.approx(row.accuracy))
    strange = pd.read_csv(tmp_path / "outliers.csv")
    assert strange["rank_all"].tolist() == list(range(1, 43))
    high = sum((strange[f"rank_{name}"] <= 5).astype(int) for name in ("photo", "spectra", "meta"))
    assert (strange["high_in"] == high).all() and high.max() > 0
    assert np.load(tmp_path / "embeddings.npy").shape[1] == 6
    assert (tmp_path / "similar.png").stat().st_size > 5000 and len(text) == 4
    assert full[0] in text[1] and "majority" in text[2] and strange["object_id"].astype(str)[0] in text[3]


def test_what_cannot_be_found(trimodal, item, records, tmp_path):
    lacking = item.table["object_id"][~_has(item, "spectra")].iloc[0]
    for config, message in (
        (SimilarityConfig(("nobody",)), "--query: the object is not there; like it are .*'nobody'"),
        (SimilarityConfig((lacking,), "spectra"), "has all, photo.* to search with"),
    ):
        with pytest.raises(DataError, match=message):
            report_similarity(tmp_path, [tmp_path], ["a"], [item], config)
    for config, message in (
        (SimilarityConfig((lacking,), "radio"), "--from: atat has .*'radio'"),
        (SimilarityConfig((lacking,), "all", ("x",)), "--to: .*'x'"),
    ):
        with pytest.raises(UsageError, match=message):
            embed_runs([trimodal], records, tmp_path, plot=(), similarity=config)
    tested = (item.table["split"] == "test").to_numpy()
    parts = {name: values[tested] for name, values in item.parts.items()}
    part = dataclasses.replace(item, table=item.table[tested].reset_index(drop=True), parts=parts)
    files = dataclasses.replace(item, table=item.table.drop(columns="split"))
    for flag, config in (
        ("zero-shot", SimilarityConfig(zero_shot=True)),
        ("outliers", SimilarityConfig(outliers=True)),
    ):
        with pytest.raises(UsageError, match=f"--{flag} needs labelled training objects"):
            report_similarity(tmp_path, [tmp_path], ["a"], [part], config)
        with pytest.raises(UsageError, match=f"--{flag} needs a directory of records"):
            report_similarity(tmp_path, [tmp_path], ["a"], [files], config)
    with pytest.raises(UsageError, match="--top must be at least 1"):
        SimilarityConfig(top=0)


def test_nothing_is_computed_for_what_is_not_there(trimodal, item, records, tmp_path, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("computed")

    monkeypatch.setattr("zoo.training.embedding.compute", never)
    place = int(np.flatnonzero((item.table["split"] == "test").to_numpy())[0])
    tested, files = item.table["object_id"][place], sorted((ROOT / "tests/fixtures/plasticc_tiny").glob("*.csv.gz"))
    cases = [
        (records, "all", {"similarity": SimilarityConfig(("nobody",))}, "--query: .*no such object.*'nobody'"),
        (records, "all", {"neighbours": ["nobody"]}, "--neighbours: .*no such object"),
        (records, "train", {"similarity": SimilarityConfig((tested,))}, "--query: the object is in the split test"),
        (files, "all", {"similarity": SimilarityConfig(("nobody",))}, "--query: the object is not there; like it"),
        (files, "all", {"similarity": SimilarityConfig(zero_shot=True)}, "--zero-shot needs a directory of records"),
        (records, "train", {"similarity": SimilarityConfig(zero_shot=True)}, "--zero-shot needs.*--split all"),
        (records, "test", {"similarity": SimilarityConfig(outliers=True)}, "--outliers needs.*--split all or train"),
    ]
    for data, split, asked, message in cases:
        with pytest.raises((UsageError, DataError), match=message):
            embed_runs([trimodal], data, tmp_path / "out", plot=(), split=split, **asked)
        with pytest.raises(AssertionError, match="computed"):
            embed_runs([trimodal], data, tmp_path / "out", plot=(), neighbours=[tested])
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_of_a_network_with_one_representation(run, records, tmp_path, capsys):
    first = RecordDirectory(records).ids([0])[0]
    options = ["--query", first, "--k", "3", "--zero-shot", "--outliers", "--top", "2", "--plot", "none"]
    main([str(run.path), "--data", str(records), "--out", str(tmp_path), *options])
    shown = capsys.readouterr().out
    assert pd.read_csv(tmp_path / "similar.csv")["to"].tolist() == ["all"] * 3
    assert pd.read_csv(tmp_path / "zero_shot.csv")["representation"].tolist() == ["all", "all"]
    assert "high_in" not in pd.read_csv(tmp_path / "outliers.csv")
    assert "| rank_all |" in shown and "macro F1" in shown
    with pytest.raises(UsageError, match="belong to --query"):
        main([str(run.path), "--data", str(records), "--out", str(tmp_path), "--from", "photo"])
