"""Training in stages: each goes on from the one before, and a run that was cut short goes on where it was."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tfrecords.errors import UsageError
from zoo.training import bundle as bundles
from zoo.training import stages
from zoo.training.loop import fit
from zoo.training.resolve import resolve
from zoo.training.run import Run, read_config, read_state

SMALL = {"num_layers": 1, "d_model": 4, "num_heads": 2, "dff": 4, "embed": True, "grid_steps": 6, "epochs": 1,
         "steps_per_epoch": 2, "batch_size": 4, "loss": "MSE", "export": False, "evaluate": False}  # fmt: skip
TWO = [{"name": "first", "freeze": ["decoder"]}, {"name": "second", "freeze": ["encoder"], "learning_rate": 0.01}]


def test_each_stage_has_its_own_options_over_those_of_the_run():
    settled = resolve("transformer_autoencoder", **SMALL, stages=[*TWO, {"name": "wide", "kld_alpha": 0.5}], seed=3)
    found = dict(stages.plan(settled))
    assert list(found) == ["first", "second", "wide"]
    assert [item.run.freeze for item in found.values()] == [["decoder"], ["encoder"], None]
    assert found["second"].run.learning_rate == 0.01 and found["wide"].hparams.kld_alpha == 0.5
    assert all(item.run.seed == 3 and item.run.stages is None and not item.run.export for item in found.values())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([{"epochs": 2}], "a name of their own"),
        ([{"name": "a"}, {"name": "a"}], "a name of their own"),
        ([{"name": "a/b"}], "a name of their own"),
    ],
)
def test_names_are_needed(wrong, message):
    with pytest.raises(UsageError, match=f"{message}.*Received"):
        resolve("transformer_autoencoder", **SMALL, stages=wrong)
    with pytest.raises(UsageError, match="Closest: epochs.*Received: 'epoch'"):
        stages.plan(resolve("transformer_autoencoder", **SMALL, stages=[{"name": "a", "epoch": 2}]))


def _weights(path, part):
    network = bundles.load_network(path / "bundle")
    return [item.numpy() for item in network.parts_of_model()[part].weights]


@pytest.mark.slow
def test_stages_follow_one_another_and_go_on(records, tmp_path):
    run = fit("transformer_autoencoder", data=str(records), runs=str(tmp_path), stages=TWO, quiet=True, **SMALL)
    first, second = (run.path / "stages" / name for name in ("first", "second"))
    assert read_config(second)["run"]["init_from"] == [str(first)]
    for ours, theirs in zip(_weights(second, "encoder"), _weights(first, "encoder"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    pairs = zip(_weights(second, "decoder"), _weights(first, "decoder"), strict=True)
    assert any((ours != theirs).any() for ours, theirs in pairs)
    assert read_state(run.path)["finished"] and (run.path / "metrics.csv").is_file()
    last = [item.numpy() for item in run.network.weights]
    for ours, theirs in zip(last, bundles.load_network(second / "bundle").weights, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())
    # Cut short within the second stage: what was done stays, the rest is the same again.
    shutil.rmtree(second)
    shutil.rmtree(run.path / "bundle")
    again = fit(None, resume=run.path, quiet=True)
    assert isinstance(again, Run)
    for ours, theirs in zip(last, again.network.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())
