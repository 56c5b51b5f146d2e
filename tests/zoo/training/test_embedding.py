"""Representations by trained runs: from files as from records, splits, refused objects, what the command writes."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest

import zoo
from tests import stamp_records as made
from tests.cases import variants
from tests.conftest import ROOT
from tests.trimodal_records import make_trimodal_records
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import Stamps
from tfrecords.writer import DatasetWriter
from zoo.embed import main
from zoo.models.network import representing
from zoo.training import bundle as bundles
from zoo.training.embedding import compute, embed_runs, thumbnail
from zoo.training.loop import fit_tables, open_data
from zoo.training.resolve import resolve
from zoo.training.run import Run
from zoo.training.start import start

COLUMNS_OF_STAMPS = {"alert_columns": list(made.COLUMNS)}
OF_MODEL = {
    "t2": {"feature_group": "gp_grid"},
    "stamp_classifier": COLUMNS_OF_STAMPS,
    "stamp_classifier_enhanced": COLUMNS_OF_STAMPS,
    "temporal_stamp_classifier": COLUMNS_OF_STAMPS | {"classes": None},
}
"""Options of stage 1 that a model cannot do without on the tiny records."""

FILES = sorted((ROOT / "tests" / "fixtures" / "plasticc_tiny").glob("*.csv.gz"))


@pytest.fixture(scope="module")
def table(run, records):
    """The representations of the records."""
    return run.embed(records)


def _vectors(table) -> np.ndarray:
    return table.filter(regex=r"^e_\d+$").to_numpy("float64")


@pytest.mark.parametrize("day", [30.0, float("inf")])
def test_files_give_what_records_give(run, records, day):
    ours = run.embed(FILES, day=day).set_index("object_id")
    theirs = run.embed(records, day=day).set_index("object_id").loc[ours.index]
    assert len(ours) == 42 and (ours["reason"] == "").all()
    assert ours["class"].tolist() == theirs["class"].tolist() and ours["class"].nunique() == 14
    assert "split" not in ours and set(theirs["split"]) == {"train", "validation", "test"}
    np.testing.assert_allclose(_vectors(ours), _vectors(theirs), rtol=0, atol=1e-6)


def test_the_heads_answer_from_it(run, records, table):
    width = run.network.width
    vectors = _vectors(table).astype("float32")
    assert table["e_000"].dtype == "float32"
    logits = run.network.mix_head(np.concatenate([vectors[:, width:], vectors[:, :width]], axis=1)).numpy()
    classes = np.array(run.bundle.spec.classes)
    assert classes[logits.argmax(axis=1)].tolist() == run.predict(records)["predicted_class"].tolist()


def test_splits_are_those_of_the_run(run, records, table):
    directory = RecordDirectory(records)
    fold = run.run_config.fold or 0
    for name in ("train", "validation", "test"):
        part = zoo.embed(run.path, records, split=name)
        assert part["object_id"].tolist() == directory.ids(directory.split_indices(name, fold))
        whole = table[table["split"] == name].reset_index(drop=True)
        np.testing.assert_allclose(_vectors(part), _vectors(whole), rtol=0, atol=1e-6)
    with pytest.raises(UsageError, match="only a directory of records has splits"):
        run.embed(FILES, split="test")


def test_a_column_comes_along_or_is_refused(run, records):
    directory = RecordDirectory(records)
    info = directory.info
    place = [column.name for column in info.static_columns].index("mwebv")
    static = [directory.record(row).static[place] for row in range(len(directory))]
    np.testing.assert_array_equal(run.embed(records, column="mwebv")["mwebv"], np.array(static, "float64"))
    target = info.targets[0]
    by_id = run.embed(FILES, column=target).set_index("object_id")[target]
    for row in (0, 20):
        record = directory.record(row)
        np.testing.assert_equal(by_id[record.object_id], record.targets.get(target, [np.nan])[0])
    # A column that the run's records do not even hold.
    metadata = pd.read_csv(FILES[1])
    np.testing.assert_allclose(run.embed(FILES, column="ra")["ra"], metadata["ra"], rtol=1e-6)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UsageError, match="Valid: .*mwebv.*Received: 'colour'"):
        # Refused before the network is asked.
        patch.setattr("zoo.training.embedding.apply", None)
        run.embed(records, column="colour")


def test_a_refused_object_has_its_reason(run, tmp_path, table):
    curves, metadata = (pd.read_csv(path) for path in FILES)
    bad = int(curves["object_id"].iloc[0])
    curves.loc[curves["object_id"] == bad, "flux_err"] = -1.0
    curves.to_csv(tmp_path / FILES[0].name, index=False)
    metadata.to_csv(tmp_path / FILES[1].name, index=False)
    found = run.embed(tmp_path).set_index("object_id")
    assert len(found) == 42 and "flux_err" in found.loc[str(bad), "reason"]
    assert np.isnan(_vectors(found.loc[[str(bad)]])).all()
    rest = found.drop(str(bad))
    np.testing.assert_allclose(_vectors(rest), _vectors(table.set_index("object_id").loc[rest.index]), atol=1e-6)
    with pytest.raises(DataError, match="has no representation .*flux_err"):
        embed_runs([run], tmp_path, tmp_path / "out", plot=(), neighbours=[str(bad)])


def _made(place) -> dict:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_the_same_bytes_each_time(run, records, tmp_path):
    for name in ("a", "b"):
        embed_runs([run.path], records, tmp_path / name, plot=("pca", "tsne"), projector=True)
    made = _made(tmp_path / "a")
    assert made == _made(tmp_path / "b") and {"embeddings.npy", "pca.png", "tsne.png", "scores.json"} <= set(made)


def test_the_command_writes_everything(run, records, tmp_path, capsys):
    shutil.copytree(run.path, tmp_path / "runs" / "other")
    query, out = RecordDirectory(records).ids([0])[0], tmp_path / "out"
    options = ["--projector", "--neighbours", query, "--k", "3", "--max-points", "30"]
    main([str(run.path), str(tmp_path / "runs" / "other"), "--data", str(records), "--out", str(out), *options])
    first, second = "atat-whole", "runs-other"
    tables = [f"{place}/{name}" for place in (first, second)
              for name in ("embeddings.npy", "embeddings.parquet", "ids.npy", "projections.parquet")]  # fmt: skip
    projector = [f"projector/{place}/{name}" for place in (first, second) for name in ("metadata.tsv", "tensors.tsv")]
    more = {"projector/projector_config.pbtxt", "pca.png", "scores.json", "neighbours.csv"}
    assert set(_made(out)) == {*tables, *projector, *more}
    table = pd.read_parquet(out / first / "embeddings.parquet")
    np.testing.assert_array_equal(np.load(out / first / "embeddings.npy"), _vectors(table).astype("float32"))
    assert np.load(out / first / "ids.npy").tolist() == table["object_id"].tolist()
    assert len(pd.read_parquet(out / second / "projections.parquet")) == 30
    assert len((out / "projector" / first / "tensors.tsv").read_text().splitlines()) == 30
    for row in json.loads((out / "scores.json").read_text())["runs"]:
        assert (row["dimension"], row["objects"], row["refused"]) == (_vectors(table).shape[1], 42, 0)
        assert 0 < row["clustering"]["accuracy"] <= 1 and row["clustering"]["split"] == "test"
        assert 0 <= row["linear_probe"]["macro_f1"] <= 1
        assert row["linear_probe"]["train_objects"] == (table["split"] == "train").sum()
    near = pd.read_csv(out / "neighbours.csv", dtype=str)
    assert near["rank"].tolist() == ["1", "2", "3"] * 2 and query not in near["object_id"].tolist()
    shown = capsys.readouterr().out
    assert near["object_id"][0] in shown and "linear probe" in shown and shown.endswith(f"{out}\n")
    with pytest.raises(UsageError, match="given once"):
        embed_runs([run, run], records, tmp_path / "c")


def test_stamps_become_sprites(run, records, tmp_path):
    directory = RecordDirectory(records)
    info = directory.info
    with DatasetWriter(
        tmp_path / "stamps", survey=info.survey, flux_unit=info.flux_unit, bands=info.bands,
        zero_point=info.zero_point, static_columns=info.static_columns, classes=info.classes, folds=2,
        targets=info.targets, stamp_channels=("template", "science"), alert_columns=(), source={},
    ) as writer:  # fmt: skip
        for place in range(4):
            record = directory.record(place)
            if place:
                images = np.zeros((2, 63, 63, 2), "float32")
                images[1, :, : 10 * place, 1] = np.nan if place == 3 else 7.0
                images[1, 0, 0, 1] = np.nan
                record.stamps = Stamps(images, [1.0, 2.0], np.zeros((2, 0)))
            writer.write(record, "test")
    found = compute(run, tmp_path / "stamps", thumbnails=True)
    lit = dict(zip(found.table["object_id"], found.thumbnails, strict=True))
    ids = directory.ids(range(4))
    assert found.thumbnails.shape == (4, 32, 32)
    assert [lit[name].max() for name in ids] == [0, 255, 255, 0]
    assert lit[ids[2]].sum() > 1.5 * lit[ids[1]].sum() and lit[ids[1]][0, 0] == 0
    assert thumbnail(np.arange(12.0).reshape(3, 4)).shape == (4, 4)


def _untrained(model: str, **options) -> Run:
    """Make the run of a network with its first weights and fitted tables."""
    settled = resolve(model, stages=None, **options)
    directory, spec, splits = open_data(settled)
    bundle = bundles.Bundle(model, dataclasses.asdict(settled.hparams), settled.inputs, spec, settled.run.loss)
    network = bundle.build()
    fit_tables(network, splits["train"], settled)
    path = start(settled, directory, spec, splits)
    bundles.save(path / "bundle", bundle, network)
    return Run(path)


@pytest.mark.slow
@pytest.mark.parametrize("example", variants.richest(), ids=str)
def test_a_run_of_every_encoder_embeds_records(example, records, stamp_records, tmp_path):
    data = stamp_records if example.entry.view.startswith("stamp") else records
    options = OF_MODEL.get(example.model, {}) | example.hparams
    if example.entry.view == "photometry":
        data = make_trimodal_records(tmp_path / "stars")
        options |= {"static_columns": None, "spectrum_points": 75, "spectrum_step": 72.0}
    run = _untrained(example.model, data=str(data), runs=str(tmp_path), **options)
    assert example.model in representing()
    embed_runs([run], data, tmp_path / "out", projector=True)
    table = pd.read_parquet(tmp_path / "out" / "embeddings.parquet")
    # Some stars have no light curve, and say so where one is read; those that have nothing else have no vector.
    seen = table["observations"] > 0
    known = np.isfinite(_vectors(table)).all(axis=1)
    assert len(table) == 42 and (table["reason"][seen] == "").all() and known[seen].all()
    assert (known | (table["reason"] != "")).all() and (seen.all() or example.entry.view == "photometry")
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())["runs"][0]
    assert scores["objects"] == known.sum() and 0 <= scores["clustering"]["accuracy"] <= 1
    sprite = (tmp_path / "out" / "projector").glob("*/sprite.png")
    assert bool(list(sprite)) == (data == stamp_records)
