"""RAPID: published sizes and weights, causality, and that padding and zeros mean what the options say."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from keras import ops

from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.convert import convert
from zoo.models.rapid import config, reference
from zoo.parity import load_case, parity
from zoo.training.resolve import resolve
from zoo.training.run import Run

MODELS = ("rapid_gru", "rapid_lstm", "rapid_tcn")


def _build(model, preset=None, classes=8, bands="gr", **changes):
    hparams = dataclasses.asdict(resolve(model, preset).hparams) | changes
    info = registry.ModelInfo(tuple(map(str, range(classes))), tuple(bands), ("redshift",))
    return registry.create(model, info, **hparams)


def _inputs(network, steps=12, objects=3, seed=0):
    rng = np.random.default_rng(seed)
    inputs = registry.example_inputs(network.entry_name, network.config, network.info)
    shape = (objects, steps, len(network.info.bands))
    inputs |= {"flux": rng.normal(size=shape).astype("float32"), "observed": rng.random(shape) < 0.8}
    inputs |= {"time": np.zeros(shape[:2], "float32"), "mask": np.ones(shape[:2], bool)}
    return inputs | {"static": np.full((objects, 1), 0.3, "float32")}


def _steps(network, inputs):
    found = network({name: ops.convert_to_tensor(value) for name, value in inputs.items()})
    return ops.convert_to_numpy(found["steps"])


@pytest.mark.parametrize(
    ("model", "preset", "classes", "bands", "count"),
    [
        ("rapid_gru", "gru_2019", 12, "gr", 93_613),
        ("rapid_gru", "gru_2019_no_redshift", 13, "gr", 93_414),
        ("rapid_lstm", "ztf_lstm", 8, "gr", 122_509),
        ("rapid_tcn", "ztf_tcn", 8, "gr", 142_709),
        ("rapid_tcn", "ps1_tcn", 5, "griz", 13_506),
    ],
)
def test_published_parameter_counts(model, preset, classes, bands, count):
    assert _build(model, preset, classes, bands).count_params() == count


def test_the_published_weights_give_the_published_numbers(shared):
    rows = parity(shared("golden/rapid"))
    assert len(rows) >= 7 and all(row["passed"] for row in rows), rows


@pytest.mark.parametrize("model", MODELS)
def test_later_steps_change_nothing_before(model):
    network = _build(model, units=8)
    inputs, before = _inputs(network), None
    before = _steps(network, inputs)
    for step in (1, 5, 11):
        later = {name: inputs[name].copy() for name in ("flux", "observed")}
        later["flux"][:, step:] += 3.0
        later["observed"][:, step:] = True
        after = _steps(network, inputs | later)
        np.testing.assert_allclose(after[:, :step], before[:, :step], atol=1e-6)
        assert (np.abs(after[:, step] - before[:, step]).max(axis=-1) > 1e-4).all()


@pytest.mark.parametrize("model", MODELS)
def test_steps_behind_the_last_one_repeat_its_answer(model):
    network = _build(model, units=8)
    inputs = _inputs(network)
    whole = _steps(network, inputs)
    inputs["mask"][0, 7:] = inputs["mask"][1, :] = False
    cut = _steps(network, inputs)
    np.testing.assert_allclose(cut[0, :7], whole[0, :7], atol=1e-6)
    np.testing.assert_allclose(cut[0, 7:], np.repeat(whole[0, 6:7], 5, axis=0), atol=1e-6)
    np.testing.assert_allclose(cut[1], np.broadcast_to(np.array(network.head.bias), cut[1].shape), atol=1e-6)


def test_zero_masking_skips_steps_of_zeros():
    network = _build("rapid_lstm", units=8, zero_masking=True, metadata=False, dropout=0.0)
    inputs = _inputs(network)
    del inputs["static"]
    inputs["observed"][:] = True
    inputs["observed"][:, 4:6] = False
    found = _steps(network, inputs)
    np.testing.assert_allclose(found[:, 4:6], np.repeat(found[:, 3:4], 2, axis=1), atol=1e-6)
    without = {name: np.delete(inputs[name], [4, 5], axis=1) for name in ("flux", "observed", "time", "mask")}
    np.testing.assert_allclose(_steps(network, without), np.delete(found, [4, 5], axis=1), atol=1e-6)


def test_a_missing_redshift_is_zero():
    network = _build("rapid_tcn", units=8)
    inputs = _inputs(network)
    missing = inputs | {"static": np.full((3, 1), np.nan, "float32")}
    nought = inputs | {"static": np.zeros((3, 1), "float32")}
    np.testing.assert_array_equal(_steps(network, missing), _steps(network, nought))
    assert np.abs(_steps(network, inputs) - _steps(network, nought)).max() > 1e-4


def _h5(path, case, layout):
    """Write a case's weights as old Keras did: per layer a group that holds one of its name."""
    import h5py

    names = {short: name for items in reference.layers_of(case.config).values() for name, _, short in items}
    with h5py.File(path, "w") as file:
        for key, array in case.group("w").items():
            short, inside = key.split("/", 1)
            layer = names[short]
            file[f"model_weights/{layer}/{layout.format(layer)}{_inside(inside)}:0"] = array
        file["optimizer_weights/Adam/iterations:0"] = 3


def _inside(name):
    for ours, theirs in (("block_", "residual_block_"), ("/conv_", "/conv1D_"), ("/match/", "/matching_conv1D/")):
        name = name.replace(ours, theirs)
    return name


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("gru_with_redshift_13class_2019", "{}/"),
        ("ztf_unknown_redshift_lstm", "{}/lstm_cell/"),
        ("ps1_ia_cc_slsn_tcn", "{}/"),
    ],
)
def test_an_old_keras_file_becomes_a_run(shared, tmp_path, name, layout):
    case = load_case(shared(f"golden/rapid/{name}.npz"))
    model, _, _ = reference.read_config(case.config)
    _h5(tmp_path / "old.h5", case, layout)
    (tmp_path / "case.json").write_text(json.dumps(case.config))
    run = Run(convert(tmp_path / "old.h5", tmp_path / "case.json", model, tmp_path / "run", deredden="mwebv"))
    spec = run.bundle.spec
    assert spec.raw_static == (*spec.model_info().static, "mwebv") == spec.record_static
    assert spec.extinction[:2] == pytest.approx([3.70985, 2.55627], rel=1e-5)
    network, channels = run.network, case.arrays["x/input"]
    bands = len(network.info.bands)
    assert bands + len(network.info.static) == channels.shape[-1]
    size = int(case.arrays["x/lengths"][2])
    inputs = _inputs(network, channels.shape[1], len(channels)) | {"flux": channels[..., :bands]}
    inputs["observed"][:] = True
    inputs["mask"][:] = np.arange(channels.shape[1]) < case.arrays["x/lengths"][:, None]
    if network.config.metadata:
        inputs["static"] = channels[:, 0, bands:]
    found = ops.convert_to_numpy(ops.softmax(_steps(network, inputs), axis=-1))
    np.testing.assert_allclose(found[2, :size], case.arrays["y/probabilities"][2, :size], atol=1e-5)
    assert run.bundle.inputs.grid_clip and run.bundle.inputs.time_origin == "reference"
    assert run.task.step_columns()[0] == "p_Pre-explosion"


def test_broken_weights_are_named(shared, tmp_path):
    case = load_case(shared("golden/rapid/ztf_unknown_redshift_lstm.npz"))
    weights = case.group("w")
    for spoil, said in (
        (lambda: weights.pop("rnn_1/bias"), "lstm_1/bias is missing"),
        (lambda: weights.update({"rnn_1/bias": np.zeros(3, "float32")}), "wrong shape.*Received: \\(3,\\)"),
        (lambda: weights.update(case.group("w"), other=np.zeros(1)), "no place for. Received: 'other/other'"),
    ):
        spoil()
        with pytest.raises(DataError, match=said):
            reference.import_weights(weights, case.config)
    with pytest.raises(DataError, match="'shape'|shape"):
        reference.import_weights(weights, case.config | {"input": {}})


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (config.RapidGruConfig, {"units": 0}),
        (config.RapidGruConfig, {"dropout": 1.0}),
        (config.RapidLstmConfig, {"layers": 0}),
        (config.RapidTcnConfig, {"dilations": []}),
        (config.RapidTcnConfig, {"kernel_size": 0}),
    ],
)
def test_hyperparameters_out_of_range(kind, wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} must.*Received"):
        kind(**wrong)
