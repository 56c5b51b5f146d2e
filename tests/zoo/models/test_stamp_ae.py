"""Autoencoders of single stamps and the linear probe: published numbers, penalty, what counts of a stamp."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.cases.stamp_bench import INFO, StampBench, inputs_of
from tests.cases.variants import Example
from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.models.stamp_ae import reference
from zoo.parity import load_case, parity
from zoo.training.model import Trainable

GOLDEN = ("seed_", "isla_", "deephits_", "vade_")


def test_the_published_weights_give_the_published_numbers(shared):
    rows = [row for row in parity(shared("golden/stamps")) if row["case"].split("/")[1].startswith(GOLDEN)]
    assert len(rows) >= 9 and all(row["passed"] for row in rows), rows
    assert all(item["tolerance"] <= 1e-5 for row in rows for item in row["outputs"])


def test_broken_weights_are_named(shared):
    case = load_case(shared("golden/stamps/seed_conv_ae.npz"))
    arrays = case.group("w")
    with pytest.raises(DataError, match="encoder.3.weight.*missing"):
        reference.import_weights({key: value for key, value in arrays.items() if key != "encoder.3.weight"}, {})
    with pytest.raises(DataError, match="does not have. Received: 'rnn'"):
        reference.import_weights(arrays | {"rnn": np.zeros(2)}, {})
    with pytest.raises(DataError, match="channel_order: the weights are of 2 channels"):
        reference.import_weights(arrays, {"channel_order": ["science"]})
    model = reference.import_weights(arrays, {"channel_order": ["science", "difference"]})
    assert model.info.channels == ("science", "difference") and model.config.latent == 30


def _tensors(*parts):
    return tf.nest.map_structure(tf.constant, parts)


@pytest.mark.parametrize("model", ["stamp_ae", "stamp_ae_classifier", "stamp_recurrent_ae", "vade"])
def test_the_penalty_is_on_the_first_kernels_of_encoder_and_decoder(model):
    bench = StampBench(Example(model, "default"), loss="KLD_RMSE")
    network = bench.build()
    inputs, targets, weight = _tensors(*bench.batch())
    trained = Trainable(network, bench.task)
    trained.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    kernels = network.penalty_kernels()
    assert list(kernels) == ["encoder.first_kernel", "decoder.first_kernel"]
    assert kernels["encoder.first_kernel"] is network.encoder.weights[0]
    with tf.GradientTape() as tape:
        network(inputs, training=True)
        penalty = tf.add_n(network.losses)
    found = tape.gradient(penalty, [item.value for item in network.trainable_variables])
    touched = [item.path for item, slope in zip(network.trainable_variables, found, strict=True) if slope is not None]
    assert sorted(touched) == sorted(item.path for item in kernels.values())
    assert all(float(tf.reduce_max(tf.abs(slope))) > 0 for slope in found if slope is not None)
    logs = trained.train_step((inputs, targets, weight))
    assert float(logs["kld"]) > 0 and float(penalty) == pytest.approx(0.3 * float(logs["kld"]), rel=0.3)
    network.penalised = False
    network(inputs)
    assert not network.losses


def test_pixels_without_value_are_zero_and_do_not_count():
    bench = StampBench(Example("stamp_ae", "default"))
    inputs, targets, _ = bench.batch(4)
    inputs["stamp"][3] = np.nan
    outputs = bench.network({key: tf.constant(value) for key, value in inputs.items()})
    assert not outputs["observed"][3].numpy().any() and (outputs["target"][3].numpy() == 0).all()
    losses = bench.task.loss(bench.network, outputs, targets).numpy()
    assert losses[3] == 0 and (losses[:3] > 0).all()
    seen = outputs["observed"][0].numpy()
    error = (outputs["target"][0] - outputs["reconstruction"][0]).numpy()[seen]
    assert (~seen).sum() > 0 and losses[0] == pytest.approx((error**2).mean(), rel=1e-5)
    numbers = np.array(bench.task.predictions(bench.network, outputs))
    assert numbers[0] == pytest.approx([losses[0] ** 0.5, seen.sum()], rel=1e-5) and numbers[3, 1] == 0


def test_the_probe_sees_the_code_alone():
    autoencoder = registry.create("stamp_ae", INFO, crop=9, filters=4, latent=5)
    probe = registry.create("linear_probe", INFO, crop=9, filters=4, latent=5)
    probe.encoder.set_weights(autoencoder.encoder.get_weights())
    inputs = {key: tf.constant(value) for key, value in inputs_of("stamp", 3).items()}
    code = autoencoder.represent(inputs).numpy()
    np.testing.assert_allclose(probe.represent(inputs).numpy(), code, atol=1e-6)
    expected = code @ probe.head.kernel.numpy() + probe.head.bias.numpy()
    np.testing.assert_allclose(probe(inputs)["logits"].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "wrong", "message"),
    [
        ("stamp_ae", {"crop": 10}, "crop, or window"),
        ("stamp_ae", {"channels": []}, "channels must be named"),
        ("stamp_ae", {"channels": ["science", "science"]}, "channels must be named"),
        ("stamp_ae", {"latent": 0}, "latent must be at least 1"),
        ("stamp_ae_classifier", {"crop": 19}, "crop must be 21"),
        ("stamp_ae_classifier", {"reconstruction_share": 1.5}, "reconstruction_share must lie"),
        ("stamp_gru", {"crop": 19}, "crop must be 21"),
        ("vade", {"kld_rho": 0.0}, "kld_rho must lie"),
        ("stamp_rcnn", {"zero_point": "jd"}, "zero_point must be a column"),
        ("stamp_rcnn", {"zero_point": "magpsf", "normalize": "per_image"}, "zero_point scales fluxes"),
        ("stamp_rcnn", {"r_max": 0.5}, "r_max must be >= 1"),
        ("alexnet", {"convolutions": [4, 4]}, "five numbers"),
        ("alexnet", {"crop": 9}, "must leave a pixel"),
    ],
)
def test_wrong_options_are_refused(model, wrong, message):
    with pytest.raises(UsageError, match=f"{message}.*Received"):
        registry.create(model, INFO, **wrong)
