"""``--logger``: a callback of the user's own in a run, and what is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tfrecords.errors import UsageError
from zoo.training import boards, logger
from zoo.training.config import RunConfig
from zoo.training.loop import fit
from zoo.training.resolve import resolve

MODULE = """
import json
import keras


class Diary(keras.callbacks.Callback):
    def __init__(self, directory, settings):
        super().__init__()
        self.file, self.pages = directory / "diary.json", [settings["learning_rate"]]

    def on_epoch_end(self, epoch, logs=None):
        self.pages.append([epoch, sorted(logs)])

    def on_train_end(self, logs=None):
        self.file.write_text(json.dumps(self.pages))


class Narrow(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()


class Stranger:
    pass
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Name of a module on the path."""
    (tmp_path / "own_diary.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_diary"


@pytest.mark.slow
def test_the_callback_sees_every_epoch(records, module, tmp_path):
    small = {"epochs": 1, "batch_size": 7, "evaluate": False, "export": False}
    run = fit("simple_rnn", data=str(records), runs=str(tmp_path), logger=f"{module}:Diary", quiet=True, **small)
    rate, page = json.loads((run.path / "diary.json").read_text())
    assert rate == run.run_config.learning_rate and page[0] == 0
    assert {"loss", "val_loss", "val_macro_f1"} <= set(page[1])
    assert any((run.path / "tensorboard").rglob("events.*"))


def test_the_callback_stands_beside_the_boards_with_all_options(module, tmp_path):
    settled = resolve("simple_rnn", learning_rate=0.5, logger=f"{module}:Diary")
    *others, ours = boards.boards(tmp_path, settled, SimpleNamespace(classes=("a", "b")), (), None)
    assert ours.file == tmp_path / "diary.json" and ours.pages == [0.5]
    assert any(type(item).__name__ == "TensorBoard" for item in others)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_diary:Nobody", "Received: no such name"), ("own_diary:Stranger", "must be a subclass"),
        ("own_dairy:Diary", "cannot be imported.*No module named 'own_dairy'"),
    ],
)  # fmt: skip
def test_what_is_no_callback_is_refused(module, name, words):
    with pytest.raises(UsageError, match=f"--logger: .*{words}") as found:
        logger.find(name)
    assert "Received: " in str(found.value)


def test_other_arguments_and_forms_are_refused(module, tmp_path):
    with pytest.raises(UsageError, match=r"could not be made as CLASS\(directory, settings\)"):
        logger.create(f"{module}:Narrow", tmp_path, {})
    for wrong in ("diary", "diary.Diary", "a b:C"):
        with pytest.raises(UsageError, match="logger is MODULE:CLASS"):
            RunConfig(logger=wrong)
