"""Objects with hardly anything known of them: every model gives finite answers, losses and gradients.

And weights of a run of another width: every model refuses them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.cases import variants
from tests.cases.variants import Example
from tests.cases.workbench import Workbench
from tfrecords.errors import DataError
from zoo import views
from zoo.inputs import transforms
from zoo.inputs.transforms import DETECTED
from zoo.losses.hierarchical import log_path
from zoo.taxonomies.tree import load
from zoo.training import bundle as bundles
from zoo.training import warm_start

TREE = load("plasticc")
BANDS = ([], [2], [3, 3], [1] * 7, [0, 1, 2, 3, 4, 5] * 2)
"""Bands of the rows of an object: none, one, two at once, one band alone, all bands."""


def _inputs(bench, known: bool):
    """Give tensors and targets of such objects; static columns and features all missing, or all 0.5."""
    if "stamps" in bench.bundle.config.parts():
        return _stamps(bench, known)
    size, longest = len(BANDS), max(map(len, BANDS))
    mask = np.arange(longest) < np.array([len(item) for item in BANDS])[:, None]
    band = np.array([item + [0] * (longest - len(item)) for item in BANDS], "int32") % len(bench.spec.bands)
    time = 60000 + np.tile(np.arange(longest) * 4.0, (size, 1))
    time[2] = 60000
    flux = np.random.default_rng(0).normal(size=mask.shape).astype("float32") * 50
    curves = transforms.from_padded(time, flux, np.ones_like(flux), band, np.full(mask.shape, DETECTED), mask)
    spec, value = bench.spec, 0.5 if known else np.nan
    static = tf.fill([size, len(spec.record_static)], tf.constant(value, tf.float32))
    features = tf.fill([size, len(spec.feature_days), len(spec.features)], tf.constant(value, tf.float32))
    pixels = {"pixels": _pixels(known, size)} if "spectrum" in bench.bundle.config.parts() else {}
    prepared = bench.stage.prepare(curves, static, features, **pixels)
    inputs = bench.stage.tensors(prepared)
    targets = {"label": tf.zeros([size], tf.int32), "sample_weight": tf.ones([size])}
    return inputs, targets | bench.stage.targets(prepared, inputs, tf.range(size, dtype=tf.int64))


def _pixels(known: bool, size: int):
    """Give spectra: none, one pixel, constant, with gaps, and far off the grid; or none at all."""
    from zoo.inputs import spectra

    wave = np.tile(np.linspace(4000, 8000, 40, dtype="float32"), (size, 1))
    flux = np.random.default_rng(1).normal(10, 1, wave.shape).astype("float32")
    wave[0], wave[1, 1:], flux[2], flux[3, ::2], wave[4] = np.nan, np.nan, 5.0, np.nan, wave[4] / 100
    if not known:
        wave[:] = np.nan
    return spectra.from_padded(*map(tf.constant, (wave, flux, np.ones_like(flux))))


PIXELS = (np.nan, 0.0, np.inf, 3e38, -3e38)
"""What all pixels of an object are: unknown, constant, infinite, so large that differences overflow with noise."""


def _stamps(bench, known: bool):
    """Give tensors and targets of objects with bad stamps, and columns of an alert all missing, or all 0.5."""
    size, value = len(PIXELS), 0.5 if known else np.nan
    example = views.example(bench.example.entry.view, bench.bundle.config.parts(), bench.spec.model_info(), size)
    inputs = {name: np.array(values) for name, values in example.items()}
    for name in {"stamp", "stamps"} & set(inputs):
        inputs[name] += np.array(PIXELS, "float32").reshape(-1, *[1] * (inputs[name].ndim - 1))
        inputs[name][3:, ..., ::2, :, :] *= np.float32(-1)
    for name in {"alert", "alerts", "static"} & set(inputs):
        inputs[name] = inputs[name] + np.float32(value)
    if "mask" in inputs:
        # One frame, two, none, and a gap in front.
        inputs["mask"][0], inputs["mask"][1, 0], inputs["mask"][3:, 1] = True, True, True
    targets = {"label": tf.zeros([size], tf.int32), "sample_weight": tf.ones([size]), "fraction": tf.ones([size])}
    return {name: tf.constant(values) for name, values in inputs.items()}, targets


@pytest.mark.parametrize("example", variants.costly(variants.richest()), ids=str)
@pytest.mark.parametrize("known", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["missing", "known"])
def test_answers_losses_and_gradients_are_finite(example, known, make_bench):
    bench = make_bench(example)
    inputs, targets = _inputs(bench, known)
    variables = [variable.value for variable in bench.network.trainable_variables]
    with tf.GradientTape() as tape:
        outputs = bench.network(inputs, training=False)
        losses = bench.task.loss(bench.network, outputs, targets)
        total = tf.reduce_sum(losses)
    assert losses.shape == (len(targets["label"]),) and np.isfinite(losses).all()
    for gradient in tape.gradient(total, variables, unconnected_gradients="zero"):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()
    predicted = np.array(bench.task.predictions(bench.network, outputs))
    assert predicted.shape == (len(targets["label"]), len(bench.task.columns())) and np.isfinite(predicted).all()
    if bench.task.labelled:
        np.testing.assert_allclose(predicted[:, : len(bench.spec.classes)].sum(axis=1), 1, atol=1e-5)


def _kept_fast(examples):
    """Give examples as parameters, those beyond one of a kind marked slow."""
    return [item if item in variants.one_a_kind() else pytest.param(item, marks=pytest.mark.slow) for item in examples]


# The widths of these are a list.
LISTED = ("alexnet", "galspecnet")


@pytest.mark.parametrize(
    "example", _kept_fast([item for item in variants.richest() if item.model not in LISTED]), ids=str
)
def test_weights_of_another_width_are_refused(example, make_bench, tmp_path):
    bench = make_bench(example)
    bundles.save(tmp_path / "bundle", bench.bundle, bench.network)
    hparams = bench.bundle.hparams
    width = next(name for name in ("filters", "d_model", "head_dim", "units", "meta_hidden_dim", "hidden_dim")
                 if name in hparams)  # fmt: skip
    wider = dataclasses.replace(bench.bundle, hparams=hparams | {width: 2 * hparams[width]}).build()
    part = next(
        name for name in ("encoder", "lstm", "embedding", "meta", "photo", "spectra") if name in wider.parts_of_model()
    )
    with pytest.raises(DataError, match=f"'{part}' of .* has other sizes than this network's.*Valid.*Received"):
        warm_start.initialise(wider, [f"{part}={tmp_path}"], None)


def _poor(inputs):
    """Leave the first object whole, one row to the second, none to the third, and no static value to the last two."""
    inputs = {name: value.copy() for name, value in inputs.items()}
    if "mask" in inputs:
        inputs["mask"][1, 1:], inputs["mask"][2] = False, False
    for name in {"static", "features"} & set(inputs):
        inputs[name][2:] = np.nan
    return inputs


def _first(batch, count=4):
    return tuple({key: value[:count] for key, value in part.items()} for part in batch[:2])


@pytest.mark.parametrize("model", ["oracle_gru", "hierarchical_lstm"])
def test_under_a_tree_every_node_has_a_probability(model, records):
    # Half of the classes have no training object, and so no weight.
    example, options = Example(model, "default"), {"absent_nodes": "zero", "phase_aware": True}
    bench = Workbench(example, records, loss="hierarchical", taxonomy="plasticc", **options)
    bench.task.prepare(np.arange(len(bench.spec.classes)) % 2 * 10)
    inputs, targets = _first(bench.batch())
    outputs = bench.outputs(_poor(inputs))
    loss = np.array(bench.task.loss(bench.network, outputs, targets))
    assert np.isfinite(loss).all() and (loss >= 0).all()
    path = np.exp(np.array(log_path(outputs["logits"], TREE)))
    assert (path > 0).all()
    for node in range(len(TREE)):
        if children := TREE.children(node):
            np.testing.assert_allclose(path[:, children].sum(axis=1), path[:, node], atol=1e-6)
