"""Classifiers on the grid: size, what their options change, and the encoder that they take from an autoencoder."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from tfrecords.errors import DataError
from zoo import registry
from zoo.inputs.config import InputConfig
from zoo.inputs.spec import DataSpec
from zoo.training import bundle as bundles
from zoo.training import warm_start

INFO = registry.ModelInfo(classes=("a", "b", "c"), bands=tuple("ugrizY"))
SIZES = {"num_layers": 2, "d_model": 16, "num_heads": 4, "dff": 8, "embed": True}


def _inputs(steps=9, filled=6):
    rng = np.random.default_rng(0)
    mask = np.tile(np.arange(9) < filled, (2, 1))
    observed = (rng.random((2, 9, 6)) < 0.6) & mask[:, :, None]
    inputs = {
        "time": np.zeros((2, 9), "float32"),
        "flux": np.where(observed, rng.normal(size=observed.shape), 0).astype("float32"),
        "flux_err": np.ones(observed.shape, "float32"),
        "observed": observed,
        "mask": mask,
    }
    return {key: ops.convert_to_tensor(value[:, :steps]) for key, value in inputs.items()}


def _logits(model, **options):
    keras.utils.set_random_seed(0)
    network = registry.create(model, INFO, **options)
    if model != "simple_rnn":
        # The bias of a hidden layer makes empty steps count, unless they are masked.
        network.classifier.ffn_out.bias.assign(np.linspace(-1, 3, 8))
    return [np.asarray(network(_inputs(steps))["classifier"]) for steps in (6, 9)]


@pytest.mark.parametrize(
    ("model", "options", "original"),
    [("ae_classifier", SIZES, {"pool_mask": False}), ("simple_rnn", {"units": 5}, {"read": "last"})],
)
def test_padding_counts_only_as_in_the_original(model, options, original):
    short, padded = _logits(model, **options)
    np.testing.assert_allclose(short, padded, atol=1e-6)
    short, padded = _logits(model, **options | original)
    assert np.abs(short - padded).max() > 1e-4


def test_encoder_ffn_adds_the_penalty_on_its_embedding():
    network = registry.create("encoder_ffn", INFO, **SIZES)
    mean = np.abs(network.encoder.embed.kernel.numpy()).mean()
    network(_inputs())
    rho = 1e-5
    expected = 0.3 * (rho * np.log(rho / mean) + (1 - rho) * np.log((1 - rho) / (1 - mean)))
    assert [float(item) for item in network.losses] == pytest.approx([expected], rel=1e-4)
    assert not registry.create("encoder_ffn", INFO, **SIZES, kld_alpha=0.0).losses


@pytest.fixture
def autoencoder(tmp_path):
    """The directory of a run of an autoencoder, and its network."""
    spec = DataSpec("survey", INFO.bands, 27.5, (), (), (), {})
    bundle = bundles.Bundle("transformer_autoencoder", SIZES, InputConfig(), spec, "MSE")
    network = bundle.build()
    bundles.save(tmp_path / "run" / "bundle", bundle, network)
    return tmp_path / "run", network


def test_the_encoder_comes_from_an_autoencoder_and_can_be_frozen(autoencoder):
    path, theirs = autoencoder
    network = registry.create("ae_classifier", INFO, **SIZES)
    warm_start.freeze(network, ["encoder"])
    lines = warm_start.initialise(network, [f"encoder={path}"], None)
    assert "34 of 34 arrays loaded" in lines[0]
    for ours, other in zip(network.encoder.weights, theirs.encoder.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), other.numpy())
    assert {item.path.split("/")[1] for item in network.trainable_variables} == {"classifier"}


def test_an_encoder_of_another_width_is_refused(autoencoder):
    path, _ = autoencoder
    network = registry.create("ae_classifier", INFO, **SIZES | {"d_model": 8})
    with pytest.raises(DataError, match=r"'encoder' of .* has other sizes .*Valid: \(6, 8\)\. Received: \(6, 16\)"):
        warm_start.initialise(network, [f"encoder={path}"], None)
    network = registry.create("ae_classifier", INFO, **SIZES | {"num_heads": 2})
    with pytest.raises(DataError, match=r"another number of heads .* Valid: 2\. Received: 4"):
        warm_start.initialise(network, [f"encoder={path}"], None)
