"""A run's configuration: which source wins, where each value came from, and what is refused."""

from __future__ import annotations

import pytest
import yaml

import hparams
from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.training.resolve import normalise, resolve


@pytest.fixture
def file(tmp_path):
    """A configuration file."""
    path = tmp_path / "mine.yaml"
    path.write_text("layers: 5\nepochs: 11\nharmonics: 6\n")
    return path


def test_default_preset_file_flag(file):
    settled = resolve("atat", "lc_mtime", str(file), ["--harmonics", "7", "--batch-size", "32"])
    assert (settled.hparams.layers, settled.hparams.harmonics) == (5, 7)
    assert (settled.run.epochs, settled.run.batch_size) == (11, 32)
    assert settled.inputs.truncate == "choice" and settled.hparams.objective == "lc"
    origin = settled.origin
    assert origin["objective"] == origin["truncate"] == "preset lc_mtime"
    assert origin["layers"] == origin["epochs"] == f"file {file}"
    assert origin["harmonics"] == origin["batch_size"] == "flag"
    assert origin["seed"] == "default"


def test_python_and_the_command_line_agree():
    flags = ["--classes", "AGN,KN", "--truncate-days=[1.0, 2.0]", "--quantile", "false", "--fold", "2"]
    ours = resolve("atat", "lc_header", arguments=flags)
    theirs = resolve("atat", "lc_header", classes=["AGN", "KN"], truncate_days=[1.0, 2.0], quantile=False, fold=2)
    assert ours == theirs
    assert ours.selection.classes == ["AGN", "KN"] and ours.hparams.quantile is False


def test_the_resolved_file_gives_the_same_configuration_again(tmp_path):
    settled = resolve("atat", "lc_header_mtime", seed=4, static_columns=["mwebv"])
    path = tmp_path / "config.resolved.yaml"
    path.write_text(settled.to_yaml())
    again = resolve("atat", config=str(path))
    assert again.sections() == settled.sections()
    assert yaml.safe_load(settled.to_yaml())["inputs"]["static_columns"] == ["mwebv"]
    assert "seed: 4  # flag" in settled.to_yaml()


@pytest.mark.parametrize("family", sorted({entry.family for entry in registry.entries().values()}))
def test_every_preset_is_valid(family):
    names = [entry.name for entry in registry.entries().values() if entry.family == family]
    for preset in hparams.presets(family):
        for name in names:
            if name in (hparams.models(family, preset) or names):
                assert resolve(name, preset).preset == preset
            else:
                with pytest.raises(UsageError, match=f"--preset {preset} is for other models.*Received: {name}"):
                    resolve(name, preset)


def test_a_preset_by_its_name_in_the_paper():
    assert resolve("atat", "LC + MD + MTA").preset == "lc_header_mtime"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--harmonic", "7"], "option of this name. Closest: harmonics.*--help.*Received: 'harmonic'"),
        (["--nonsense-option", "7"], "Received: 'nonsense_option'"),
        (["--layers", "many"], "layers.*Received: many"),
        (["--layers", "0"], "layers must be at least 1. Received: 0"),
        (["--objective", "both"], "objective.*lc.*Received: both"),
        (["--epochs", "0"], "epochs must be at least 1. Received: 0"),
        (["--learning-rate", "-1"], r"learning_rate must lie in \(0, 100\]. Received: -1"),
        (["--dropout", "1"], "dropout must lie in"),
        (["--clip-norm", "0"], "clip_norm must be positive"),
        (["--beta-1", "1"], "beta_1 must lie in"),
        (["--weight-decay", "1"], "weight_decay goes with optimizer adamw"),
        (["--optimizer", "adem"], "Closest: adam.*Received: 'adem'"),
        (["--schedule", "square"], "schedule.*cosine.*Received: square"),
        (["--objective", "tab", "--metadata", "false"], "needs a tabular input"),
        (["--label-fraction", "2"], "label_fraction must lie in"),
    ],
)
def test_wrong_flags(arguments, message):
    with pytest.raises(UsageError, match=f"(?s){message}"):
        resolve("atat", "lc_header", arguments=arguments)


def test_wrong_names(tmp_path):
    with pytest.raises(UsageError, match="no model of this name. Closest: atat.*zoo.list.*Received: 'atta'"):
        resolve("atta")
    with pytest.raises(UsageError, match="--preset: atat has no preset.*lc_header.*Received: 'lc_heeder'"):
        resolve("atat", "lc_heeder")
    with pytest.raises(UsageError, match="option of this name.*Received: 'layer'"):
        resolve("atat", layer=3)
    with pytest.raises(UsageError, match="no such configuration file"):
        resolve("atat", config=str(tmp_path / "none.yaml"))


def test_wrong_files(file):
    file.write_text("layerz: 3\n")
    with pytest.raises(UsageError, match=f"file {file}.*Closest: layers.*Received: 'layerz'"):
        resolve("atat", config=str(file))
    for text in ("a: [", "- 1\n", "x"):
        file.write_text(text)
        with pytest.raises(DataError, match="mine.yaml"):
            resolve("atat", config=str(file))
    file.write_text("layers: three\n")
    with pytest.raises(UsageError, match="layers.*Received: three"):
        resolve("atat", config=str(file))


def test_columns_and_channels_of_parts_take_commas():
    flags = ["--photo-cols", "period,90", "--meta-columns", "ruwe", "--spectra-channels", "4,8"]
    found = resolve("astrom3", arguments=flags).hparams
    assert (found.photo_cols, found.meta_columns, found.spectra_channels) == (["period", "90"], ["ruwe"], [4, 8])


def test_normalise_leaves_values_alone():
    assert normalise(["--batch-size=3", "--init-from", "encoder=runs/a-b", "--x-y"]) == [
        "--batch_size", "3", "--init_from", '["encoder=runs/a-b"]', "--x_y"
    ]  # fmt: skip
    twice = ["--init-from", "photo=a", "--seed", "3", "--init-from", "meta=b,spectra=c", "--seed", "4"]
    assert normalise(twice) == [
        "--init_from", '["photo=a", "meta=b", "spectra=c"]', "--seed", "3", "--seed", "4"
    ]  # fmt: skip
    assert normalise(["--learning-rate", "-1"]) == ["--learning_rate", "-1"]
