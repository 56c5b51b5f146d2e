"""Bundles and runs that are damaged, of another survey or of a newer zoo are refused by name."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from tfrecords.errors import DataError, UsageError
from tfrecords.info import Band, NativeClass, StaticColumn
from tfrecords.schema import LightCurve, Record
from tfrecords.writer import DatasetWriter
from zoo.training import bundle as bundles
from zoo.training.run import Run, load_run, new_directory


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run, to be spoiled."""
    shutil.copytree(run.path, tmp_path / "copy")
    return tmp_path / "copy"


def _describe(copy, **changes):
    """Change a bundle's description, its checksum included."""
    path = copy / "bundle" / "bundle.json"
    values = json.loads(path.read_text()) | changes
    values["description_sha256"] = bundles._description_digest(values)
    path.write_text(json.dumps(values))


def test_a_bundle_gives_the_network_back(run, copy):
    bundle = bundles.load(copy / "bundle")
    assert bundle == run.bundle
    network = bundles.load_network(copy / "bundle")
    for ours, theirs in zip(network.get_weights(), run.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_damaged_weights(copy):
    path = copy / "bundle" / "model.weights.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="model.weights.h5: damaged, its SHA-256"):
        load_run(copy)
    path.unlink()
    with pytest.raises(DataError, match="the weights are missing.*model.weights.h5"):
        load_run(copy)


def test_damaged_description(copy):
    path = copy / "bundle" / "bundle.json"
    for text in ("{", "{}", '{"format": 1, "model": "atat"}', "[]"):
        path.write_text(text)
        with pytest.raises(DataError, match="bundle.json: damaged"):
            load_run(copy)
    path.unlink()
    with pytest.raises(DataError, match="no finished model here"):
        load_run(copy)


def test_an_edited_description_is_refused(copy):
    path = copy / "bundle" / "bundle.json"
    values = json.loads(path.read_text())
    values["data"]["classes"] = values["data"]["classes"][::-1]
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="bundle.json: changed since it was written"):
        load_run(copy)


def test_a_newer_format_is_refused(copy):
    _describe(copy, format=99, zoo_version="9.0")
    with pytest.raises(DataError, match=r"written by a newer zoo \(9.0\).*Received: 99"):
        load_run(copy)


def test_weights_of_another_configuration_are_refused(copy, run):
    _describe(copy, hparams=run.bundle.hparams | {"layers": 1, "head_dim": 6})
    with pytest.raises(DataError, match="model.weights.h5: cannot be loaded"):
        _ = load_run(copy).network


def test_an_unknown_model_or_key_is_named(copy, run):
    _describe(copy, model="atat9000")
    with pytest.raises((UsageError, DataError), match="atat9000"):
        _ = load_run(copy).network


@pytest.fixture
def foreign(tmp_path):
    """Records of another survey."""
    path = tmp_path / "foreign"
    settings = {
        "survey": "toy", "bands": [Band("g", (), 4800.0)], "zero_point": 25.0, "flux_unit": "nJy",
        "static_columns": [StaticColumn("a")], "classes": [NativeClass(1, "A")], "targets": [],
    }  # fmt: skip
    with DatasetWriter(path, **settings) as writer:
        curve = LightCurve(*(np.ones(3, kind) for kind in ("f8", "u1", "f4", "f4", "u1")))
        curve.band[:] = 0
        writer.write(Record("one", "toy", 1, lc=curve, static=np.ones(1, "f4")), "test")
    return path


def test_another_survey_is_refused(run, foreign):
    for use in (lambda: run.predict(foreign), lambda: run.evaluate(data=foreign, split="all")):
        with pytest.raises(DataError, match="foreign: the survey.*Valid: plasticc. Received: toy"):
            use()


def test_a_run_is_a_directory(tmp_path):
    with pytest.raises(UsageError, match="RUN must be the directory of a run"):
        Run(tmp_path / "nothing")
    with pytest.raises(DataError, match="no finished model here"):
        load_run(tmp_path)


def test_names_of_new_runs(tmp_path):
    first = new_directory(tmp_path / "atat", None, "LC + MD-fold0-seed1")
    second = new_directory(tmp_path / "atat", None, "LC + MD-fold0-seed1")
    assert first.parent == tmp_path / "atat" and second.name == first.name + "-2"
    named = new_directory(tmp_path / "atat", "mine", "x")
    assert named.name == "mine"
    with pytest.raises(UsageError, match="this run exists.*--resume.*Received: 'mine'"):
        new_directory(tmp_path / "atat", "mine", "x")
    for bad in ("a/b", "", "a b"):
        with pytest.raises(UsageError, match="--name: letters"):
            new_directory(tmp_path / "atat", bad, "x")
