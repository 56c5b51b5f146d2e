"""``--config-from``: what is taken from an earlier run, what wins over it, and what is refused."""

from __future__ import annotations

import pytest

from tfrecords.errors import DataError, UsageError
from zoo.training import copied
from zoo.training.resolve import resolve
from zoo.training.run import CONFIG


@pytest.fixture
def earlier(tmp_path):
    """The directory of a run of another model whose optimisation is of its own."""
    settled = resolve(
        "ae_classifier", learning_rate=0.004, beta_1=0.7, coupled_decay=0.02, epochs=9, schedule="plateau",
        warmup="epochs", warmup_epochs=3.0, plateau_factor=0.4, clip_norm=5.0, dropout=0.31, batch_size=7, seed=3,
        fold=1, subset="sub25",
    )  # fmt: skip
    path = tmp_path / "earlier"
    path.mkdir()
    (path / CONFIG).write_text(settled.to_yaml())
    return path


def test_listed_options_that_both_have_are_taken(earlier):
    settled = resolve("atat", "lc_mtime", config_from=earlier)
    run = settled.run
    assert (run.learning_rate, run.beta_1, run.coupled_decay, run.epochs) == (0.004, 0.7, 0.02, 9)
    assert (run.schedule, run.warmup, run.warmup_epochs, run.plateau_factor) == ("plateau", "epochs", 3, 0.4)
    assert (settled.hparams.dropout, settled.selection.subset) == (0.31, "sub25")
    plain = resolve("atat", "lc_mtime")
    for key in ("batch_size", "seed", "fold", "name"):
        assert getattr(run, key) == getattr(plain.run, key), key
    assert settled.inputs == plain.inputs
    assert settled.origin["epochs"] == f"run {earlier}" and settled.origin["truncate"] == "preset lc_mtime"


def test_files_and_flags_win_over_the_run_and_that_over_the_preset(earlier, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("beta_1: 0.5\n")
    preset = tmp_path / "preset.yaml"
    preset.write_text("learning_rate: 0.5\nbatch_size: 3\n")
    flags = ["--epochs", "2", "--freeze", "lc"]
    settled = resolve("atat", str(preset), str(file), flags, config_from=earlier)
    run = settled.run
    assert (run.learning_rate, run.batch_size, run.beta_1, run.epochs) == (0.004, 3, 0.5, 2)
    text = copied.message(settled, earlier)
    taken, own = text.split("; set here: ")
    assert taken.startswith(f"taken from {earlier}: ") and "learning_rate 0.004" in taken and ", epochs 2" not in taken
    assert sorted(own.split(", ")) == ["beta_1 0.5", "epochs 2", "freeze ['lc']"]


def test_what_only_one_of_the_runs_has_is_left(earlier):
    assert "dropout" in copied.options(earlier, ["dropout", "photo_dropout", "batch_size"])
    assert list(copied.options(earlier, ["photo_dropout", "batch_size"])) == []


def test_no_run_and_a_damaged_one_are_refused(earlier, tmp_path):
    with pytest.raises(UsageError, match="--config-from must be the directory of a run.*nowhere"):
        resolve("atat", config_from=tmp_path / "nowhere")
    (earlier / CONFIG).write_text("run: [")
    with pytest.raises(DataError, match="damaged"):
        resolve("atat", config_from=earlier)


def test_channels_of_parts_are_taken(tmp_path):
    settled = resolve("astrom3_clip", photo_use_scale=False, spectra_use_err=False, spectra_use_scale=False)
    (tmp_path / CONFIG).write_text(settled.to_yaml())
    found = resolve("astrom3", config_from=tmp_path).hparams
    assert not any((found.photo_use_scale, found.spectra_use_err, found.spectra_use_scale))
