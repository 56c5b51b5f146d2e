"""Deep-HiTS, AlexNet and the clusters of the variational deep embedding: sizes, turns, bounds."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.cases.stamp_bench import INFO, StampBench, inputs_of
from tests.cases.variants import Example
from tfrecords.errors import UsageError
from zoo import registry
from zoo.registry import ModelInfo
from zoo.tasks.base import create
from zoo.training.config import RunConfig

WHOLE = ModelInfo(classes=("bogus", "real"), channels=INFO.channels, stamp_size=63)


def _tensors(inputs):
    return {key: tf.constant(value) for key, value in inputs.items()}


@pytest.mark.parametrize(
    ("model", "hparams", "count"),
    [
        # 32 (16·4 + 1) + 32 (9·32 + 1) + 64 (9·32 + 1) + 2·64 (9·64 + 1) + 64 (9216 + 1) + 64·65 + 2·65
        ("deep_hits", {}, 2080 + 9248 + 18496 + 73856 + 589888 + 4160 + 130),
        # Encoder 4 convolutions, norms, dense 2304 -> 50; decoder dense, 6 convolutions, 5 norms.
        ("stamp_ae", {}, 1792 + 3 * 36928 + 4 * 256 + 115250 + 117504 + 5 * 36928 + 1731 + 5 * 256),
        ("alexnet", {}, 4864 + 307392 + 663936 + 884992 + 590080 + 524800 + 262656 + 1026),
        ("stamp_ae_classifier", {}, 784 + 4640 + 9248 + 18496 + 36928 + 73856 + 147584
         + 32832 + 36928 + 2080 + 4128 + 1056 + 4624 + 272 + 51 + 8256 + 2 * 4160 + 130),
    ],
)  # fmt: skip
def test_sizes_are_those_of_the_tables(model, hparams, count):
    assert registry.create(model, WHOLE, **hparams).count_params() == count


def test_deep_hits_answers_by_the_turns_in_their_order():
    bench = StampBench(Example("deep_hits", "default"))
    inputs = inputs_of("stamp", 3)
    images, _ = bench.network.preprocess(tf.constant(inputs["stamp"]))
    joined = np.reshape(bench.network.joined(images), (3, 4, -1))
    turned = np.reshape(bench.network.joined(tf.image.rot90(images)), (3, 4, -1))
    np.testing.assert_allclose(turned, np.roll(joined, -1, axis=1), atol=1e-5)
    assert np.abs(turned - joined).max() > 1e-3


def test_the_decay_of_alexnet_is_on_kernels_alone():
    network = registry.create("alexnet", INFO, crop=27, convolutions=[4] * 5, first_size=3, first_stride=1, dense=4,
                              l2=0.01)  # fmt: skip
    kernels = [item for item in network.trainable_variables if item.path.endswith("kernel")]
    expected = 0.005 * sum(float(np.square(item.numpy()).sum()) for item in kernels)
    assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def vade():
    """A small network, inputs, and its outputs."""
    bench = StampBench(Example("vade", "default"))
    inputs = _tensors(bench.batch(4)[0])
    return bench, inputs, bench.network(inputs)


def test_the_bound_is_the_loss_and_the_same_each_time(vade):
    bench, inputs, outputs = vade
    losses = bench.task.loss(bench.network, outputs, {})
    np.testing.assert_allclose(losses, -outputs["elbo"])
    np.testing.assert_array_equal(outputs["elbo"], bench.network(inputs)["elbo"])
    trained = [bench.network(inputs, training=True)["elbo"].numpy() for _ in range(2)]
    assert np.abs(trained[0] - trained[1]).max() > 0, "drawn anew in training"
    np.testing.assert_allclose(tf.reduce_sum(outputs["gamma"], axis=1), 1, atol=1e-5)
    assert (outputs["log_variance"].numpy() <= 0).all() and (outputs["log_variance"].numpy() >= -5).all()
    answer = bench.task.answer(bench.network, outputs)
    assert {"gamma", "latent", "rmse", "pixels", "reconstruction"} <= set(answer)


def test_the_first_stage_has_the_plain_prior(vade):
    bench, inputs, outputs = vade
    plain = registry.create("vade", INFO, **bench.bundle.hparams | {"objective": "vae"})
    plain.set_weights(bench.network.get_weights())
    images, valid = plain.preprocess(inputs["stamp"])
    mean, spread = plain.encode(images)
    found = plain.bound(images, valid, mean, spread, tf.zeros_like(mean))
    np.testing.assert_allclose(found["elbo"], found["log_px"] - found["vae_kl"], rtol=1e-6)
    assert np.abs(plain(inputs)["elbo"] - outputs["elbo"]).max() > 1e-4


def test_losses_that_do_not_fit_are_refused(vade):
    bench, inputs, _ = vade
    autoencoder = registry.create("stamp_ae", INFO, crop=9, filters=4, latent=4)
    with pytest.raises(UsageError, match="variational.*Received: StampAe"):
        bench.task.loss(autoencoder, autoencoder(inputs), {})
    for task, wrong in (("reconstruct_stamps", {"loss": "crossentropy"}), ("reconstruct_classify", {"loss": "ELBO"}),
                        ("reconstruct_stamps", {"loss": "MSE", "wgt_map": True}),
                        ("per_frame", {"loss": "focal"})):  # fmt: skip
        with pytest.raises(UsageError, match="Received"):
            create(task, bench.spec, RunConfig(**wrong))
