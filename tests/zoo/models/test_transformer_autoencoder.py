"""Transformer autoencoder: published sizes, causality, roll-out, scale of the flux, options that exclude each other."""

from __future__ import annotations

import time

import keras
import numpy as np
import pytest
from keras import ops

from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.models.transformer_autoencoder import reference
from zoo.models.transformer_autoencoder.config import AutoencoderConfig

INFO = registry.ModelInfo(bands=tuple("ugrizY"))
SMALL = {"num_layers": 2, "d_model": 16, "num_heads": 4, "dff": 8, "embed": True}


def _network(**changes):
    keras.utils.set_random_seed(0)
    return registry.create("transformer_autoencoder", INFO, **SMALL | changes)


def _inputs(objects=3, steps=12, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    observed = rng.random((objects, steps, 6)) < share
    observed[0, :3] = False
    flux = np.where(observed, rng.normal(size=observed.shape) * 100, 0).astype("float32")
    return {
        "time": np.tile(3.0 * np.arange(steps, dtype="float32"), (objects, 1)),
        "flux": flux,
        "flux_err": np.where(observed, 1, 0).astype("float32"),
        "observed": observed,
        "mask": np.ones((objects, steps), bool),
    }


def _tensors(inputs):
    return {key: ops.convert_to_tensor(value) for key, value in inputs.items()}


@pytest.mark.parametrize(
    ("changes", "count"),
    [({}, 17_962), ({"embed": True, "d_model": 128, "num_heads": 8}, 1_863_174)],
)
def test_published_parameter_counts(changes, count):
    assert registry.create("transformer_autoencoder", INFO, **changes).count_params() == count


def _changed_by_the_future(policy, place=6):
    """Give by how much rows before ``place`` change when the decoder's rows from there on do."""
    network = _network(mask_policy=policy, normalise="none")
    inputs = _inputs()
    rows, seen = (ops.convert_to_tensor(inputs[key]) for key in ("flux", "observed"))
    memory, valid = network.encode(rows, seen)
    later = np.array(inputs["flux"])
    later[:, place:] += 5.0
    seen_later = np.array(inputs["observed"])
    seen_later[:, place:] = ~seen_later[:, place:]
    before = network.decode(rows, seen, memory, valid)
    after = network.decode(ops.convert_to_tensor(later), ops.convert_to_tensor(seen_later), memory, valid)
    difference = np.abs(ops.convert_to_numpy(before - after))
    return difference[:, :place].max(), difference[:, place:].max()


def test_the_decoder_is_causal_and_the_originals_is_not():
    assert _changed_by_the_future("any")[0] < 1e-6 < 1e-2 < _changed_by_the_future("any")[1]
    assert _changed_by_the_future("band0")[0] > 1e-3


@pytest.mark.parametrize("policy", ["any", "band0"])
def test_the_roll_out_is_the_decoder_run_row_by_row(policy):
    network = _network(mask_policy=policy)
    inputs = _tensors(_inputs())
    outputs = network(inputs)
    ours = ops.convert_to_numpy(network.roll_out(outputs))
    seen = ops.convert_to_numpy(outputs["observed"])
    rows = np.zeros((3, 1, 6), "float32")
    for place in range(seen.shape[1]):
        known = np.concatenate([np.zeros((3, 1, 6), bool), seen[:, :place]], axis=1)
        hidden = network.decode(ops.convert_to_tensor(rows), known, outputs["memory"], outputs["memory_valid"])
        new = ops.convert_to_numpy(network.values(hidden))[:, -1:]
        np.testing.assert_allclose(ours[:, place : place + 1], new, rtol=0, atol=2e-4)
        rows = np.concatenate([rows, np.where(seen[:, place : place + 1], new, 0)], axis=1)


def test_the_roll_out_does_not_see_the_target():
    network = _network(mapping="denoise")
    inputs = _inputs()
    rolled = []
    for factor in (1.0, 3.0):
        outputs = network(_tensors(inputs | {"target_flux": inputs["flux"] * np.float32(factor)}))
        rolled.append(ops.convert_to_numpy(network.roll_out(outputs)))
    np.testing.assert_array_equal(*rolled)


@pytest.mark.slow
def test_a_roll_out_of_100_steps_for_64_objects_takes_seconds():
    import tensorflow as tf

    network = _network(num_layers=8, d_model=128, num_heads=8, dff=64)
    run = tf.function(lambda inputs: network.roll_out(network(inputs)))
    inputs = _tensors(_inputs(64, 100))
    run(inputs)
    started = time.process_time()
    assert np.isfinite(run(inputs).numpy()).all()
    assert time.process_time() - started < 60, "seconds of processor time, on any machine"


def test_each_object_is_scaled_by_its_own_range_and_errors_by_the_range_alone():
    inputs = _inputs()
    inputs["flux"][2] = 0
    inputs["observed"][2] = False
    outputs = {key: ops.convert_to_numpy(value) for key, value in _network()(_tensors(inputs)).items()}
    for row in range(2):
        lowest, highest = min(inputs["flux"][row].min(), 0), max(inputs["flux"][row].max(), 0)
        seen = inputs["observed"][row]
        expected = (inputs["flux"][row][seen] - lowest) / (highest - lowest)
        np.testing.assert_allclose(outputs["target"][row][seen], expected, atol=1e-6)
        np.testing.assert_allclose(outputs["error"][row][seen], 1 / (highest - lowest), rtol=1e-6)
        assert (outputs["target"][row][~seen] == 0).all()
    assert outputs["range"][2] == 1 and outputs["offset"][2] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 5}, "num_heads must divide d_model"),
        ({"num_layers": 0}, "num_layers must be at least 1"),
        ({"kld_rho": 0.0}, "kld_rho must lie in"),
        ({"dropout": 1.0}, "dropout must lie in"),
    ],
)
def test_wrong_options_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        AutoencoderConfig(**changes)


def test_without_embedding_the_width_is_the_number_of_bands():
    with pytest.raises(UsageError, match=r"Valid: 6\. Received: 16"):
        _network(embed=False)


def test_a_converted_model_is_a_run(shared, tmp_path):
    from zoo.convert import convert
    from zoo.training.run import load_run

    path = shared("golden/transformer_autoencoder/tae_noembed.npz")
    run = load_run(convert(path, path.with_suffix(".json"), "transformer_autoencoder", tmp_path / "run"))
    assert run.task.columns() == ["rmse", "rmse_rollout", "points"]
    assert run.bundle.inputs.grid_steps == 50 and run.network.count_params() == 2026


def test_foreign_weights_are_refused(shared):
    from zoo.convert import read_weights

    path = shared("golden/transformer_autoencoder/tae_embed.npz")
    config = {"num_layers": 2, "d_model": 16, "num_heads": 4, "dff": 8, "embed": True}
    arrays = read_weights(path)
    assert reference.import_weights(arrays, config).config.mask_policy == "band0"
    for changes, message in (
        ({"dff": 9}, "wrong shape"),
        ({"num_layers": 3}, "missing"),
        ({"num_layers": 1}, "not have"),
    ):
        with pytest.raises(DataError, match=message):
            reference.import_weights(arrays, config | changes)
