"""Networks on sequences of stamps: padding, gaps, one frame; losses of the stages; windows and times."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import hparams
from tests.cases.stamp_bench import INFO, StampBench
from tests.cases.variants import Example, examples
from zoo import registry
from zoo.training.resolve import resolve

# The temporal stamp classifier needs columns of its own; the shared cases pad its sequences.
SEQUENCES = [
    item for item in examples()
    if item.entry.view == "stamp_sequence" and item.entry.family != "temporal_stamp_classifier"
]  # fmt: skip


def _padded(inputs, frames=2):
    """Add frames of NaN and noise under a False mask."""
    wider = {key: np.pad(value, [(0, 0), (0, frames), *[(0, 0)] * (value.ndim - 2)]) for key, value in inputs.items()}
    hidden = ~wider["mask"]
    wider["stamps"][hidden] = np.random.default_rng(9).normal(size=wider["stamps"][hidden].shape)
    wider["stamps"][:, -1] = np.nan
    wider["alerts"][hidden] = wider["time"][hidden] = np.nan
    return wider


@pytest.mark.parametrize("example", SEQUENCES, ids=str)
def test_frames_under_the_mask_change_nothing_and_objects_stay_apart(example):
    bench = StampBench(example)
    inputs, _, _ = bench.batch()
    inputs["mask"][1], inputs["mask"][2] = False, [True, False, False, False, False]
    ours, theirs = bench.outputs(_padded(inputs)), bench.outputs(inputs)
    alone = bench.outputs({key: value[3:4] for key, value in inputs.items()})
    for name, value in theirs.items():
        assert np.isfinite(value).all() and np.isfinite(ours[name]).all()
        wide = ours[name][:, : value.shape[1]] if value.ndim > 2 else ours[name]
        np.testing.assert_allclose(wide, value, atol=1e-5)
        np.testing.assert_allclose(alone[name], value[3:4], atol=1e-5)
    represented = [bench.network.represent({key: tf.constant(value) for key, value in item.items()}).numpy()
                   for item in (_padded(inputs), inputs)]  # fmt: skip
    np.testing.assert_allclose(*represented, atol=1e-5)
    assert np.ptp(represented[0], axis=0).max() > 1e-5
    single = bench.outputs({key: value[:, :1] for key, value in inputs.items()})
    assert all(np.isfinite(value).all() for value in single.values())


def test_the_loss_is_the_weighted_sum_of_both():
    bench = StampBench(Example("stamp_recurrent_ae", "combined"))
    inputs, targets, _ = bench.batch(4)
    inputs = {key: tf.constant(value) for key, value in inputs.items()}

    def losses(**changes):
        bench.network.config = dataclasses.replace(bench.bundle.config, **changes)
        outputs = bench.network(inputs)
        return bench.task.loss(bench.network, outputs, targets).numpy(), outputs

    rebuilt, outputs = losses(reconstruction_share=1.0)
    classes, _ = losses(reconstruction_share=0.0)
    np.testing.assert_allclose(losses(reconstruction_share=0.3)[0], 0.3 * rebuilt + 0.7 * classes, rtol=1e-5)
    seen = outputs["observed"].numpy()
    error = np.where(seen, outputs["target"] - outputs["reconstruction"], 0) ** 2
    np.testing.assert_allclose(rebuilt, error.sum((1, 2, 3, 4)) / seen.sum((1, 2, 3, 4)), rtol=1e-5)
    frames, _ = losses(reconstruction_share=1.0, reconstruct="frames")
    assert np.abs(frames - rebuilt).max() > 1e-5


@pytest.mark.parametrize("preset", ["staged", "staged_all"])
def test_the_stages_of_the_presets_train_what_they_say(preset):
    from zoo.training import stages, warm_start

    small = {"crop": 9, "filters": 4, "units": 4, "latent": 4, "layers": 1}
    trained = {}
    for name, stage in stages.plan(resolve("stamp_recurrent_ae", preset, **small)):
        network = registry.create("stamp_recurrent_ae", INFO, **stage.sections()["hparams"])
        warm_start.freeze(network, stage.run.freeze)
        trained[name] = {item.path.split("/")[1] for item in network.trainable_variables}
        trained[name] |= {network.config.reconstruct, network.config.reconstruction_share}
    assert trained["ae_alone"] == {"encoder", "decoder", "frames", 1.0}
    assert trained["ae_rnn"] == {"encoder", "decoder", "recurrent", "projection", 1.0}
    last = {"head"} if preset == "staged" else {"encoder", "recurrent", "projection", "head"}
    assert trained["rnn"] == last | {"recurrent", 0.0}
    assert hparams.preset("stamp_sequence_ae", None, "stamp_recurrent_ae")[0] == "staged"


def test_windows_end_at_their_frame_and_times_count():
    bench = StampBench(Example("stamp_rcnn", "windows"))
    inputs, targets, _ = bench.batch()
    outputs = bench.network({key: tf.constant(value) for key, value in inputs.items()})
    logits, whole = outputs["logits"].numpy(), outputs["mask"].numpy()
    np.testing.assert_array_equal(whole[:, 0], False)
    np.testing.assert_array_equal(whole[:, 1:], inputs["mask"][:, 1:])
    later = {key: value.copy() for key, value in inputs.items()}
    later["stamps"][:, 3] += np.random.default_rng(1).normal(size=later["stamps"][:, 3].shape) * 50
    after = bench.outputs(later)["logits"]
    np.testing.assert_allclose(after[0, :3], logits[0, :3], atol=1e-6)
    assert np.abs(after[0, 3] - logits[0, 3]).max() > 1e-5
    # The LSTM's own kernel decides how much days tell; only differences to the first frame do.
    moved = inputs | {"time": inputs["time"] + np.float32(100)}
    np.testing.assert_allclose(bench.outputs(moved)["logits"], logits, atol=1e-4)
    stretched = inputs | {"time": inputs["time"] * np.float32(3)}
    assert np.abs(bench.outputs(stretched)["logits"] - logits).max() > 1e-4
    each = -tf.nn.log_softmax(logits).numpy()[np.arange(8)[:, None], np.arange(5), targets["label"][:, None]]
    losses = bench.task.loss(bench.network, outputs, targets).numpy()
    np.testing.assert_allclose(losses, (each * whole).sum(1), rtol=1e-5)
    assert losses[2] == 0, "one frame is no window"


def test_images_come_to_one_zero_point():
    config = {"crop": 9, "filters": 4, "units": 4, "dense": 4, "normalize": "sky", "zero_point": "magpsf"}
    network = registry.create("stamp_rcnn", INFO, **config, reference_zero_point=25.0)
    inputs, _, _ = StampBench(Example("stamp_rcnn", "windows")).batch(2)
    inputs["alerts"][..., 1] = [[25.0, 27.5, 22.5, np.nan, -999.0]] * 2
    inputs = {key: tf.constant(value) for key, value in inputs.items()}
    plain = network.preprocess(inputs["stamps"])[0].numpy()
    factors = np.array([1, 0.1, 10, 1, 1])[:, None, None, None]
    scaled = network._images(inputs, inputs["mask"]).numpy()
    np.testing.assert_allclose(scaled, plain * factors * inputs["mask"].numpy()[..., None, None, None], rtol=1e-5)


@pytest.mark.parametrize(
    ("source", "models"),
    [("stamp_ae", ("linear_probe", "latent_rnn", "stamp_recurrent_ae")), ("stamp_ae_classifier", ("stamp_gru",))],
)
def test_an_encoder_fits_wherever_a_preset_says_it_does(source, models):
    def encoder(model):
        network = registry.create(model, INFO, **dataclasses.asdict(resolve(model).hparams) | {"crop": 21})
        return {item.path.split("/", 1)[1]: tuple(item.shape) for item in network.encoder.weights}

    for model in models:
        assert encoder(model) == encoder(source)
