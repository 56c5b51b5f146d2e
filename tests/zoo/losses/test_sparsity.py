"""The sparsity penalty: its minimum, its gradient, its edges, and that it acts on live weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import registry
from zoo.losses.sparsity import JOIN, Sparsity, bernoulli_divergence, sparsity
from zoo.tasks.reconstruct import Reconstruct
from zoo.training.config import RunConfig
from zoo.training.model import Trainable

MODES = ("layer", "unit", "elementwise")
SIZES = {"num_layers": 1, "d_model": 8, "num_heads": 2, "dff": 8, "embed": True}


def _gradient(function, value):
    variable = tf.Variable(value)
    with tf.GradientTape() as tape:
        result = function(variable)
    return float(result), tf.convert_to_tensor(tape.gradient(result, variable)).numpy()


def _kernel():
    return np.random.default_rng(0).normal(size=(6, 8)).astype("float32") * 0.3


@pytest.mark.parametrize("rho", [0.01, 0.3])
@pytest.mark.parametrize("mode", MODES)
def test_zero_and_flat_at_its_target(mode, rho):
    value, gradient = _gradient(lambda kernel: sparsity(kernel, rho, mode), np.full((6, 8), -rho, "float32"))
    assert abs(value) < 1e-5 and np.abs(gradient).max() < 1e-5
    assert all(float(sparsity(np.full((6, 8), q, "float32"), rho, mode)) > 1e-4 for q in (rho / 2, rho * 1.5))


@pytest.mark.parametrize("mode", MODES)
def test_gradient_equals_finite_differences(mode):
    kernel = _kernel()
    _, gradient = _gradient(lambda values: sparsity(values, 1e-2, mode), kernel)
    assert np.abs(gradient).min() > 0
    for place in ((0, 0), (3, 5), (5, 7)):
        step = 1e-3 * abs(kernel[place])
        sides = []
        for sign in (1, -1):
            moved = kernel.astype("float64")
            moved[place] += sign * step
            mean = {"layer": lambda w: w.mean(), "unit": lambda w: w.mean(0), "elementwise": lambda w: w}
            q = mean[mode](np.abs(moved))
            sides.append(np.sum(0.01 * np.log(0.01 / q) + 0.99 * np.log(0.99 / (1 - q))))
        assert gradient[place] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=2e-3)


@pytest.mark.parametrize("mode", MODES)
def test_no_weight_gives_nan_and_large_ones_keep_their_gradient(mode):
    kernel = np.array([[0.0, 1.0, -1.5], [0.0, 3.0, 40.0]], "float32")
    value, gradient = _gradient(lambda values: sparsity(values, 1e-5, mode), kernel)
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert (gradient[:, 1] > 0).all() and gradient[0, 2] < 0 < gradient[1, 2]


def test_it_goes_on_as_a_line_near_one():
    points = tf.constant([1 - JOIN, 1.0, 2.0, 3.0])
    values = bernoulli_divergence(0.1, points).numpy()
    assert values[3] - values[2] == pytest.approx(values[2] - values[1], rel=1e-5)
    _, below = _gradient(lambda q: bernoulli_divergence(0.1, q), np.float32(1 - 1.01 * JOIN))
    _, above = _gradient(lambda q: bernoulli_divergence(0.1, q), np.float32(1.5))
    assert below == pytest.approx(above, rel=0.03)


def _network(**changes):
    keras.utils.set_random_seed(0)
    info = registry.ModelInfo(bands=tuple("ugrizY"))
    return registry.create("transformer_autoencoder", info, **SIZES, **changes)


def _trained(loss, steps=2, **changes):
    network = _network(**changes)
    model = Trainable(network, Reconstruct(None, RunConfig(loss=loss)))
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    rng = np.random.default_rng(1)
    inputs = {
        "time": np.zeros((4, 5), "float32"),
        "flux": rng.normal(size=(4, 5, 6)).astype("float32"),
        "flux_err": np.ones((4, 5, 6), "float32"),
        "observed": rng.random((4, 5, 6)) < 0.5,
        "mask": np.ones((4, 5), bool),
    }
    batch = tf.nest.map_structure(tf.constant, (inputs, {}, np.ones(4, "float32")))
    logs = [model.train_step(batch) for _ in range(steps)]
    return network, [{key: float(value) for key, value in item.items()} for item in logs]


@pytest.mark.parametrize("name", ["encoder.first_kernel", "decoder.first_kernel"])
def test_two_steps_with_it_move_the_kernels_elsewhere(name):
    kernels = [_trained(loss)[0].penalty_kernels()[name].numpy() for loss in ("RMSE", "KLD_RMSE")]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-4
    assert np.abs(kernels[1]).mean() < np.abs(kernels[0]).mean()


def test_loss_and_its_parts_are_logged():
    network, logs = _trained("KLD_RMSE", steps=1)
    first = _network()
    divergence = float(first.sparsity())
    assert logs[0]["kld"] > 0 and "rmse" in logs[0]
    plain = _trained("RMSE", steps=1)[1][0]
    assert logs[0]["loss"] == pytest.approx(plain["loss"] + 0.3 * divergence, rel=1e-5)
    assert "kld" not in plain and network.penalised


def test_a_saved_model_keeps_it(tmp_path):
    network = _network(kld_alpha=0.7, kld_mode="unit")
    network.penalised = True
    network.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    again(registry.example_inputs("transformer_autoencoder", again.config, again.info))
    expected = 0.7 * sum(float(sparsity(item, 1e-5, "unit")) for item in network.penalty_kernels().values())
    assert float(sum(again.losses)) == pytest.approx(expected, rel=1e-6)
    assert Sparsity.from_config(network.penalty.get_config()).get_config() == network.penalty.get_config()


def test_mixed_precision_computes_it_in_float32():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = _network()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    network.penalised = True
    network(registry.example_inputs("transformer_autoencoder", network.config, network.info))
    expected = 0.3 * sum(float(sparsity(item.numpy(), 1e-5)) for item in network.penalty_kernels().values())
    assert all(item.dtype == "float32" for item in network.losses)
    assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-6)
