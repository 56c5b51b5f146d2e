"""The guard of the train step, clipping, and learning by heart."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.cases.variants import Example
from tests.cases.workbench import Workbench
from tfrecords.errors import DataError
from zoo import registry
from zoo.tasks.classify import Classify
from zoo.training.callbacks import LossGuard, dropout_seeds
from zoo.training.loop import fit
from zoo.training.model import Trainable


@pytest.fixture(scope="module")
def bench(records):
    """A small light-curve model."""
    return Workbench(Example("atat", "lc_flux_err_asinh"), records)


def _model(bench, optimizer, clip_norm=None, coupled_decay=0.0):
    network = bench.build()
    model = Trainable(network, bench.task, clip_norm, coupled_decay)
    model.compile(optimizer, jit_compile=False)
    model.optimizer.build(network.trainable_variables)
    return model


def _batch(bench, spoil=None):
    inputs, targets, weight = bench.batch(size=12)
    if spoil is not None:
        inputs["grid_flux"] = np.where(np.arange(12)[:, None, None] == 5, spoil, inputs["grid_flux"])
        inputs["grid_flux"] = inputs["grid_flux"].astype("float32")
    return tf.nest.map_structure(tf.constant, (inputs, targets, weight))


@pytest.mark.parametrize("spoil", [np.nan, np.inf])
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_bad_step_leaves_the_weights_alone(bench, spoil, clip_norm):
    model = _model(bench, keras.optimizers.SGD(0.1), clip_norm)
    model.train_step(_batch(bench))
    before = model.network.get_weights()
    logs = model.train_step(_batch(bench, spoil))
    assert float(logs["bad_steps"]) == 1 and np.isfinite(float(logs["loss"]))
    for ours, theirs in zip(model.network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    model.train_step(_batch(bench))
    pairs = zip(model.network.get_weights(), before, strict=True)
    assert any((ours != theirs).any() for ours, theirs in pairs), "training goes on"


def test_a_bad_step_leaves_finite_weights_under_momentum(bench):
    model = _model(bench, keras.optimizers.AdamW(0.01))
    for spoil in (None, np.nan, None):
        model.train_step(_batch(bench, spoil))
    for variable in (*model.network.variables, *model.optimizer.variables):
        assert np.isfinite(np.array(variable, "float64")).all(), variable.path


def test_a_bad_step_leaves_running_means_alone(records):
    bench = Workbench(Example("rapid_gru", "redshift"), records)
    model = _model(bench, keras.optimizers.SGD(0.1))
    inputs, targets, weight = bench.batch(size=12)
    broken = inputs | {"flux": np.where(np.arange(12)[:, None, None] == 5, np.nan, inputs["flux"]).astype("float32")}
    before = model.network.get_weights()
    model.train_step(tf.nest.map_structure(tf.constant, (broken, targets, weight)))
    for ours, theirs in zip(model.network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    model.train_step(tf.nest.map_structure(tf.constant, (inputs, targets, weight)))
    for ours, theirs in zip(model.network.get_weights(), before, strict=True):
        assert (ours != theirs).any()


def test_the_guard_counts_consecutive_steps(tmp_path):
    guard = LossGuard(2, tmp_path / "some-run")
    guard.on_epoch_begin(0)
    for step, total in enumerate([0, 1, 1, 2, 2]):
        guard.on_train_batch_end(step, {"bad_steps": total})
    guard.on_train_batch_end(5, {"bad_steps": 3})
    with pytest.raises(DataError, match="some-run: .*2 consecutive steps of epoch 1.*at step 7"):
        guard.on_train_batch_end(6, {"bad_steps": 4})


def test_a_streak_may_span_epochs(tmp_path):
    guard = LossGuard(2, tmp_path)
    guard.on_epoch_begin(0)
    guard.on_train_batch_end(0, {"bad_steps": 1})
    guard.on_epoch_begin(1)
    with pytest.raises(DataError, match="epoch 2"):
        guard.on_train_batch_end(0, {"bad_steps": 1})


@pytest.mark.slow
def test_a_run_that_diverges_fails_by_name(options, monkeypatch):
    loss = Classify.loss
    monkeypatch.setattr(Classify, "loss", lambda *arguments: loss(*arguments) * np.nan)
    with pytest.raises(DataError, match="wild: loss or gradients were not finite in 3 consecutive steps"):
        fit("atat", name="wild", quiet=True, **options)


def test_the_gradient_is_clipped_as_a_whole(bench):
    steps, logs = [], []
    for clip_norm in (None, 1e-3):
        model = _model(bench, keras.optimizers.SGD(1.0), clip_norm)
        before = model.network.get_weights()
        logs.append(model.train_step(_batch(bench)))
        after = model.network.get_weights()
        steps.append(np.concatenate([(a - b).ravel() for a, b in zip(after, before, strict=True)]).astype("float64"))
    whole, clipped = (np.linalg.norm(step) for step in steps)
    assert whole > 0.01 and clipped == pytest.approx(1e-3, rel=1e-2)
    cosine = steps[0] @ steps[1] / whole / clipped
    assert cosine == pytest.approx(1, abs=1e-3)
    assert "gradient_norm" not in logs[0], "it costs a message between replicas"
    assert float(logs[1]["gradient_norm"]) == pytest.approx(whole, rel=1e-4)
    assert float(logs[1]["gradient_norm_clipped"]) == pytest.approx(clipped, rel=1e-2)


def test_norms_are_means_over_the_good_steps_and_validation_has_none(bench):
    bench.task.records_gradient = True
    try:
        model = _model(bench, keras.optimizers.SGD(0.0))
    finally:
        del bench.task.records_gradient
    once = float(model.train_step(_batch(bench))["gradient_norm"])
    for spoil in (np.nan, None):
        logs = model.train_step(_batch(bench, spoil))
    assert once > 0.01 and float(logs["gradient_norm"]) == pytest.approx(once, rel=1e-5)
    assert "gradient_norm_clipped" not in logs
    found = model.evaluate(tf.data.Dataset.from_tensors(_batch(bench)), return_dict=True, verbose=0)
    assert "gradient_norm" not in found and found["loss"] > 0


def test_the_decay_is_added_to_the_clipped_gradient_of_every_trained_weight(bench):
    steps = []
    for decay in (0.0, 0.3):
        model = _model(bench, keras.optimizers.SGD(1.0), 1e-3, decay)
        trained = model.network.trainable_variables
        before = [keras.ops.convert_to_numpy(item) + 0.01 for item in trained]
        for variable, value in zip(trained, before, strict=True):
            variable.assign(value)
        model.train_step(_batch(bench))
        steps.append([keras.ops.convert_to_numpy(item) - value for item, value in zip(trained, before, strict=True)])
        stays = model.network.get_weights()
        model.train_step(_batch(bench, np.nan))
        assert all((a == b).all() for a, b in zip(model.network.get_weights(), stays, strict=True))
    for without, ours, value in zip(*steps, before, strict=True):
        assert ours - without == pytest.approx(-0.3 * value, abs=1e-6)


@pytest.mark.slow
def test_a_small_model_learns_32_objects_by_heart(records):
    bench = Workbench(Example("atat", "all"), records)
    inputs, targets, weight = bench.batch(size=32)
    labels = targets["label"]
    model = _model(bench, keras.optimizers.Adam(0.02))
    step = tf.function(model.train_step)
    batch = tf.nest.map_structure(tf.constant, (inputs, targets, weight))
    for _ in range(150):
        step(batch)
    predicted = bench.outputs(inputs, model.network)["mix"].argmax(axis=1)
    assert (predicted == labels).mean() >= 0.97


@pytest.mark.parametrize("model", ["informer", "vade", "astrom3"])
def test_a_run_keeps_the_state_of_every_generator(model):
    info = registry.ModelInfo(classes=("a", "b"), bands=("V",), static=("period", "ruwe"), spectrum_size=300,
                              channels=("science", "difference"), stamp_size=9)  # fmt: skip
    hparams = {
        "vade": {"crop": 9, "filters": 8},
        "informer": {"key_sampling": "random", "layers": 1, "length": 8},
        "astrom3": {"modality_dropout": 0.5, "meta_transform": False, "photo_length": 8, "photo_layers": 1},
    }[model]
    network = registry.create(model, info, **hparams)
    weights = {id(item) for item in network.weights}
    states = {item.path: id(item) for item in network.variables if id(item) not in weights}
    assert states and sorted(states.values()) == sorted(map(id, dropout_seeds(network)))
