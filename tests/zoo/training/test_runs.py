"""Whole runs: the same bytes from the same seed, also across an interruption; what a run leaves behind."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml

from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from zoo.inputs.config import SelectionConfig
from zoo.training import callbacks
from zoo.training.loop import fit
from zoo.training.run import load_run


def _arrays(path) -> dict[str, bytes]:
    """Give the bytes of every array of a weights file, optimizer state included."""
    import h5py

    found: dict[str, bytes] = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(collect)
    return found


def _assert_same_numbers(ours, theirs, records):
    assert (ours.path / "metrics.csv").read_bytes() == (theirs.path / "metrics.csv").read_bytes()
    for mine, other in zip(ours.network.get_weights(), theirs.network.get_weights(), strict=True):
        assert mine.tobytes() == other.tobytes()
    mine, other = (_arrays(run.path / "checkpoints" / "last.weights.h5") for run in (ours, theirs))
    assert mine == other and any("optimizer" in name for name in mine)
    for name in ("bundle/model.weights.h5", "checkpoints/best.weights.h5", "class_composition.csv"):
        assert (ours.path / name).read_bytes() == (theirs.path / name).read_bytes(), name
    tables = [run.predict(records) for run in (ours, theirs)]
    assert tables[0].equals(tables[1])


def test_one_seed_gives_the_same_bytes(run, options, records):
    again = fit("atat", name="again", quiet=True, **options)
    _assert_same_numbers(again, run, records)


def _die_before_the_state(self, row, save):
    """Stop in epoch 2 when its weights are written and ``state.json`` still tells of epoch 1."""
    if row["epoch"] == 2:
        callbacks.files.save_weights(self.path / "checkpoints" / callbacks.NEXT, self.model)
        raise KeyboardInterrupt
    save(self, row)


def _die_after_the_state(self, row, save):
    """Stop in epoch 2 when ``state.json`` tells of it and its weights do not yet have their name."""
    last = self.path / "checkpoints" / callbacks.LAST
    before = last.read_bytes() if last.exists() else b""
    save(self, row)
    if row["epoch"] == 2:
        last.rename(last.with_name(callbacks.NEXT))
        last.write_bytes(before)
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("die", "epoch"),
    [(_die_before_the_state, 1), pytest.param(_die_after_the_state, 2, marks=pytest.mark.slow)],
)
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(run, options, records, monkeypatch, die, epoch):
    save, name = callbacks.Recorder._save, f"interrupted-{epoch}"
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Recorder, "_save", lambda self, row: die(self, row, save))
        with pytest.raises(KeyboardInterrupt):
            fit("atat", name=name, quiet=True, **options)
    path = run.path.parent / name
    assert json.loads((path / "state.json").read_text())["epoch"] == epoch
    assert not (path / "bundle").exists()
    with pytest.raises(DataError, match="no finished model"):
        load_run(path)
    _assert_same_numbers(fit("atat", resume=path, quiet=True), run, records)


def test_files_of_a_run(run, options):
    rows = list(csv.DictReader((run.path / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"loss", "macro_f1", "val_loss", "val_macro_f1", "learning_rate"} <= set(rows[0])
    settled = yaml.safe_load((run.path / "config.resolved.yaml").read_text())
    for section in ("hparams", "inputs", "selection", "run"):
        assert settled[section]
    assert settled["run"]["seed"] == 7 and settled["hparams"]["dropout"] == 0.2
    assert "# flag" in (run.path / "config.resolved.yaml").read_text()
    directory = RecordDirectory(options["data"])
    assert settled["data_fingerprint"] == directory.info.fingerprint
    counts = list(csv.DictReader((run.path / "class_composition.csv").read_text().splitlines()))
    assert {row["split"] for row in counts} == {"train", "validation", "test"}
    assert sum(int(row["count"]) for row in counts) == 42
    state = json.loads((run.path / "state.json").read_text())
    assert state["finished"] and state["epoch"] == 3 and state["best_epoch"] in (1, 2, 3)
    assert float(rows[state["best_epoch"] - 1]["val_macro_f1"]) == pytest.approx(state["best"], rel=1e-6)
    assert any((run.path / "tensorboard").rglob("events.*"))
    assert not list(run.path.rglob("*.incomplete*"))


def test_the_bundle_holds_the_best_epoch(run, records):
    state = json.loads((run.path / "state.json").read_text())
    table = run.predict(records).set_index("object_id")
    directory = RecordDirectory(records)
    places = directory.split_indices("validation", 0)
    names = {item.id: item.name for item in directory.info.classes}
    true = [names[int(directory.index["class_id"][place])] for place in places]
    from sklearn.metrics import f1_score

    predicted = table.loc[directory.ids(places), "predicted_class"]
    assert f1_score(true, predicted, average="macro") == pytest.approx(state["best"], abs=1e-6)


def test_resume_takes_epochs_and_nothing_else(run, options, records):
    with pytest.raises(UsageError, match="--resume takes no options but .*epochs.*batch_size"):
        fit("atat", resume=run.path, batch_size=8, quiet=True)
    with pytest.raises(DataError, match="config.resolved.yaml"):
        fit("atat", resume=run.path.parent, quiet=True)


def test_resume_on_other_data_is_refused(run, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    config = copy / "config.resolved.yaml"
    text = config.read_text()
    start = text.index("data_fingerprint: ")
    config.write_text(text[:start] + "data_fingerprint: 0000\n")
    with pytest.raises(DataError, match="not those the run was started on.*fingerprint 0"):
        fit("atat", resume=copy, quiet=True)


def test_a_damaged_checkpoint_is_named(run, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    last = copy / "checkpoints" / "last.weights.h5"
    last.write_bytes(last.read_bytes()[:2000])
    state = json.loads((copy / "state.json").read_text())
    (copy / "state.json").write_text(json.dumps(state | {"epoch": 1, "step": state["steps_per_epoch"]}))
    with pytest.raises(DataError, match="last.weights.h5: cannot be loaded"):
        fit("atat", resume=copy, quiet=True)
    (copy / "state.json").write_text("{")
    with pytest.raises(DataError, match="state.json: damaged"):
        fit("atat", resume=copy, quiet=True)
    (copy / "state.json").unlink()
    with pytest.raises(DataError, match="no epoch of this run was finished"):
        fit("atat", resume=copy, quiet=True)


@pytest.mark.slow
def test_patience_and_chosen_classes(options):
    # A learning rate this small changes no prediction: the first epoch stays the best.
    changes = {"epochs": 9, "patience": 2, "learning_rate": 1e-12, "classes": ["KN", "AGN", "TDE"], "seed": 8}
    stopped = fit("atat", name="stopped", quiet=True, **(options | changes))
    state = json.loads((stopped.path / "state.json").read_text())
    assert (state["best_epoch"], state["epoch"], state["wait"]) == (1, 3, 2)
    assert len((stopped.path / "metrics.csv").read_text().splitlines()) == 4
    assert stopped.bundle.spec.classes == ("KN", "AGN", "TDE")
    assert SelectionConfig(**stopped.config["selection"]).classes == ["KN", "AGN", "TDE"]
    table = stopped.predict(options["data"])
    assert len(table) == 42 and set(table["predicted_class"]) <= {"KN", "AGN", "TDE"}
    np.testing.assert_allclose(table[["p_KN", "p_AGN", "p_TDE"]].sum(axis=1), 1, atol=1e-5)
